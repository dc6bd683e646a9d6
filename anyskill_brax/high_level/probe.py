"""The warm-up as a search: hold many latents for a few seconds, once, and let every instruction grade them all.

Random-latent rollouts are needed anyway, to fit each text's affine normalisation. Keeping who held which latent makes
them an exhaustive first look at the sphere: `[N, I]` scores for N rollouts, where I searches would have cost I x N.
The probe's randomness hangs on the run's seed alone, so no instruction's result depends on its neighbours in the list.
"""

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from anyskill_brax.clip.reward import ScoreNormalizer
from anyskill_brax.envs.latent_env import LatentEnv, per_instruction
from anyskill_brax.high_level.eyes import Eyes, sight_features
from anyskill_brax.high_level.reward import Goal, feature_terms, reward_terms, similarity, until_fallen, weigh
from anyskill_brax.high_level.settings import HighLevelSettings, ProbeSettings
from anyskill_brax.networks import sample_latents
from anyskill_brax.types import PRNGKey


@struct.dataclass
class Probe:
    """P latent steps of N candidates in R worlds each."""

    latents: jax.Array  # [N, L] unit
    features: jax.Array  # [P, N * R, D] unit, candidate-major
    style: jax.Array  # [P, N * R]
    fallen: jax.Array  # [P, N * R] bool
    hinge_rates: jax.Array  # [P, N * R, J] [rad/s]
    poses: jax.Array  # [P, N * R, F] what a surrogate would see
    stillness: jax.Array | None = None  # [P, N * R], where the reward asks


def motion_rows(num_known: int, num_motion: int) -> np.ndarray:
    """Which of the controller's motion latents are candidates: all, or `num_motion` evenly spread over them."""
    return np.unique(np.linspace(0, num_known - 1, min(num_motion, num_known)).round().astype(int))


def candidates(key: PRNGKey, motion_latents: jax.Array, settings: ProbeSettings) -> jax.Array:
    """The latents worth a look `[N, L]`: known motions' first, then uniform on the sphere."""
    known = motion_latents[motion_rows(motion_latents.shape[0], settings.num_motion)]
    return jnp.concatenate([known, sample_latents(key, (settings.num_random,), motion_latents.shape[-1])])


def roll_out(key: PRNGKey, env: LatentEnv, eyes: Eyes, settings: ProbeSettings) -> Probe:
    """Hold every candidate; a world that falls starts again and holds on to its latent."""
    key_latents, key_starts = jax.random.split(key)
    latents = candidates(key_latents, env.low_level.motion_latents, settings)
    held = jnp.repeat(latents, settings.repeats, axis=0)

    def latent_step(carry, key: PRNGKey):
        state, memory = carry
        state = per_instruction(env.begin, env.axis)(state, key[None])
        state, outcome = env.step(state, held[None])
        memory, features = eyes.see(memory, outcome.bodies, state.elapsed == 1)
        state = state.replace(done=outcome.fallen)  # time does not run out here
        rates, poses = state.world.physics.qvel[0, :, 6:], sight_features(env.env.character, outcome.bodies)[0]
        still = jax.tree.map(lambda x: x[0], eyes.stillness(memory))
        return (state, memory), (features[0], outcome.style[0], outcome.fallen[0], rates, poses, still)

    keys = jax.random.split(key_starts, settings.length)
    blank = env.blank(1, held.shape[0])
    _, seen = jax.lax.scan(latent_step, (blank, eyes.blank(blank.world.bodies)), keys)
    return Probe(latents, *seen)


@struct.dataclass
class Findings:
    """What the probe says about one instruction."""

    normalizer: ScoreNormalizer  # [1, 1] each
    values: jax.Array  # [N] mean reward of every candidate
    best: jax.Array  # [L] the best candidate
    best_score: jax.Array  # [] its mean similarity
    motion: jax.Array  # [] int32 of the repertoire, the one that promises more; -1: none


def grade(probe: Probe, goal: Goal, settings: HighLevelSettings) -> Findings:
    """One instruction's view of the probe: its normalisation, and the mean reward of each candidate."""
    score = similarity(probe.features, goal, settings.reward)
    normalizer = ScoreNormalizer.fit(score[:, None, :], settings.reward.min_std)
    of_features = feature_terms(probe.features, probe.stillness, goal, settings.reward)
    seen = (score, score, probe.style, probe.fallen, probe.hinge_rates, of_features)
    terms = reward_terms(*seen, normalizer, settings.reward, settings.learner.discount)
    reward = until_fallen(weigh(terms, settings.reward), probe.fallen, settings.reward)[settings.probe.skip :]
    values = reward.mean(axis=0).reshape(probe.latents.shape[0], -1).mean(axis=-1)
    best = jnp.argmax(values)
    scores = score[settings.probe.skip :].mean(axis=0).reshape(values.size, -1).mean(axis=-1)
    return Findings(
        normalizer=normalizer,
        values=values,
        best=probe.latents[best],
        best_score=scores[best],
        motion=jnp.full((), -1, jnp.int32),
    )
