// What the colours say: categories with their numbers of points, to be clicked, or a scale.
import { colourOf } from "./colours.js"
import { element, number, spread } from "./elements.js"

const SEARCHED = 12  // categories that need no search
const LISTED = 400  // of more, the search shows some

/** choose(category, event) when one is clicked. Returns {element, show(legend, counts, chosen)}. */
export function legendOf(choose) {
  const box = element("div", { className: "legend" })
  let shown = null

  function show(legend, counts, chosen) {
    if (shown?.legend !== legend) {
      shown = { legend, ...(legend.names.length ? list(legend, counts, choose) : scale(legend)) }
      box.replaceChildren(element("div", { className: "title" }, legend.title), ...shown.parts)
    }
    shown.update?.(counts, chosen)
  }
  return { element: box, show }
}

function scale(legend) {
  const bar = element("div", { className: "ramp" })
  const colours = legend.palette.length > 1 ? legend.palette : [legend.palette[0], legend.palette[0]]
  bar.style.background = `linear-gradient(to right, ${colours.join(", ")})`
  const ends = [legend.low, (legend.low + legend.high) / 2, legend.high]
  const numbers = element("div", { className: "numbers" }, ...ends.map(end => element("span", {}, spread(end))))
  return { parts: [element("div", { className: "scale" }, bar, numbers)] }
}

function list(legend, counts, choose) {
  const rows = new Map()
  const entries = element("div", { className: "entries", role: "group", "aria-label": `Select by ${legend.title}` })
  const order = legend.names.map((_, category) => category)
  if (counts.at(-1)) order.push(-1)
  const row = category => {
    if (!rows.has(category)) rows.set(category, entry(legend, category, choose))
    return rows.get(category)
  }
  let latest = [counts, null]

  function listed(query) {
    const wanted = query.trim().toLowerCase()
    const matching = order.filter(category => nameOf(legend, category).toLowerCase().includes(wanted))
    const first = matching.slice(0, LISTED)
    entries.replaceChildren(...first.map(category => row(category).element))
    if (matching.length > first.length) {
      entries.append(element("div", { className: "more" }, `and ${number(matching.length - first.length)} more: search`))
    }
    if (!matching.length) entries.append(element("div", { className: "more" }, "none of this name"))
    first.forEach((category, at) => { row(category).element.tabIndex = at ? -1 : 0 })
    update(...latest)
  }

  function update(counts, chosen) {
    latest = [counts, chosen]
    for (const [category, { show }] of rows) show(counts.at(category), chosen?.at(category))
  }
  entries.onkeydown = event => moved(event, entries)
  const search = element("input", {
    type: "search",
    placeholder: `Search ${number(legend.names.length)}`,
    "aria-label": `Search ${legend.title}`,
    oninput: event => listed(event.target.value),
  })
  listed("")
  return { parts: legend.names.length > SEARCHED ? [search, entries] : [entries], update }
}

const nameOf = (legend, category) => category < 0 ? "none" : legend.names[category]

function entry(legend, category, choose) {
  const name = nameOf(legend, category)
  const swatch = element("i", { className: "swatch" })
  swatch.style.background = colourOf(legend, category)
  const count = element("span", { className: "count" })
  const share = element("i", { className: "share" })
  const button = element("button", { type: "button", title: name, onclick: event => choose(category, event) },
    swatch, element("span", { className: "name" }, name), count, share)
  const show = (all, chosen) => {
    count.textContent = chosen === undefined ? number(all) : `${number(chosen)} / ${number(all)}`
    share.style.width = chosen && all ? `${100 * chosen / all}%` : "0"
    share.style.background = swatch.style.background
    button.classList.toggle("none", chosen === 0)
    button.setAttribute("aria-label", chosen === undefined ? `${name}: ${number(all)} points, select them`
      : `${name}: ${number(chosen)} of ${number(all)} points selected, select all`)
  }
  return { element: button, show }
}

// One stop for the Tab key; arrows go from entry to entry.
function moved(event, entries) {
  const buttons = [...entries.querySelectorAll("button")]
  const here = buttons.indexOf(event.target)
  const steps = { ArrowDown: here + 1, ArrowUp: here - 1, Home: 0, End: buttons.length - 1 }
  const next = buttons[steps[event.key]]
  if (here < 0 || !next) return
  event.preventDefault()
  event.stopPropagation()
  buttons[here].tabIndex = -1
  next.tabIndex = 0
  next.focus()
}

/** How many points each value has, that of none last: (categories + 1). rows: of these alone. */
export function countsOf(values, categories, rows = null) {
  const counts = new Array(categories + 1).fill(0)
  const last = values instanceof Uint16Array ? 65_535 : 255
  const add = value => { counts[value === last ? categories : value]++ }
  if (rows) for (const row of rows) add(values[row])
  else for (let row = 0; row < values.length; row++) add(values[row])
  return counts
}
