// What is told of single rows, fetched as it is needed: texts, neighbours, positions on the sheets of pictures.
import { json, part, remembered } from "./files.js"

const BLOCK = 1024  // rows of texts and positions in one request
const KEPT = 64

/** row -> its lines of text. */
export function textsOf(address, count) {
  const blocks = Math.ceil(count / BLOCK)
  const offsets = remembered(async () => new Uint32Array(await part(address, 0, 4 * (blocks + 1))), 1)
  const block = remembered(async number => {
    const [start, end] = (await offsets(0)).subarray(number, number + 2)
    const content = await part(address, start, end)
    const rows = Math.min(BLOCK, count - number * BLOCK)
    return { places: new Uint32Array(content, 0, rows + 1), letters: new Uint8Array(content, 4 * (rows + 1)) }
  }, KEPT)
  const decoder = new TextDecoder()
  return async row => {
    const { places, letters } = await block(Math.floor(row / BLOCK))
    const [start, end] = places.subarray(row % BLOCK, row % BLOCK + 2)
    return decoder.decode(letters.subarray(start, end)).split("\n")
  }
}

/** row -> Int32Array of `width` numbers, of a table of `count` rows. */
export function numbersOf(address, count, width) {
  const rows = Math.max(1, Math.floor(4 * BLOCK / width))
  const block = remembered(async number => {
    const last = Math.min(count, (number + 1) * rows)
    return new Int32Array(await part(address, 4 * width * rows * number, 4 * width * last))
  }, KEPT)
  return async row => {
    const start = width * (row % rows)
    return (await block(Math.floor(row / rows))).subarray(start, start + width)
  }
}

/** row -> {sheet, column, line, columns} of its small picture, or null. */
export function picturesOf(address, positions, count) {
  const sheets = remembered(() => json(address), 1)
  const position = positions ? numbersOf(positions, count, 1) : async row => [row]
  return async row => {
    const [{ sheets: addresses, columns, rows }, [number]] = await Promise.all([sheets(0), position(row)])
    const sheet = number < 0 ? undefined : addresses[Math.floor(number / (rows * columns))]
    if (!sheet) return null
    const within = number % (rows * columns)
    return { sheet, column: within % columns, line: Math.floor(within / columns), columns }
  }
}
