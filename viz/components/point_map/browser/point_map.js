// One map of points: joins what is shown, what is drawn and what the visitor does.
import { Cells } from "./cells.js"
import { element, number } from "./elements.js"
import { Keys } from "./keys.js"
import { legendOf } from "./legend.js"
import { Outbox } from "./outbox.js"
import { Painter } from "./painter.js"
import { modeOf } from "./pointer.js"
import { Pointing } from "./pointing.js"
import { Scenes } from "./scene.js"
import { State } from "./state.js"
import { framed, panned, zoomed } from "./views.js"

const LEAST_HEIGHT = 420, BELOW = 24  // pixels, of a map that fills the page
const NARROW = 640, SHARE_WHERE_NARROW = 0.9

export class PointMap {
  constructor(host, kept) {
    this.host = host
    this.state = new State(kept)
    this.scenes = new Scenes()
    this.outbox = new Outbox(() => this.painter.mark())
    this.ends = new AbortController()
    this.turn = 0
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
    this.pointing = new Pointing(this)
    this.stage.append(this.painter.points, this.cells.element, this.painter.marks, this.notice)
    this.host.replaceChildren(this.bar.element, element("div", { className: "body" }, this.stage, this.legend.element), this.pointing.card.element)
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
    this.pointing.describe(data, before)
    this.cells.build(data.panels, (surface, panel) => this.pointing.listen(surface, panel))
    this.host.classList.toggle("plain", scene.legend.names.length === 1)
    this.painter.show(scene)
    this.say(this.painter.limited(scene.count))
    this.layOut()
    this.tell()
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
    // In a narrow window tools, legend and a strip of maps take their share above and below the large one. A narrow column
    // of a wide window is none: there the map, its legend and the page's controls are to be seen at once.
    const least = innerWidth < NARROW ? Math.max(LEAST_HEIGHT, SHARE_WHERE_NARROW * innerHeight) : LEAST_HEIGHT
    this.host.style.height = `${this.height || Math.max(least, innerHeight - top - BELOW)}px`
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
    if (name === "clear" && !this.pointing.cancel()) {
      if (!this.scene.selected) return false
      this.send({ kind: "clear" })
    }
    this.tell()
    if (name === "reset") this.painter.all()
    if (name === "single" || name === "play") this.layOut()
    return true
  }

  closer(factor) {
    const { focus } = this.state.stand(this.scene.panels.length)
    const at = this.alone ? focus : this.pointing.over
    const { left, top, width, height } = this.frame(at).box
    this.look(at, zoomed(this.frame(at), factor, left + width / 2, top + height / 2))
  }

  play() {
    const count = this.scene.panels.length
    if (count < 2) return
    if (this.state.playing) return this.state.stop()
    this.state.kept.single = true
    this.pointing.leave()
    this.state.play(count, done => this.moved(done))
  }

  /** The large map at this depth, also between two panels. */
  go(depth) {
    this.state.stop()
    this.state.kept.depth = depth
    this.pointing.leave()
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

  /** drawn: what stands on the map until the server has answered. */
  send(gesture, drawn = null) {
    this.state.stop()
    this.outbox.send(gesture, drawn)
  }

  /** Whether the points are on their way from one panel to the next. */
  get between() {
    return this.alone && this.state.stand(this.scene.panels.length).way > 0
  }

  close() {
    this.ends.abort()
    this.state.stop()
    this.painter.close()
  }
}
