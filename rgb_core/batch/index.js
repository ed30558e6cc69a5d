const cards = document.getElementById("cards");
const score = document.getElementById("score");
const order = document.getElementById("order");

// A card without the score comes last, whichever way the others stand.
function sort() {
  const sign = order.dataset.sign === "-" ? -1 : 1;
  const value = card => {
    const scores = JSON.parse(card.dataset.scores);
    return score.value === "name" ? card.dataset.name : scores[score.value];
  };
  const sorted = [...cards.children].sort((a, b) => {
    const [x, y] = [value(a), value(b)];
    if (x === undefined || y === undefined) return (x === undefined) - (y === undefined);
    return sign * (typeof x === "string" ? x.localeCompare(y, undefined, { numeric: true }) : x - y);
  });
  cards.append(...sorted);
}

score.addEventListener("change", sort);
order.addEventListener("click", () => {
  order.dataset.sign = order.dataset.sign === "-" ? "+" : "-";
  order.textContent = order.dataset.sign === "-" ? "largest first" : "smallest first";
  sort();
});
