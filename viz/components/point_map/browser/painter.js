// Draws the maps on their canvas, and the marks on another above it: only what has changed, once a frame.
import { bytesOf } from "./colours.js"
import { plain } from "./canvas.js"
import { element, number } from "./elements.js"
import { marksOf, marksOn } from "./marks.js"
import { framed, styled, wholeView } from "./views.js"
import { webgl } from "./webgl.js"

const REST_MS = 160  // after which all points are drawn again
const SLOW_MS = 55, FAST_MS = 24  // from asking for a frame to it, beyond which fewer or more points are drawn in motion
const LEAST = 20_000
const MANY = 200_000  // points above which pixels are shared more coarsely

export class Painter {
  /** map: {scene, state, cells, alone, hovered, outbox}. */
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
    this.dirty = new Set()
    this.budget = Infinity
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
    const some = count > this.renderer.limit ? `, and ${number(this.renderer.limit)} of ${number(count)} points are` : ""
    return `This browser has no WebGL, so the map is${some} drawn in a simpler and slower way. A selection is of all points.`
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

  /** Cells whose view moves: fewer points until it rests, if the machine is slow. */
  moving(...cells) {
    clearTimeout(this.resting)
    this.restless = true
    this.redraw(...cells)
    this.mark()
    this.resting = setTimeout(() => {
      this.restless = false
      this.redraw(...this.sparse ?? [])
    }, REST_MS)
  }

  redraw(...cells) {
    for (const cell of cells) this.dirty.add(cell)
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
    if (this.restless) this.adapt(waited)
    const whole = this.map.scene.count
    const count = this.restless ? Math.min(whole, this.budget) : whole
    this.sparse ??= new Set()
    if (this.wipe) this.clear()
    for (const cell of this.dirty) {
      if (!this.boxes[cell]) continue
      const { clip } = this.boxes[cell]
      if (clip.width > 0 && clip.height > 0) this.renderer.draw({ ...this.shot(cell), count, ratio: this.ratio, clip, rim: this.rim })
      if (count < whole) this.sparse.add(cell)
      else this.sparse.delete(cell)
    }
    this.dirty.clear()
    this.map.host.dataset.drawn = "yes"
    if (this.marked) this.over()
    this.marked = false
  }

  clear() {
    this.wipe = false
    const { width, height } = this.stage.getBoundingClientRect()
    const box = { left: 0, top: 0, width, height }
    const frame = framed({ halfWidth: 1, halfHeight: 1 }, wholeView(), box)
    this.renderer.draw({ panel: -1, frame, style: { size: 1, opacity: 1 }, count: 0, ratio: this.ratio, clip: box, rim: [0, 0, 0] })
  }

  /** A frame comes late where those before it are still being drawn. */
  adapt(waited) {
    const { count } = this.map.scene
    if (waited > SLOW_MS) this.budget = Math.max(LEAST, Math.min(this.budget, count) * Math.max(0.4, SLOW_MS / waited))
    else if (waited < FAST_MS) this.budget = this.budget * 1.25
    this.budget = Math.round(Math.min(this.budget, count))
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
    const { scene, hovered, outbox, cells } = this.map
    const waiting = outbox.waiting.flatMap(each => each.drawn ?? [])
    const blank = !this.drawn && !hovered && !waiting.length && !this.cross
    if (!blank || !this.blank) {
      const shots = this.boxes.map(({ clip }, cell) => ({ ...this.shot(cell), clip, small: cells.shown[cell].small }))
      const marks = marksOf(scene.panels, shots, { drawn: this.drawn, waiting, hovered })
      this.paintMarks({ ratio: this.ratio, colours: this.colours, cross: this.cross, ...marks })
    }
    this.blank = blank
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
