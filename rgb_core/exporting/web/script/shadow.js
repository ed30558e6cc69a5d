// A depth map of the posed mesh from where a sharp light stands.

const DEPTH_SIZE = 1024;

class DepthMap {
  constructor(gpu, head) {
    const { gl } = gpu;
    this.gpu = gpu;
    this.head = head;
    this.program = gpu.program("depth", "depth");
    const texture = gl.createTexture();
    gl.bindTexture(gl.TEXTURE_2D, texture);
    gl.texStorage2D(gl.TEXTURE_2D, 1, gl.DEPTH_COMPONENT24, DEPTH_SIZE, DEPTH_SIZE);
    for (const [name, value] of [
      ["MIN_FILTER", "LINEAR"],
      ["MAG_FILTER", "LINEAR"],
      ["WRAP_S", "CLAMP_TO_EDGE"],
      ["WRAP_T", "CLAMP_TO_EDGE"],
      ["COMPARE_MODE", "COMPARE_REF_TO_TEXTURE"],
      ["COMPARE_FUNC", "LEQUAL"],
    ])
      gl.texParameteri(gl.TEXTURE_2D, gl[`TEXTURE_${name}`], gl[value]);
    this.texture = { texture, target: gl.TEXTURE_2D };
    this.framebuffer = gl.createFramebuffer();
    gl.bindFramebuffer(gl.FRAMEBUFFER, this.framebuffer);
    gl.framebufferTexture2D(gl.FRAMEBUFFER, gl.DEPTH_ATTACHMENT, gl.TEXTURE_2D, texture, 0);
    this.vertices = gl.createVertexArray();
    gl.bindVertexArray(this.vertices);
    gl.bindBuffer(gl.ELEMENT_ARRAY_BUFFER, gl.createBuffer());
    gl.bufferData(gl.ELEMENT_ARRAY_BUFFER, head.faces, gl.STATIC_DRAW);
    gl.bindVertexArray(null);
    this.matrix = columns4(motion(IDENTITY, [0, 0, 0]));
  }

  // Look at a sphere along `direction` (towards the light) from infinitely far, or from `place`.
  draw({ centre, radius }, direction, place = null) {
    const { gpu } = this,
      { gl } = gpu;
    const eye = place || add(centre, scale(direction, 3 * radius));
    const distance = length(subtract(eye, centre)),
      near = Math.max(distance - radius, 0.02),
      far = distance + radius;
    const up = Math.abs(normalize(subtract(eye, centre))[1]) > 0.95 ? [0, 0, 1] : [0, 1, 0];
    const view = lookAt(eye, centre, up);
    const rows = [view.slice(0, 4), view.slice(4, 8), view.slice(8, 12), [0, 0, 0, 1]];
    const widen = place ? Math.sqrt(Math.max(distance * distance - radius * radius, 1e-4)) / radius : 1 / radius;
    const depth = place
      ? [(far + near) / (far - near), (-2 * far * near) / (far - near)]
      : [2 / (far - near), -(far + near) / (far - near)];
    const clip = [0, 1, 2, 3].map((column) => [
      widen * rows[0][column],
      widen * rows[1][column],
      depth[0] * rows[2][column] + (column === 3 ? depth[1] : 0),
      place ? rows[2][column] : rows[3][column],
    ]);
    this.matrix = clip.flat();
    gpu.bind({ framebuffer: this.framebuffer, width: DEPTH_SIZE, height: DEPTH_SIZE });
    gl.enable(gl.DEPTH_TEST);
    gl.enable(gl.POLYGON_OFFSET_FILL);
    gl.polygonOffset(2, 2);
    gl.clear(gl.DEPTH_BUFFER_BIT);
    gpu.use(this.program, { places: this.head.mesh.textures[0], matrix: this.matrix });
    gl.bindVertexArray(this.vertices);
    gl.drawElements(gl.TRIANGLES, this.head.faces.length, gl.UNSIGNED_INT, 0);
    gl.disable(gl.POLYGON_OFFSET_FILL);
    gl.disable(gl.DEPTH_TEST);
  }
}
