// The panel: what the visitor can change, tab by tab.

// Buttons with small pictures of the panoramas; page.addLight and page.chooseLight work on them.
function lightPicker(page) {
  const { stage } = page;
  const lights = element("div", { class: "lights", role: "group", "aria-label": "Light" });
  page.chooseLight = (name) => {
    stage.light.set(page.panoramas.get(name));
    for (const button of lights.children) button.setAttribute("aria-pressed", button.dataset.name === name);
    stage.touch("light");
  };
  page.addLight = (name, image) => {
    page.panoramas.set(name, image);
    lights.querySelector(`[data-name="${CSS.escape(name)}"]`)?.remove();
    lights.lastChild.before(
      element(
        "button",
        { type: "button", "data-name": name, title: name, onclick: () => page.chooseLight(name) },
        thumbnail(image),
        element("span", {}, words(name)),
      ),
    );
  };
  lights.append(
    element(
      "button",
      { type: "button", class: "open", onclick: page.pickFile, title: "An .hdr, .exr, .jpg or .png panorama" },
      element("b", {}, "+"),
      element("span", {}, "Your own"),
    ),
  );
  return lights;
}

function lampSection(page) {
  const { stage } = page,
    { lamp } = stage.light,
    relight = () => stage.touch("light"),
    adjust = (key) => (x) => {
      lamp[key] = x;
      relight();
    };
  const details = element(
    "div",
    { class: "stack", hidden: true },
    slider("Brightness", { min: 0, max: 1.5, value: lamp.power }, adjust("power")),
    slider("Warmth", { min: 0, max: 1, value: lamp.warmth }, adjust("warmth")),
    slider(
      "Distance",
      { min: 0.25, max: 1.5, value: lamp.distance, show: (x) => `${Math.round(100 * x)} cm` },
      adjust("distance"),
    ),
  );
  page.lampToggle = toggle("Lamp you can drag", false, (on) => {
    lamp.on = on;
    details.hidden = !on;
    page.handle.hidden = !on;
    relight();
  });
  return section("Lamp", page.lampToggle, details);
}

function lightTab(page) {
  const { stage } = page,
    { light } = stage,
    relight = () => stage.touch("light");
  return [
    section(
      "Surroundings",
      lightPicker(page),
      slider("Turn", { min: -Math.PI, max: Math.PI, value: 0, show: degrees }, (x) => {
        light.yaw = x;
        relight();
      }),
      slider("Tilt", { min: -Math.PI / 2, max: Math.PI / 2, value: 0, show: degrees }, (x) => {
        light.pitch = x;
        relight();
      }),
      slider("Exposure", { min: -3, max: 3, value: 0, show: (x) => `${x > 0 ? "+" : ""}${x.toFixed(1)} EV` }, (x) => {
        stage.exposure = x;
        stage.touch("show");
      }),
      toggle("Show them behind the head", false, (on) => {
        stage.behind = on ? 2 : 1;
        stage.touch("show");
      }),
    ),
    lampSection(page),
  ];
}

function faceTab(page) {
  const { motion, stage } = page,
    sliders = new Map(),
    list = element("div", { class: "stack", id: "expressions" });
  const follow = () => {
    for (const [name, node] of sliders) node.set(motion.wanted[name]);
  };
  const presets = choice(Object.keys(PRESETS), "Neutral", (name) => {
    page.stopClip();
    motion.preset(name);
    follow();
  });
  for (const name of stage.facts.expressions) {
    const node = slider(words(name), { min: 0, max: 1, value: 0 }, (x) => {
      page.stopClip();
      motion.wanted[name] = x;
      presets.choose("");
    });
    sliders.set(name, node);
    list.append(node);
  }
  const search = element("input", {
    type: "search",
    placeholder: `Search ${sliders.size} expressions`,
    "aria-label": "Search expressions",
    oninput: () => {
      const asked = search.value.toLowerCase().replace(/\s/g, "");
      for (const [name, node] of sliders) node.hidden = !name.toLowerCase().includes(asked);
    },
  });
  const turn = (key) => (x) => {
    motion.turn[key] = x;
  };
  page.clipRow = element("div", { class: "clip", hidden: true });
  const { motion: filmed } = stage.facts;
  const play = () => page.play(clipOf(filmed, stage.facts, filmed.name));
  return [
    section(
      "Expression",
      presets,
      ...(filmed ? [element("button", { type: "button", class: "quiet", onclick: play }, "Play the clip")] : []),
      page.clipRow,
    ),
    section(
      "Gaze and head",
      toggle("Eyes follow the pointer", motion.follow, (on) => {
        motion.follow = on;
      }),
      toggle("Blink now and then", motion.blinks, (on) => {
        motion.blinks = on;
      }),
      slider("Turn", { min: -0.7, max: 0.7, value: 0, show: degrees }, turn("yaw")),
      slider("Nod", { min: -0.45, max: 0.45, value: 0, show: degrees }, turn("pitch")),
      slider("Tilt", { min: -0.4, max: 0.4, value: 0, show: degrees }, turn("roll")),
    ),
    section("Every expression", search, list),
  ];
}

const PARTS = { Skin: [0, 2, 3], Lips: [8], Hair: [1], Eyes: [4, 5], Mouth: [6, 7] }; // head regions

function skinTab(page) {
  const { stage } = page,
    settings = Object.fromEntries(Object.keys(PARTS).map((part) => [part, { rough: 1, shine: 1, tint: "#ffffff" }]));
  let part = "Skin";
  const use = () => {
    const { rough, shine, tint } = settings[part],
      colour = [1, 3, 5].map((i) => parseInt(tint.slice(i, i + 2), 16) / 255).map((x) => x ** 2.2);
    for (const region of PARTS[part]) {
      stage.tint.set([...colour, shine], 4 * region);
      stage.roughen[region] = rough;
    }
    stage.touch("light");
  };
  const percent = (x) => `${Math.round(100 * x)} %`;
  const rough = slider("Roughness", { min: 0.3, max: 2, value: 1, show: percent }, (x) => {
    settings[part].rough = x;
    use();
  });
  const shine = slider("Shine", { min: 0, max: 4, value: 1, show: percent }, (x) => {
    settings[part].shine = x;
    use();
  });
  const tint = element("input", {
    type: "color",
    value: "#ffffff",
    "aria-label": "Tint",
    oninput: () => {
      settings[part].tint = tint.value;
      use();
    },
  });
  const show = () => {
    rough.set(settings[part].rough);
    shine.set(settings[part].shine);
    tint.value = settings[part].tint;
  };
  const reset = () => {
    for (part of Object.keys(PARTS)) {
      settings[part] = { rough: 1, shine: 1, tint: "#ffffff" };
      use();
    }
    part = "Skin";
    parts.choose(part);
    show();
  };
  const parts = choice(Object.keys(PARTS), part, (name) => {
    part = name;
    show();
  });
  return [
    section(
      "Material",
      parts,
      rough,
      shine,
      element("label", { class: "toggle" }, element("span", {}, "Tint"), tint),
      element("button", { type: "button", class: "quiet", onclick: reset }, "As fitted"),
    ),
  ];
}

function viewTab(page) {
  const { stage } = page;
  const backdrops = {
    Graphite: [0.085, 0.088, 0.096],
    Black: [0, 0, 0],
    Grey: [0.32, 0.32, 0.33],
    White: [0.74, 0.74, 0.74],
  };
  return [
    section(
      "Show",
      choice(CHANNELS, "Lit", (name) => {
        stage.channel = CHANNELS.indexOf(name);
        stage.touch("light");
      }),
      toggle("Shadows", stage.shadows, (on) => {
        stage.shadows = on;
        stage.touch("light");
      }),
    ),
    section(
      "Backdrop",
      choice(Object.keys(backdrops), "Graphite", (name) => {
        stage.backdrop = backdrops[name];
        stage.touch("show");
      }),
    ),
    section(
      "Keys",
      element(
        "dl",
        {},
        ...[
          ["Arrows", "turn around the head"],
          ["+ −", "nearer, farther"],
          ["[ ]", "turn the light"],
          ["L", "lamp"],
          ["P", "save a picture"],
          ["R", "record a video"],
          ["0", "start view"],
          ["H", "hide the panel"],
        ].flatMap(([key, does]) => [element("dt", {}, key), element("dd", {}, does)]),
      ),
    ),
  ];
}

function buildPanel(page) {
  const tabs = { Light: lightTab, Face: faceTab, Material: skinTab, View: viewTab };
  const bar = document.getElementById("tabs"),
    body = document.getElementById("body");
  for (const [name, build] of Object.entries(tabs)) {
    const pane = element(
      "div",
      { class: "pane", role: "tabpanel", id: `pane-${name}`, hidden: name !== "Light" },
      ...build(page),
    );
    const button = element(
      "button",
      {
        type: "button",
        role: "tab",
        "aria-selected": String(name === "Light"),
        "aria-controls": pane.id,
        onclick: () => {
          for (const other of body.children) other.hidden = other !== pane;
          for (const other of bar.children) other.setAttribute("aria-selected", other === button);
          document.body.classList.remove("folded");
          body.scrollTop = 0;
        },
      },
      name,
    );
    bar.append(button);
    body.append(pane);
  }
}
