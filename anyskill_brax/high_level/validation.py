"""Which actor of a training is kept: the one that earns most without its noise, in episodes as long as a skill is used.

Training sees a policy with its noise, a few seconds at a time. What it finds better there may fall in the fifth second,
and a latent that was right from the beginning may be worn down on the way. So the first actor, and others every few
updates, live through whole episodes of their own, always from the same starts. docs/decisions/0011-trained-as-graded.md
"""

import jax
import jax.numpy as jnp
from flax import struct

from anyskill_brax.clip.reward import ScoreNormalizer
from anyskill_brax.envs.latent_env import LatentEnv, LatentOutcome, per_instruction
from anyskill_brax.high_level.eyes import Eyes
from anyskill_brax.high_level.learner import Learning
from anyskill_brax.high_level.reward import Goal, feature_terms, reward_terms, similarity, until_fallen, weigh
from anyskill_brax.high_level.settings import HighLevelSettings
from anyskill_brax.types import Params, PRNGKey


@struct.dataclass
class Trial:
    """How every instruction's actor did, `[I]`."""

    reward: jax.Array  # mean of a latent step; the language terms unfaded
    fell: jax.Array  # share of the worlds


def validate(
    key: PRNGKey,
    env: LatentEnv,
    eyes: Eyes,
    learning: Learning,
    actors: Params,
    goals: Goal,
    normalizers: ScoreNormalizer,
    settings: HighLevelSettings,
) -> Trial:
    """`actors`, `goals`, `normalizers` with leading axis I; `env` without a time limit. Starts hang on `key` alone."""
    count, validation = goals.text.shape[0], settings.validation

    def each(fn):
        return per_instruction(fn, env.axis)

    def choose(actor: Params, obs: jax.Array) -> jax.Array:
        return learning.policy(actor).act((), obs)[0]

    def pay(
        features: jax.Array,
        still: jax.Array | None,
        previous: jax.Array,
        outcome: LatentOutcome,
        rates: jax.Array,
        goal: Goal,
        normalizer: ScoreNormalizer,
    ) -> tuple[jax.Array, jax.Array]:
        score = similarity(features, goal, settings.reward)
        of_features = feature_terms(features, still, goal, settings.reward)
        seen = (score, previous, outcome.style, outcome.fallen, rates, of_features)
        terms = reward_terms(*seen, normalizer, settings.reward, settings.learner.discount)
        return score, weigh(terms, settings.reward)

    def latent_step(carry, _):
        worlds, memory, previous = carry
        worlds, outcome = env.step(worlds, each(choose)(actors, env.observe(worlds)))
        memory, features = eyes.see(memory, outcome.bodies, worlds.elapsed == 1)
        rates = worlds.world.physics.qvel[..., 6:]
        score, reward = each(pay)(features, eyes.stillness(memory), previous, outcome, rates, goals, normalizers)
        return (worlds, memory, score), (reward, outcome.fallen)

    blank = env.blank(count, validation.num_envs)
    worlds = each(env.begin)(blank, jnp.broadcast_to(key, (count, *key.shape)))
    never = jnp.full(worlds.elapsed.shape, -jnp.inf)
    start = (worlds, eyes.blank(blank.world.bodies), never)
    _, (reward, fallen) = jax.lax.scan(latent_step, start, length=validation.length)
    return Trial(
        reward=until_fallen(reward, fallen, settings.reward).mean(axis=(0, 2)),
        fell=fallen.any(axis=0).mean(axis=-1),
    )
