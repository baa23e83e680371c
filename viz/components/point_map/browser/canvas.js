// Draws points where there is no WebGL: the same calls as webgl.js, on a plain canvas, and of many points only a sample.
const LIMIT = 20_000

export function plain(canvas) {
  return new Renderer(canvas.getContext("2d"))
}

class Renderer {
  constructor(context) {
    this.context = context
    this.points = []
    this.values = []
    this.selected = null
    this.colours = []
  }

  get limit() {
    return LIMIT
  }

  start() {}

  finish() {}

  get busy() {
    return false
  }

  setPoints(panels) {
    this.points = panels
  }

  setValues(panels) {
    this.values = panels
  }

  setSelected(slots) {
    this.selected = slots
  }

  setPalette(bytes) {
    const colour = at => `rgb(${bytes[at]},${bytes[at + 1]},${bytes[at + 2]})`
    this.colours = Array.from({ length: bytes.length / 4 }, (_, index) => colour(4 * index))
  }

  clear({ left, top, width, height }, ratio) {
    this.context.setTransform(ratio, 0, 0, ratio, 0, 0)
    this.context.clearRect(left, top, width, height)
  }

  draw({ panel, to = panel, way = 0, frame, style, points, chosen, ratio, clip }) {
    const { context } = this
    context.setTransform(ratio, 0, 0, ratio, 0, 0)
    context.save()
    context.beginPath()
    context.rect(clip.left, clip.top, clip.width, clip.height)
    context.clip()
    const all = Array.from({ length: points[1] }, (_, slot) => points[0] + slot)
    context.globalAlpha = this.selected ? 0.15 : style.opacity
    this.dots(all, panel, to, way, frame, style.size)
    context.globalAlpha = 1
    if (chosen[1]) this.dots(this.selected.subarray(chosen[0], chosen[0] + chosen[1]), panel, to, way, frame, style.size + 1)
    context.restore()
  }

  dots(slots, panel, to, way, frame, size) {
    const { context } = this
    const [from, next, values] = [this.points[panel], this.points[to], this.values[panel]]
    for (const slot of slots) {
      const between = at => from[at] + (next[at] - from[at]) * way
      const [x, y] = frame.toScreen(between(2 * slot), between(2 * slot + 1))
      context.fillStyle = this.colours[values[slot]]
      context.beginPath()
      context.arc(x, y, size / 2, 0, 7)
      context.fill()
    }
  }

  close() {}
}
