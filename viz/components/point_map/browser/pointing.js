// The pointer, or the cross of who has none, on the points: what lies under it, and what it encloses or chooses.
import { cardOf } from "./card.js"
import { number } from "./elements.js"
import { listen } from "./pointer.js"
import { numbersOf, picturesOf, textsOf } from "./rows.js"
import { panned, zoomed } from "./views.js"

const NEAR = 9, NEAR_FINGER = 18, NEAR_CROSS = 27  // pixels from a point within which the pointer means it
const REST_MS = 60  // before neighbours are fetched

export class Pointing {
  /** map: the PointMap. */
  constructor(map) {
    this.map = map
    this.hovered = null  // {row, lines: of each panel the row's neighbours}
    this.over = 0  // the panel that was last pointed at
    this.strokes = []  // of each panel: ends what is being drawn there
    this.tables = new Map()
    this.card = cardOf({ text: row => this.details.text(row), picture: row => this.details.picture(row) })
  }

  /** What is told of points, where it is not as before. */
  describe(data, before) {
    const others = before?.panels[0].points !== data.panels[0].points
    if (others) this.leave()
    if (!others && ["texts", "pictures", "positions", "count"].every(part => before[part] === data[part])) return
    const nothing = async () => null
    this.details = {
      text: data.texts ? textsOf(data.texts, data.count) : async row => [`row ${number(row)}`],
      picture: data.pictures ? picturesOf(data.pictures, data.positions, data.count) : nothing,
    }
  }

  listen(surface, panel) {
    const { map } = this
    const at = event => {
      const { left, top } = map.stage.getBoundingClientRect()
      return [event.clientX - left, event.clientY - top]
    }
    const pan = (right, down) => map.look(panel, panned(map.frame(panel), right, down))
    const zoom = (factor, left, top) => {
      this.leave()
      map.look(panel, zoomed(map.frame(panel), factor, left, top))
    }
    this.strokes[panel] = listen(surface, {
      tool: () => map.state.kept.tool,
      at,
      pan,
      zoom,
      outline: (corners, mode) => map.painter.outline(corners && { corners, mode, panel }),
      enclosed: (corners, mode) => this.enclose(panel, corners, mode),
      click: (left, top, mode, touch) => this.choose(panel, left, top, mode, touch ? NEAR_FINGER : NEAR),
      hover: (left, top) => this.hover(panel, left, top, NEAR),
      leave: () => this.leave(),
    }, map.ends.signal)
    map.keys.aim(surface, {
      aim: () => this.aim(surface, panel),
      move: (right, down) => { pan(right, down); this.aim(surface, panel) },
      choose: mode => this.choose(panel, ...this.middle(panel), mode, NEAR_CROSS),
      leave: () => this.leave(),
    })
  }

  /** Ends what is being drawn; says whether there was anything. */
  cancel() {
    return this.strokes.map(end => end()).some(Boolean)
  }

  row(panel, left, top, near) {
    const frame = this.map.frame(panel)
    return this.map.between ? -1 : this.map.scene.panels[panel].grid().nearest(...frame.toMap(left, top), near / frame.scale)
  }

  middle(panel) {
    const { left, top, width, height } = this.map.frame(panel).box
    return [left + width / 2, top + height / 2]
  }

  enclose(panel, corners, mode) {
    const { map } = this
    map.painter.outline(null)
    if (map.between) return
    const { x, y, unit } = map.scene.panels[panel]
    const places = corners.map(corner => map.frame(panel).toMap(...corner))
    const polygon = places.map(([right, up]) => [x + right * unit, y + up * unit])
    map.send({ kind: "polygon", panel: map.scene.data.panels[panel].name, polygon, mode }, { panel, places })
  }

  choose(panel, left, top, mode, near) {
    const row = this.row(panel, left, top, near)
    if (row < 0) return
    this.map.send({ kind: "point", panel: this.map.scene.data.panels[panel].name, row, mode })
    if (near !== NEAR) this.hover(panel, left, top, near)  // what a mouse points at is shown before it clicks
  }

  /** What lies at the cross in the middle of a map that has the focus. */
  aim(surface, panel) {
    if (!surface.matches(":focus-visible")) return
    const middle = this.middle(panel)
    this.map.painter.cross = middle
    this.hover(panel, ...middle, NEAR_CROSS)
  }

  hover(panel, left, top, near) {
    this.over = panel
    const row = this.row(panel, left, top, near)
    if (row < 0) return this.leave(true)
    const { offsetLeft, offsetTop, offsetWidth, offsetHeight } = this.map.stage
    const room = { width: offsetLeft + offsetWidth, height: offsetTop + offsetHeight }
    this.card.show(row, left + offsetLeft, top + offsetTop, room)
    if (this.hovered?.row === row) return
    this.hovered = { row, lines: [] }
    this.map.painter.mark()
    clearTimeout(this.rest)
    this.rest = setTimeout(() => this.neighbours(row), REST_MS)
  }

  /** Lines from the point under the pointer to its neighbours in each panel's feature space. */
  async neighbours(row) {
    const { panels, count } = this.map.scene.data
    const lines = await Promise.all(panels.map(async ({ neighbours, k }) => {
      if (!neighbours) return null
      if (!this.tables.has(neighbours)) this.tables.set(neighbours, numbersOf(neighbours, count, k))
      return [...await this.tables.get(neighbours)(row)].filter(each => each >= 0 && each < count)
    })).catch(() => [])
    if (this.hovered?.row !== row) return
    this.hovered.lines = lines
    this.map.painter.mark()
  }

  /** aimed: whether the cross stays. */
  leave(aimed = false) {
    clearTimeout(this.rest)
    this.card.hide()
    if (!aimed) this.map.painter.cross = null
    this.hovered = null
    this.map.painter.mark()
  }
}
