// What is shown, as arrays: fetched and decoded once for as long as it is on the page.
import { texture } from "./colours.js"
import { json, whole } from "./files.js"
import { countsOf } from "./legend.js"
import { Grid } from "./nearest.js"
import { Order } from "./order.js"
import { normalised } from "./views.js"

export class Scenes {
  constructor() {
    this.kept = new Map()  // name of what was made -> promise of it
  }

  /** All that `data` names by address, at once, so that nothing is drawn half old and half new. */
  async scene(data) {
    const used = new Map()
    const once = (name, make) => {
      if (!used.has(name)) used.set(name, this.kept.get(name) ?? make())
      return used.get(name)
    }
    const legend = once(`legend ${data.legend}`, () => legendAt(data.legend))
    const { wide, names } = await legend
    const order = await once(`order ${data.count}`, async () => new Order(data.count))
    const valuesAt = address => once(`values ${address} ${wide}`, () => values(address, wide))
    const [panels, shades, chosen] = await Promise.all([
      Promise.all(data.panels.map(panel => once(`points ${panel.points}`, () => points(panel.points)))),
      Promise.all(data.panels.map(panel => valuesAt(panel.values || data.colours))),
      data.selected ? once(`selected ${data.selected} ${data.count}`, () => selected(data.selected, order)) : null,
    ])
    const own = await valuesAt(data.colours)
    const counts = names.length ? await once(`counts ${data.colours} ${data.legend}`, async () => countsOf(own, names.length)) : []
    this.kept = used  // the rest may be forgotten
    return {
      data,
      count: data.count,
      order,
      panels,
      values: shades,
      legend: await legend,
      selected: chosen,
      counts,
      chosenCounts: chosen && names.length ? countsOf(own, names.length, chosen.rows) : null,
    }
  }
}

async function legendAt(address) {
  const legend = await json(address)
  return { ...legend, texture: texture(legend) }
}

async function points(address) {
  const panel = normalised(new Float32Array(await whole(address)))
  let grid = null
  return { ...panel, grid: () => grid ??= new Grid(panel.xy) }
}

async function values(address, wide) {
  const content = await whole(address)
  return wide ? new Uint16Array(content) : new Uint8Array(content)
}

/** Rows that are selected, and their slots, in drawing order: that of the rows would let the last classes cover the others. */
async function selected(address, order) {
  const bits = new Uint8Array(await whole(address))
  const rows = new Uint32Array(order.count), slots = new Uint32Array(order.count)
  let chosen = 0
  order.each((row, slot) => {
    if (!(bits[row >> 3] >> (row & 7) & 1)) return
    rows[chosen] = row
    slots[chosen++] = slot
  })
  return { rows: rows.slice(0, chosen), slots: slots.slice(0, chosen) }
}
