"""Browser parts that Streamlit lacks: overlays with an opacity slider, small pictures to click, and pictures beside
the pointer."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

import streamlit as st


@dataclass(frozen=True)
class Overlay:
    """One tile of the overlay gallery; picture and heat are data links, heat is '' for a tile without one."""

    title: str
    caption: str
    picture: str
    heat: str
    alt: str


_OVERLAYS = st.components.v2.component(
    "overlays",
    html="""
<label class="opacity">Heat map opacity
  <input type="range" min="0" max="100" step="1" aria-label="Heat map opacity">
  <output></output>
</label>
<div class="tiles"></div>
""",
    css="""
.opacity { display: flex; align-items: center; gap: .6rem; margin-bottom: .8rem; }
.opacity, figure { font: 14px var(--st-font); color: var(--st-text-color); }
.opacity input { width: min(280px, 45vw); accent-color: var(--st-primary-color); }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(150px, 1fr)); gap: 14px; }
figure { margin: 0; max-width: 340px; }
figcaption { margin-bottom: 4px; font-weight: 600; }
.stack { position: relative; aspect-ratio: 1; overflow: hidden; }
.stack { border-radius: 6px; border: 1px solid var(--st-border-color); }
.stack img { position: absolute; inset: 0; width: 100%; height: 100%; }
.stack .pixels { image-rendering: pixelated; }
button.stack { display: block; width: 100%; padding: 0; background: none; cursor: pointer; }
button.stack:hover { outline: 2px solid var(--st-border-color); }
button.stack:focus-visible { outline: 3px solid var(--st-primary-color); }
small { display: block; margin-top: 4px; opacity: .8; line-height: 1.35; font-variant-numeric: tabular-nums; }
""",
    js="""
export default function (component) {
  const { parentElement, data, setStateValue, setTriggerValue } = component
  const tiles = parentElement.querySelector(".tiles")
  const slider = parentElement.querySelector(".opacity input")
  const output = parentElement.querySelector("output")
  const show = () => {
    output.textContent = slider.value + " %"
    tiles.querySelectorAll(".heat").forEach(heat => { heat.style.opacity = slider.value / 100 })
  }
  if (!slider.dataset.ready) { slider.value = Math.round(data.opacity * 100); slider.dataset.ready = "yes" }
  tiles.style.gridTemplateColumns = data.columns ? `repeat(${data.columns}, minmax(0, 220px))` : ""
  tiles.replaceChildren(...data.tiles.map((tile, place) => {
    const figure = document.createElement("figure")
    const title = document.createElement("figcaption")
    title.textContent = tile.title
    const stack = document.createElement(data.pick ? "button" : "div")
    stack.className = "stack"
    if (data.pick) {
      stack.title = data.pick
      stack.setAttribute("aria-label", `${data.pick}: ${tile.alt}`)
      stack.onclick = () => setTriggerValue("place", place)
    }
    const picture = document.createElement("img")
    picture.className = "pixels"
    picture.src = tile.picture
    picture.alt = tile.alt
    stack.append(picture)
    if (tile.heat) {
      const heat = document.createElement("img")
      heat.className = "heat"
      heat.src = tile.heat
      heat.alt = ""
      stack.append(heat)
    }
    const caption = document.createElement("small")
    caption.textContent = tile.caption
    figure.append(title, stack, caption)
    return figure
  }))
  show()
  slider.oninput = show
  slider.onchange = () => setStateValue("opacity", slider.value / 100)
}
""",
)


def overlays(
    tiles: Sequence[Overlay],
    opacity: float,
    key: str,
    columns: int = 0,
    pick: str = "",
    on_pick: Callable[[int], None] | None = None,
) -> float:
    """Pictures under heat maps, with one slider for all; returns the opacity in [0, 1].

    columns: tiles in a row, 0 for as many as fit. pick: what a click on a tile does, in words, or '' for nothing;
    `on_pick` hears which before the page runs again.

    Moving the slider changes the pictures in the browser; the server hears of it when the slider is let go.
    """

    def picked() -> None:
        place = st.session_state[key].place
        if on_pick is not None and isinstance(place, int) and 0 <= place < len(tiles):
            on_pick(place)

    state = _OVERLAYS(
        key=key,
        data={"tiles": [asdict(tile) for tile in tiles], "opacity": opacity, "columns": columns, "pick": pick},
        default={"opacity": opacity},
        on_opacity_change=lambda: None,
        on_place_change=picked,
    )
    value = state.opacity
    return min(1.0, max(0.0, float(value))) if isinstance(value, int | float) else opacity


_PICKER = st.components.v2.component(
    "picture_picker",
    html="""
<div class="strip" role="listbox" aria-label="Images of the set"></div>
""",
    css="""
.strip { display: grid; grid-template-columns: repeat(auto-fill, minmax(44px, 1fr)); gap: 4px; }
.strip { max-height: 196px; overflow-y: auto; padding: 3px; }
button { aspect-ratio: 1; padding: 0; border: 0; border-radius: 4px; cursor: pointer; }
button { background-color: var(--st-secondary-background-color); background-image: var(--sheet); }
button:hover { outline: 2px solid var(--st-border-color); }
button[aria-selected="true"], button:focus-visible { outline: 3px solid var(--st-primary-color); }
""",
    js="""
export default function (component) {
  const { parentElement, data, setTriggerValue } = component
  const strip = parentElement.querySelector(".strip")
  const rows = Math.max(1, Math.ceil(data.titles.length / data.columns))
  const share = (place, count) => count > 1 ? 100 * place / (count - 1) + "%" : "0"
  strip.style.setProperty("--sheet", `url(${data.sheet})`)
  const chosen = data.chosen ?? 0
  // One stop for the Tab key; arrows go from picture to picture, as in every list box.
  const focused = strip.contains(parentElement.getRootNode().activeElement)
  strip.replaceChildren(...data.titles.map((title, place) => {
    const button = document.createElement("button")
    button.title = title
    button.tabIndex = place === chosen ? 0 : -1
    button.setAttribute("role", "option")
    button.setAttribute("aria-label", title)
    button.setAttribute("aria-selected", String(place === data.chosen))
    button.style.backgroundSize = `${data.columns * 100}% ${rows * 100}%`
    button.style.backgroundPosition =
      `${share(place % data.columns, data.columns)} ${share(Math.floor(place / data.columns), rows)}`
    button.onclick = () => setTriggerValue("place", place)
    return button
  }))
  if (focused) strip.children[chosen].focus()
  strip.onkeydown = event => {
    const buttons = [...strip.children]
    const here = buttons.indexOf(event.target)
    const columns = buttons.filter(button => button.offsetTop === buttons[0].offsetTop).length
    const steps = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns }
    const ends = { Home: 0, End: buttons.length - 1 }
    const next = event.key in ends ? ends[event.key] : here + steps[event.key]
    if (here < 0 || !buttons[next]) return
    event.preventDefault()
    buttons[here].tabIndex = -1
    buttons[next].tabIndex = 0
    buttons[next].focus()
  }
}
""",
)


def picture_picker(
    sheet: str, columns: int, titles: Sequence[str], chosen: int | None, key: str, on_pick: Callable[[int], None]
) -> None:
    """Small pictures to choose one from, by mouse or keyboard; `on_pick` hears which before the page runs again.

    sheet: a data link to a sheet of square pictures, one for each title, in rows of `columns`. chosen: the place
    of the present choice, or None.
    """

    def picked() -> None:
        place = st.session_state[key].place
        if isinstance(place, int) and 0 <= place < len(titles):
            on_pick(place)

    data = {"sheet": sheet, "columns": columns, "titles": list(titles), "chosen": chosen}
    _PICKER(key=key, data=data, on_place_change=picked)


_HOVER = st.components.v2.component(
    "hover_pictures",
    html="""
<span></span>
""",
    css="""
span { display: none; }
""",
    js="""
const CARD = "hover-picture-card"
const running = new WeakMap()  // this part runs again with every change of data: the run before must end first

export default function (component) {
  const { parentElement, data } = component
  running.get(parentElement)?.()
  let plot = null
  const card = document.getElementById(CARD) ?? document.body.appendChild(document.createElement("div"))
  card.id = CARD
  card.setAttribute("role", "status")
  card.style.cssText = "position:fixed;display:none;pointer-events:none;z-index:1000;padding:6px;border-radius:8px;" +
    "background:#fff;color:#1b2733;font:13px sans-serif;box-shadow:0 2px 12px rgba(0,0,0,.35);max-width:220px"
  const over = event => {
    const point = event.points[0]
    const [sheetIndex, text] = point.customdata ?? []
    if (sheetIndex === undefined || sheetIndex === null) return
    const side = 96
    const picture = document.createElement("div")
    picture.style.cssText = `width:${side}px;height:${side}px;margin:auto;image-rendering:pixelated;` +
      `background-image:url(${data.sheet});background-size:${data.columns * side}px auto;` +
      `background-position:-${sheetIndex % data.columns * side}px -${Math.floor(sheetIndex / data.columns) * side}px`
    const lines = String(text).split("|").map(line => {
      const row = document.createElement("div")
      row.textContent = line
      return row
    })
    card.replaceChildren(picture, ...lines)
    card.style.display = "block"
    const { clientX = 0, clientY = 0 } = event.event ?? {}
    card.style.left = Math.min(clientX + 16, innerWidth - card.offsetWidth - 8) + "px"
    card.style.top = Math.min(clientY + 16, innerHeight - card.offsetHeight - 8) + "px"
  }
  const out = () => { card.style.display = "none" }
  // The chart is drawn after this part, and anew whenever it changes: look for it until the page goes.
  const attach = () => {
    const found = document.querySelector(`.st-key-${data.chart} .js-plotly-plot`)
    if (!found || found === plot || !found.on) return
    plot = found
    plot.on("plotly_hover", over)
    plot.on("plotly_unhover", out)
  }
  const timer = setInterval(attach, 300)
  const stop = () => {
    clearInterval(timer)
    out()
    if (plot?.removeListener) {
      plot.removeListener("plotly_hover", over)
      plot.removeListener("plotly_unhover", out)
    }
  }
  running.set(parentElement, stop)
  return stop
}
""",
)


def hover_pictures(chart: str, sheet: str, columns: int) -> None:
    """Show a picture beside the pointer over the points of a Plotly chart on the same page.

    chart: the chart's key. Each point's customdata is (its place on the sheet, 'line|line|...'). sheet: a data
    link to a sheet of square pictures in rows of `columns`.
    """
    _HOVER(
        key=f"{chart}_hover",
        data={"chart": chart, "sheet": sheet, "columns": columns},
    )
