// The player: which of the recorded rollouts are on the stage (stage.js).
"use strict";

const rollouts = new Map(); // name -> Float32Array of T * 35
const waiting = new Map();

window.receiveRollout = (name, base64) => {
  const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
  rollouts.set(name, new Float32Array(bytes.buffer));
  waiting.get(name)?.(rollouts.get(name));
};

function loadRollout(name) {
  if (rollouts.has(name)) return Promise.resolve(rollouts.get(name));
  return new Promise((resolve, reject) => {
    waiting.set(name, resolve);
    const script = document.createElement("script");
    script.src = `rollouts/${name}.js`;
    script.onerror = () => reject(new Error(`the rollout ${name} is missing`));
    document.head.append(script);
  });
}

const slots = [byId("a"), byId("b")].map((select) => ({ select, qpos: null }));

async function choose(slot) {
  const entry = window.ZOO.find((one) => one.id === slot.select.value);
  slot.qpos = null;
  if (entry?.rollout) {
    try {
      slot.qpos = await loadRollout(entry.rollout);
    } catch (error) {
      byId("message").textContent = error.message;
    }
  }
  show(slots.map((one) => one.qpos));
  const names = slots.filter((one) => one.qpos).map((one) => one.select.selectedOptions[0].textContent);
  byId("message").textContent = names.length ? `Showing ${names.join(" beside ")}` : "No recorded rollout to show.";
}

const known = window.ZOO.filter((entry) => entry.rollout);
const asked = new URLSearchParams(location.search);
for (const slot of slots) {
  for (const entry of known) {
    const option = document.createElement("option");
    option.value = entry.id;
    option.textContent = entry.instruction ? `${entry.instruction} (${entry.id})` : entry.id;
    slot.select.append(option);
  }
  const id = asked.get(slot.select.id);
  if (known.some((entry) => entry.id === id)) slot.select.value = id;
  slot.select.addEventListener("change", () => choose(slot));
}

Promise.all(slots.map(choose)).then(() => requestAnimationFrame(tick));
