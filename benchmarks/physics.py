"""What the door to physics costs: HumanoidEnv inside a jitted scan against raw `mujoco.batch` on the same cores.

Both play the same PD targets from the same pose, so poses and contacts are the same. Rounds alternate between the two
and the median is reported. `--backend mjx` or `warp` measures MJX instead (no raw counterpart).
"""

import argparse
import os
import platform
import statistics
import time

import jax
import jax.numpy as jnp
import mujoco.batch
import numpy as np

from anyskill_brax.character.humanoid import SUBSTEPS, Character, load_character
from anyskill_brax.envs.humanoid_env import HumanoidEnv


def targets(character: Character, worlds: int, steps: int) -> np.ndarray:
    """Slow PD targets of a moving figure, `[T, W, 28]` [rad]: every world sways and falls in its own time."""
    rng = np.random.default_rng(0)
    amplitude = rng.uniform(0.0, 0.4, (worlds, character.action_dim))
    phase = rng.uniform(0.0, 2 * np.pi, (worlds, character.action_dim))
    time_s = np.arange(steps)[:, None, None] / 30.0
    return (amplitude * np.sin(2 * np.pi * 0.7 * time_s + phase)).astype(np.float32)


def env_rate(env: HumanoidEnv, ctrl: np.ndarray):
    """A function that plays `ctrl` through the env once and returns (env-steps/s, final qpos)."""
    steps, worlds, _ = ctrl.shape
    actions = jnp.asarray(env.character.action_for(ctrl))

    @jax.jit
    def play(state, actions):
        return jax.lax.scan(lambda s, a: (env.advance(s, a), None), state, actions)[0]

    start = env.place_default((worlds,))
    jax.block_until_ready(play(start, actions))

    def round_once():
        begin = time.perf_counter()
        end = jax.block_until_ready(play(start, actions))
        return steps * worlds / (time.perf_counter() - begin), np.asarray(end.physics.qpos)

    return round_once


def raw_rate(character: Character, ctrl: np.ndarray):
    """The same for `mujoco.batch` called directly, controls already in numpy."""
    steps, worlds, _ = ctrl.shape
    batch = mujoco.batch.Batch(character.model, worlds, 0)

    def round_once():
        batch.reset()
        begin = time.perf_counter()
        for row in ctrl:
            batch.ctrl = row
            batch.step(nstep=SUBSTEPS)
        return steps * worlds / (time.perf_counter() - begin), np.array(batch.qpos)

    return round_once


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--worlds", type=int, nargs="+", default=[256, 1024])
    parser.add_argument("--steps", type=int, default=60, help="control steps a round (default 60, two seconds)")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--backend", default="native", choices=["native", "mjx", "warp"])
    args = parser.parse_args()
    character = load_character()
    device = jax.devices()[0]
    print(
        f"{device.platform} {device.device_kind}, {os.cpu_count()} cores, {platform.machine()}, jax {jax.__version__}"
    )
    for worlds in args.worlds:
        ctrl = targets(character, worlds, args.steps)
        env = env_rate(HumanoidEnv(character, backend=args.backend), ctrl)
        if args.backend != "native":
            rates = [env()[0] for _ in range(args.rounds)]
            print(f"{worlds} worlds: {args.backend} {statistics.median(rates):,.0f} env-steps/s")
            continue
        raw = raw_rate(character, ctrl)
        pairs = [(env(), raw()) for _ in range(args.rounds)]
        drift = np.median(np.abs(pairs[0][0][1] - pairs[0][1][1]))
        rates = np.array([[e[0], r[0]] for e, r in pairs])
        e, r = np.median(rates, axis=0)
        ratio = np.median(rates[:, 0] / rates[:, 1])
        print(
            f"{worlds} worlds: env {e:,.0f}, raw {r:,.0f} env-steps/s, ratio {ratio:.2f} (median |dqpos| {drift:.1e})"
        )


if __name__ == "__main__":
    main()
