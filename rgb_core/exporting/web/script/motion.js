// What moves the face: sliders and presets, a gaze that follows the pointer, blinks, and recorded performances.

const PRESETS = {
  Neutral: {},
  Smile: {
    mouthSmileLeft: 0.85,
    mouthSmileRight: 0.85,
    cheekSquintLeft: 0.5,
    cheekSquintRight: 0.5,
    eyeSquintLeft: 0.25,
    eyeSquintRight: 0.25,
    mouthUpperUpLeft: 0.25,
    mouthUpperUpRight: 0.25,
  },
  Blink: { eyeBlinkLeft: 1, eyeBlinkRight: 1 },
  Wink: { eyeBlinkLeft: 1, mouthSmileLeft: 0.6, cheekSquintLeft: 0.6 },
  "Open mouth": { jawOpen: 0.8 },
  Surprise: {
    jawOpen: 0.45,
    browInnerUp: 0.9,
    browOuterUpLeft: 0.8,
    browOuterUpRight: 0.8,
    eyeWideLeft: 0.9,
    eyeWideRight: 0.9,
  },
  Frown: { mouthFrownLeft: 0.8, mouthFrownRight: 0.8, browDownLeft: 0.7, browDownRight: 0.7, mouthShrugLower: 0.3 },
  Kiss: { mouthPucker: 0.95, mouthFunnel: 0.15 },
  Sneer: {
    noseSneerLeft: 0.9,
    noseSneerRight: 0.9,
    mouthUpperUpLeft: 0.45,
    mouthUpperUpRight: 0.45,
    browDownLeft: 0.5,
    browDownRight: 0.5,
  },
};
const EASE = 9; // per second: how fast the face follows

class Motion {
  constructor(facts) {
    this.facts = facts;
    this.wanted = Object.fromEntries(facts.expressions.map((name) => [name, 0]));
    this.now = { ...this.wanted };
    this.turn = { yaw: 0, pitch: 0, roll: 0 };
    this.gaze = [0, 0];
    this.gazeNow = [0, 0];
    this.follow = true;
    this.blinks = !matchMedia("(prefers-reduced-motion: reduce)").matches;
    this.nextBlink = 2.5;
    this.clip = null;
    this.neck = facts.joints.includes("neck") ? facts.joints.indexOf("neck") : 0;
  }

  preset(name) {
    for (const key of Object.keys(this.wanted)) this.wanted[key] = PRESETS[name][key] || 0;
  }

  // Coefficients at `time`, `passed` seconds after the last ones; still is true when nothing moves any more.
  step(time, passed) {
    const share = 1 - Math.exp(-EASE * passed);
    let still = true;
    const ease = (from, to) => {
      if (Math.abs(to - from) < 1e-3) return to;
      still = false;
      return mix(from, to, share);
    };
    for (const name of Object.keys(this.now)) this.now[name] = ease(this.now[name], this.wanted[name]);
    this.gazeNow = this.gazeNow.map((x, k) => ease(x, this.follow ? this.gaze[k] : 0));
    const face = { ...this.now };
    let joints = this.facts.joints.map(() => [0, 0, 0]),
      head = this.turn,
      translation = [0, 0, 0];
    if (this.clip) {
      const sample = this.clip.at(time);
      Object.assign(face, sample.face);
      head = sample.head || head;
      joints = sample.joints || joints;
      translation = sample.translation || translation;
      still = still && !this.clip.playing;
    } else this.look(face, joints);
    if (this.blinks && !this.clip) {
      if (time > this.nextBlink + 0.3) this.nextBlink = time + 2 + 3.5 * Math.abs(Math.sin(time * 12.9898));
      const phase = (time - this.nextBlink) / 0.3,
        lid = phase > 0 && phase < 1 ? Math.sin(Math.PI * phase) ** 2 : 0;
      for (const side of ["Left", "Right"])
        if (`eyeBlink${side}` in face) face[`eyeBlink${side}`] = Math.max(face[`eyeBlink${side}`], lid);
      this.blinking = lid > 0;
      if (time > this.nextBlink - 0.05) still = false;
    }
    joints[this.neck] = add(
      joints[this.neck],
      axisAngle(
        multiply(rotation([0, head.yaw, 0]), multiply(rotation([head.pitch, 0, 0]), rotation([0, 0, head.roll]))),
      ),
    );
    return { expression: this.facts.expressions.map((name) => face[name]), joints, translation, still };
  }

  // Turn the eyes by `gazeNow`: to the head's left and up, about 1 at 30 degrees.
  look(face, joints) {
    const [left, up] = this.gazeNow;
    if ("eyeLookUpLeft" in face) {
      const raise = (name, value) => {
        face[name] = clamp(face[name] + Math.max(value, 0), 0, 1);
      };
      raise("eyeLookOutLeft", left);
      raise("eyeLookInRight", left);
      raise("eyeLookInLeft", -left);
      raise("eyeLookOutRight", -left);
      for (const side of ["Left", "Right"]) {
        raise(`eyeLookUp${side}`, up);
        raise(`eyeLookDown${side}`, -up);
      }
      return;
    }
    for (const name of ["left_eye", "right_eye"])
      if (this.facts.joints.includes(name)) joints[this.facts.joints.indexOf(name)] = [-up * 0.5, left * 0.5, 0];
  }
}

// A recorded performance: rows of coefficients at even intervals, and where known the head's angles, or all joints and
// the head's place.
class Clip {
  constructor(name, names, rows, fps, { head = null, joints = null, translation = null } = {}) {
    Object.assign(this, { name, names, rows, fps, head, joints, translation, playing: true, start: null, position: 0 });
  }

  get seconds() {
    return this.rows.length / this.fps;
  }

  at(time) {
    if (this.playing) {
      this.position = (this.position + (this.start === null ? 0 : time - this.start)) % this.seconds;
      this.start = time;
    } else this.start = null;
    const exact = this.position * this.fps,
      index = Math.min(Math.floor(exact), this.rows.length - 1),
      after = Math.min(index + 1, this.rows.length - 1);
    const between = (a, b) => mix(a, b, exact - index);
    const face = Object.fromEntries(
      this.names.map((name, k) => [name, between(this.rows[index][k], this.rows[after][k])]),
    );
    const head =
      this.head &&
      Object.fromEntries(
        ["yaw", "pitch", "roll"].map((key, k) => [key, between(this.head[index][k], this.head[after][k])]),
      );
    const joints =
      this.joints && this.joints[index].map((row, j) => row.map((x, k) => between(x, this.joints[after][j][k])));
    const translation =
      this.translation && this.translation[index].map((x, k) => between(x, this.translation[after][k]));
    return { face, head, joints, translation };
  }
}

// A CSV as Live Link Face records it: Timecode, BlendShapeCount, then one column per shape and the head's angles in
// radians.
function readLiveLink(text, facts, name) {
  const [header, ...lines] = text
    .trim()
    .split(/\r?\n/)
    .map((line) => line.split(","));
  const known = new Map(facts.expressions.map((expression) => [expression.toLowerCase(), expression]));
  const columns = header
    .map((title, index) => [known.get(title.trim().toLowerCase()), index])
    .filter(([expression]) => expression);
  if (!columns.length) throw new Error("no column of the CSV is named like an expression of this head");
  const rows = lines.map((cells) => columns.map(([, index]) => +cells[index] || 0));
  const angles = ["HeadYaw", "HeadPitch", "HeadRoll"].map((title) => header.findIndex((cell) => cell.trim() === title));
  const head = angles.every((index) => index >= 0)
    ? lines.map((cells) => angles.map((index, k) => (k === 1 ? -1 : 1) * (+cells[index] || 0)))
    : null;
  return new Clip(
    name,
    columns.map(([expression]) => expression),
    rows,
    60,
    { head },
  );
}

function readMotion(text, facts, name) {
  return clipOf(JSON.parse(text), facts, name);
}

// A record of the format rgb-motion (docs/formats.md), or a dataset.json tracked with this head.
function clipOf(record, facts, name) {
  const tracked = record.format === "rgb-dataset";
  if (!tracked && !(record.format === "rgb-motion" && record.version === 1))
    throw new Error("the JSON is neither an rgb-motion of version 1 nor a dataset.json");
  const frames = record.frames || [],
    names = tracked ? facts.expressions : record.expressions || [];
  const rows = tracked ? frames.map((frame) => frame.expression) : frames;
  if (!rows.length || rows.some((row) => !Array.isArray(row) || row.length !== names.length))
    throw new Error(`the JSON has no frames of ${names.length} coefficients each`);
  const kept = names
    .map((expression, index) => [expression, index])
    .filter(([expression]) => facts.expressions.includes(expression));
  const { head, joints, translation } = tracked ? {} : record;
  return new Clip(
    name,
    kept.map(([expression]) => expression),
    rows.map((row) => kept.map(([, index]) => row[index])),
    record.fps,
    {
      head: head && head.map(([yaw, pitch, roll]) => [yaw, -pitch, roll]),
      joints: joints && rows.map((_, frame) => facts.joints.map((joint) => joints[joint]?.[frame] || [0, 0, 0])),
      translation,
    },
  );
}
