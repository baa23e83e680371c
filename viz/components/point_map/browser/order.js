// Points are drawn in an order that jumps through the rows: neighbouring rows are often of one class, and what is drawn last
// covers the rest. Any first part of it is an even sample of all.

/** Slot 0, 1, 2, ... is drawn in turn; `count` rows, each in one slot. */
export class Order {
  constructor(count) {
    this.count = count
    this.step = coprime(count)
    this.back = inverse(this.step, count)
  }

  /** The slot of a row. */
  slot(row) {
    return count53(row, this.back, this.count)
  }

  /** Values of `width` numbers a row, as they are drawn. */
  arranged(values, width) {
    const arranged = new values.constructor(values.length)
    for (let slot = 0, row = 0; slot < this.count; slot++) {
      for (let at = 0; at < width; at++) arranged[slot * width + at] = values[row * width + at]
      row += this.step
      if (row >= this.count) row -= this.count
    }
    return arranged
  }
}

// Near the golden section, whose multiples fill a circle most evenly (Weyl; Knuth, volume 3, 6.4).
function coprime(count) {
  if (count < 3) return 1
  const divisor = (a, b) => b ? divisor(b, a % b) : a
  let step = Math.round(count * 0.6180339887)
  while (divisor(step, count) !== 1) step++
  return step % count
}

function inverse(step, count) {
  let [a, b, x, y] = [step, count, 1, 0]
  while (b) {
    const times = Math.floor(a / b)
    ;[a, b, x, y] = [b, a - times * b, y, x - times * y]
  }
  return ((x % count) + count) % count
}

// Exact to 94 million rows, where the product leaves 53 bits.
const count53 = (row, factor, count) => (row * factor) % count
