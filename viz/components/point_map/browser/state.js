// What a visitor has set on a map: tool, views, which maps are shown.
import { wholeView } from "./views.js"

const STILL = matchMedia("(prefers-reduced-motion: reduce)")
const MOVE_MS = 1100, HOLD_MS = 700

export class State {
  /** kept: an object that outlives the map. */
  constructor(kept) {
    this.kept = kept
    Object.assign(kept, { tool: "lasso", linked: true, single: false, legend: true, depth: 0, views: {}, ...kept })
    this.playing = 0
  }

  /** The view of a panel, which is the whole again when its points are others. */
  view(panel) {
    const known = this.kept.views[panel.name]
    return known?.points === panel.points ? known.view : wholeView()
  }

  setView(panels, panel, view) {
    for (const each of this.kept.linked ? panels : [panel]) this.kept.views[each.name] = { points: each.points, view }
  }

  reset() {
    this.kept.views = {}
  }

  /** Which panel is the large one, which it is on the way to, and how far. */
  stand(count) {
    const depth = Math.min(this.kept.depth, count - 1)
    const panel = Math.min(Math.floor(depth), count - 1)
    return { focus: Math.round(depth), panel, to: Math.min(panel + 1, count - 1), way: depth - panel }
  }

  /** From the present panel to the last, or from the first; step(done) after each picture. */
  play(count, step) {
    this.stop()
    if (this.kept.depth >= count - 1) this.kept.depth = 0
    const first = this.kept.depth, began = performance.now()
    const frame = now => {
      const passed = (now - began) / (MOVE_MS + HOLD_MS)
      const whole = Math.floor(passed), share = (passed - whole) * (MOVE_MS + HOLD_MS) / MOVE_MS
      const moved = STILL.matches ? 0 : share < 1 ? share * share * (3 - 2 * share) : 1
      this.kept.depth = Math.min(count - 1, Math.floor(first) + whole + moved)
      const done = this.kept.depth >= count - 1
      this.playing = done ? 0 : requestAnimationFrame(frame)
      step(done)
    }
    this.playing = requestAnimationFrame(frame)
  }

  stop() {
    cancelAnimationFrame(this.playing)
    this.playing = 0
  }
}
