// What is drawn over the points: the lasso, what waits for the server, rings around the point under the pointer and the one
// that the page is about, lines to true neighbours, and pins at places that are no points.
const RING = 7, PIN = 9

/**
 * What there is to mark, in pixels. shots: what each cell shows, {panel, way, frame, clip, small}. drawn: {corners, mode,
 * panel} of a lasso in the making; waiting: {places, panel} of those that were sent; hovered: {row, lines}; ringed: a row,
 * -1 for none; pins: of each panel places [x, y] in the points' own units.
 */
export function marksOf(panels, shots, { drawn, waiting, hovered, ringed, pins }) {
  const still = shots.filter(({ way }) => !way)
  const large = still.filter(({ small }) => !small)
  const at = ({ panel, frame }, row) => frame.toScreen(panels[panel].xy[2 * row], panels[panel].xy[2 * row + 1])
  const below = drawn && shots.find(({ panel, small }) => panel === drawn.panel && !small)
  return {
    outline: below ? { ...drawn, clip: below.clip } : null,
    waiting: waiting.flatMap(({ panel, places }) => still.filter(shot => shot.panel === panel)
      .map(({ clip, frame }) => ({ clip, corners: places.map(place => frame.toScreen(...place)) }))),
    rings: [ringed, hovered?.row ?? -1].filter(row => row >= 0)
      .flatMap(row => still.map(shot => ({ clip: shot.clip, at: at(shot, row) }))),
    pins: still.flatMap(({ panel, clip, frame }) => {
      const { x, y, unit } = panels[panel]
      return pins[panel].map(([right, up]) => ({ clip, at: frame.toScreen((right - x) / unit, (up - y) / unit) }))
    }),
    lines: hovered ? large.filter(({ panel }) => hovered.lines[panel]).map(shot => ({
      clip: shot.clip, from: at(shot, hovered.row), to: hovered.lines[shot.panel].map(row => at(shot, row)),
    })) : [],
  }
}

/** A painter on this canvas: paint(what marksOf says, and {ratio, cross, colours}). */
export function marksOn(canvas) {
  const context = canvas.getContext("2d")
  return function paint({ ratio, outline, waiting, rings, pins, lines, cross, colours }) {
    context.setTransform(ratio, 0, 0, ratio, 0, 0)
    context.clearRect(0, 0, canvas.width / ratio, canvas.height / ratio)
    context.lineJoin = "round"
    for (const { clip, from, to } of lines) within(context, clip, () => strands(context, from, to, colours))
    for (const { clip, at } of rings) within(context, clip, () => ring(context, at, colours))
    for (const { clip, at } of pins) within(context, clip, () => pin(context, at, colours))
    for (const { clip, corners } of waiting) within(context, clip, () => area(context, corners, colours.accent, true))
    if (outline) {
      const colour = outline.mode === "remove" ? colours.remove : colours.accent
      within(context, outline.clip, () => area(context, outline.corners, colour, false))
    }
    if (cross) crosshair(context, cross, colours)
  }
}

function within(context, { left, top, width, height }, draw) {
  context.save()
  context.beginPath()
  context.rect(left, top, width, height)
  context.clip()
  draw()
  context.restore()
}

function area(context, corners, colour, waits) {
  context.beginPath()
  corners.forEach(([x, y], at) => at ? context.lineTo(x, y) : context.moveTo(x, y))
  context.closePath()
  context.globalAlpha = waits ? 0.06 : 0.12
  context.fillStyle = context.strokeStyle = colour
  context.fill()
  context.globalAlpha = waits ? 0.6 : 1
  context.lineWidth = 1.5
  context.setLineDash(waits ? [5, 4] : [])
  context.stroke()
}

function ring(context, [x, y], colours) {
  for (const [colour, width] of [[colours.ground, 5], [colours.ink, 2]]) {
    context.beginPath()
    context.arc(x, y, RING, 0, 7)
    context.strokeStyle = colour
    context.lineWidth = width
    context.stroke()
  }
}

// A diamond, which no point is.
function pin(context, [x, y], colours) {
  context.beginPath()
  for (const [right, down] of [[0, -PIN], [PIN, 0], [0, PIN], [-PIN, 0]]) context.lineTo(x + right, y + down)
  context.closePath()
  context.fillStyle = colours.accent
  context.fill()
  for (const [colour, width] of [[colours.ground, 4], [colours.ink, 1.5]]) {
    context.strokeStyle = colour
    context.lineWidth = width
    context.stroke()
  }
}

// Near neighbours are hidden by the ring; what is seen of the lines is what the map tears apart.
function strands(context, [x, y], ends, colours) {
  for (const [colour, width, alpha] of [[colours.ground, 3, 0.5], [colours.ink, 1, 0.75]]) {
    context.strokeStyle = colour
    context.lineWidth = width
    context.globalAlpha = alpha
    context.beginPath()
    for (const [left, top] of ends) {
      context.moveTo(x, y)
      context.lineTo(left, top)
    }
    context.stroke()
  }
  context.globalAlpha = 1
  context.fillStyle = colours.ink
  for (const [left, top] of ends) {
    context.beginPath()
    context.arc(left, top, 2.5, 0, 7)
    context.fill()
  }
}

function crosshair(context, [x, y], colours) {
  context.strokeStyle = colours.ink
  context.lineWidth = 1.5
  context.beginPath()
  for (const [right, down] of [[1, 0], [-1, 0], [0, 1], [0, -1]]) {
    context.moveTo(x + 10 * right, y + 10 * down)
    context.lineTo(x + 16 * right, y + 16 * down)
  }
  context.stroke()
}
