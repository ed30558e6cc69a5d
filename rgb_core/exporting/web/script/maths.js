// Small linear algebra. Matrices are rows one after the other; a motion is 12 numbers, the rows of [R | t].

const clamp = (x, low, high) => Math.min(Math.max(x, low), high);
const mix = (a, b, t) => a + (b - a) * t;
const radians = (degrees) => (degrees * Math.PI) / 180;
const dot = (a, b) => a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
const cross = (a, b) => [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]];
const add = (a, b) => [a[0] + b[0], a[1] + b[1], a[2] + b[2]];
const subtract = (a, b) => [a[0] - b[0], a[1] - b[1], a[2] - b[2]];
const scale = (a, s) => [a[0] * s, a[1] * s, a[2] * s];
const length = (a) => Math.sqrt(dot(a, a));
const normalize = (a) => scale(a, 1 / Math.max(length(a), 1e-12));
const luminance = (c) => 0.2126 * c[0] + 0.7152 * c[1] + 0.0722 * c[2];

const IDENTITY = [1, 0, 0, 0, 1, 0, 0, 0, 1];
const apply = (m, v) => [0, 3, 6].map((i) => m[i] * v[0] + m[i + 1] * v[1] + m[i + 2] * v[2]);
const transpose = (m) => [m[0], m[3], m[6], m[1], m[4], m[7], m[2], m[5], m[8]];
const multiply = (a, b) =>
  [0, 3, 6].flatMap((i) => [0, 1, 2].map((j) => a[i] * b[j] + a[i + 1] * b[j + 3] + a[i + 2] * b[j + 6]));

// The rotation of an axis-angle vector (Rodrigues' formula).
function rotation(v) {
  const angle = length(v);
  if (angle < 1e-8) return IDENTITY.slice();
  const [x, y, z] = scale(v, 1 / angle),
    c = Math.cos(angle),
    s = Math.sin(angle),
    t = 1 - c;
  return [
    t * x * x + c,
    t * x * y - s * z,
    t * x * z + s * y,
    t * x * y + s * z,
    t * y * y + c,
    t * y * z - s * x,
    t * x * z - s * y,
    t * y * z + s * x,
    t * z * z + c,
  ];
}

// The axis-angle vector of a rotation by less than half a turn.
function axisAngle(m) {
  const axis = [m[7] - m[5], m[2] - m[6], m[3] - m[1]],
    sine = length(axis) / 2;
  const angle = Math.atan2(sine, (m[0] + m[4] + m[8] - 1) / 2);
  return sine < 1e-9 ? [0, 0, 0] : scale(axis, angle / (2 * sine));
}

// [R | t] as WebGL's 4 x 4 matrix, columns one after the other.
const columns4 = (m) => [m[0], m[4], m[8], 0, m[1], m[5], m[9], 0, m[2], m[6], m[10], 0, m[3], m[7], m[11], 1];
const columns3 = (m) => transpose(m);
const rotationOf = (m) => [m[0], m[1], m[2], m[4], m[5], m[6], m[8], m[9], m[10]];
const placeOf = (m) => [m[3], m[7], m[11]];
const motion = (r, t) => [r[0], r[1], r[2], t[0], r[3], r[4], r[5], t[1], r[6], r[7], r[8], t[2]];
const centreOf = (w) => scale(apply(transpose(rotationOf(w)), placeOf(w)), -1);

function compose(outer, inner) {
  const r = rotationOf(outer);
  return motion(multiply(r, rotationOf(inner)), add(apply(r, placeOf(inner)), placeOf(outer)));
}

// World to camera (x right, y down, z forward) from `eye` towards `target`, upright.
function lookAt(eye, target, up = [0, 1, 0]) {
  const forward = normalize(subtract(target, eye)),
    right = normalize(cross(forward, up)),
    down = cross(forward, right);
  const r = [...right, ...down, ...forward];
  return motion(r, scale(apply(r, eye), -1));
}
