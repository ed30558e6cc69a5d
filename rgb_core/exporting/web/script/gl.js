// A thin layer over WebGL2: programs whose uniforms are set by name, textures that hold lists, passes over them.

const LIST_WIDTH = 2048;
const FORMATS = {
  // name: internal format, format, type, array, channels
  rgba32f: ["RGBA32F", "RGBA", "FLOAT", Float32Array, 4],
  r32f: ["R32F", "RED", "FLOAT", Float32Array, 1],
  rgba16f: ["RGBA16F", "RGBA", "FLOAT", Float32Array, 4],
  rgba16i: ["RGBA16I", "RGBA_INTEGER", "SHORT", Int16Array, 4],
  rgba8s: ["RGBA8_SNORM", "RGBA", "BYTE", Int8Array, 4],
  rg8: ["RG8", "RG", "UNSIGNED_BYTE", Uint8Array, 2],
  r8u: ["R8UI", "RED_INTEGER", "UNSIGNED_BYTE", Uint8Array, 1],
  r32u: ["R32UI", "RED_INTEGER", "UNSIGNED_INT", Uint32Array, 1],
  rg32u: ["RG32UI", "RG_INTEGER", "UNSIGNED_INT", Uint32Array, 2],
  rgba32u: ["RGBA32UI", "RGBA_INTEGER", "UNSIGNED_INT", Uint32Array, 4],
};

class Gpu {
  constructor(canvas) {
    const gl = canvas.getContext("webgl2", {
      alpha: true,
      antialias: false,
      preserveDrawingBuffer: true,
      powerPreference: "high-performance",
    });
    if (!gl)
      throw new Error(
        "This page needs WebGL2, which this browser or its graphics driver does not offer. " +
          "A recent Chrome, Edge, Firefox or Safari with hardware acceleration switched on opens it.",
      );
    if (!gl.getExtension("EXT_color_buffer_float"))
      throw new Error(
        "This graphics driver cannot draw into floating-point textures (EXT_color_buffer_float), which this page " +
          "needs. Another browser or a newer driver may.",
      );
    gl.getExtension("OES_texture_float_linear");
    gl.pixelStorei(gl.UNPACK_ALIGNMENT, 1);
    gl.disable(gl.DITHER);
    this.gl = gl;
    this.empty = gl.createVertexArray();
  }

  // A program of the shaders of that name; `screen` draws the fragment shader over the whole target.
  program(fragment, vertex = "screen") {
    const { gl } = this,
      program = gl.createProgram();
    for (const [kind, name] of [
      [gl.VERTEX_SHADER, `${vertex}.vert`],
      [gl.FRAGMENT_SHADER, `${fragment}.frag`],
    ]) {
      const shader = gl.createShader(kind);
      gl.shaderSource(shader, SHADERS.common + SHADERS[name]);
      gl.compileShader(shader);
      if (!gl.getShaderParameter(shader, gl.COMPILE_STATUS) && !gl.isContextLost())
        throw new Error(`${name}: ${gl.getShaderInfoLog(shader)}`);
      gl.attachShader(program, shader);
    }
    gl.linkProgram(program);
    if (!gl.getProgramParameter(program, gl.LINK_STATUS) && !gl.isContextLost())
      throw new Error(`${fragment}: ${gl.getProgramInfoLog(program)}`);
    const uniforms = new Map();
    for (let i = 0; i < gl.getProgramParameter(program, gl.ACTIVE_UNIFORMS); i++) {
      const { name, type } = gl.getActiveUniform(program, i);
      uniforms.set(name.replace("[0]", ""), { type, location: gl.getUniformLocation(program, name) });
    }
    return { program, uniforms };
  }

  use({ program, uniforms }, values) {
    const { gl } = this;
    gl.useProgram(program);
    let unit = 0;
    for (const [name, value] of Object.entries(values)) {
      const uniform = uniforms.get(name);
      if (!uniform) continue;
      const { type, location } = uniform;
      if (value.texture) {
        gl.activeTexture(gl.TEXTURE0 + unit);
        gl.bindTexture(value.target, value.texture);
        gl.uniform1i(location, unit++);
      } else if (type === gl.FLOAT) gl.uniform1fv(location, typeof value === "number" ? [value] : value);
      else if (type === gl.FLOAT_VEC2) gl.uniform2fv(location, value);
      else if (type === gl.FLOAT_VEC3) gl.uniform3fv(location, value);
      else if (type === gl.FLOAT_VEC4) gl.uniform4fv(location, value);
      else if (type === gl.FLOAT_MAT3) gl.uniformMatrix3fv(location, false, value);
      else if (type === gl.FLOAT_MAT4) gl.uniformMatrix4fv(location, false, value);
      else gl.uniform1i(location, value);
    }
  }

  texture(format, width, height, data = null, { linear = false, repeat = false, layers = 0 } = {}) {
    const { gl } = this,
      [internal, external, type] = FORMATS[format];
    const target = layers ? gl.TEXTURE_2D_ARRAY : gl.TEXTURE_2D,
      texture = gl.createTexture();
    gl.bindTexture(target, texture);
    const filter = linear ? gl.LINEAR : gl.NEAREST;
    gl.texParameteri(target, gl.TEXTURE_MIN_FILTER, filter);
    gl.texParameteri(target, gl.TEXTURE_MAG_FILTER, filter);
    gl.texParameteri(target, gl.TEXTURE_WRAP_S, repeat ? gl.REPEAT : gl.CLAMP_TO_EDGE);
    gl.texParameteri(target, gl.TEXTURE_WRAP_T, gl.CLAMP_TO_EDGE);
    if (layers) gl.texStorage3D(target, 1, gl[internal], width, height, layers);
    else gl.texImage2D(target, 0, gl[internal], width, height, 0, gl[external], gl[type], data);
    return { texture, target, width, height, format };
  }

  update(texture, data) {
    const { gl } = this,
      [, external, type] = FORMATS[texture.format];
    gl.bindTexture(texture.target, texture.texture);
    gl.texSubImage2D(texture.target, 0, 0, 0, texture.width, texture.height, gl[external], gl[type], data);
  }

  // A list of `count` texels.
  list(format, data, count) {
    const [, , , Kind, channels] = FORMATS[format],
      height = Math.max(1, Math.ceil(count / LIST_WIDTH));
    const padded = new Kind(LIST_WIDTH * height * channels);
    padded.set(data);
    return this.texture(format, LIST_WIDTH, height, padded);
  }

  // Where a pass writes: textures of these formats, all of one size.
  target(formats, width, height, options) {
    const { gl } = this,
      framebuffer = gl.createFramebuffer();
    const textures = formats.map((format) => this.texture(format, width, height, null, options));
    gl.bindFramebuffer(gl.FRAMEBUFFER, framebuffer);
    textures.forEach((t, i) =>
      gl.framebufferTexture2D(gl.FRAMEBUFFER, gl.COLOR_ATTACHMENT0 + i, gl.TEXTURE_2D, t.texture, 0),
    );
    gl.drawBuffers(textures.map((_, i) => gl.COLOR_ATTACHMENT0 + i));
    return { framebuffer, textures, width, height };
  }

  listTarget(formats, count) {
    return this.target(formats, LIST_WIDTH, Math.max(1, Math.ceil(count / LIST_WIDTH)));
  }

  free({ framebuffer, textures }) {
    for (const { texture } of textures) this.gl.deleteTexture(texture);
    this.gl.deleteFramebuffer(framebuffer);
  }

  bind(target) {
    const { gl } = this;
    gl.bindFramebuffer(gl.FRAMEBUFFER, target ? target.framebuffer : null);
    gl.viewport(0, 0, target ? target.width : gl.drawingBufferWidth, target ? target.height : gl.drawingBufferHeight);
  }

  // Run a fragment shader over every texel of a target; null is the canvas.
  pass(program, target, values) {
    this.bind(target);
    this.use(program, values);
    this.gl.bindVertexArray(this.empty);
    this.gl.drawArrays(this.gl.TRIANGLES, 0, 3);
  }
}
