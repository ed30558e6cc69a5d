// The head on the GPU: from expression coefficients and joint angles to posed Gaussians and their mesh.

const CHANGES = 17,
  NEUTRAL = 19;

class Head {
  constructor(gpu, facts, arrays) {
    this.gpu = gpu;
    this.facts = facts;
    this.count = facts.gaussians;
    this.vertexCount = arrays["vertex.rest"].length / 3;
    this.faces = new Uint32Array(arrays.faces);
    this.programs = { mesh: gpu.program("mesh"), normals: gpu.program("normals"), gaussians: gpu.program("gaussians") };
    this.uploadMesh(arrays);
    this.uploadGaussians(arrays);
    this.mesh = gpu.listTarget(["rgba32f", "rgba32f"], this.vertexCount);
    this.normals = gpu.listTarget(["rgba32f"], this.vertexCount);
    this.posed = gpu.listTarget(["rgba32f", "rgba32f", "rgba32f", "rgba32u"], this.count);
    this.weights = gpu.texture("r32f", 256, 1, new Float32Array(256));
  }

  uploadMesh(arrays) {
    const { gpu, vertexCount } = this,
      joints = this.facts.joints.length;
    const rest = new Float32Array(4 * vertexCount),
      skin = new Float32Array(8 * vertexCount);
    for (let v = 0; v < vertexCount; v++) {
      for (let k = 0; k < 3; k++) rest[4 * v + k] = arrays["vertex.rest"][3 * v + k];
      for (let j = 0; j < joints; j++) skin[8 * v + j] = arrays["vertex.skin"][joints * v + j] / 65535;
    }
    this.rest = gpu.list("rgba32f", rest, vertexCount);
    this.skin = gpu.list("rgba32f", skin, 2 * vertexCount);
    this.vertexOffsets = gpu.list("r32u", arrays["vertex.offsets"], vertexCount + 1);
    const weight = arrays["vertex.weight"],
      place = arrays["vertex.place"],
      pairs = new Int16Array(4 * weight.length);
    for (let i = 0; i < weight.length; i++) {
      for (let k = 0; k < 3; k++) pairs[4 * i + k] = place[3 * i + k];
      pairs[4 * i + 3] = weight[i];
    }
    this.vertexPairs = gpu.list("rgba16i", pairs, weight.length);
    this.uploadRings();
  }

  // For every vertex the other two corners of each face around it, in the face's own sense.
  uploadRings() {
    const { faces, vertexCount } = this,
      offsets = new Uint32Array(vertexCount + 1);
    for (const corner of faces) offsets[corner + 1]++;
    for (let v = 0; v < vertexCount; v++) offsets[v + 1] += offsets[v];
    const next = offsets.slice(),
      around = new Uint32Array(2 * faces.length);
    for (let i = 0; i < faces.length; i++) {
      const face = i - (i % 3),
        slot = 2 * next[faces[i]]++;
      around[slot] = faces[face + ((i + 1) % 3)];
      around[slot + 1] = faces[face + ((i + 2) % 3)];
    }
    this.ringOffsets = this.gpu.list("r32u", offsets, vertexCount + 1);
    this.around = this.gpu.list("rg32u", around, faces.length);
  }

  uploadGaussians(arrays) {
    const { gpu, facts, count, faces } = this,
      packed = arrays["gaussian.neutral"];
    const neutral = new Float32Array(20 * count),
      attached = new Uint32Array(4 * count);
    // Texels: place and region; rotation; log scales and opacity; albedo and roughness; specular and normal offset.
    const slots = [0, 1, 2, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19];
    for (let p = 0; p < count; p++) {
      for (let k = 0; k < NEUTRAL; k++)
        neutral[20 * p + slots[k]] = packed[NEUTRAL * p + k] * facts.gaussianStep[k] + facts.middle[k];
      neutral[20 * p + 3] = arrays["gaussian.region"][p];
      const face = 3 * arrays["gaussian.face"][p],
        barycentric = arrays["gaussian.barycentric"];
      for (let k = 0; k < 3; k++) attached[4 * p + k] = faces[face + k];
      attached[4 * p + 3] = barycentric[2 * p] + barycentric[2 * p + 1] * 65536;
    }
    this.neutral = gpu.list("rgba32f", neutral, 5 * count);
    this.attached = gpu.list("rgba32u", attached, count);
    const weight = arrays["pair.weight"],
      place = arrays["pair.place"],
      change = arrays["pair.change"];
    const pairs = new Int16Array(4 * weight.length),
      changes = new Int8Array(16 * weight.length);
    for (let i = 0; i < weight.length; i++) {
      for (let k = 0; k < 3; k++) pairs[4 * i + k] = place[3 * i + k];
      for (let k = 0; k < 16; k++) changes[16 * i + k] = change[CHANGES * i + k];
      pairs[4 * i + 3] = (change[CHANGES * i + 16] << 8) | weight[i];
    }
    this.pairOffsets = gpu.list("r32u", arrays["pair.offsets"], count + 1);
    this.pairs = gpu.list("rgba16i", pairs, weight.length);
    this.changes = gpu.list("rgba8s", changes, 4 * weight.length);
    this.sortTable = {
      count,
      joints: facts.joints.length,
      offsets: arrays["pair.offsets"],
      weight,
      change: place,
      step: facts.placeStep,
      ...this.carried(arrays, neutral),
    };
  }

  // Centres at rest and skin weights of the Gaussians, for the worker that sorts.
  carried(arrays, neutral) {
    const { count, faces } = this,
      joints = this.facts.joints.length,
      barycentric = arrays["gaussian.barycentric"];
    const rest = new Float32Array(3 * count),
      skin = new Float32Array(joints * count);
    for (let p = 0; p < count; p++) {
      rest.set(neutral.subarray(20 * p, 20 * p + 3), 3 * p);
      const [u, v] = [barycentric[2 * p] / 65535, barycentric[2 * p + 1] / 65535],
        share = [u, v, 1 - u - v];
      for (let k = 0; k < 3; k++) {
        const corner = faces[3 * arrays["gaussian.face"][p] + k];
        for (let j = 0; j < joints; j++)
          skin[joints * p + j] += (share[k] * arrays["vertex.skin"][joints * corner + j]) / 65535;
      }
    }
    return { rest, skin };
  }

  // Rigid motions of the joints from rest, and the weights of expressions and pose correctives.
  chain(expression, joints, translation) {
    const { facts } = this,
      rotations = joints.map(rotation);
    const centres = facts.jointRest.map((rest, j) => {
      if (!facts.jointBasis) return rest;
      return rest.map((x, k) =>
        expression.reduce((sum, w, e) => sum + w * facts.jointBasis[(e * joints.length + j) * 3 + k], x),
      );
    });
    const motions = [];
    const chained = (j) => {
      if (motions[j]) return motions[j];
      const local = motion(rotations[j], subtract(centres[j], apply(rotations[j], centres[j])));
      motions[j] = facts.parents[j] < 0 ? local : compose(chained(facts.parents[j]), local);
      return motions[j];
    };
    joints.forEach((_, j) => chained(j));
    for (const m of motions)
      translation.forEach((t, k) => {
        m[4 * k + 3] += t;
      });
    const weights = new Float32Array(256);
    weights.set(expression);
    if (facts.weights > expression.length) {
      rotations.slice(1).forEach((r, j) =>
        r.forEach((x, k) => {
          weights[expression.length + 9 * j + k] = x - IDENTITY[k];
        }),
      );
    }
    return { motions, weights };
  }

  // Pose the mesh and the Gaussians; returns the joints' motions and the weights.
  pose({ expression, joints, translation }) {
    const { gpu, facts, programs } = this,
      { motions, weights } = this.chain(expression, joints, translation);
    gpu.update(this.weights, weights);
    const matrices = Array.from({ length: 8 }, (_, j) => columns4(motions[j] || motion(IDENTITY, [0, 0, 0]))).flat();
    const shared = { weights: this.weights, skin: this.skin, joints: matrices };
    gpu.pass(programs.mesh, this.mesh, {
      ...shared,
      rest: this.rest,
      offsets: this.vertexOffsets,
      pairs: this.vertexPairs,
      pairStep: facts.cornerStep,
      count: this.vertexCount,
      expressions: facts.expressions.length,
    });
    gpu.pass(programs.normals, this.normals, {
      places: this.mesh.textures[0],
      offsets: this.ringOffsets,
      around: this.around,
      count: this.vertexCount,
    });
    const snorm = facts.changeStep.map((step) => step * 127);
    gpu.pass(programs.gaussians, this.posed, {
      ...shared,
      neutral: this.neutral,
      normals: this.normals.textures[0],
      correctives: this.mesh.textures[1],
      changes: this.changes,
      attached: this.attached,
      offsets: this.pairOffsets,
      pairs: this.pairs,
      placeStep: facts.placeStep,
      changeStep: snorm.slice(0, 16),
      specularStep: facts.changeStep[16],
      leastRoughness: facts.leastRoughness,
      count: this.count,
    });
    return { motions, weights };
  }
}
