// Pictures open large; arrow keys and the two halves of the screen step through them in place, which shows what differs.
"use strict";
const dialog = document.querySelector("dialog");
const buttons = [...document.querySelectorAll("figure button")];
let current = 0;

function show(index) {
  current = (index + buttons.length) % buttons.length;
  const image = buttons[current].querySelector("img");
  dialog.querySelector("img").src = image.src;
  dialog.querySelector("p").textContent = image.alt;
}

buttons.forEach((button, index) => button.addEventListener("click", () => {
  show(index);
  dialog.showModal();
}));
dialog.addEventListener("click", (event) => {
  if (event.target === dialog || event.target.tagName === "P") dialog.close();
  else show(current + (event.clientX < innerWidth / 2 ? -1 : 1));
});
dialog.addEventListener("keydown", (event) => {
  const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  if (step) show(current + step);
});

// Two runs in one picture: the slider moves the border between them.
document.querySelectorAll(".pair input").forEach((slider) => slider.addEventListener("input", () => {
  slider.parentElement.style.setProperty("--border", `${slider.value}%`);
}));
