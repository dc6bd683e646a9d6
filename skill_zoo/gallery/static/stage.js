// The stage that every page with a 3-D view shares: one or two humanoids, a camera, the controls under the canvas.
// z is up, as in the simulation; quaternions there are wxyz. A rollout is a Float32Array of T * 35 poses at 30 Hz.
"use strict";

const byId = (id) => document.getElementById(id);
const WIDTH = 35;

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

const figures = [new Figure(scene, 0xffffff), new Figure(scene, 0x44aa66)];
const shown = [null, null]; // the rollout of each figure
const state = { frame: 0, frames: 0, playing: false, last: 0 };

function resetCamera() {
  camera.position.set(4, -2.2, 1.6);
  controls?.target.set(0, 0, 0.8);
  controls?.update();
}

function draw() {
  const two = shown.every(Boolean);
  figures.forEach((figure, i) => {
    const qpos = shown[i];
    figure.root.visible = Boolean(qpos);
    if (qpos) figure.pose(qpos, Math.min(Math.floor(state.frame), qpos.length / WIDTH - 1), two ? (i ? 0.8 : -0.8) : 0);
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

// Put rollouts (or null) on the stage; time stays where it is, if they last that long.
function show(rollouts) {
  shown.forEach((_, i) => (shown[i] = rollouts[i] ?? null));
  state.frames = Math.max(0, ...shown.map((qpos) => (qpos ? qpos.length / WIDTH : 0)));
  byId("scrub").max = Math.max(0, state.frames - 1);
  state.frame = Math.min(state.frame, Math.max(0, state.frames - 1));
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
