"""Pictures per second: our ray caster against `mujoco.Renderer`, side by side in one run.

    MUJOCO_GL=osmesa python benchmarks/render.py        # or egl

Both draw the same poses through the same camera. Wall seconds decide; CPU seconds are printed beside them because they
barely change when something else uses the machine.
"""

import time

import jax
import jax.numpy as jnp
import mujoco
import numpy as np

from anyskill_brax.character.humanoid import Character, load_character
from anyskill_brax.character.kinematics import BodyState, forward_kinematics
from anyskill_brax.render.camera import follow_camera
from anyskill_brax.render.raycast import make_renderer

SIZES = {64: 512, 112: 128, 224: 32}
"""Side [px] -> worlds per call."""
ROUNDS = 5


def timed(work, images: int) -> tuple[float, float]:
    """Images per wall second and per CPU second; the best of a few rounds, the first (compilation) left out."""
    work()
    wall, cpu = [], []
    for _ in range(ROUNDS):
        wall_start, cpu_start = time.perf_counter(), time.process_time()
        work()
        wall.append(time.perf_counter() - wall_start)
        cpu.append(time.process_time() - cpu_start)
    return images / min(wall), images / min(cpu)


def ours(character: Character, size: int, bodies: BodyState) -> tuple[float, float]:
    render = make_renderer(character, size, size)
    shoot = jax.jit(lambda b: render(b, follow_camera(b)).rgb)
    return timed(lambda: jax.block_until_ready(shoot(bodies)), len(bodies.pos))


def mujocos(character: Character, size: int, qpos: np.ndarray, bodies: BodyState) -> tuple[float, float]:
    """MuJoCo at its quickest: no shadow maps, no reflections, no multisampling (far from its defaults)."""
    views = follow_camera(bodies)
    forward, eye = np.asarray(views.forward), np.asarray(views.pos)
    model = mujoco.MjModel.from_xml_string(character.xml)
    model.vis.global_.fovy = float(np.degrees(views.fovy[0]))
    model.vis.quality.offsamples = 0
    data, camera = mujoco.MjData(model), mujoco.MjvCamera()
    camera.distance = 1.0
    with mujoco.Renderer(model, size, size) as renderer:

        def shoot() -> None:
            for i in range(len(qpos)):
                data.qpos[:] = qpos[i]
                mujoco.mj_kinematics(model, data)
                camera.lookat[:] = eye[i] + forward[i]
                camera.azimuth = np.degrees(np.arctan2(forward[i, 1], forward[i, 0]))
                camera.elevation = np.degrees(np.arcsin(forward[i, 2]))
                renderer.update_scene(data, camera)
                renderer.scene.flags[mujoco.mjtRndFlag.mjRND_SHADOW] = 0
                renderer.scene.flags[mujoco.mjtRndFlag.mjRND_REFLECTION] = 0
                renderer.render()

        return timed(shoot, len(qpos))


def main() -> None:
    character = load_character()
    rng = np.random.default_rng(0)
    head = f"{'ours':>15} {'MuJoCo':>8} {'ratio':>6}"
    print(f"{'':4} {'images per second':>31}   {'per CPU second':>31}\n{'px':>4} {head}   {head}")
    for size, worlds in SIZES.items():
        qpos = np.tile(character.default_qpos, (worlds, 1))
        qpos[:, 7:] += rng.normal(0.0, 0.3, (worlds, character.action_dim))
        bodies = forward_kinematics(character, jnp.asarray(qpos), jnp.zeros((worlds, 34)))
        us = ours(character, size, bodies)
        reference = mujocos(character, size, qpos[: max(8, worlds // 8)], bodies)
        cells = [f"{a:15.0f} {b:8.0f} {a / b:6.1f}" for a, b in zip(us, reference, strict=True)]
        print(f"{size:4d} {cells[0]}   {cells[1]}", flush=True)


if __name__ == "__main__":
    main()
