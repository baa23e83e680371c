// Gestures on their way to the server. A run of the page that is cut short may lose one, so each goes again with the next
// until the server says that it was handled.
const PATIENCE_MS = 20_000

export class Outbox {
  /** changed() when something begins or ends to wait. */
  constructor(changed) {
    this.changed = changed
    this.waiting = []
    this.last = 0
  }

  update(handled, trigger) {
    this.trigger = trigger
    this.last = Math.max(this.last, handled)
    this.keep(({ gesture }) => gesture.serial > handled)
  }

  /** drawn: what stands on the screen until the server has answered. */
  send(gesture, drawn = null) {
    this.last = Math.max(Date.now(), this.last + 1)  // grows over reloads too
    const entry = { gesture: { ...gesture, serial: this.last }, drawn }
    this.waiting.push(entry)
    this.trigger(this.waiting.map(each => each.gesture))
    this.changed()
    setTimeout(() => this.keep(each => each !== entry), PATIENCE_MS)
  }

  keep(test) {
    const before = this.waiting.length
    this.waiting = this.waiting.filter(test)
    if (this.waiting.length !== before) this.changed()
  }
}
