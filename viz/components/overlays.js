export default function (component) {
  const { parentElement, data, setStateValue, setTriggerValue } = component
  const tiles = parentElement.querySelector(".tiles")
  const slider = parentElement.querySelector(".opacity input")
  const output = parentElement.querySelector("output")
  const show = () => {
    output.textContent = slider.value + " %"
    tiles.querySelectorAll(".heat").forEach(heat => { heat.style.opacity = slider.value / 100 })
  }
  if (!slider.dataset.ready) { slider.value = Math.round(data.opacity * 100); slider.dataset.ready = "yes" }
  tiles.style.gridTemplateColumns = data.columns ? `repeat(${data.columns}, minmax(0, 220px))` : ""
  tiles.replaceChildren(...data.tiles.map((tile, place) => {
    const figure = document.createElement("figure")
    const title = document.createElement("figcaption")
    title.textContent = tile.title
    const stack = document.createElement(data.pick ? "button" : "div")
    stack.className = "stack"
    if (data.pick) {
      stack.title = data.pick
      stack.setAttribute("aria-label", `${data.pick}: ${tile.alt}`)
      stack.onclick = () => setTriggerValue("place", place)
    }
    const picture = document.createElement("img")
    picture.className = "pixels"
    picture.src = tile.picture
    picture.alt = tile.alt
    stack.append(picture)
    if (tile.heat) {
      const heat = document.createElement("img")
      heat.className = "heat"
      heat.src = tile.heat
      heat.alt = ""
      stack.append(heat)
    }
    const caption = document.createElement("small")
    caption.textContent = tile.caption
    figure.append(title, stack, caption)
    return figure
  }))
  show()
  slider.oninput = show
  slider.onchange = () => setStateValue("opacity", slider.value / 100)
}
