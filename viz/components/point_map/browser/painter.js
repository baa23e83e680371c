// Draws the maps on their canvas, and the marks on another above it: only what has changed, once a frame.
import { bytesOf } from "./colours.js"
import { plain } from "./canvas.js"
import { element, number } from "./elements.js"
import { marksOf, marksOn } from "./marks.js"
import { framed, styled, wholeView } from "./views.js"
import { webgl } from "./webgl.js"

const REST_MS = 350, REST_FRAMES = 4  // without motion, after which all points are drawn again
// From asking for a frame to it: a longer one means that fewer points should be drawn in the next, a shorter one more. In
// motion frames count; at rest the whole picture does, which must only not keep the next gesture waiting.
const MOTION = { fast: 24, slow: 55 }, REST = { fast: 100, slow: 250 }  // milliseconds
const LEAST = 50_000, FIRST = 100_000, MOST = 20_000_000  // points drawn in one frame
const PATIENCE_MS = 3000  // for what is being drawn
const MANY = 200_000  // points above which pixels are shared more coarsely

export class Painter {
  /** map: the PointMap. */
  constructor(stage, map) {
    this.stage = stage
    this.map = map
    this.points = element("canvas", { className: "points", "aria-hidden": "true" })
    this.marks = element("canvas", { className: "marks", "aria-hidden": "true" })
    this.paintMarks = marksOn(this.marks)
    this.renderer = webgl(this.points)
    this.flat = !this.renderer
    this.renderer ??= plain(this.points)
    this.boxes = []
    this.took = 0  // milliseconds that the last points took to be drawn, as far as it is known
    this.dirty = new Map()  // cell -> how many of its points, and of those selected, have been drawn, [0, 0] for none
    this.budgets = new Map([[MOTION, FIRST], [REST, FIRST]])
    this.points.addEventListener("webglcontextlost", event => event.preventDefault())
    this.points.addEventListener("webglcontextrestored", () => {
      this.renderer.start()
      this.uploaded = null
      this.show(this.map.scene)
      this.all()
    })
  }

  /** What there is to say of how many points are drawn, or ''. */
  limited(count) {
    if (!this.flat) return ""
    const some = count > this.renderer.limit ? `, and only ${number(this.renderer.limit)} of ${number(count)} points are drawn` : ""
    return `This browser has no WebGL, so the map is drawn in a simpler and slower way${some}. A selection is of all points.`
  }

  /** Hand the renderer what it does not have, and read the page's colours, which come with each run. */
  show(scene) {
    const style = getComputedStyle(this.map.host)
    const colour = name => style.getPropertyValue(`--st-${name}-color`).trim()
    this.colours = { accent: colour("primary"), ink: colour("text"), ground: colour("background"), remove: colour("red") }
    this.rim = bytesOf(this.colours.ground)
    const { order, panels, values, legend, selected } = scene
    const before = this.uploaded ?? {}
    const same = (one, other) => one?.length === other.length && other.every((each, at) => each === one[at])
    const arranged = (arrays, width) => {
      const made = new Map(arrays.map(array => [array, null]))
      for (const array of made.keys()) made.set(array, order.arranged(array, width))
      return arrays.map(array => made.get(array))
    }
    if (!same(before.panels, panels)) this.renderer.setPoints(arranged(panels.map(panel => panel.xy), 2))
    if (!same(before.values, values)) this.renderer.setValues(arranged(values, 1))
    if (before.legend !== legend) this.renderer.setPalette(legend.texture)
    if (!("selected" in before) || before.selected !== selected) {
      this.renderer.setSelected(selected && selected.slots)
    }
    this.uploaded = { panels, values, legend, selected }
  }

  resize(width, height, boxes) {
    this.boxes = boxes
    this.ratio = Math.min(devicePixelRatio || 1, this.map.scene.count > MANY ? 1.5 : 3)
    for (const canvas of [this.points, this.marks]) {
      const [across, down] = [Math.round(width * this.ratio), Math.round(height * this.ratio)]
      if (canvas.width === across && canvas.height === down) continue
      canvas.width = across
      canvas.height = down
    }
    this.wipe = true  // a map that was there before may have left its points
    this.all()
  }

  all() {
    if (this.map.scene && this.map.cells.shown) {
      this.boxes = this.map.cells.boxes(this.stage)
      this.redraw(...this.boxes.keys())
    }
    this.mark()
  }

  /** Cells whose view moves: what a frame has time for, until it rests. */
  moving(...cells) {
    clearTimeout(this.resting)
    this.restless = true
    this.redraw(...cells)
    this.mark()
    this.resting = setTimeout(() => {
      this.restless = false
      this.request()
    }, Math.max(REST_MS, REST_FRAMES * (this.waited ?? 0)))
  }

  redraw(...cells) {
    for (const cell of cells) this.dirty.set(cell, [0, 0])
    this.request()
  }

  mark() {
    this.marked = true
    this.request()
  }

  outline(drawn) {
    this.drawn = drawn
    this.mark()
  }

  request() {
    if (this.frame) return
    const asked = performance.now()
    this.frame = requestAnimationFrame(() => {
      this.frame = undefined
      if (this.map.scene && this.boxes.length) this.paint(performance.now() - asked)
    })
  }

  paint(waited) {
    if (this.marked) this.over()
    this.marked = false
    if (!this.dirty.size && !this.wipe) return
    const since = performance.now() - (this.began ?? 0)
    const busy = this.renderer.busy && since < PATIENCE_MS
    if (this.drawing && !busy) this.took = since  // within a frame
    this.drawing = busy
    if (busy) return this.request()
    if (this.wipe) this.renderer.clear({ left: 0, top: 0, width: this.points.width, height: this.points.height }, 1)
    this.wipe = false
    const share = Math.ceil(this.budget(Math.max(waited, this.took)) / this.dirty.size)
    for (const [cell, drawn] of this.dirty) {
      const next = this.boxes[cell] && this.advance(cell, drawn, share)
      if (next) this.dirty.set(cell, next)
      else this.dirty.delete(cell)
    }
    this.renderer.finish()
    this.began = performance.now()
    this.took = 0
    this.map.host.dataset.drawn = this.dirty.size ? "part" : "whole"
    if (this.dirty.size && !this.restless) this.request()
  }

  /**
   * Draw the next `share` points of a cell; returns how many there are by then, or null after the last. Any first part of
   * the drawing order is an even sample, so a map is there at once and fills up; those selected come again at the end, on
   * top.
   */
  advance(cell, [points, chosen], share) {
    const { clip } = this.boxes[cell]
    if (clip.width <= 0 || clip.height <= 0) return null
    const { count, selected } = this.map.scene
    const [all, some] = [count, selected?.slots.length ?? 0].map(number => Math.min(number, this.renderer.limit))
    const shot = { ...this.shot(cell), ratio: this.ratio, clip, rim: this.rim }
    if (points < all) {
      const number = Math.min(share, all - points)
      if (!points) this.renderer.clear(clip, this.ratio)
      const whole = points + number === all && number + some <= share
      const sample = whole ? some : points ? 0 : Math.min(some, Math.ceil(share * some / count))
      this.renderer.draw({ ...shot, points: [points, number], chosen: [0, sample] })
      return whole || (points + number === all && !some) ? null : [points + number, 0]
    }
    const number = Math.min(share, some - chosen)
    this.renderer.draw({ ...shot, points: [0, 0], chosen: [chosen, number] })
    return chosen + number < some ? [points, chosen + number] : null
  }

  /** How many points to draw now. A frame comes late where those before it are still being drawn. */
  budget(waited) {
    const state = this.restless ? MOTION : REST
    const before = this.budgets.get(state)
    const change = waited > state.slow ? Math.max(0.25, state.slow / waited) : waited < state.fast ? 1.5 : 1
    const budget = Math.round(Math.min(MOST, Math.max(LEAST, before * change)))
    this.budgets.set(state, budget)
    this.waited = waited
    return budget
  }

  /** What a cell shows: a panel, or the way from one to the next. */
  shot(cell) {
    const { scene, state, cells, alone } = this.map
    const { box } = this.boxes[cell]
    const shown = cells.shown[cell]
    if (shown.small) {
      const frame = framed(scene.panels[shown.panel], wholeView(), box)
      return { panel: shown.panel, frame, style: styled(scene.count, frame) }
    }
    const { panel, to, way } = alone ? state.stand(scene.panels.length) : { panel: shown.panel, to: shown.panel, way: 0 }
    const frame = between(scene, state, panel, to, way, box)
    return { panel, to, way, frame, style: styled(scene.count, frame) }
  }

  /** The marks, unless there are none and were none. */
  over() {
    const { scene, pointing: { hovered }, outbox, cells } = this.map
    const waiting = outbox.waiting.flatMap(each => each.drawn ?? [])
    const { ringed, panels: told } = scene.data
    const pins = told.map(panel => panel.pins)
    const blank = !this.drawn && !hovered && !waiting.length && !this.cross && ringed < 0 && !pins.some(each => each.length)
    if (!blank || !this.blank) {
      const shots = this.boxes.map(({ clip }, cell) => ({ ...this.shot(cell), clip, small: cells.shown[cell].small }))
      const marks = marksOf(scene.panels, shots, { drawn: this.drawn, waiting, hovered, ringed, pins })
      this.paintMarks({ ratio: this.ratio, colours: this.colours, cross: this.cross, ...marks })
    }
    this.blank = blank
    this.marks.hidden = blank  // a canvas that lies over another costs with every frame, also when it is empty
  }

  close() {
    clearTimeout(this.resting)
    cancelAnimationFrame(this.frame)
    this.renderer.close()
  }
}

// Between two panels their extents and views change with the points.
function between(scene, state, panel, to, way, box) {
  const mixed = (one, other) => one + (other - one) * way
  const [from, next] = [scene.panels[panel], scene.panels[to]]
  const [here, there] = [panel, to].map(each => state.view(scene.data.panels[each]))
  const extent = { halfWidth: mixed(from.halfWidth, next.halfWidth), halfHeight: mixed(from.halfHeight, next.halfHeight) }
  const view = { x: mixed(here.x, there.x), y: mixed(here.y, there.y), zoom: here.zoom * (there.zoom / here.zoom) ** way }
  return framed(extent, view, box)
}
