export default function (component) {
  const { parentElement, data, setTriggerValue } = component
  const strip = parentElement.querySelector(".strip")
  const rows = Math.max(1, Math.ceil(data.titles.length / data.columns))
  const share = (place, count) => count > 1 ? 100 * place / (count - 1) + "%" : "0"
  strip.style.setProperty("--sheet", `url(${data.sheet})`)
  const chosen = data.chosen ?? 0
  // One stop for the Tab key; arrows go from picture to picture, as in every list box.
  const focused = strip.contains(parentElement.getRootNode().activeElement)
  strip.replaceChildren(...data.titles.map((title, place) => {
    const button = document.createElement("button")
    button.title = title
    button.tabIndex = place === chosen ? 0 : -1
    button.setAttribute("role", "option")
    button.setAttribute("aria-label", title)
    button.setAttribute("aria-selected", String(place === data.chosen))
    button.style.backgroundSize = `${data.columns * 100}% ${rows * 100}%`
    button.style.backgroundPosition =
      `${share(place % data.columns, data.columns)} ${share(Math.floor(place / data.columns), rows)}`
    button.onclick = () => setTriggerValue("place", place)
    return button
  }))
  if (focused) strip.children[chosen].focus()
  strip.onkeydown = event => {
    const buttons = [...strip.children]
    const here = buttons.indexOf(event.target)
    const columns = buttons.filter(button => button.offsetTop === buttons[0].offsetTop).length
    const steps = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns }
    const ends = { Home: 0, End: buttons.length - 1 }
    const next = event.key in ends ? ends[event.key] : here + steps[event.key]
    if (here < 0 || !buttons[next]) return
    event.preventDefault()
    buttons[here].tabIndex = -1
    buttons[next].tabIndex = 0
    buttons[next].focus()
  }
}
