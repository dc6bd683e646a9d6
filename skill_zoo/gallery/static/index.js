// The front page: filters over window.ZOO. Texts enter the page as text nodes, never as HTML.
"use strict";

const PAGE = 60;
const byId = (id) => document.getElementById(id);
const haystacks = window.ZOO.map((e) => `${e.instruction} ${e.id} ${e.kind}`.toLowerCase());
let found = window.ZOO;
let shown = PAGE;

function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

function card(entry) {
  const title = entry.instruction || entry.id;
  const link = element("a", { href: entry.page }, title);
  const badges = element("p", {}, element("span", { class: "badge" }, entry.kind));
  if (entry.unverified) badges.append(" ", element("span", { class: "badge unverified" }, "unverified"));
  if (entry.score !== null) badges.append(` score ${entry.score.toFixed(3)}`);
  const parts = [element("h2", {}, link), element("p", {}, element("code", {}, entry.id)), badges];
  if (entry.low_level) parts.push(element("p", {}, `on ${entry.low_level}`));
  if (entry.film && !/\.(mp4|webm)$/.test(entry.film)) {
    parts.unshift(element("img", { class: "film", src: entry.film, alt: `Film: ${title}`, loading: "lazy" }));
  }
  return element("li", {}, ...parts);
}

function draw() {
  byId("cards").replaceChildren(...found.slice(0, shown).map(card));
  byId("count").textContent = `${found.length} of ${window.ZOO.length}`;
  byId("more").hidden = found.length <= shown;
}

function filter() {
  const words = byId("query").value.toLowerCase().split(/\s+/).filter(Boolean);
  const kind = byId("kind").value;
  const least = parseFloat(byId("score").value);
  const verified = byId("verified").checked;
  found = window.ZOO.filter(
    (entry, i) =>
      words.every((word) => haystacks[i].includes(word)) &&
      (!kind || entry.kind === kind) &&
      (Number.isNaN(least) || (entry.score !== null && entry.score >= least)) &&
      !(verified && entry.unverified),
  );
  shown = PAGE;
  draw();
}

for (const kind of [...new Set(window.ZOO.map((entry) => entry.kind))].sort()) {
  byId("kind").append(element("option", { value: kind }, kind));
}
byId("filters").addEventListener("input", filter);
byId("filters").addEventListener("submit", (event) => event.preventDefault());
byId("more").addEventListener("click", () => {
  shown += PAGE;
  draw();
});
filter();
