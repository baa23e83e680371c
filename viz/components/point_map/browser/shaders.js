// What the graphics processor runs: one point a vertex, its colour looked up in a texture.

export const VERTEX = `
precision highp float;
attribute vec2 start;
attribute vec2 end;
attribute float value;
uniform vec2 centre, scale;
uniform float way, size, lines;
varying vec2 shade;
void main() {
  gl_Position = vec4((mix(start, end, way) - centre) * scale, 0.0, 1.0);
  gl_PointSize = size;
  shade = vec2(mod(value, 256.0) + 0.5, floor(value / 256.0) + 0.5) / vec2(256.0, lines);
}`

export const FRAGMENT = `
#ifdef GL_FRAGMENT_PRECISION_HIGH
precision highp float;
#else
precision mediump float;
#endif
uniform sampler2D palette;
uniform float size, opacity, fade;
uniform vec4 rim;
varying vec2 shade;
void main() {
  vec4 colour = texture2D(palette, shade);
  float cover = 1.0;
  if (size > 2.5) {  // smaller ones are squares to any eye
    float far = length(gl_PointCoord - 0.5) * size;
    cover = clamp(size * 0.5 - far, 0.0, 1.0);
    colour.rgb = mix(colour.rgb, rim.rgb, rim.a * clamp(far - size * 0.5 + 2.0, 0.0, 1.0));
  }
  colour.rgb = mix(colour.rgb, vec3(0.55), fade * 0.6);
  float alpha = cover * opacity * colour.a * (1.0 - 0.75 * fade);
  gl_FragColor = vec4(colour.rgb * alpha, alpha);
}`

export function compiled(gl) {
  const program = gl.createProgram()
  for (const [kind, source] of [[gl.VERTEX_SHADER, VERTEX], [gl.FRAGMENT_SHADER, FRAGMENT]]) {
    const shader = gl.createShader(kind)
    gl.shaderSource(shader, source)
    gl.compileShader(shader)
    gl.attachShader(program, shader)
  }
  gl.linkProgram(program)
  if (!gl.getProgramParameter(program, gl.LINK_STATUS)) throw new Error(gl.getProgramInfoLog(program))
  return program
}

export function locations(gl, program) {
  const names = ["centre", "scale", "way", "size", "lines", "palette", "opacity", "fade", "rim"]
  return {
    uniforms: Object.fromEntries(names.map(name => [name, gl.getUniformLocation(program, name)])),
    attributes: Object.fromEntries(["start", "end", "value"].map(name => [name, gl.getAttribLocation(program, name)])),
  }
}
