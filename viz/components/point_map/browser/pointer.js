// What mouse, pen and fingers do on a map, in the terms of its tools.
const CLICK = 5  // pixels that a click may move
const STEP = 3  // between the corners of a lasso
const CORNERS = 1500

export const modeOf = event => event.shiftKey ? "add" : event.ctrlKey || event.metaKey ? "remove" : "replace"

/**
 * act: {tool(): "lasso" | "box" | "pan", at(event): [left, top], pan(right, down), zoom(factor, left, top),
 * outline(corners or null, mode), enclosed(corners, mode), click(left, top, mode, touch), hover(left, top), leave()}
 */
export function listen(surface, act, signal) {
  const down = new Map()  // pointer -> where it is
  let stroke = null  // {tool, start, corners, moved, mode}
  const on = (name, handle) => surface.addEventListener(name, handle, { signal, passive: false })

  on("pointerdown", event => {
    if (event.button > 1) return
    surface.setPointerCapture(event.pointerId)
    down.set(event.pointerId, act.at(event))
    if (down.size > 1) {  // a pinch: what the first finger began was none of the tool's
      stroke = null
      act.outline(null)
      return
    }
    const start = act.at(event)
    const tool = event.button === 1 ? "pan" : act.tool()
    stroke = { tool, start, corners: [start], moved: false, mode: modeOf(event) }
    if (event.button === 1) event.preventDefault()
    act.leave()
  })

  on("pointermove", event => {
    const here = act.at(event)
    const before = down.get(event.pointerId)
    if (!before) {
      if (event.pointerType !== "touch") act.hover(...here)
      return
    }
    if (down.size > 1) pinch(event.pointerId, before, here)
    down.set(event.pointerId, here)
    if (down.size > 1 || !stroke) return
    if (!stroke.moved && distance(stroke.start, here) < CLICK) return
    stroke.moved = true
    stroke.mode = modeOf(event)
    draw(before, here)
  })

  function draw(before, here) {
    if (stroke.tool === "pan") return act.pan(here[0] - before[0], here[1] - before[1])
    if (stroke.tool === "box") {
      const [left, top] = stroke.start
      stroke.corners = [[left, top], [here[0], top], here, [left, here[1]]]
    } else if (distance(stroke.corners.at(-1), here) >= STEP) {
      stroke.corners.push(here)
      if (stroke.corners.length > CORNERS) stroke.corners = stroke.corners.filter((_, at) => at % 2 === 0)
    }
    act.outline(stroke.corners, stroke.mode)
  }

  function pinch(pointer, before, here) {
    const other = [...down].find(([id]) => id !== pointer)[1]
    const factor = distance(here, other) / Math.max(1, distance(before, other))
    act.pan((here[0] - before[0]) / 2, (here[1] - before[1]) / 2)
    act.zoom(factor, (here[0] + other[0]) / 2, (here[1] + other[1]) / 2)
  }

  on("pointerup", event => {
    down.delete(event.pointerId)
    const ended = stroke
    stroke = null
    if (!ended) return
    if (!ended.moved) return act.click(...ended.start, modeOf(event), event.pointerType === "touch")
    if (ended.tool === "pan") return
    if (ended.corners.length > 2) act.enclosed(ended.corners, modeOf(event))
    else act.outline(null)
  })

  on("pointercancel", event => {
    down.delete(event.pointerId)
    stroke = null
    act.outline(null)
  })
  on("pointerleave", () => { if (!down.size) act.leave() })
  on("wheel", event => {
    event.preventDefault()
    const lines = event.deltaMode === 1 ? 20 : 1
    act.zoom(Math.exp(-Math.max(-120, Math.min(120, event.deltaY * lines)) * 0.003), ...act.at(event))
  })
  /** Ends what is being drawn; says whether there was anything. */
  return () => {
    const ended = stroke?.moved ?? false
    stroke = null
    act.outline(null)
    return ended
  }
}

const distance = ([x, y], [left, top]) => Math.hypot(x - left, y - top)
