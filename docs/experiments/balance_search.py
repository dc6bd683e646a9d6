"""Search for the gains of the balance feedback by the cross-entropy method; its result stands in configs/low_level.py.

python docs/experiments/balance_search.py --generations 18     # about four minutes on two cores
"""

import argparse

import jax
import jax.numpy as jnp
import numpy as np

from anyskill_brax.character.humanoid import load_character
from anyskill_brax.envs.humanoid_env import HumanoidEnv
from anyskill_brax.low_level.balance import correction
from anyskill_brax.low_level.reference import Reference, tracking_error
from anyskill_brax.low_level.worlds import select
from anyskill_brax.motion.library import MotionLibrary
from anyskill_brax.motion.synthesis import builtin_motions

WORLDS, STEPS, POPULATION, ELITES = 512, 150, 64, 12
TRAVELLING = {
    "jump", "walk", "walk_turn", "walk_back", "walk_style", "run", "march", "turn", "side_step", "step", "sit", "kneel",
    "exercise",
}  # fmt: skip
"""Categories left out: stepping, flight and the floor are not matters of ankles, hips and waist alone."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--generations", type=int, default=18)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    character = load_character()
    motions = [m for m in builtin_motions(character) if m.category not in TRAVELLING]
    reference = Reference.create(character, MotionLibrary.create(motions))
    env = HumanoidEnv(character)
    print(f"{len(motions)} motions")

    @jax.jit
    def grade(gains: jax.Array, key: jax.Array) -> tuple[jax.Array, jax.Array]:
        """`gains [W, 2, 3, 4]` -> seconds up, less the tracking error, of at most five, and whether still up."""
        row = reference.sample(key, (WORLDS,))
        row = jnp.minimum(row, (reference.first[row] + reference.last[row]) // 2)
        qvel = reference.qvel[row] + 0.05 * jax.random.normal(key, (WORLDS, 34))

        def step(carry, _):
            state, row, up, seconds = carry
            ahead = reference.ahead(row, 1)
            lead = jnp.asarray(character.kd / character.kp) * reference.qvel[ahead, 6:]
            shift = correction(character, gains, state.bodies, reference.bodies(character, row))
            after = env.advance(state, character.action_for(reference.qpos[ahead, 7:] + lead + shift))
            after = select(env.is_broken(after), state, after)
            row = jnp.minimum(row + 1, reference.last[row])
            error = tracking_error(after.bodies, reference.bodies(character, row))
            up &= error < 0.35
            return (after, row, up, seconds + up * (1.0 - error) / 30.0), None

        start = (env.place(reference.qpos[row], qvel), row, jnp.ones(WORLDS, bool), jnp.zeros(WORLDS))
        (_, _, up, seconds), _ = jax.lax.scan(step, start, None, STEPS)
        return seconds, up

    def report(name: str, gains: np.ndarray, key: jax.Array) -> None:
        seconds, up = grade(jnp.tile(gains.reshape(1, 2, 3, 4).astype(np.float32), (WORLDS, 1, 1, 1)), key)
        print(f"{name}: {float(seconds.mean()):.2f} of 5, {float(up.mean()):.0%} still up", flush=True)

    rng, key = np.random.default_rng(options.seed), jax.random.PRNGKey(options.seed)
    mean, spread = np.zeros(24), np.tile([0.5, 0.2, 0.5, 0.1], 6)
    mean[[0, 1, 12, 13]] = 1.0, 0.2, -1.0, -0.2  # ankles lean against the centre of mass: a guess to begin from
    report("no feedback", np.zeros(24), key)
    report("first guess", mean, key)
    for generation in range(options.generations):
        key, key_grade = jax.random.split(key)
        tried = mean + spread * rng.normal(size=(POPULATION, 24))
        gains = np.repeat(tried, WORLDS // POPULATION, axis=0).reshape(WORLDS, 2, 3, 4)
        seconds = np.asarray(grade(jnp.asarray(gains, jnp.float32), key_grade)[0]).reshape(POPULATION, -1).mean(axis=1)
        best = tried[np.argsort(-seconds)[:ELITES]]
        mean, spread = 0.3 * mean + 0.7 * best.mean(axis=0), 0.3 * spread + 0.7 * (best.std(axis=0) + 0.01)
        print(f"generation {generation}: mean {seconds.mean():.2f}, best {seconds.max():.2f}", flush=True)
    report("found", mean, jax.random.PRNGKey(options.seed + 1))
    print(np.round(mean.reshape(6, 4), 2))


if __name__ == "__main__":
    main()
