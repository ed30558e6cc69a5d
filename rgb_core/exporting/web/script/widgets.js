// What the panel is made of: sliders, switches, buttons.

const element = (tag, attributes = {}, ...children) => {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value === true) node.setAttribute(name, "");
    else if (value !== false) node.setAttribute(name, value);
  }
  node.append(...children);
  return node;
};

// A labelled slider; `set` moves it from outside.
function slider(label, { min, max, value, step = 0.01, show = (x) => x.toFixed(2), rest = value }, change) {
  const output = element("output", {}, show(value));
  const input = element("input", { type: "range", min, max, step, value, "aria-label": label });
  const paint = () => {
    output.textContent = show(+input.value);
    input.style.setProperty("--from", `${(100 * (clamp(rest, min, max) - min)) / (max - min)}%`);
    input.style.setProperty("--to", `${(100 * (input.value - min)) / (max - min)}%`);
  };
  input.addEventListener("input", () => {
    paint();
    change(+input.value);
  });
  const node = element("label", { class: "slider" }, element("span", {}, label), output, input);
  node.addEventListener("dblclick", () => {
    node.set(rest);
    change(rest);
  });
  node.set = (x) => {
    input.value = x;
    paint();
  };
  paint();
  return node;
}

function toggle(label, value, change) {
  const input = element("input", { type: "checkbox", checked: value, onchange: () => change(input.checked) });
  const node = element("label", { class: "toggle" }, element("span", {}, label), input, element("i"));
  node.set = (x) => {
    input.checked = x;
  };
  return node;
}

// Buttons of which one is chosen.
function choice(names, chosen, change, attributes = {}) {
  const node = element("div", { class: "chips", role: "group", ...attributes });
  node.choose = (name) => {
    for (const button of node.children) button.setAttribute("aria-pressed", button.dataset.name === name);
  };
  for (const name of names)
    node.append(
      element(
        "button",
        {
          type: "button",
          "data-name": name,
          onclick: () => {
            node.choose(name);
            change(name);
          },
        },
        name,
      ),
    );
  node.choose(chosen);
  return node;
}

const section = (title, ...children) => element("section", {}, element("h2", {}, title), ...children);
const degrees = (x) => `${Math.round((x * 180) / Math.PI)}°`;
const words = (name) =>
  name
    .replace(/([A-Z])/g, " $1")
    .toLowerCase()
    .replace(/^./, (c) => c.toUpperCase());

// A small picture of a panorama, for its button.
function thumbnail(image) {
  const { width, height, data } = reduce(image, 56, 28),
    canvas = element("canvas", { width, height });
  const context = canvas.getContext("2d"),
    picture = context.createImageData(width, height);
  for (let i = 0; i < width * height; i++) {
    for (let k = 0; k < 3; k++) picture.data[4 * i + k] = 255 * Math.min(data[3 * i + k] * 0.7, 1) ** (1 / 2.2);
    picture.data[4 * i + 3] = 255;
  }
  context.putImageData(picture, 0, 0);
  return canvas;
}
