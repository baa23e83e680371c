// Points are drawn in an order that jumps through the rows: neighbouring rows are often of one class, and what is drawn last
// covers the rest. Any first part of it is an even sample of all.

/** Slot 0, 1, 2, ... is drawn in turn; `count` rows, each in one slot. */
export class Order {
  constructor(count) {
    this.count = count
    this.step = coprime(count)
  }

  /** visit(row, slot) in drawing order. */
  each(visit) {
    for (let slot = 0, row = 0; slot < this.count; slot++) {
      visit(row, slot)
      row += this.step
      if (row >= this.count) row -= this.count
    }
  }

  /** Values of `width` numbers a row, as they are drawn. */
  arranged(values, width) {
    const arranged = new values.constructor(values.length)
    this.each((row, slot) => {
      for (let at = 0; at < width; at++) arranged[slot * width + at] = values[row * width + at]
    })
    return arranged
  }
}

// Near the golden section, whose multiples fill a circle most evenly (Knuth, volume 3, 6.4). Every row is reached once where
// step and count have no divisor in common.
function coprime(count) {
  if (count < 3) return 1
  const divisor = (a, b) => b ? divisor(b, a % b) : a
  let step = Math.round(count * 0.6180339887)
  while (divisor(step, count) !== 1) step++
  return step % count
}
