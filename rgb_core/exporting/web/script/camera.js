// The visitor's camera: turns around a point by drag, pans with the right button, two fingers or shift, zooms by wheel
// or pinch.

const HOME = { yaw: radians(14), pitch: radians(4), zoom: 1, pan: [0, 0] };
const FIELD = radians(22); // of view, over the shorter side of the free area
const PITCH_LIMIT = radians(85);

class Orbit {
  constructor(canvas, changed) {
    Object.assign(this, {
      canvas,
      changed,
      ...structuredClone(HOME),
      fixed: null,
      inset: { top: 0, right: 0, bottom: 0 },
      pointers: new Map(),
    });
    canvas.addEventListener("pointerdown", (event) => this.down(event));
    canvas.addEventListener("pointermove", (event) => this.move(event));
    for (const name of ["pointerup", "pointercancel"])
      canvas.addEventListener(name, (event) => this.pointers.delete(event.pointerId));
    canvas.addEventListener(
      "wheel",
      (event) => {
        event.preventDefault();
        this.magnify(Math.exp(event.deltaY * 0.0012));
      },
      { passive: false },
    );
    canvas.addEventListener("dblclick", () => this.home());
    canvas.addEventListener("contextmenu", (event) => event.preventDefault());
  }

  home() {
    Object.assign(this, structuredClone(HOME), { fixed: null });
    this.changed();
  }

  down(event) {
    this.canvas.setPointerCapture(event.pointerId);
    this.pointers.set(event.pointerId, [event.clientX, event.clientY]);
    this.panning = event.button === 2 || event.button === 1 || event.shiftKey;
  }

  move(event) {
    const before = this.pointers.get(event.pointerId);
    if (!before) return;
    const now = [event.clientX, event.clientY],
      step = [now[0] - before[0], now[1] - before[1]];
    const other = [...this.pointers].find(([id]) => id !== event.pointerId);
    this.pointers.set(event.pointerId, now);
    if (other) {
      const gap = (p) => Math.hypot(p[0] - other[1][0], p[1] - other[1][1]);
      this.magnify(gap(before) / Math.max(gap(now), 1));
      this.shift([step[0] / 2, step[1] / 2]);
    } else if (this.panning) this.shift(step);
    else this.turn(-step[0] * 0.006, step[1] * 0.006);
  }

  turn(yaw, pitch) {
    this.yaw += yaw;
    this.pitch = clamp(this.pitch + pitch, -PITCH_LIMIT, PITCH_LIMIT);
    this.fixed = null;
    this.changed();
  }

  // Keeps what is under the pointer under it.
  shift([x, y]) {
    const metres = this.distance / this.focal;
    this.pan = [this.pan[0] - x * metres, this.pan[1] + y * metres];
    this.changed();
  }

  magnify(factor) {
    this.zoom = clamp(this.zoom * factor, 0.15, 3);
    this.changed();
  }

  // The view in `width` x `height` CSS pixels drawn with `ratio` pixels each, around the sphere `bounds`.
  view(bounds, width, height, ratio) {
    const size = [Math.round(width * ratio), Math.round(height * ratio)];
    if (this.fixed) return { size, ...this.fixed };
    const { inset } = this,
      free = [width - inset.right, height - inset.top - inset.bottom];
    this.focal = Math.min(free[0] * 1.15, free[1]) / 2 / Math.tan(FIELD / 2);
    this.distance = (bounds.radius * 0.79 * this.zoom) / Math.tan(FIELD / 2);
    const c = Math.cos(this.pitch),
      away = [c * Math.sin(this.yaw), Math.sin(this.pitch), c * Math.cos(this.yaw)];
    const right = normalize(cross([0, 1, 0], away)),
      up = cross(away, right);
    const target = add(add(bounds.centre, scale(right, this.pan[0])), scale(up, this.pan[1]));
    const worldToCamera = lookAt(add(target, scale(away, this.distance)), target);
    return {
      worldToCamera,
      size,
      lens: [this.focal * ratio, this.focal * ratio, (free[0] / 2) * ratio, (inset.top + free[1] / 2) * ratio],
    };
  }
}
