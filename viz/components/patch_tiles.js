const SIDES = ["left", "top", "right", "bottom"]

export default function (component) {
  const { parentElement, data, setTriggerValue } = component
  const tiles = parentElement.querySelector(".tiles")
  const picture = (source, alt) => {
    const image = document.createElement("img")
    image.src = source
    image.alt = alt
    return image
  }
  const place = (element, [left, top, right, bottom]) => Object.assign(element.style, {
    left: 100 * left + "%", top: 100 * top + "%", width: 100 * (right - left) + "%", height: 100 * (bottom - top) + "%",
  })
  const stack = (name, ratio) => {
    const made = document.createElement("span")
    made.className = `stack ${name}`
    if (ratio) made.style.aspectRatio = ratio
    return made
  }
  const tile = (shown, at) => {
    const button = document.createElement("button")
    button.setAttribute("aria-pressed", String(shown.chosen))
    button.title = shown.hint
    const pair = document.createElement("span")
    pair.className = "pair"
    const whole = stack("whole", shown.ratio)
    whole.append(picture(shown.picture, shown.alt))
    if (shown.heat) {
      const heat = picture(shown.heat, "")
      heat.style.inset = "auto"
      heat.style.opacity = data.opacity
      place(heat, shown.seen)
      whole.append(heat)
    }
    const box = document.createElement("span")
    box.className = "box"
    place(box, shown.box)
    for (const side of shown.clipped) box.style[`border-${SIDES[side]}-style`] = "dashed"
    whole.append(box)
    pair.append(whole)
    if (shown.crop) {
      const crop = stack("crop"), part = picture(shown.crop, "")
      place(part, shown.part)
      crop.append(part)
      pair.append(crop)
    } else {
      const centre = document.createElement("span")
      centre.className = "centre"
      centre.style.left = 100 * shown.centre[0] + "%"
      centre.style.top = 100 * shown.centre[1] + "%"
      whole.append(centre)
    }
    const title = document.createElement("span"), caption = document.createElement("span")
    title.className = "title"
    title.textContent = shown.title
    caption.className = "caption"
    caption.textContent = shown.caption
    caption.style.width = 0  // as wide as the pictures above it, whatever it says
    caption.style.minWidth = "100%"
    button.append(pair, title, caption)
    button.onclick = event => setTriggerValue("pick", [at, event.shiftKey || event.ctrlKey || event.metaKey])
    return button
  }
  tiles.replaceChildren(...data.tiles.map(tile))
}
