// The player: one or two humanoids replay recorded poses. z is up, as in the simulation; quaternions there are wxyz.
"use strict";

const byId = (id) => document.getElementById(id);
const rollouts = new Map(); // name -> Float32Array of T * 35
const waiting = new Map();
const WIDTH = 35;

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

class Figure {
  constructor(scene, tint) {
    this.root = new THREE.Group();
    this.bodies = window.CHARACTER.bodies.map((body) => {
      const group = new THREE.Group();
      group.position.fromArray(body.offset);
      for (const shape of body.shapes) group.add(Figure.mesh(shape, tint));
      return group;
    });
    window.CHARACTER.bodies.forEach((body, i) => (body.parent < 0 ? this.root : this.bodies[body.parent]).add(this.bodies[i]));
    scene.add(this.root);
    this.turn = new THREE.Quaternion();
    this.axis = new THREE.Vector3();
  }

  static mesh({ shape, size, pos, quat, colour }, tint) {
    const geometry =
      shape === "sphere" ? new THREE.SphereGeometry(size[0], 24, 16)
      : shape === "capsule" ? new THREE.CapsuleGeometry(size[0], 2 * size[1], 8, 16).rotateX(Math.PI / 2)
      : new THREE.BoxGeometry(2 * size[0], 2 * size[1], 2 * size[2]);
    const material = new THREE.MeshStandardMaterial({ color: new THREE.Color(...colour).lerp(new THREE.Color(tint), 0.25), roughness: 0.7 });
    const mesh = new THREE.Mesh(geometry, material);
    mesh.position.fromArray(pos);
    mesh.quaternion.set(quat[1], quat[2], quat[3], quat[0]);
    mesh.castShadow = true;
    return mesh;
  }

  pose(qpos, frame, aside) {
    const at = frame * WIDTH;
    const pelvis = this.bodies[0];
    pelvis.position.set(qpos[at], qpos[at + 1] + aside, qpos[at + 2]);
    pelvis.quaternion.set(qpos[at + 4], qpos[at + 5], qpos[at + 6], qpos[at + 3]);
    window.CHARACTER.bodies.forEach((body, i) => {
      if (!body.hinges.length) return;
      const quaternion = this.bodies[i].quaternion.identity();
      for (const hinge of body.hinges) {
        this.axis.fromArray(hinge.axis);
        quaternion.multiply(this.turn.setFromAxisAngle(this.axis, qpos[at + hinge.qpos]));
      }
    });
  }
}

const scene = new THREE.Scene();
scene.background = new THREE.Color(0xdfe5ea);
THREE.Object3D.DEFAULT_UP.set(0, 0, 1);
scene.add(new THREE.HemisphereLight(0xffffff, 0x8899aa, 2));
const sun = new THREE.DirectionalLight(0xffffff, 2);
sun.position.set(3, -2, 6);
sun.castShadow = true;
scene.add(sun);
const floor = new THREE.Mesh(new THREE.PlaneGeometry(40, 40), new THREE.MeshStandardMaterial({ color: 0xb9c2c8 }));
floor.receiveShadow = true;
scene.add(floor);
const TILE = 4; // m; software renderers lose a line that ends behind the camera, so lines are short
for (let x = TILE / 2 - 20; x < 20; x += TILE) {
  for (let y = TILE / 2 - 20; y < 20; y += TILE) {
    const tile = new THREE.GridHelper(TILE, TILE, 0x9aa4ab, 0x9aa4ab).rotateX(Math.PI / 2);
    tile.position.set(x, y, 0.002); // clear of the floor
    scene.add(tile);
  }
}

const canvas = byId("canvas");
const camera = new THREE.PerspectiveCamera(40, 1, 0.05, 100);
camera.up.set(0, 0, 1);
let renderer = null;
let controls = null;
try {
  renderer = new THREE.WebGLRenderer({ canvas, antialias: true });
  renderer.shadowMap.enabled = true;
  controls = new THREE.OrbitControls(camera, canvas);
} catch (error) {
  byId("message").textContent = "This browser shows no 3-D (WebGL is switched off).";
}

const slots = [
  { select: byId("a"), figure: new Figure(scene, 0xffffff), qpos: null },
  { select: byId("b"), figure: new Figure(scene, 0x44aa66), qpos: null },
];
const state = { frame: 0, frames: 0, playing: false, last: 0 };

function resetCamera() {
  camera.position.set(4, -2.2, 1.6);
  controls?.target.set(0, 0, 0.8);
  controls?.update();
}

function draw() {
  const two = slots.every((slot) => slot.qpos);
  slots.forEach((slot, i) => {
    slot.figure.root.visible = Boolean(slot.qpos);
    if (!slot.qpos) return;
    const last = slot.qpos.length / WIDTH - 1;
    slot.figure.pose(slot.qpos, Math.min(Math.floor(state.frame), last), two ? (i ? 0.8 : -0.8) : 0);
  });
  byId("scrub").value = Math.floor(state.frame);
  const clock = `${(state.frame * window.CHARACTER.dt).toFixed(1)} s`;
  byId("clock").textContent = clock;
  byId("scrub").setAttribute("aria-valuetext", clock);
  if (!renderer) return;
  const { clientWidth, clientHeight } = canvas;
  renderer.setSize(clientWidth, clientHeight, false);
  camera.aspect = clientWidth / clientHeight;
  camera.updateProjectionMatrix();
  renderer.render(scene, camera);
}

function tick(now) {
  if (state.playing) {
    const seconds = Math.min(0.1, (now - state.last) / 1000) * parseFloat(byId("speed").value);
    state.frame += seconds / window.CHARACTER.dt;
    if (state.frame > state.frames - 1) state.frame = 0;
  }
  state.last = now;
  draw();
  requestAnimationFrame(tick);
}

function tilt(offset, angle) {
  const polar = offset.angleTo(new THREE.Vector3(0, 0, 1));
  const aim = Math.min(Math.max(polar + angle, 0.1), Math.PI / 2 - 0.02); // neither over the head nor below the floor
  offset.applyAxisAngle(new THREE.Vector3(-offset.y, offset.x, 0).normalize(), aim - polar);
}

function setPlaying(playing) {
  state.playing = playing && state.frames > 1;
  byId("play").textContent = state.playing ? "Pause" : "Play";
}

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
  state.frames = Math.max(0, ...slots.map((one) => (one.qpos ? one.qpos.length / WIDTH : 0)));
  byId("scrub").max = Math.max(0, state.frames - 1);
  state.frame = Math.min(state.frame, Math.max(0, state.frames - 1));
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

byId("play").addEventListener("click", () => setPlaying(!state.playing));
byId("reset").addEventListener("click", resetCamera);
byId("scrub").addEventListener("input", (event) => {
  setPlaying(false);
  state.frame = Number(event.target.value);
});
canvas.addEventListener("keydown", (event) => {
  const turns = { ArrowLeft: 0.1, ArrowRight: -0.1 };
  const tilts = { ArrowUp: -0.1, ArrowDown: 0.1 };
  const zooms = { "+": 0.9, "=": 0.9, "-": 1.1 };
  const offset = camera.position.clone().sub(controls?.target ?? scene.position);
  if (event.key in turns) offset.applyAxisAngle(new THREE.Vector3(0, 0, 1), turns[event.key]);
  else if (event.key in tilts) tilt(offset, tilts[event.key]);
  else if (event.key in zooms) offset.multiplyScalar(zooms[event.key]);
  else if (event.key === " ") setPlaying(!state.playing);
  else return;
  event.preventDefault();
  camera.position.copy(offset.add(controls?.target ?? scene.position));
  controls?.update();
});

resetCamera();
window.player = state;
Promise.all(slots.map(choose)).then(() => requestAnimationFrame(tick));
