// CSS colours as bytes, and the palette's texture.
const NONE = "#8a939b"  // of points without a value
const STEPS = 255

const probe = document.createElement("canvas")
probe.width = probe.height = 1
const context = probe.getContext("2d", { willReadFrequently: true })

/** [red, green, blue] of a CSS colour. */
export function bytesOf(colour) {
  context.clearRect(0, 0, 1, 1)
  context.fillStyle = NONE
  context.fillStyle = colour
  context.fillRect(0, 0, 1, 1)
  return [...context.getImageData(0, 0, 1, 1).data.subarray(0, 3)]
}

/** The colour of a category as CSS. */
export const colourOf = (legend, category) => category < 0 ? NONE : legend.palette[category % legend.palette.length]

/** RGBA bytes for every value that a point can have, 256 a line. */
export function texture(legend) {
  const colours = legend.palette.map(bytesOf)
  const none = bytesOf(NONE)
  const size = legend.wide ? 65_536 : 256
  const bytes = new Uint8Array(4 * size).fill(255)
  const shades = legend.names.length ? legend.names.map((_, index) => colours[index % colours.length]) : scale(colours)
  for (let index = 0; index < size; index++) bytes.set(shades[index] ?? none, 4 * index)
  return bytes
}

function scale(colours) {
  return Array.from({ length: STEPS }, (_, step) => {
    const place = step / (STEPS - 1) * (colours.length - 1)
    const low = Math.min(Math.floor(place), Math.max(0, colours.length - 2))
    const high = Math.min(low + 1, colours.length - 1)
    return colours[low].map((byte, at) => Math.round(byte + (colours[high][at] - byte) * (place - low)))
  })
}
