// Gaussians to a picture: sorted by depth in a worker, drawn far ones first into half-precision linear light.

// Runs in the worker: poses the centres as the GPU does (but for pose correctives, which do not change the order),
// then a counting sort on 16 bits of depth, farthest first.
function sorter() {
  let table = null,
    places = null;
  const pose = ({ weights, motions }) => {
    const { count, joints, offsets, weight, change, step, rest, skin } = table;
    for (let p = 0; p < count; p++) {
      let x = rest[3 * p],
        y = rest[3 * p + 1],
        z = rest[3 * p + 2];
      for (let i = offsets[p]; i < offsets[p + 1]; i++) {
        const w = weights[weight[i]];
        if (w === 0) continue;
        x += w * step[0] * change[3 * i];
        y += w * step[1] * change[3 * i + 1];
        z += w * step[2] * change[3 * i + 2];
      }
      places.fill(0, 3 * p, 3 * p + 3);
      for (let j = 0; j < joints; j++) {
        const s = skin[joints * p + j];
        if (s < 1e-3) continue;
        const m = motions[j];
        for (let k = 0; k < 3; k++)
          places[3 * p + k] += s * (m[4 * k] * x + m[4 * k + 1] * y + m[4 * k + 2] * z + m[4 * k + 3]);
      }
    }
  };
  const sort = ([x, y, z]) => {
    const { count } = table,
      depth = new Float32Array(count);
    let low = Infinity,
      high = -Infinity;
    for (let i = 0; i < count; i++) {
      const d = x * places[3 * i] + y * places[3 * i + 1] + z * places[3 * i + 2];
      depth[i] = d;
      if (d < low) low = d;
      if (d > high) high = d;
    }
    const starts = new Uint32Array(65537),
      keys = new Uint16Array(count),
      factor = 65535 / Math.max(high - low, 1e-9);
    for (let i = 0; i < count; i++) {
      keys[i] = (high - depth[i]) * factor;
      starts[keys[i] + 1]++;
    }
    for (let k = 0; k < 65536; k++) starts[k + 1] += starts[k];
    const order = new Uint32Array(count);
    for (let i = 0; i < count; i++) order[starts[keys[i]]++] = i;
    return order;
  };
  onmessage = ({ data }) => {
    if (data.table) {
      table = data.table;
      places = new Float32Array(3 * table.count);
      return;
    }
    if (data.posed) pose(data.posed);
    const order = sort(data.row);
    postMessage(order, [order.buffer]);
  };
}

class Splats {
  constructor(gpu, head, changed) {
    const { gl } = gpu;
    Object.assign(this, { gpu, head, posed: null, wanted: null, sorting: false, settled: false, ordered: false });
    this.program = gpu.program("splat", "splat");
    this.buffer = gl.createBuffer();
    this.vertices = gl.createVertexArray();
    gl.bindVertexArray(this.vertices);
    gl.bindBuffer(gl.ARRAY_BUFFER, this.buffer);
    gl.bufferData(
      gl.ARRAY_BUFFER,
      Uint32Array.from({ length: head.count }, (_, i) => i),
      gl.DYNAMIC_DRAW,
    );
    const location = gl.getAttribLocation(this.program.program, "order");
    gl.enableVertexAttribArray(location);
    gl.vertexAttribIPointer(location, 1, gl.UNSIGNED_INT, 0, 0);
    gl.vertexAttribDivisor(location, 1);
    gl.bindVertexArray(null);
    this.worker = new Worker(URL.createObjectURL(new Blob([`(${sorter})()`], { type: "text/javascript" })));
    this.worker.postMessage({ table: head.sortTable });
    this.worker.onmessage = ({ data }) => {
      gl.bindBuffer(gl.ARRAY_BUFFER, this.buffer);
      gl.bufferSubData(gl.ARRAY_BUFFER, 0, data);
      this.sorting = false;
      this.ordered = true;
      this.settled = !this.wanted;
      if (this.wanted) this.sort(this.wanted);
      changed();
    };
  }

  // Order the Gaussians along `row`, the third row of the camera's rotation; `posed` where they moved. While the worker
  // is busy, the last wish waits.
  sort(row, posed = null) {
    if (posed) this.posed = posed;
    this.settled = false;
    this.wanted = this.sorting ? row : null;
    if (this.sorting) return;
    this.sorting = true;
    this.worker.postMessage({ row, posed: this.posed });
    this.posed = null;
  }

  draw(target, radiance, { worldToCamera, lens, size }) {
    const { gpu, head } = this,
      { gl } = gpu,
      [places, spreads, rests] = head.posed.textures;
    gpu.bind(target);
    gl.clearColor(0, 0, 0, 0);
    gl.clear(gl.COLOR_BUFFER_BIT);
    gpu.use(this.program, {
      places,
      spreads,
      rests,
      radiance,
      worldToCamera: columns4(worldToCamera),
      lens,
      size,
      antialias: +head.facts.antialias,
    });
    gl.enable(gl.BLEND);
    gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
    gl.bindVertexArray(this.vertices);
    gl.drawArraysInstanced(gl.TRIANGLE_STRIP, 0, 4, head.count);
    gl.disable(gl.BLEND);
  }
}
