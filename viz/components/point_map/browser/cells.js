// How the maps share the part's space: all side by side, or one large and the others in a strip below.
import { element, icon } from "./elements.js"

const NARROW = 560  // pixels of width below which maps do not lie side by side
const HEADING = 44
const ENLARGE = "M14 4h6v6M20 4l-7 7M10 20H4v-6M4 20l7-7"

export class Cells {
  /** act: {focus(panel), depth(value)}. */
  constructor(act) {
    this.act = act
    this.names = ""
    this.cells = []
    this.slider = element("input", {
      type: "range", min: 0, step: 0.01, "aria-label": "Depth", oninput: event => act.depth(Number(event.target.value)),
    })
    this.depth = element("label", { className: "depth" }, element("span", {}, "Depth"), this.slider)
    this.strip = element("div", { className: "strip", role: "group", "aria-label": "All maps" })
    this.strip.addEventListener("scroll", () => act.scrolled(), { passive: true })
    this.large = element("div", { className: "large" })
    this.element = element("div", { className: "cells" })
  }

  /** Anew for these panels, where they are not the same; says whether it was anew. */
  build(panels, listen) {
    const names = JSON.stringify(panels.map(panel => panel.name))
    if (names !== this.names) {
      this.names = names
      this.cells = panels.map((_, panel) => this.cell(panel, listen))
      this.thumbs = panels.map((_, panel) => this.thumb(panel))
      this.slider.max = panels.length - 1
    }
    panels.forEach((panel, at) => {
      this.cells[at].title.textContent = panel.title
      this.cells[at].note.textContent = this.cells[at].note.title = panel.note
      this.thumbs[at].title.textContent = panel.title
      this.thumbs[at].element.setAttribute("aria-label", `Show ${panel.title} large`)
    })
  }

  cell(panel, listen) {
    const title = element("span", { className: "title" })
    const note = element("span", { className: "note" })
    const enlarge = element("button", {
      type: "button", className: "enlarge", title: "Show this map large", "aria-label": "Show this map large",
      onclick: () => this.act.focus(panel),
    }, icon(ENLARGE))
    const surface = element("div", { className: "surface", tabIndex: 0, role: "application", "aria-roledescription": "map of points" })
    const heading = element("div", { className: "heading" }, element("div", { className: "words" }, title, note), enlarge)
    listen(surface, panel)
    return { element: element("div", { className: "cell" }, heading, surface), surface, title, note, panel }
  }

  thumb(panel) {
    const title = element("span", { className: "title" })
    const surface = element("span", { className: "surface" })
    const button = element("button", { type: "button", className: "cell", onclick: () => this.act.focus(panel) }, surface, title)
    return { element: button, surface, title, panel, small: true }
  }

  /** Lay out `width` x `height` pixels; focus: the large one's number, or -1 for all side by side. */
  arrange(width, height, focus, single) {
    const alone = this.cells.length > 1 && (single || width < NARROW)
    this.shown = alone ? [this.cells[focus], ...this.thumbs] : this.cells
    this.element.classList.toggle("single", alone)
    this.element.classList.toggle("several", this.cells.length > 1)
    if (alone) {
      if (this.strip.childElementCount !== this.thumbs.length || this.strip.firstChild !== this.thumbs[0].element) {
        this.strip.replaceChildren(...this.thumbs.map(thumb => thumb.element))
      }
      if (this.large.firstChild !== this.cells[focus].element) this.large.replaceChildren(this.cells[focus].element)
      if (this.element.firstChild !== this.large) this.element.replaceChildren(this.large, this.depth, this.strip)
      this.element.style.gridTemplateColumns = ""
      this.thumbs.forEach((thumb, at) => thumb.element.setAttribute("aria-current", String(at === focus)))
    } else {
      const elements = this.cells.map(cell => cell.element)
      if (elements.some((each, at) => this.element.children[at] !== each) || this.element.childElementCount !== elements.length) {
        this.element.replaceChildren(...elements)
      }
      this.element.style.gridTemplateColumns = `repeat(${columns(elements.length, width, height)}, minmax(0, 1fr))`
    }
    return alone
  }

  /** The boxes of what is shown, in pixels from the stage's corner: {box, clip} each. */
  boxes(stage) {
    const corner = stage.getBoundingClientRect()
    const from = area => ({ left: area.left - corner.left, top: area.top - corner.top, width: area.width, height: area.height })
    const strip = from(this.strip.getBoundingClientRect())
    return this.shown.map(cell => {
      const box = from(cell.surface.getBoundingClientRect())
      return { box, clip: cell.small ? shared(box, strip) : box }
    })
  }
}

function shared(one, other) {
  const left = Math.max(one.left, other.left), top = Math.max(one.top, other.top)
  const right = Math.min(one.left + one.width, other.left + other.width)
  const bottom = Math.min(one.top + one.height, other.top + other.height)
  return { left, top, width: Math.max(0, right - left), height: Math.max(0, bottom - top) }
}

/** The number of columns in which squares are largest. */
function columns(count, width, height) {
  const side = across => Math.min(width / across, height / Math.ceil(count / across) - HEADING)
  return Array.from({ length: count }, (_, at) => at + 1).reduce((best, each) => side(each) > side(best) ? each : best)
}
