// Start: unpack the avatar, build the stage, then draw whenever something changed.

const canvas = document.getElementById("view");

function tell(text, lasting = false) {
  const note = document.getElementById("note");
  note.textContent = text;
  note.classList.add("shown");
  clearTimeout(tell.timer);
  if (!lasting) tell.timer = setTimeout(() => note.classList.remove("shown"), 5000);
}

class Page {
  constructor(gpu, facts, arrays) {
    this.stage = new Stage(gpu, facts, arrays);
    this.motion = new Motion(facts);
    this.orbit = new Orbit(canvas, () => this.stage.touch("view"));
    this.recorder = new Recorder(canvas, facts.name);
    this.panoramas = new Map();
    this.handle = document.getElementById("lamp");
    this.file = document.getElementById("file");
    this.pickFile = () => this.file.click();
    this.frozen = false;
    this.last = 0;
    this.sharpest = 2; // pixels drawn per CSS pixel
    this.pace = 0; // seconds between pictures while the head moves
    buildPanel(this);
    for (const { name, height } of facts.lights)
      this.addLight(name, { width: 2 * height, height, data: decodeShared(arrays[`light.${name}`]) });
    this.chooseLight(facts.lights[0].name);
    this.listen();
    this.fit();
  }

  // Take the size of the window, less what the panel covers.
  fit() {
    const ratio = Math.min(devicePixelRatio || 1, this.sharpest),
      { clientWidth: width, clientHeight: height } = canvas,
      panel = document.getElementById("panel");
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
    const folded = document.body.classList.contains("folded"),
      below = matchMedia("(max-width: 720px)").matches;
    this.orbit.inset = {
      top: below ? 56 : 0, // the title and the buttons
      right: folded || below ? 0 : panel.offsetWidth,
      bottom: below ? panel.offsetHeight : 0,
    };
    this.ratio = ratio;
    this.stage.resize(canvas.width, canvas.height);
    this.stage.touch("view");
  }

  get view() {
    return this.orbit.view(this.stage.bounds, canvas.clientWidth, canvas.clientHeight, this.ratio);
  }

  frame(milliseconds) {
    const time = milliseconds / 1000,
      passed = Math.min(time - this.last, 0.1);
    this.last = time;
    if (!this.frozen) {
      const { still, ...pose } = this.motion.step(time, passed);
      if (!still || !this.still) {
        this.stage.pose = pose;
        this.stage.touch("pose");
      }
      this.still = still;
    }
    const view = this.view;
    if (this.stage.draw(view)) {
      this.placeHandle(view);
      this.keepPace(passed);
    }
    if (this.motion.clip)
      this.clipRow.querySelector("progress").value = this.motion.clip.position / this.motion.clip.seconds;
  }

  // A slow graphics card draws coarser pictures rather than fewer.
  keepPace(passed) {
    this.pace = mix(this.pace, passed, 0.05);
    if (this.pace < 1 / 30 || this.sharpest === 1) return;
    this.sharpest = 1;
    this.fit();
  }

  // The lamp's handle stands where the camera sees the lamp.
  placeHandle({ worldToCamera, lens }) {
    const {
        stage,
        handle,
        orbit: { inset },
      } = this,
      { lamp } = stage.light;
    if (!lamp.on) return;
    const p = add(apply(rotationOf(worldToCamera), stage.light.lampPlace(stage.centre)), placeOf(worldToCamera));
    const x = ((lens[0] * p[0]) / p[2] + lens[2]) / this.ratio,
      y = ((lens[1] * p[1]) / p[2] + lens[3]) / this.ratio;
    const [right, bottom] = [canvas.clientWidth - inset.right - 20, canvas.clientHeight - inset.bottom - 20];
    handle.style.transform = `translate(${clamp(x, 20, right)}px, ${clamp(y, 20, bottom)}px)`;
    handle.classList.toggle("behind", p[2] > length(subtract(centreOf(worldToCamera), stage.centre)));
  }

  // Moves the lamp around the head so that its handle stays under the pointer.
  dragLamp(event) {
    const { stage } = this,
      { light } = stage,
      { worldToCamera, lens } = this.view;
    const place = light.lampPlace(stage.centre),
      depth = dot(worldToCamera.slice(8, 11), place) + worldToCamera[11];
    const step = scale([event.movementX, event.movementY, 0], (this.ratio * depth) / lens[0]);
    const to = subtract(add(place, apply(transpose(rotationOf(worldToCamera)), step)), stage.centre);
    light.lamp.azimuth = Math.atan2(to[0], to[2]);
    light.lamp.elevation = Math.asin(normalize(to)[1]);
    stage.touch("light");
  }

  async open(file) {
    try {
      const suffix = file.name.toLowerCase().split(".").pop();
      if (suffix === "csv" || suffix === "json") {
        this.play((suffix === "csv" ? readLiveLink : readMotion)(await file.text(), this.stage.facts, file.name));
      } else {
        this.addLight(file.name, await readPanorama(file));
        this.chooseLight(file.name);
        tell(`Lit by ${file.name}`);
      }
    } catch (error) {
      tell(`${file.name}: ${error.message}`);
    }
  }

  play(clip) {
    this.motion.clip = clip;
    const button = element(
      "button",
      {
        type: "button",
        class: "quiet",
        onclick: () => {
          clip.playing = !clip.playing;
          this.still = false;
          button.textContent = clip.playing ? "Pause" : "Play";
        },
      },
      "Pause",
    );
    this.clipRow.replaceChildren(
      element("span", {}, clip.name),
      element("progress", { max: 1, value: 0 }),
      button,
      element("button", { type: "button", class: "quiet", onclick: () => this.stopClip() }, "Stop"),
    );
    this.clipRow.hidden = false;
    tell(`Playing ${clip.name}, ${clip.seconds.toFixed(1)} s`);
  }

  stopClip() {
    this.motion.clip = null;
    this.clipRow.hidden = true;
  }

  picture() {
    savePicture(canvas, this.stage.facts.name);
  }

  record() {
    try {
      this.recorder.toggle();
    } catch (error) {
      tell(error.message);
    }
    document.body.classList.toggle("recording", this.recorder.running);
    document.getElementById("record").setAttribute("aria-pressed", this.recorder.running);
  }

  fold() {
    document.body.classList.toggle("folded");
    this.fit();
  }

  listen() {
    new ResizeObserver(() => this.fit()).observe(canvas);
    new ResizeObserver(() => this.fit()).observe(document.getElementById("panel"));
    addEventListener("pointermove", (event) => {
      const free = [innerWidth - this.orbit.inset.right, innerHeight - this.orbit.inset.bottom];
      // The camera sees the head's left on its right.
      this.motion.gaze = [
        clamp((event.clientX / free[0] - 0.5) * 1.6, -0.8, 0.8),
        clamp((0.4 - event.clientY / free[1]) * 1.4, -0.6, 0.6),
      ];
    });
    this.handle.addEventListener("pointerdown", (event) => this.handle.setPointerCapture(event.pointerId));
    this.handle.addEventListener("pointermove", (event) => {
      if (event.buttons) this.dragLamp(event);
    });
    addEventListener("dragover", (event) => {
      event.preventDefault();
      document.body.classList.add("dropping");
    });
    addEventListener("dragleave", () => document.body.classList.remove("dropping"));
    addEventListener("drop", (event) => {
      event.preventDefault();
      document.body.classList.remove("dropping");
      for (const file of event.dataTransfer.files) this.open(file);
    });
    this.file.addEventListener("change", () => {
      for (const file of this.file.files) this.open(file);
      this.file.value = "";
    });
    canvas.addEventListener("webglcontextlost", () =>
      tell("The graphics driver stopped. Reload the page to go on.", true),
    );
    addEventListener("keydown", (event) => this.key(event));
    document.getElementById("picture").addEventListener("click", () => this.picture());
    document.getElementById("record").addEventListener("click", () => this.record());
    document.getElementById("home").addEventListener("click", () => this.orbit.home());
    document.getElementById("fold").addEventListener("click", () => this.fold());
  }

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || /^(range|search|text|color)$/.test(event.target.type)) return;
    const { light } = this.stage,
      turnLight = (by) => {
        light.yaw += by;
        this.stage.touch("light");
      };
    const action = {
      ArrowLeft: () => this.orbit.turn(-0.1, 0),
      ArrowRight: () => this.orbit.turn(0.1, 0),
      ArrowUp: () => this.orbit.turn(0, 0.1),
      ArrowDown: () => this.orbit.turn(0, -0.1),
      "+": () => this.orbit.magnify(0.9),
      "=": () => this.orbit.magnify(0.9),
      "-": () => this.orbit.magnify(1.1),
      "[": () => turnLight(-0.1),
      "]": () => turnLight(0.1),
      l: () => this.lampToggle.querySelector("input").click(),
      p: () => this.picture(),
      r: () => this.record(),
      0: () => this.orbit.home(),
      h: () => this.fold(),
    }[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    if (action) {
      event.preventDefault();
      action();
    }
  }

  // Resolves when the first order has come from the worker.
  async sorted() {
    while (!this.stage.splats.ordered) await pause();
  }

  // Resolves when the picture shows the present pose, light and view, sorted.
  settle() {
    return new Promise((done) => {
      const wait = () => (this.stage.splats.settled && !this.stage.changes.size ? done() : requestAnimationFrame(wait));
      requestAnimationFrame(wait);
    });
  }
}

async function start() {
  const bar = document.querySelector("#loading progress"),
    words = document.querySelector("#loading p");
  const report = (text) => async (share) => {
    words.textContent = text;
    bar.value = share;
  };
  try {
    const gpu = new Gpu(canvas);
    const bytes = await decode64(document.getElementById("payload").textContent.trim(), report("Reading the avatar"));
    document.getElementById("payload").remove();
    await report("Unpacking")(1);
    await pause();
    const arrays = unpack(await inflate(bytes));
    await report("Setting the stage")(1);
    await pause();
    const page = new Page(gpu, FACTS, arrays);
    const loop = (time) => {
      page.frame(time);
      requestAnimationFrame(loop);
    };
    requestAnimationFrame(loop);
    await page.sorted();
    document.body.classList.add("ready");
    globalThis.page = page;
  } catch (error) {
    document.body.classList.add("failed");
    document.querySelector("#loading h1").textContent = "This avatar cannot be shown here";
    words.textContent = error.message;
    console.warn(error);
  }
}

start();
