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
