// One map of points: joins what is shown, what is drawn and what the visitor does.
import { cardOf } from "./card.js"
import { Cells } from "./cells.js"
import { element, number } from "./elements.js"
import { Keys } from "./keys.js"
import { legendOf } from "./legend.js"
import { Outbox } from "./outbox.js"
import { Painter } from "./painter.js"
import { listen, modeOf } from "./pointer.js"
import { numbersOf, picturesOf, textsOf } from "./rows.js"
import { Scenes } from "./scene.js"
import { State } from "./state.js"
import { framed, panned, zoomed } from "./views.js"

const NEAR = 9, NEAR_FINGER = 18  // pixels from a point within which the pointer means it
const REST_MS = 60  // before neighbours are asked for
const LEAST_HEIGHT = 420, BELOW = 24  // pixels, of a map that fills the page

export class PointMap {
  constructor(host, kept) {
    this.host = host
    this.state = new State(kept)
    this.scenes = new Scenes()
    this.outbox = new Outbox(() => this.painter.mark())
    this.ends = new AbortController()
    this.turn = 0
    this.hovered = null  // {row, lines: [] of each panel's neighbours}
    this.cancel = []  // of each panel's pointer: ends what is being drawn
    this.build()
  }

  build() {
    this.tools = element("div")
    this.stage = element("div", { className: "stage" })
    this.notice = element("div", { className: "notice", role: "status" }, "Loading the points")
    this.keys = new Keys(this.host, name => this.act(name), this.ends.signal)
    this.bar = this.keys.toolbar
    this.cells = new Cells({
      focus: panel => this.focus(panel),
      depth: value => this.go(value),
      scrolled: () => this.painter.all(),
    })
    this.legend = legendOf((category, event) => this.send({ kind: "category", category, mode: modeOf(event) }))
    this.painter = new Painter(this.stage, this)
    this.card = cardOf({ text: row => this.details.text(row), picture: row => this.details.picture(row) })
    this.stage.append(this.painter.points, this.cells.element, this.painter.marks, this.notice)
    this.host.replaceChildren(this.bar.element, element("div", { className: "body" }, this.stage, this.legend.element), this.card.element)
    new ResizeObserver(() => this.layOut()).observe(this.stage)
    addEventListener("resize", () => this.fill(), { signal: this.ends.signal })
  }

  /** With every run of the page; trigger(list) sends gestures. */
  async update(data, trigger) {
    this.outbox.update(data.handled, trigger)
    this.height = data.height
    this.fill()
    const turn = ++this.turn
    try {
      const scene = await this.scenes.scene(data)
      if (turn === this.turn && !this.ends.signal.aborted) this.commit(scene)
    } catch (error) {
      if (turn === this.turn) this.say(`The points could not be fetched (${error.message}). Reload the page.`)
    }
  }

  commit(scene) {
    const { data } = scene
    const before = this.scene?.data
    this.scene = scene
    if (before?.texts !== data.texts || before?.pictures !== data.pictures || before?.count !== data.count
      || before?.positions !== data.positions) this.describe(data)
    if (before?.panels[0].points !== data.panels[0].points) this.leave()
    this.cells.build(data.panels, (surface, panel) => this.listen(surface, panel))
    this.host.classList.toggle("plain", scene.legend.names.length === 1)
    this.painter.show(scene)
    this.say(this.painter.limited(scene.count))
    this.layOut()
    this.tell()
  }

  describe(data) {
    const nothing = async () => null
    this.details = {
      text: data.texts ? textsOf(data.texts, data.count) : async row => [`row ${number(row)}`],
      picture: data.pictures ? picturesOf(data.pictures, data.positions, data.count) : nothing,
    }
  }

  say(text) {
    this.notice.textContent = text
    this.notice.hidden = !text
  }

  /** Toolbar, legend and what is read out. */
  tell() {
    if (!this.scene) return
    const { data, legend, counts, chosenCounts, selected } = this.scene
    const { kept } = this.state
    const chosen = selected?.rows.length ?? 0
    const pressed = new Set([kept.tool, ...["linked", "legend"].filter(name => kept[name])])
    if (this.alone) pressed.add("single")
    if (this.state.playing) pressed.add("play")
    const shown = data.total > data.count ? `shown ${number(data.count)} of ${number(data.total)}` : `${number(data.count)} points`
    const said = chosen ? `${shown}, ${number(chosen)} selected` : shown
    this.bar.show({ pressed, panels: data.panels.length, said, selected: chosen > 0 })
    this.legend.show(legend, counts, chosenCounts)
    this.legend.element.hidden = !kept.legend
    this.stage.dataset.tool = kept.tool
    this.cells.cells.forEach(({ surface }, at) => {
      const { title, note } = data.panels[at]
      const by = legend.title ? `, coloured by ${legend.title}` : ""
      surface.setAttribute("aria-label", `${title}: ${said}${by}. ${note}. Arrow keys move the map, Enter chooses the point ` +
        "in the middle.")
    })
  }

  /** The height that was asked for, or what the window has below this part's top when nothing is scrolled. */
  fill() {
    let top = this.host.getBoundingClientRect().top
    for (let part = this.host; part; part = part.parentElement ?? part.getRootNode().host) top += part.scrollTop
    this.host.style.height = `${this.height || Math.max(LEAST_HEIGHT, innerHeight - top - BELOW)}px`
  }

  layOut() {
    if (!this.scene) return
    const { width, height } = this.stage.getBoundingClientRect()
    if (!width || !height) return
    const { focus } = this.state.stand(this.scene.panels.length)
    const before = this.alone
    this.alone = this.cells.arrange(width, height, focus, this.state.kept.single)
    this.cells.slider.value = this.state.kept.depth
    this.painter.resize(width, height, this.cells.boxes(this.stage))
    if (before !== this.alone) this.tell()
  }

  /** Something of the toolbar or its keys; says whether it was done. */
  act(name) {
    if (!this.scene) return false
    const { kept } = this.state
    if (["lasso", "box", "pan"].includes(name)) kept.tool = name
    if (name === "linked" || name === "legend") kept[name] = !kept[name]
    if (name === "single") kept.single = !kept.single
    if (name === "reset") this.state.reset()
    if (name === "closer" || name === "farther") this.closer(name === "closer" ? 1.5 : 1 / 1.5)
    if (name === "play") this.play()
    if (name === "clear" && !this.cancel.some(each => each())) {
      if (!this.scene.selected) return false
      this.send({ kind: "clear" })
    }
    this.tell()
    this.layOut()
    return true
  }

  closer(factor) {
    const { focus } = this.state.stand(this.scene.panels.length)
    const at = this.alone ? focus : this.over ?? 0
    const { left, top, width, height } = this.frame(at).box
    this.look(at, zoomed(this.frame(at), factor, left + width / 2, top + height / 2))
  }

  play() {
    const count = this.scene.panels.length
    if (count < 2) return
    if (this.state.playing) return this.state.stop()
    this.state.kept.single = true
    this.leave()
    this.state.play(count, done => this.moved(done))
  }

  /** The large map at this depth, also between two panels. */
  go(depth) {
    this.state.stop()
    this.state.kept.depth = depth
    this.leave()
    this.moved(true)
  }

  moved(done) {
    const { focus } = this.state.stand(this.scene.panels.length)
    this.cells.slider.value = this.state.kept.depth
    if (this.cells.shown[0].panel !== focus || done) this.layOut()
    else this.painter.moving(0)
    if (done) this.tell()
  }

  focus(panel) {
    this.state.kept.single = true
    this.go(panel)
  }

  /** The frame of a panel that is shown large. */
  frame(panel) {
    const at = this.alone ? 0 : panel
    return framed(this.scene.panels[panel], this.state.view(this.scene.data.panels[panel]), this.painter.boxes[at].box)
  }

  look(panel, view) {
    const { panels } = this.scene.data
    this.state.setView(panels, panels[panel], view)
    this.painter.moving(...this.state.kept.linked && !this.alone ? panels.keys() : [this.alone ? 0 : panel])
  }

  send(gesture) {
    this.state.stop()
    this.outbox.send(gesture)
  }

  listen(surface, panel) {
    const row = (left, top, near) => {
      const frame = this.frame(panel)
      return this.between() ? -1 : this.scene.panels[panel].grid().nearest(...frame.toMap(left, top), near / frame.scale)
    }
    const name = () => this.scene.data.panels[panel].name
    const middle = () => {
      const { left, top, width, height } = this.frame(panel).box
      return [left + width / 2, top + height / 2]
    }
    const aim = () => {
      if (!surface.matches(":focus-visible")) return
      const [left, top] = middle()
      this.painter.cross = [left, top]
      this.hover(row(left, top, 3 * NEAR), panel, left, top)
    }
    const act = {
      tool: () => this.state.kept.tool,
      at: event => {
        const { left, top } = this.stage.getBoundingClientRect()
        return [event.clientX - left, event.clientY - top]
      },
      pan: (right, down) => this.look(panel, panned(this.frame(panel), right, down)),
      zoom: (factor, left, top) => {
        this.leave()
        this.look(panel, zoomed(this.frame(panel), factor, left, top))
      },
      outline: (corners, mode) => this.painter.outline(corners && { corners, mode, panel }),
      enclosed: (corners, mode) => {
        this.painter.outline(null)
        if (this.between()) return
        const { x, y, unit } = this.scene.panels[panel]
        const places = corners.map(corner => this.frame(panel).toMap(...corner))
        const polygon = places.map(([right, up]) => [x + right * unit, y + up * unit])
        this.outbox.send({ kind: "polygon", panel: name(), polygon, mode }, { panel, places })
      },
      click: (left, top, mode, touch) => {
        const chosen = row(left, top, touch ? NEAR_FINGER : NEAR)
        if (chosen >= 0) this.send({ kind: "point", panel: name(), row: chosen, mode })
        if (chosen >= 0 && touch) this.hover(chosen, panel, left, top)
      },
      hover: (left, top) => {
        this.over = panel
        this.hover(row(left, top, NEAR), panel, left, top)
      },
      leave: () => this.leave(),
    }
    this.cancel[panel] = listen(surface, act, this.ends.signal)
    this.keys.aim(surface, {
      aim,
      move: (right, down) => { act.pan(right, down); aim() },
      choose: mode => act.click(...middle(), mode, true),
      leave: () => this.leave(),
    })
  }

  /** Whether the points are on their way from one panel to the next. */
  between() {
    return this.alone && this.state.stand(this.scene.panels.length).way > 0
  }

  hover(row, panel, left, top) {
    if (row < 0) return this.leave(true)
    const { width, height } = this.stage.getBoundingClientRect()
    const offset = this.stage.offsetTop
    this.card.show(row, left + this.stage.offsetLeft, top + offset, { width: width + this.stage.offsetLeft, height: height + offset })
    if (this.hovered?.row === row) return
    this.hovered = { row, lines: [] }
    this.painter.mark()
    clearTimeout(this.rest)
    this.rest = setTimeout(() => this.neighbours(row), REST_MS)
  }

  /** Lines from the point under the pointer to its neighbours in each panel's feature space. */
  async neighbours(row) {
    const { panels, count } = this.scene.data
    this.tables ??= new Map()
    await Promise.all(panels.map(async ({ neighbours, k }, panel) => {
      if (!neighbours) return
      if (!this.tables.has(neighbours)) this.tables.set(neighbours, numbersOf(neighbours, count, k))
      const rows = await this.tables.get(neighbours)(row)
      if (this.hovered?.row === row) this.hovered.lines[panel] = [...rows].filter(each => each >= 0 && each < count)
    })).catch(() => {})
    if (this.hovered?.row === row) this.painter.mark()
  }

  leave(cross = false) {
    clearTimeout(this.rest)
    this.card.hide()
    if (!cross) this.painter.cross = null
    this.hovered = null
    this.painter.mark()
  }

  close() {
    this.ends.abort()
    this.state.stop()
    this.painter.close()
  }
}
