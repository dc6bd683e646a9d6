"""Pictures per second: our ray caster, `mujoco.Renderer` and MJX-Warp's batch renderer, in alternating rounds.

    MUJOCO_GL=osmesa python benchmarks/render.py 64        # or 112, 224; or egl

All draw the same poses through the same camera. Ours and Warp draw with shadows and without, and are compared like with
like (our shadows are soft and on the floor alone, Warp's are hard and on everything); MuJoCo draws none and is compared
with ours that has them. Wall seconds and CPU seconds: the latter barely change when something else uses the machine.
Then ours ray by ray with boxes that stand still, through a camera that may move and through one that does not, to which
they cost nothing. Warp takes part where `warp` is installed (the extra `gpu`). The last line is the share of the
arithmetic limit when drawing ray by ray: the operations that the caster asks for, traced, over what this machine does
in a loop of fused multiply-adds of the same type (each two operations), per CPU second. Tile by tile, how many
operations there are depends on what is seen. One size a call: a second OSMesa context in one process draws nothing.
"""

import sys
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import mujoco
import numpy as np

from anyskill_brax.character.humanoid import Character, load_character
from anyskill_brax.character.kinematics import BodyState, forward_kinematics
from anyskill_brax.render.camera import Camera, look_at
from anyskill_brax.render.raycast import make_renderer
from anyskill_brax.render.scene import Look, Scene, character_scene, join, model_scene

SIZES = {64: 512, 112: 128, 224: 32}
"""Side [px] -> worlds per call."""
ROUNDS = 15
BOXES = 24
OPERATIONS = frozenset(
    ("add", "sub", "mul", "div", "max", "min", "abs", "neg", "sign", "floor", "sqrt", "rsqrt", "clamp", "square")
    + ("select_n", "and", "or", "not", "eq", "ne", "lt", "le", "gt", "ge", "convert_element_type")
)


def our_work(
    scene: Scene | Character,
    size: int,
    bodies: BodyState,
    view: Camera,
    *,
    tiles: bool = True,
    shadows: bool = True,
    fixed: bool = False,
) -> tuple[Callable[[], Any], float]:
    """A call that draws all bodies, and the operations per picture (ray by ray)."""
    look = Look() if shadows else Look(shadow=0.0)
    render = make_renderer(scene, size, size, tiles=tiles, look=look, camera=view if fixed else None)

    def shoot(bodies: BodyState) -> jax.Array | None:
        return (render(bodies) if fixed else render(bodies, view)).rgb

    count = operations(jax.make_jaxpr(shoot)(bodies).jaxpr) / len(bodies.pos)
    compiled = jax.jit(shoot)
    return lambda: jax.block_until_ready(compiled(bodies)), count


def furnished(character: Character) -> Scene:
    """The character among boxes that stand still."""
    spots = np.random.default_rng(1).uniform(-3.0, 3.0, (BOXES, 2))
    boxes = "".join(f'<geom type="box" size=".1 .1 .1" pos="{x:.3f} {y:.3f} .1"/>' for x, y in spots)
    room = mujoco.MjModel.from_xml_string(f"<mujoco><worldbody>{boxes}</worldbody></mujoco>")
    return join(character_scene(character), model_scene(room), character.num_bodies)


def operations(jaxpr: Any) -> float:
    """Elementwise operations of a program, one per element of each result; loops count as often as they run."""
    total = 0.0
    for line in jaxpr.eqns:
        inner = [v for v in jax.tree.leaves(list(line.params.values())) if hasattr(v, "eqns") or hasattr(v, "jaxpr")]
        times = line.params.get("length", 1) if line.primitive.name == "scan" else 1
        total += times * sum(operations(getattr(v, "jaxpr", v)) for v in inner)
        if line.primitive.name in OPERATIONS:
            total += line.outvars[0].aval.size
        elif line.primitive.name == "integer_pow":
            total += line.outvars[0].aval.size * abs(line.params["y"]).bit_length()
    return total


def mujoco_work(character: Character, size: int, qpos: np.ndarray, view: Camera) -> Callable[[], Any]:
    """MuJoCo at its quickest: no shadow maps, no reflections, no multisampling (far from its defaults)."""
    forward, eye = np.asarray(view.forward, float), np.asarray(view.pos, float)
    model = mujoco.MjModel.from_xml_string(character.xml)
    model.vis.global_.fovy = float(np.degrees(view.fovy))
    model.vis.quality.offsamples = 0
    data, camera = mujoco.MjData(model), mujoco.MjvCamera()
    camera.distance, camera.lookat[:] = 1.0, eye + forward
    camera.azimuth = np.degrees(np.arctan2(forward[1], forward[0]))
    camera.elevation = np.degrees(np.arcsin(forward[2]))
    renderer = mujoco.Renderer(model, size, size)

    def shoot() -> None:
        for pose in qpos:
            data.qpos[:] = pose
            mujoco.mj_kinematics(model, data)
            renderer.update_scene(data, camera)
            renderer.scene.flags[mujoco.mjtRndFlag.mjRND_SHADOW] = 0
            renderer.scene.flags[mujoco.mjtRndFlag.mjRND_REFLECTION] = 0
            renderer.render()

    return shoot


def warp_work(character: Character, size: int, qpos: np.ndarray, view: Camera, shadows: bool) -> Callable[[], Any]:
    """MJX-Warp's batch renderer; `ImportError` where there is none."""
    import mujoco.mjx.third_party.mujoco_warp as mjw
    import warp

    spec = mujoco.MjSpec.from_string(character.xml)
    axes = np.concatenate([view.right, view.up]).astype(float)
    camera = spec.worldbody.add_camera(name="view", pos=np.asarray(view.pos, float))
    camera.alt.type, camera.alt.xyaxes = mujoco.mjtOrientation.mjORIENTATION_XYAXES, axes
    camera.fovy = float(np.degrees(view.fovy))
    host = spec.compile()
    model, data = mjw.put_model(host), mjw.make_data(host, nworld=len(qpos))
    context = mjw.create_render_context(host, len(qpos), cam_res=(size, size), render_rgb=True, use_shadows=shadows)
    poses = warp.array(qpos.astype(np.float32), dtype=float)

    def shoot() -> None:
        warp.copy(data.qpos, poses)
        mjw.kinematics(model, data)
        mjw.camlight(model, data)
        mjw.refit_bvh(model, data, context)
        mjw.render(model, data, context)
        warp.synchronize()

    return shoot


def fused_multiply_adds() -> tuple[Callable[[], Any], float]:
    """Eight independent chains over an array; short enough for the instruction cache. The operations of one call."""
    x = jnp.linspace(0.0, 1.0, 1 << 18)

    @jax.jit
    def chains(x: jax.Array) -> jax.Array:
        rows = [x + k for k in range(8)]
        for _ in range(64):
            rows = [row * 0.999 + 0.001 for row in rows]
        return sum(rows[1:], rows[0])

    return lambda: jax.block_until_ready(chains(x)), 8 * 64 * 2 * x.size


def race(works: dict[str, tuple[Callable[[], Any], float]]) -> dict[str, tuple[float, float]]:
    """Amounts per wall and per CPU second: the best of rounds in which all take turns; compilation is left out."""
    best = {name: [np.inf, np.inf] for name in works}
    for number in range(ROUNDS + 1):
        for name, (work, _) in works.items():
            wall, cpu = time.perf_counter(), time.process_time()
            work()
            taken = time.perf_counter() - wall, time.process_time() - cpu
            if number:
                best[name] = [min(old, new) for old, new in zip(best[name], taken, strict=True)]
    return {name: (works[name][1] / wall, works[name][1] / cpu) for name, (wall, cpu) in best.items()}


def main() -> None:
    character, rng = load_character(), np.random.default_rng(0)
    view = look_at(jnp.array([3.0, 2.0, 1.5]), jnp.array([0.0, 0.0, 0.92]), 0.6)
    size = int(sys.argv[1]) if sys.argv[1:] else 64
    worlds = SIZES[size]
    qpos = np.tile(character.default_qpos, (worlds, 1))
    qpos[:, 7:] += rng.normal(0.0, 0.3, (worlds, character.action_dim))
    bodies = forward_kinematics(character, jnp.asarray(qpos), jnp.zeros((worlds, 34)))
    ours, _ = our_work(character, size, bodies, view)
    plain, _ = our_work(character, size, bodies, view, shadows=False)
    by_rays, count = our_work(character, size, bodies, view, tiles=False)
    room, still = furnished(character), {}
    for name, scene in (("", character), (f", {BOXES} boxes", room)):
        still[f"fixed camera{name}"] = our_work(scene, size, bodies, view, tiles=False, fixed=True)[0], worlds
    still[f"{BOXES} boxes"] = our_work(room, size, bodies, view, tiles=False)[0], worlds
    few = qpos[: max(8, worlds // 8)]
    works = {
        "ours": (ours, worlds),
        "ours, no shadows": (plain, worlds),
        "by rays": (by_rays, worlds),
        **still,
        "MuJoCo": (mujoco_work(character, size, few, view), len(few)),
    }
    try:
        works["Warp"] = warp_work(character, size, few, view, shadows=True), len(few)
        works["Warp, no shadows"] = warp_work(character, size, few, view, shadows=False), len(few)
    except ImportError as error:
        print(f"no Warp: {error}")
    rates = race({**works, "limit": fused_multiply_adds()})
    for name, (wall, cpu) in list(rates.items())[:-1]:
        ours_wall, ours_cpu = rates["ours, no shadows" if "no shadows" in name else "ours"]
        ratio = f"ours is {ours_wall / wall:.1f} times, per CPU second {ours_cpu / cpu:.1f} times"
        print(f"{size:4d} px {name:22} {wall:8.0f} pictures/s, {cpu:8.0f} per CPU second; {ratio}")
    share, peak = rates["by rays"][1] * count / rates["limit"][1], rates["limit"][1]
    print(f"{size:4d} px {count / size**2:.0f} operations per pixel: {share:.0%} of {peak / 1e9:.0f} G/s", flush=True)


if __name__ == "__main__":
    main()
