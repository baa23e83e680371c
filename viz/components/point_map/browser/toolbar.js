// The row of tools above the maps, and the keys that stand for them.
import { element, icon } from "./elements.js"

const TOOLS = [
  { name: "lasso", title: "Lasso", key: "l", path: "M7 16c-4-2-5-7-1-10s12-2 14 2-2 8-8 8c-3 0-5 1-5 3s2 2 2 0-2-3-4-3" },
  { name: "box", title: "Box", key: "b", path: "M4 4h3m3 0h4m3 0h3v3m0 3v4m0 3v3h-3m-3 0h-4m-3 0H4v-3m0-3v-4m0-3V4" },
  { name: "pan", title: "Pan", key: "v", path: "M12 3v18M3 12h18M12 3l-3 3m3-3l3 3M12 21l-3-3m3 3l3-3M3 12l3-3m-3 3l3 3M21 12l-3-3m3 3l-3 3" },
]
const ACTIONS = [
  { name: "closer", title: "Zoom in", key: "+", path: "M12 5v14M5 12h14" },
  { name: "farther", title: "Zoom out", key: "-", path: "M5 12h14" },
  { name: "reset", title: "Reset the view", key: "r", path: "M4 9V4h5M20 9V4h-5M4 15v5h5M20 15v5h-5" },
]
const SEVERAL = [
  { name: "linked", title: "Zoom all maps together", key: "k", path: "M10 14a4 4 0 0 0 6 0l3-3a4 4 0 0 0-6-6l-1 1M14 10a4 4 0 0 0-6 0l-3 3a4 4 0 0 0 6 6l1-1" },
  { name: "single", title: "One large map", key: "o", path: "M4 4h16v10H4zM4 18h4v2H4zM10 18h4v2h-4zM16 18h4v2h-4z" },
  { name: "play", title: "Play along depth", key: "p", path: "M7 4l13 8-13 8z" },
]
const ENDS = [
  { name: "clear", title: "Clear the selection", key: "Escape", path: "M6 6l12 12M18 6L6 18" },
  { name: "legend", title: "Legend", key: "g", path: "M5 6h.01M5 12h.01M5 18h.01M9 6h11M9 12h11M9 18h11" },
]
const TOGGLES = new Set(["lasso", "box", "pan", "linked", "single", "play", "legend"])
const NAMES = { Escape: "Esc", "-": "−" }

/** What a key stands for, or undefined. */
export function actionOf(key) {
  const all = [...TOOLS, ...ACTIONS, ...SEVERAL, ...ENDS]
  return all.find(each => each.key === key || each.key === key.toLowerCase())?.name ?? { "=": "closer", _: "farther" }[key]
}

/** act(name) does it. Returns {element, show({pressed: Set, several, status, selected})}. */
export function toolbar(act) {
  const button = ({ name, title, key, path }) => element("button", {
    type: "button",
    className: name,
    title: `${title} (${NAMES[key] ?? key.toUpperCase()})`,
    "aria-label": title,
    "aria-keyshortcuts": key,
    onclick: () => act(name),
  }, icon(path))
  const group = buttons => element("div", { className: "group" }, ...buttons.map(button))
  const several = group(SEVERAL)
  const status = element("span", { className: "status", role: "status" })
  const ends = group(ENDS)
  const bar = element("div", { className: "tools", role: "toolbar", "aria-label": "Tools of the map" },
    group(TOOLS), group(ACTIONS), several, status, ends)

  function show({ pressed, panels, said, selected }) {
    several.hidden = panels < 2
    if (status.textContent !== said) status.textContent = said
    for (const each of bar.querySelectorAll("button")) {
      if (TOGGLES.has(each.className)) each.setAttribute("aria-pressed", String(pressed.has(each.className)))
    }
    ends.querySelector(".clear").disabled = !selected
  }
  return { element: bar, show }
}
