// The card beside the pointer: a point's small picture and its lines of text.
import { located } from "./files.js"
import { element } from "./elements.js"

const SIDE = 96

/** Returns {element, show(row, left, top, room), hide()}; details: {text(row), picture(row)}, promises. */
export function cardOf(details) {
  const picture = element("div", { className: "picture" })
  const lines = element("div", { className: "lines" })
  const card = element("div", { className: "card", role: "status", hidden: true }, picture, lines)
  let shown = -1

  function put(left, top, room) {
    const { offsetWidth: width, offsetHeight: height } = card
    const right = left + 18 + width <= room.width
    card.style.left = `${Math.max(4, right ? left + 18 : left - width - 18)}px`
    card.style.top = `${Math.max(4, Math.min(top + 14, room.height - height - 4))}px`
  }

  async function show(row, left, top, room) {
    if (row === shown) return put(left, top, room)
    shown = row
    const [text, place] = await Promise.all([details.text(row), details.picture(row)]).catch(() => [[], null])
    if (row !== shown) return
    lines.replaceChildren(...text.map((line, at) => element("div", { className: at ? "" : "first" }, line)))
    picture.hidden = !place
    if (place) {
      picture.style.backgroundImage = `url("${located(place.sheet)}")`
      picture.style.backgroundSize = `${place.columns * SIDE}px auto`
      picture.style.backgroundPosition = `-${place.column * SIDE}px -${place.line * SIDE}px`
    }
    card.hidden = !place && !text.length
    put(left, top, room)
  }

  function hide() {
    shown = -1
    card.hidden = true
  }
  return { element: card, show, hide }
}
