// Where a map's points lie on the screen: its view, and the frame that a view makes of a box of pixels.
// Points are in units in which the whole map reaches from -1 to 1 in its longer direction, so that views can be shared.
const MARGIN = 0.93  // of the box that the whole map fills
const CLOSEST = 4000, FARTHEST = 0.4

export const wholeView = () => ({ zoom: 1, x: 0, y: 0 })

/** A panel's points in those units, and what leads back: {xy, x, y, unit, halfWidth, halfHeight}. */
export function normalised(points) {
  let [left, right, bottom, top] = [Infinity, -Infinity, Infinity, -Infinity]
  for (let at = 0; at < points.length; at += 2) {
    const x = points[at], y = points[at + 1]
    if (x < left) left = x
    if (x > right) right = x
    if (y < bottom) bottom = y
    if (y > top) top = y
  }
  if (!points.length) [left, right, bottom, top] = [-1, 1, -1, 1]
  const x = (left + right) / 2, y = (bottom + top) / 2
  const unit = Math.max(right - left, top - bottom) / 2 || 1
  const xy = new Float32Array(points.length)
  for (let at = 0; at < points.length; at += 2) {
    xy[at] = (points[at] - x) / unit
    xy[at + 1] = (points[at + 1] - y) / unit
  }
  const half = extent => Math.max(extent / 2 / unit, 0.05)
  return { xy, x, y, unit, halfWidth: half(right - left), halfHeight: half(top - bottom) }
}

/** A view in a box {left, top, width, height}: pixels a unit, and the ways between screen and map. */
export function framed(panel, view, box) {
  const fit = MARGIN * Math.min(box.width / panel.halfWidth, box.height / panel.halfHeight) / 2
  const scale = fit * view.zoom
  const middle = [box.left + box.width / 2, box.top + box.height / 2]
  return {
    scale,
    box,
    view,
    toScreen: (x, y) => [middle[0] + (x - view.x) * scale, middle[1] - (y - view.y) * scale],
    toMap: (left, top) => [view.x + (left - middle[0]) / scale, view.y - (top - middle[1]) / scale],
  }
}

export function panned(frame, right, down) {
  const { view, scale } = frame
  return { ...view, x: bounded(view.x - right / scale), y: bounded(view.y + down / scale) }
}

/** Closer by a factor; what lies at (left, top) stays there. */
export function zoomed(frame, factor, left, top) {
  const { view } = frame
  const zoom = Math.min(CLOSEST, Math.max(FARTHEST, view.zoom * factor))
  const [x, y] = frame.toMap(left, top)
  const share = view.zoom / zoom
  return { zoom, x: bounded(x + (view.x - x) * share), y: bounded(y + (view.y - y) * share) }
}

const bounded = value => Math.min(1.5, Math.max(-1.5, value))

/** How points are drawn: diameter in pixels and opacity, by how many share the box and how close the view is. */
export function styled(count, frame) {
  const { box, view } = frame
  const even = Math.sqrt(0.16 * box.width * box.height / Math.max(count, 1))  // where they fill a sixth of the box
  const [least, most] = Math.min(box.width, box.height) < 160 ? [1, 4.5] : [1.3, 11]
  const size = Math.min(most, Math.max(least, even)) * Math.max(1, view.zoom) ** 0.3
  return { size: Math.min(16, size), opacity: count > 300_000 ? 0.55 : count > 30_000 ? 0.7 : 0.85 }
}
