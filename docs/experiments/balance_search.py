"""Search for the gains of the balance feedback by the cross-entropy method; its result stands in configs/low_level.py.

python docs/experiments/balance_search.py --generations 20     # about ten minutes on two cores

A candidate is graded as it will teach: in the worlds of the warm start, by how rarely it fails.
"""

import argparse
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from anyskill_brax.low_level import run, warm_start
from anyskill_brax.low_level import train as trainer

sys.path.insert(0, str(Path(__file__).parents[2] / "configs"))
import low_level as config_file

POPULATION, WORLDS_EACH, ELITES, ROUNDS = 48, 20, 10, 6
SPREAD = np.tile([0.4, 0.2, 0.4, 0.08], 8)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--generations", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--motions", nargs="+", default=["builtin"])
    parser.add_argument("--shares", nargs="+", type=float, default=[1.0])
    options = parser.parse_args()
    config = config_file.get_config()
    with config.unlocked():
        config.motions, config.motion_shares = tuple(options.motions), tuple(options.shares)
        config.warm_start.num_worlds = POPULATION * WORLDS_EACH
    setup = run._Setup.create(config)
    key = jax.random.PRNGKey(options.seed)
    normalizer, _ = trainer.reference_normalizers(key, setup.env, setup.reference, setup.settings.networks.num_frames)
    params = trainer.init_params(key, setup.settings, setup.env).actor

    def no_latents(rows: jax.Array) -> jax.Array:
        return jnp.zeros((*rows.shape, setup.settings.networks.latent_dim))

    pupil = warm_start.Pupil(setup.settings, setup.env, setup.reference, no_latents, normalizer)

    def lessons(gains: jax.Array, key: jax.Array) -> tuple[jax.Array, jax.Array]:
        """`gains [W, 2, 4, 4]` -> failures per second `[W]`, and who follows a motion."""
        pupil.teacher = pupil.teacher.replace(gains=gains)
        room, ended = pupil.start(key), 0.0
        for i in range(ROUNDS):
            room, lesson = pupil.round(jax.random.fold_in(key, i), params, room, jnp.asarray(1.0))
            ended += lesson.ended.mean(axis=0)
        return 30.0 * ended / ROUNDS, room.follows

    graded = jax.jit(lessons)

    def report(name: str, gains: np.ndarray, key: jax.Array) -> None:
        rate, follows = map(np.asarray, graded(jnp.tile(_gains(gains), (POPULATION * WORLDS_EACH, 1, 1, 1)), key))
        times = 1.0 / rate[follows].mean(), 1.0 / rate[~follows].mean()
        print(f"{name}: {times[0]:.2f} s between failures following, {times[1]:.2f} s holding", flush=True)

    rng = np.random.default_rng(options.seed)
    mean, spread = np.asarray(config.warm_start.balance_gains).reshape(-1), SPREAD.copy()
    report("no feedback", 0.0 * mean, key)
    report("from the config", mean, key)
    for generation in range(options.generations):
        key, key_grade = jax.random.split(key)
        tried = mean + spread * rng.normal(size=(POPULATION, mean.size))
        # The first worlds follow motions, the others hold poses: in blocks, every candidate gets the same mixture.
        gains = jnp.asarray(np.tile(tried, (WORLDS_EACH, 1)), jnp.float32).reshape(-1, 2, 4, 4)
        rate = np.asarray(graded(gains, key_grade)[0]).reshape(WORLDS_EACH, POPULATION).mean(axis=0)
        best = tried[np.argsort(rate)[:ELITES]]
        mean, spread = 0.3 * mean + 0.7 * best.mean(axis=0), 0.3 * spread + 0.7 * (best.std(axis=0) + 0.01)
        print(f"generation {generation}: {1 / rate.mean():.2f} s, best {1 / rate.min():.2f} s", flush=True)
    report("found", mean, jax.random.PRNGKey(options.seed + 1))
    print(np.round(mean.reshape(8, 4), 2).tolist())


def _gains(flat: np.ndarray) -> jax.Array:
    return jnp.asarray(flat, jnp.float32).reshape(1, 2, 4, 4)


if __name__ == "__main__":
    main()
