// Draws points with WebGL. All panels share one canvas, and with it the colours and the selection.
import { compiled, locations } from "./shaders.js"

/** A renderer on this canvas, or null where there is no WebGL. */
export function webgl(canvas) {
  // What was drawn stays, so that a panel can be drawn anew without the others.
  const wishes = { antialias: false, depth: false, preserveDrawingBuffer: true, powerPreference: "high-performance" }
  const modern = canvas.getContext("webgl2", wishes)
  const gl = modern ?? canvas.getContext("webgl", wishes)
  if (!gl || (!modern && !gl.getExtension("OES_element_index_uint"))) return null
  return new Renderer(gl)
}

class Renderer {
  constructor(gl) {
    this.gl = gl
    this.start()
  }

  /** How many points are drawn of a panel at most. */
  get limit() {
    return Infinity
  }

  /** Also after the context was lost, with all that it held. */
  start() {
    const { gl } = this
    this.program = compiled(gl)
    Object.assign(this, locations(gl, this.program))
    this.points = []
    this.values = []
    this.selected = null
    this.fence = null
    this.texture = gl.createTexture()
    gl.useProgram(this.program)
    gl.enable(gl.BLEND)
    gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA)
    gl.enable(gl.SCISSOR_TEST)
  }

  /** Arrays in drawing order: xy of each panel; values of each, the same array where they are the same. */
  setPoints(panels) {
    this.points = this.filled(this.points, panels)
  }

  setValues(panels) {
    this.values = this.filled(this.values, panels)
    this.kind = panels[0] instanceof Uint16Array ? this.gl.UNSIGNED_SHORT : this.gl.UNSIGNED_BYTE
  }

  filled(before, arrays) {
    const { gl } = this
    new Set(before).forEach(buffer => gl.deleteBuffer(buffer))
    const buffers = new Map()
    return arrays.map(array => {
      if (!buffers.has(array)) {
        buffers.set(array, gl.createBuffer())
        gl.bindBuffer(gl.ARRAY_BUFFER, buffers.get(array))
        gl.bufferData(gl.ARRAY_BUFFER, array, gl.STATIC_DRAW)
      }
      return buffers.get(array)
    })
  }

  /** Slots of the selected points, or null. */
  setSelected(slots) {
    const { gl } = this
    gl.deleteBuffer(this.selected?.buffer ?? null)
    this.selected = slots && { buffer: gl.createBuffer(), count: slots.length }
    if (!slots) return
    gl.bindBuffer(gl.ELEMENT_ARRAY_BUFFER, this.selected.buffer)
    gl.bufferData(gl.ELEMENT_ARRAY_BUFFER, slots, gl.STATIC_DRAW)
  }

  /** RGBA bytes of 256 colours a line. */
  setPalette(bytes) {
    const { gl } = this
    this.lines = bytes.length / 1024
    gl.bindTexture(gl.TEXTURE_2D, this.texture)
    gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA, 256, this.lines, 0, gl.RGBA, gl.UNSIGNED_BYTE, bytes)
    for (const side of [gl.TEXTURE_MIN_FILTER, gl.TEXTURE_MAG_FILTER]) gl.texParameteri(gl.TEXTURE_2D, side, gl.NEAREST)
    for (const side of [gl.TEXTURE_WRAP_S, gl.TEXTURE_WRAP_T]) gl.texParameteri(gl.TEXTURE_2D, side, gl.CLAMP_TO_EDGE)
  }

  /** Nothing in this part of the canvas; all are in CSS pixels, `ratio` of the canvas's own each. */
  clear(clip, ratio) {
    this.cut(clip, ratio)
    this.gl.clear(this.gl.COLOR_BUFFER_BIT)
  }

  /**
   * Some of a panel's points, over what is there. points, chosen: [first, number] of all in drawing order, of the selected.
   * to, way: another panel, and how far the points are on their way to it. rim: the colour around large points.
   */
  draw({ panel, to = panel, way = 0, frame, style, points, chosen, ratio, clip, rim }) {
    const { gl, uniforms } = this
    const { box, view, scale } = frame
    this.cut(clip, ratio)
    gl.viewport(...corners(gl, box, ratio))
    this.attribute("start", this.points[panel], 2, gl.FLOAT)
    this.attribute("end", this.points[to], 2, gl.FLOAT)
    this.attribute("value", this.values[panel], 1, this.kind)
    gl.uniform2f(uniforms.centre, view.x, view.y)
    gl.uniform2f(uniforms.scale, 2 * scale / box.width, 2 * scale / box.height)
    gl.uniform1f(uniforms.way, way)
    gl.uniform1f(uniforms.lines, this.lines)
    if (points[1]) {
      gl.uniform1f(uniforms.fade, this.selected ? 1 : 0)
      this.pass(style.size * ratio, style.opacity, rim)
      gl.drawArrays(gl.POINTS, ...points)
    }
    if (chosen[1]) {
      gl.uniform1f(uniforms.fade, 0)
      this.pass((style.size * 1.15 + 0.5) * ratio, Math.max(style.opacity, 0.8), rim)
      gl.bindBuffer(gl.ELEMENT_ARRAY_BUFFER, this.selected.buffer)
      gl.drawElements(gl.POINTS, chosen[1], gl.UNSIGNED_INT, 4 * chosen[0])
    }
  }

  cut(clip, ratio) {
    this.gl.scissor(...corners(this.gl, clip, ratio))
  }

  /** After all that is drawn in one frame. */
  finish() {
    const { gl } = this
    if (!gl.fenceSync || gl.isContextLost()) return
    if (this.fence) gl.deleteSync(this.fence)
    this.fence = gl.fenceSync(gl.SYNC_GPU_COMMANDS_COMPLETE, 0)
    gl.flush()
  }

  /** Whether that is still being drawn; what does not know, with WebGL 1, says no. */
  get busy() {
    const { gl, fence } = this
    return Boolean(fence) && !gl.isContextLost() && gl.getSyncParameter(fence, gl.SYNC_STATUS) === gl.UNSIGNALED
  }

  pass(size, opacity, [red, green, blue]) {
    const { gl, uniforms } = this
    gl.uniform1f(uniforms.size, size)
    gl.uniform1f(uniforms.opacity, opacity)
    gl.uniform4f(uniforms.rim, red / 255, green / 255, blue / 255, size > 6 ? 0.8 : 0)
  }

  attribute(name, buffer, width, kind) {
    const { gl } = this
    gl.bindBuffer(gl.ARRAY_BUFFER, buffer)
    gl.enableVertexAttribArray(this.attributes[name])
    gl.vertexAttribPointer(this.attributes[name], width, kind, false, 0, 0)
  }

  close() {
    this.gl.getExtension("WEBGL_lose_context")?.loseContext()  // browsers allow a page some sixteen
  }
}

/** Left, bottom, width and height of a box in the canvas's own pixels. */
function corners(gl, { left, top, width, height }, ratio) {
  const edge = value => Math.round(value * ratio)
  return [edge(left), gl.drawingBufferHeight - edge(top + height), edge(width), edge(height)]
}
