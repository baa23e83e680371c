const GAP = 6, LEAST = 76, TITLE = 20, AHEAD = 2
const running = new WeakMap()  // this part runs again with every change of data: the run before must end first

export default function (component) {
  const { parentElement, data, setTriggerValue } = component
  running.get(parentElement)?.()
  const grid = parentElement.querySelector(".grid")
  const room = grid.querySelector(".room")
  const count = data.pictures.length
  const made = new Map()  // place -> button, of those in sight and a little beyond
  const sheet = `url(${data.sheet})`
  const rowsOfSheet = picture => Math.floor(picture / data.columns)
  let columns = 1, side = LEAST

  const tile = place => {
    const picture = data.pictures[place], title = data.titles[place] ?? ""
    const button = document.createElement("button")
    button.setAttribute("role", "option")
    button.setAttribute("aria-label", title || `image ${place + 1}`)
    button.title = title
    button.tabIndex = -1
    const shown = document.createElement("span")
    shown.className = "picture"
    shown.style.backgroundImage = sheet
    shown.style.backgroundSize = `${data.columns * side}px auto`
    shown.style.backgroundPosition = `-${picture % data.columns * side}px -${rowsOfSheet(picture) * side}px`
    const text = document.createElement("span")
    text.className = "title"
    text.textContent = title
    button.append(shown, text)
    button.onclick = () => setTriggerValue("place", place)
    return button
  }
  const lay = () => {
    const height = side + TITLE + GAP
    const first = Math.max(0, Math.floor(grid.scrollTop / height) - AHEAD) * columns
    const end = Math.min(count, (Math.ceil((grid.scrollTop + grid.clientHeight) / height) + AHEAD) * columns)
    for (const [place, button] of made) {
      if (place < first || place >= end) {
        button.remove()
        made.delete(place)
      }
    }
    for (let place = first; place < end; place++) {
      if (made.has(place)) continue
      const button = tile(place)
      button.style.width = `${side}px`
      button.style.left = `${GAP + place % columns * (side + GAP)}px`
      button.style.top = `${GAP + Math.floor(place / columns) * height}px`
      room.append(button)
      made.set(place, button)
    }
  }
  const measure = () => {
    const width = grid.clientWidth - GAP
    columns = Math.max(1, Math.floor(width / (LEAST + GAP)))
    side = Math.max(32, Math.floor(width / columns) - GAP)
    const rows = Math.ceil(count / columns)
    room.style.height = `${GAP + rows * (side + TITLE + GAP)}px`
    grid.style.height = `${Math.min(data.tallest, GAP + rows * (side + TITLE + GAP) + 2)}px`
    room.replaceChildren()
    made.clear()
    lay()
  }
  // Arrows go from picture to picture; one that is out of sight is made first.
  const step = event => {
    const places = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns }
    const here = [...made].find(([, button]) => button === parentElement.getRootNode().activeElement)?.[0]
    if (!(event.key in places)) return
    const next = here === undefined ? Math.floor(grid.scrollTop / (side + TITLE + GAP)) * columns : here + places[event.key]
    if (next < 0 || next >= count) return
    event.preventDefault()
    const top = Math.floor(next / columns) * (side + TITLE + GAP)
    if (top < grid.scrollTop) grid.scrollTop = top
    const bottom = top + side + TITLE + 2 * GAP
    if (bottom > grid.scrollTop + grid.clientHeight) grid.scrollTop = bottom - grid.clientHeight
    lay()
    made.get(next)?.focus({ preventScroll: true })
  }
  grid.addEventListener("scroll", lay, { passive: true })
  grid.addEventListener("keydown", step)
  const watch = new ResizeObserver(measure)
  watch.observe(grid.parentElement)
  measure()
  const stop = () => {
    watch.disconnect()
    grid.removeEventListener("scroll", lay)
    grid.removeEventListener("keydown", step)
  }
  running.set(parentElement, stop)
  return stop
}
