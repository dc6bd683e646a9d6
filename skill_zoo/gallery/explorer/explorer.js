// The map of latents and what is chosen on it; the stage is stage.js.
"use strict";

const data = JSON.parse(byId("data").textContent);
const PALETTE = ["#2a62c9", "#d1492e", "#2e9e5b", "#a552c4", "#d99a1c", "#1aa6b7", "#c2497f", "#7a8b1f", "#7a5c3e", "#5470a8"];
const REST = "#8a8f98";
const colours = new Map(data.categories.map((name, i) => [name, PALETTE[i]]));
const colour = (point) => colours.get(point.category) ?? REST;

function poses(base64) {
  const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
  return new Int16Array(bytes.buffer);
}
const held = poses(data.poses);
const ways = poses(data.way_poses);

// Rollout `index` at 30 Hz: stored at 15 Hz, a frame between each two, quaternions made unit again.
function rollout(stored, index, frames) {
  const out = new Float32Array((2 * frames - 1) * WIDTH);
  const at = (frame, i) => stored[(index * frames + frame) * WIDTH + i] * data.scales[i];
  for (let f = 0; f < 2 * frames - 1; f++) {
    for (let i = 0; i < WIDTH; i++) out[f * WIDTH + i] = 0.5 * (at(f >> 1, i) + at((f + 1) >> 1, i));
    const turn = out.subarray(f * WIDTH + 3, f * WIDTH + 7);
    const norm = Math.hypot(...turn);
    for (let i = 0; i < 4; i++) turn[i] /= norm;
  }
  return out;
}

const map = byId("map");
const SVG = map.namespaceURI;
const visible = (i) => !marks[i].classList.contains("hidden");
let chosen = 0;
let anchor = data.anchors[0];

function shape(point, i) {
  const random = point.kind === "random";
  const mark = document.createElementNS(SVG, random ? "rect" : "circle");
  const size = random ? 0.016 : 0.014;
  const [x, y] = [point.x, -point.y];
  if (random) {
    for (const [name, value] of Object.entries({ x: x - size, y: y - size, width: 2 * size, height: 2 * size })) mark.setAttribute(name, value);
    mark.setAttribute("transform", `rotate(45 ${x} ${y})`);
  } else {
    for (const [name, value] of Object.entries({ cx: x, cy: y, r: size })) mark.setAttribute(name, value);
  }
  mark.setAttribute("class", "mark");
  mark.setAttribute("fill", point.falls ? "transparent" : colour(point));
  mark.setAttribute("stroke", colour(point));
  const title = document.createElementNS(SVG, "title");
  title.textContent = describe(point);
  mark.append(title);
  mark.addEventListener("click", (event) => {
    if (event.shiftKey && data.anchors.includes(i)) playWay(anchor, i);
    else choose(i);
  });
  return mark;
}

function ring(i, name, radius) {
  const circle = document.createElementNS(SVG, "circle");
  circle.setAttribute("class", name);
  circle.setAttribute("r", radius);
  place(circle, i);
  return circle;
}

function place(circle, i) {
  circle.setAttribute("cx", data.points[i].x);
  circle.setAttribute("cy", -data.points[i].y);
}

function describe(point) {
  const what = point.kind === "clip" ? `clip ${point.name} (${point.category})` : point.name;
  const near = point.nearest ? `nearest to ${point.nearest}` : "near to nothing";
  return `${what}: ${near}, ${point.falls ? `falls after ${point.seconds_up.toFixed(1)} s` : "stays up"}`;
}

function play(qpos, text) {
  state.frame = 0;
  show([qpos]);
  setPlaying(true);
  byId("message").textContent = text;
}

function choose(i) {
  chosen = i;
  if (data.anchors.includes(i)) anchor = i;
  place(cursor, i);
  byId("point").value = String(i);
  play(rollout(held, i, data.frames), describe(data.points[i]));
}

function playWay(from, to) {
  const index = data.ways.findIndex(([a, b]) => a === from && b === to);
  if (index < 0) {
    byId("message").textContent = "A way needs two different ringed latents.";
    return;
  }
  anchor = chosen = to;
  place(cursor, to);
  byId("from").value = String(from);
  byId("to").value = String(to);
  play(rollout(ways, index, data.way_frames), `The way from ${data.points[from].name} to ${data.points[to].name}`);
}

const marks = data.points.map(shape);
map.append(...marks, ...data.anchors.map((i) => ring(i, "ring", 0.026)));
const cursor = ring(0, "chosen", 0.034);
map.append(cursor);

const toggles = {
  all: () => true,
  clip: (point) => point.kind === "clip",
  random: (point) => point.kind === "random",
  up: (point) => !point.falls,
  falls: (point) => point.falls,
};

function filter() {
  const wanted = toggles[byId("only").value];
  const options = [];
  data.points.forEach((point, i) => {
    marks[i].classList.toggle("hidden", !wanted(point));
    if (wanted(point)) options.push(new Option(describe(point), String(i)));
  });
  byId("point").replaceChildren(...options);
  byId("message").textContent = `${options.length} of ${data.points.length} latents shown`;
}

const legend = [...data.categories.map((name) => [name, colours.get(name)]), ["other", REST]];
for (const [name, tint] of legend) {
  const item = document.createElement("li");
  const dot = document.createElement("i");
  dot.style.background = tint;
  item.append(dot, name);
  byId("legend").append(item);
}
for (const id of ["from", "to"]) byId(id).append(...data.anchors.map((i) => new Option(data.points[i].name, String(i))));
if (data.anchors.length > 1) byId("to").selectedIndex = 1;

byId("only").addEventListener("change", filter);
byId("point").addEventListener("change", (event) => choose(Number(event.target.value)));
byId("choose").addEventListener("submit", (event) => event.preventDefault());
byId("way").addEventListener("submit", (event) => {
  event.preventDefault();
  playWay(Number(byId("from").value), Number(byId("to").value));
});
map.addEventListener("keydown", (event) => {
  const arrows = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };
  if (event.key === "Enter" || event.key === " ") {
    event.preventDefault();
    choose(chosen);
    return;
  }
  if (!(event.key in arrows)) return;
  event.preventDefault();
  const [dx, dy] = arrows[event.key];
  const from = data.points[chosen];
  let best = -1;
  let least = Infinity;
  data.points.forEach((point, i) => {
    const [x, y] = [point.x - from.x, point.y - from.y];
    const along = x * dx + y * dy;
    const aside = Math.abs(x * dy - y * dx);
    if (i === chosen || !visible(i) || along <= 1e-6 || aside > along) return;
    if (along + 2 * aside < least) [best, least] = [i, along + 2 * aside];
  });
  if (best >= 0) choose(best);
});

filter();
choose(data.anchors[0]);
setPlaying(false);
requestAnimationFrame(tick);
