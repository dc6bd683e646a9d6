"""Reconstruct motions in simulation by sampling PD targets (SAMCON: Liu et al. 2010); see sampling-reconstruction.md.

python docs/experiments/sampling_reconstruction.py walk walk_backwards jog --samples 256

Every 0.1 s each of `--samples` worlds plays the teacher's PD targets plus its own constant offset; the worlds that end
nearest to the motion are copied over the others. Prints the mean and the largest tracking error of the surviving line.
"""

import argparse
import sys
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from anyskill_brax import rotations
from anyskill_brax.envs import observations
from anyskill_brax.low_level import balance, run
from anyskill_brax.low_level.reference import tracking_error
from anyskill_brax.low_level.teacher import Teacher

sys.path.insert(0, str(Path(__file__).parents[2] / "configs"))
import low_level as config_file

STEPS, KEEP = 3, 8  # control steps of a window; one world in KEEP survives it
SPREAD = (0.12, 0.05)  # [rad] of offsets: legs and waist, the rest


def make_window(setup: run._Setup, teacher: Teacher):
    """`(worlds, rows, offsets) -> (worlds, rows, cost, tracking error)` after one window, compiled."""
    env, reference, character = setup.env, setup.reference, setup.env.character

    def cost(bodies, row):
        wanted = reference.bodies(character, row)
        position = observations.local_positions(bodies) - observations.local_positions(wanted)
        turn = rotations.angle_between(
            rotations.quat_mul(observations.heading_inverse(bodies), bodies.rot),
            rotations.quat_mul(observations.heading_inverse(wanted), wanted.rot),
        )
        posture = balance.posture(character, bodies) - balance.posture(character, wanted)
        height = bodies.pos[..., 2] - wanted.pos[..., 2]
        return (
            20.0 * jnp.mean(jnp.sum(position**2, -1), -1)
            + jnp.mean(turn**2, -1)
            + 20.0 * jnp.mean(height**2, -1)
            + jnp.sum(posture**2 * jnp.array([30.0, 2.0, 1.0, 0.05]), (-1, -2))
        )

    @jax.jit
    def window(world, row, offset):
        def control_step(carry, _):
            world, row = carry
            action = teacher.action(character, reference, world.bodies, row, jnp.ones(row.shape, bool))
            action = character.action_for(character.pd_target(action) + offset)
            return (env.advance(world, action), reference.ahead(row, 1)), None

        (world, row), _ = jax.lax.scan(control_step, (world, row), None, STEPS)
        error = tracking_error(world.bodies, reference.bodies(character, row))
        return world, row, jnp.where(env.is_broken(world), 1e6, cost(world.bodies, row)), error

    return window


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", nargs="+")
    parser.add_argument("--motions", nargs="+", default=["builtin"])
    parser.add_argument("--samples", type=int, default=256)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    config = config_file.get_config()
    with config.unlocked():
        config.motions = tuple(options.motions)
        config.motion_shares = (1.0,) * len(options.motions)
    setup = run._Setup.create(config)
    names, character = setup.library.names, setup.env.character
    clips = np.array([names.index(name) for name in options.clips])
    teacher = Teacher.create(character, setup.reference, setup.settings.warm_start.balance_gains)
    window, rng = make_window(setup, teacher), np.random.default_rng(options.seed)
    spread = np.where(balance.balancing_joints(character), *SPREAD)

    many, size = options.samples, options.samples * clips.size
    row = jnp.asarray(np.repeat(np.asarray(setup.library.start)[clips], many))
    world = setup.env.place(setup.reference.qpos[row], setup.reference.qvel[row])
    length, first = np.asarray(setup.library.length)[clips], np.arange(clips.size)[:, None] * many
    offset, errors, began = np.zeros((size, spread.size)), [], time.monotonic()
    for _ in range(-(-int(length.max() - 1) // STEPS)):
        offset = 0.5 * offset + spread * rng.normal(size=offset.shape)
        offset[::many] = 0.0
        world, row, cost, error = window(world, row, jnp.asarray(offset, jnp.float32))
        cost = np.asarray(cost).reshape(-1, many) + 0.003 * ((offset / spread) ** 2).mean(-1).reshape(-1, many)
        best = np.argsort(cost, axis=1)[:, : many // KEEP]
        errors.append(np.take_along_axis(np.asarray(error).reshape(-1, many), best[:, :1], axis=1)[:, 0])
        chosen = (np.repeat(best, KEEP, axis=1) + first).reshape(-1)
        world, offset = jax.tree.map(lambda x: x[chosen], world), offset[chosen]  # noqa: B023
    print(f"{len(errors)} windows, {time.monotonic() - began:.0f} s")
    for name, frames, error in zip(options.clips, length, np.array(errors).T, strict=True):
        error = error[: -(-int(frames - 1) // STEPS)]
        print(f"{name}: tracking error {error.mean():.3f} m, at most {error.max():.3f} m")


if __name__ == "__main__":
    main()
