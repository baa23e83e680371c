// The map of points as a part of a page: one for each place on the page, which lives from run to run.
import { PointMap } from "./point_map.js"

const maps = new WeakMap()
const settings = new Map()  // of each map by its key, also when it leaves the page and comes back

export default function ({ parentElement, data, setTriggerValue }) {
  let map = maps.get(parentElement)
  if (!map) {
    if (!settings.has(data.key)) settings.set(data.key, {})
    map = new PointMap(parentElement.querySelector(".point-map"), settings.get(data.key))
    maps.set(parentElement, map)
  }
  map.update(data, sent => setTriggerValue("gestures", sent))
  return () => {
    maps.delete(parentElement)
    map.close()
  }
}
