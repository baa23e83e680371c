// Keys: those of the tools, wherever the pointer is on the map or the focus in it, and those that move the focused map.
import { modeOf } from "./pointer.js"
import { actionOf, toolbar } from "./toolbar.js"

const STEP = 40  // pixels
const ARROWS = { ArrowLeft: [STEP, 0], ArrowRight: [-STEP, 0], ArrowUp: [0, STEP], ArrowDown: [0, -STEP] }

export class Keys {
  /** act(name) does what a tool's button does, and says whether there was anything to do. */
  constructor(host, act, signal) {
    this.toolbar = toolbar(act)
    this.signal = signal
    let inside = false
    host.addEventListener("pointerenter", () => { inside = true }, { signal })
    host.addEventListener("pointerleave", () => { inside = false }, { signal })
    // Before the page's own keys, of which R would run the page again.
    document.addEventListener("keydown", event => {
      if (event.ctrlKey || event.metaKey || event.altKey) return
      const path = event.composedPath()
      const typed = path[0].matches?.("input:not([type=range]), textarea, select, [contenteditable=true]")
      if (typed || !(path.includes(host) || (inside && path[0] === document.body))) return
      const name = actionOf(event.key)
      if (name && act(name)) taken(event)
    }, { capture: true, signal })
  }

  /** Moves a surface that has the focus: map is {aim(), move(right, down), choose(mode), leave()}. */
  aim(surface, map) {
    surface.addEventListener("focus", map.aim, { signal: this.signal })
    surface.addEventListener("blur", map.leave, { signal: this.signal })
    surface.addEventListener("keydown", event => {
      if (event.key in ARROWS) map.move(...ARROWS[event.key])
      else if (event.key === "Enter" || event.key === " ") map.choose(modeOf(event))
      else return
      taken(event)
    }, { signal: this.signal })
  }
}

function taken(event) {
  event.preventDefault()
  event.stopPropagation()
}
