// The whole picture: who is posed how, lit by what and seen from where; draws again only what a change touches.

const CHANNELS = ["Lit", "Albedo", "Normals", "Roughness", "Diffuse", "Specular", "Shadow"];
const REGIONS = 10;

class Stage {
  constructor(gpu, facts, arrays) {
    const head = new Head(gpu, facts, arrays);
    Object.assign(this, {
      gpu,
      facts,
      head,
      behind: 1,
      backdrop: [0.085, 0.088, 0.096],
      exposure: 0,
      channel: 0,
      shadows: facts.visibility,
    });
    this.light = new Light(gpu, facts.joints.length);
    this.splats = new Splats(gpu, head, () => this.touch("order"));
    this.sunDepth = new DepthMap(gpu, head);
    this.lampDepth = new DepthMap(gpu, head);
    this.programs = { vertices: gpu.program("vertices"), radiance: gpu.program("radiance"), show: gpu.program("show") };
    this.arriving = gpu.listTarget(["rgba32f", "rgba16f"], head.vertexCount);
    this.radiance = gpu.listTarget(["rgba16f"], head.count);
    this.drivers = gpu.list("r8u", arrays["vertex.driver"], head.vertexCount);
    const hidden = new Uint8Array(2 * head.vertexCount),
      bits = new Uint32Array(32 * head.vertexCount);
    for (let v = 0; v < head.vertexCount; v++) {
      hidden.set([arrays["rest.hidden"][v], arrays["moved.hidden"][v]], 2 * v);
      bits.set(arrays["rest.bits"].subarray(16 * v, 16 * v + 16), 32 * v);
      bits.set(arrays["moved.bits"].subarray(16 * v, 16 * v + 16), 32 * v + 16);
    }
    this.hidden = gpu.list("rg8", hidden, head.vertexCount);
    this.bits = gpu.list("rgba32u", bits, 8 * head.vertexCount);
    this.tint = new Float32Array(4 * REGIONS).fill(1);
    this.roughen = new Float32Array(REGIONS).fill(1);
    this.pose = {
      expression: facts.expressions.map(() => 0),
      joints: facts.joints.map(() => [0, 0, 0]),
      translation: [0, 0, 0],
    };
    this.bounds = boundingSphere(arrays["vertex.rest"]);
    this.changes = new Set(["pose"]);
    this.drawn = 0;
  }

  // Something of this kind changed: "pose", "light", "view", "order" or "show".
  touch(kind) {
    this.changes.add(kind);
  }

  resize(width, height) {
    if (this.picture && this.picture.width === width && this.picture.height === height) return;
    if (this.picture) this.gpu.free(this.picture);
    this.picture = this.gpu.target(["rgba16f"], width, height);
    this.touch("view");
  }

  // How far the mouth and each eye are from the neutral towards the moved face whose shadows were traced.
  get open() {
    const { expression, joints } = this.pose;
    return this.facts.drivers.map(({ gains, joint, angle }) => {
      const byJoint = joint === null ? 0 : joints[joint][0] / angle;
      return clamp(
        gains.reduce((sum, gain, e) => sum + gain * expression[e], byJoint),
        0,
        1,
      );
    });
  }

  // Draw what changed; returns whether anything did. `view` is { worldToCamera, lens, size }.
  draw(view) {
    const { changes } = this;
    if (!changes.size) return false;
    this.changes = new Set();
    const { gpu, head, light } = this,
      moved = changes.has("pose"),
      relit = moved || changes.has("light");
    const ahead = view.worldToCamera.slice(8, 11);
    if (moved) {
      const posed = head.pose(this.pose);
      this.motions = posed.motions;
      this.splats.sort(ahead, posed);
    } else if (changes.has("view")) this.splats.sort(ahead);
    const root = this.motions[0],
      sphere = { radius: this.bounds.radius, centre: add(apply(rotationOf(root), this.bounds.centre), placeOf(root)) };
    this.centre = sphere.centre;
    if (relit) {
      light.follow(this.motions);
      if (luminance(light.sun.colour) > 0) this.sunDepth.draw(sphere, light.sunDirection);
      if (light.lamp.on) this.lampDepth.draw(sphere, null, light.lampPlace(sphere.centre));
    }
    if (relit || changes.has("view")) this.shade(view);
    const recoloured = changes.size === 1 && changes.has("show");
    if (!recoloured) this.splats.draw(this.picture, this.radiance.textures[0], view);
    this.show(view);
    this.drawn++;
    return true;
  }

  shade({ worldToCamera }) {
    const { gpu, head, light } = this,
      eye = centreOf(worldToCamera),
      shadows = +this.shadows;
    const joints = Array.from({ length: 8 }, (_, j) =>
      columns3(this.motions[j] ? rotationOf(this.motions[j]) : IDENTITY),
    ).flat();
    gpu.pass(this.programs.vertices, this.arriving, {
      places: head.mesh.textures[0],
      normals: head.normals.textures[0],
      skin: head.skin,
      turned: light.turned.textures[0],
      directions: light.directions,
      hidden: this.hidden,
      bits: this.bits,
      drivers: this.drivers,
      eye,
      open: this.open,
      joints,
      count: head.vertexCount,
      jointCount: this.facts.joints.length,
      shadows,
    });
    const [places, , materials, surfaces] = head.posed.textures,
      blur = 1.5 / DEPTH_SIZE;
    gpu.pass(this.programs.radiance, this.radiance, {
      places,
      materials,
      surfaces,
      attached: head.attached,
      corners: head.mesh.textures[0],
      normals: head.normals.textures[0],
      irradiance: this.arriving.textures[0],
      reflection: this.arriving.textures[1],
      light: light.map,
      response: light.response,
      prefiltered: light.averaged,
      sunDepth: this.sunDepth.texture,
      lampDepth: this.lampDepth.texture,
      worldToLight: columns3(transpose(light.toWorld)),
      eye,
      sunDirection: light.sunDirection,
      sunColour: light.sun.colour,
      lampPlace: light.lampPlace(this.centre),
      lampColour: light.lampColour,
      sunMatrix: this.sunDepth.matrix,
      lampMatrix: this.lampDepth.matrix,
      sunBlur: blur + (0.02 * light.sun.spread) / this.bounds.radius,
      lampBlur: 2 * blur,
      tint: this.tint,
      roughen: this.roughen,
      count: head.count,
      channel: this.channel,
      bounce: +this.facts.oneBounce,
      shadows,
    });
  }

  show({ worldToCamera, lens, size }) {
    const { gpu, light } = this,
      cameraToLight = multiply(transpose(light.toWorld), transpose(rotationOf(worldToCamera)));
    gpu.pass(this.programs.show, null, {
      picture: this.picture.textures[0],
      light: light.shown,
      cameraToLight: columns3(cameraToLight),
      lens,
      size,
      gain: this.channel === 0 || this.channel > 3 ? 2 ** this.exposure : 1,
      behind: this.behind,
      backdrop: this.backdrop,
      encoded: +(this.channel === 2 || this.channel === 3 || this.channel === 6),
    });
  }
}

function boundingSphere(points) {
  const low = [Infinity, Infinity, Infinity],
    high = [-Infinity, -Infinity, -Infinity];
  for (let i = 0; i < points.length; i++) {
    low[i % 3] = Math.min(low[i % 3], points[i]);
    high[i % 3] = Math.max(high[i % 3], points[i]);
  }
  const centre = scale(add(low, high), 0.5);
  return { centre, radius: length(subtract(high, centre)) + 0.02 };
}
