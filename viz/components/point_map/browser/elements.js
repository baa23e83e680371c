// Elements of the page in one call.

/** An element with properties (on..., className, ...), attributes (those with a dash, and role) and children. */
export function element(tag, settings = {}, ...children) {
  const made = document.createElement(tag)
  for (const [name, value] of Object.entries(settings)) {
    if (name.includes("-") || name === "role") made.setAttribute(name, value)
    else made[name] = value
  }
  made.append(...children)
  return made
}

const SVG = "http://www.w3.org/2000/svg"

/** A small picture of lines, of an SVG path in a square of 24. */
export function icon(path) {
  const picture = document.createElementNS(SVG, "svg")
  picture.setAttribute("viewBox", "0 0 24 24")
  picture.setAttribute("aria-hidden", "true")
  const line = picture.appendChild(document.createElementNS(SVG, "path"))
  line.setAttribute("d", path)
  return picture
}

export const number = value => value.toLocaleString("en-US")

export const spread = value => {
  const size = Math.abs(value)
  return size !== 0 && (size < 0.001 || size >= 100_000) ? value.toExponential(2) : String(Number(value.toPrecision(4)))
}
