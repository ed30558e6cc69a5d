// The light around the head: a panorama, of which a small bright sun is taken out, and a lamp.

const MAP_WIDTH = 128,
  MAP_HEIGHT = 64;
const LEVELS = [0.3, 0.45, 0.6, 0.8, 1.0, 2.0]; // roughness of each averaged map; above 1: irradiance
const SUN_WINDOW = radians(10),
  SUN_RING = radians(16),
  SUN_SPREAD = radians(6),
  SUN_SHARE = 0.1;

const texelDirection = (x, y, width, height) => {
  const azimuth = (2 * Math.PI * (x + 0.5)) / width,
    latitude = Math.PI * (0.5 - (y + 0.5) / height);
  return [Math.cos(latitude) * Math.cos(azimuth), Math.sin(latitude), Math.cos(latitude) * Math.sin(azimuth)];
};

const texelArea = (y, width, height) =>
  ((4 * Math.PI) / width) * Math.cos(Math.PI * (0.5 - (y + 0.5) / height)) * Math.sin(Math.PI / (2 * height));

// The sun of a map, if it has one: what a spot no wider than a few degrees adds to the light around it.
function takeSun({ width, height, data }) {
  const at = (i) => [data[3 * i], data[3 * i + 1], data[3 * i + 2]];
  let brightest = 0,
    total = 0;
  for (let i = 0; i < width * height; i++) {
    if (luminance(at(i)) > luminance(at(brightest))) brightest = i;
    total += luminance(at(i)) * texelArea(Math.floor(i / width), width, height);
  }
  const peak = texelDirection(brightest % width, Math.floor(brightest / width), width, height);
  const inside = [],
    ring = [0, 0, 0];
  let ringArea = 0;
  for (let i = 0; i < width * height; i++) {
    const y = Math.floor(i / width),
      d = texelDirection(i % width, y, width, height),
      angle = Math.acos(clamp(dot(d, peak), -1, 1));
    const area = texelArea(y, width, height);
    if (angle < SUN_WINDOW) inside.push({ i, d, area });
    else if (angle < SUN_RING) {
      at(i).forEach((x, k) => {
        ring[k] += x * area;
      });
      ringArea += area;
    }
  }
  const base = scale(ring, 1 / ringArea),
    power = [0, 0, 0];
  let centre = [0, 0, 0],
    spread = 0;
  const excess = inside.map(({ i, d, area }) => {
    const e = at(i).map((x, k) => Math.max(x - base[k], 0));
    e.forEach((x, k) => {
      power[k] += x * area;
    });
    centre = add(centre, scale(d, luminance(e) * area));
    return { i, e, d, weight: luminance(e) * area };
  });
  const whole = luminance(power);
  centre = normalize(centre);
  for (const { d, weight } of excess)
    spread += (weight * Math.acos(clamp(dot(d, centre), -1, 1)) ** 2) / Math.max(whole, 1e-12);
  spread = Math.sqrt(spread);
  if (spread > SUN_SPREAD || whole < SUN_SHARE * total) return { direction: [0, 1, 0], colour: [0, 0, 0], spread: 0 };
  for (const { i, e } of excess)
    e.forEach((x, k) => {
      data[3 * i + k] -= x;
    });
  return { direction: centre, colour: power, spread };
}

const withAlpha = ({ width, height, data }) => {
  const out = new Float32Array(4 * width * height).fill(1);
  for (let i = 0; i < width * height; i++) for (let k = 0; k < 3; k++) out[4 * i + k] = Math.min(data[3 * i + k], 6e4);
  return out;
};

class Light {
  constructor(gpu, jointCount) {
    this.gpu = gpu;
    this.prefilter = gpu.program("prefilter");
    this.turn = gpu.program("turned");
    const smooth = { linear: true, repeat: true };
    this.map = gpu.texture("rgba16f", MAP_WIDTH, MAP_HEIGHT, null, smooth);
    this.shown = gpu.texture("rgba16f", MAP_WIDTH, MAP_HEIGHT, null, smooth);
    this.small = gpu.texture("rgba32f", 64, 32);
    this.averaged = gpu.texture("rgba16f", 64, 32, null, { ...smooth, layers: LEVELS.length });
    this.turned = gpu.target(["rgba32f"], 32, 16 * jointCount);
    this.framebuffer = gpu.gl.createFramebuffer();
    const directions = new Float32Array(4 * 512);
    for (let i = 0; i < 512; i++)
      directions.set([...texelDirection(i % 32, i >> 5, 32, 16), texelArea(i >> 5, 32, 16)], 4 * i);
    this.directions = gpu.texture("rgba32f", 32, 16, directions);
    this.response = gpu.texture("r32f", 32, 32, response(32), { linear: true });
    this.yaw = 0;
    this.pitch = 0;
    this.lamp = { on: false, azimuth: radians(-10), elevation: radians(14), distance: 0.3, power: 0.15, warmth: 0.4 };
  }

  // Light the scene by a panorama.
  set(image) {
    const { gpu } = this,
      { gl } = gpu;
    const map = reduce(image, MAP_WIDTH, MAP_HEIGHT);
    gpu.update(this.shown, withAlpha(map));
    this.sun = takeSun(map);
    gpu.update(this.map, withAlpha(map));
    gpu.update(this.small, withAlpha(reduce(map, 64, 32)));
    LEVELS.forEach((roughness, layer) => {
      gl.bindFramebuffer(gl.FRAMEBUFFER, this.framebuffer);
      gl.framebufferTextureLayer(gl.FRAMEBUFFER, gl.COLOR_ATTACHMENT0, this.averaged.texture, 0, layer);
      gpu.pass(
        this.prefilter,
        { framebuffer: this.framebuffer, width: 64, height: 32 },
        { light: this.small, roughness },
      );
    });
  }

  // Rotation from the panorama to the world: pitch about the axis to the head's left, then yaw about the vertical.
  get toWorld() {
    return multiply(rotation([0, this.yaw, 0]), rotation([this.pitch, 0, 0]));
  }

  get sunDirection() {
    return apply(this.toWorld, this.sun.direction);
  }

  // Bring the light into the rest axes of every joint.
  follow(motions) {
    const toLight = transpose(this.toWorld);
    const matrices = Array.from({ length: 8 }, (_, j) =>
      columns3(motions[j] ? multiply(toLight, rotationOf(motions[j])) : IDENTITY),
    ).flat();
    this.gpu.pass(this.turn, this.turned, { light: this.map, jointToLight: matrices });
  }

  lampPlace(centre) {
    const { azimuth, elevation, distance } = this.lamp,
      c = Math.cos(elevation);
    return add(centre, scale([c * Math.sin(azimuth), Math.sin(elevation), c * Math.cos(azimuth)], distance));
  }

  get lampColour() {
    const { on, power, warmth } = this.lamp;
    return on ? scale([1, mix(1, 0.72, warmth), mix(1, 0.42, warmth)], power * 2) : [0, 0, 0];
  }
}

// What a surface reflects of a white surrounding, by n.v (columns) and roughness from 0.1 to 1 (rows): the lobe with
// its Fresnel term, integrated by importance sampling of GGX.
function response(size) {
  const table = new Float32Array(size * size),
    samples = 256;
  for (let row = 0; row < size; row++) {
    const roughness = 0.1 + (0.9 * (row + 0.5)) / size,
      alpha = roughness * roughness,
      k = (roughness + 1) ** 2 / 8;
    for (let column = 0; column < size; column++) {
      const nv = (column + 0.5) / size,
        v = [Math.sqrt(1 - nv * nv), 0, nv];
      let sum = 0;
      for (let i = 0; i < samples; i++) {
        const xi = (i + 0.5) / samples,
          azimuth = 2.399963 * i,
          tan2 = (alpha * alpha * xi) / (1 - xi),
          nh = 1 / Math.sqrt(1 + tan2);
        const sine = Math.sqrt(1 - nh * nh),
          h = [sine * Math.cos(azimuth), sine * Math.sin(azimuth), nh];
        const vh = dot(v, h),
          nl = 2 * vh * nh - nv;
        if (nl <= 0 || vh <= 0) continue;
        const fresnel = 0.04 + 0.96 * (1 - vh) ** 5;
        sum += (fresnel * nl * vh) / (nh * (nl * (1 - k) + k) * (nv * (1 - k) + k)); // lobe / density of l
      }
      table[row * size + column] = sum / samples;
    }
  }
  return table;
}
