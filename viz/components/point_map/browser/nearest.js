// The nearest point to the pointer, by a grid of cells.

export class Grid {
  /** xy: x and y of every point in turn, in [-1, 1]. Takes a tenth of a second for a million. */
  constructor(xy) {
    this.xy = xy
    const count = xy.length / 2
    this.side = Math.min(1024, Math.max(1, Math.round(Math.sqrt(count / 2))))
    this.starts = new Uint32Array(this.side ** 2 + 1)
    const cells = new Uint32Array(count)
    for (let row = 0; row < count; row++) {
      cells[row] = this.cell(xy[2 * row]) + this.side * this.cell(xy[2 * row + 1])
      this.starts[cells[row] + 1]++
    }
    for (let cell = 0; cell < this.side ** 2; cell++) this.starts[cell + 1] += this.starts[cell]
    const next = this.starts.slice()
    this.rows = new Uint32Array(count)
    for (let row = 0; row < count; row++) this.rows[next[cells[row]]++] = row
  }

  cell(value) {
    return Math.min(this.side - 1, Math.max(0, Math.floor((value + 1) / 2 * this.side)))
  }

  /** The row nearest to (x, y) within a distance, or -1. */
  nearest(x, y, distance) {
    let best = -1, least = distance ** 2
    const left = this.cell(x - distance), right = this.cell(x + distance)
    const top = this.cell(y + distance)
    for (let line = this.cell(y - distance); line <= top; line++) {
      const end = this.starts[right + line * this.side + 1]
      for (let at = this.starts[left + line * this.side]; at < end; at++) {
        const row = this.rows[at]
        const far = (this.xy[2 * row] - x) ** 2 + (this.xy[2 * row + 1] - y) ** 2
        if (far <= least) {
          least = far
          best = row
        }
      }
    }
    return best
  }
}
