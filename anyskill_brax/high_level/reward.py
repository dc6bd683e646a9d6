"""What an instruction pays for: similarity, style, staying up. Written for one instruction, worlds `[..., E]`."""

import jax
import jax.numpy as jnp
from flax import struct

from anyskill_brax.clip.reward import ScoreNormalizer, cosine, delta, goal_baseline
from anyskill_brax.high_level.settings import RewardSettings

TERMS = ("clip", "style", "alive", "fall", "delta")


@struct.dataclass
class Goal:
    """One instruction in the reward model's space, unit vectors `[D]`."""

    text: jax.Array
    baseline: jax.Array


def similarity(features: jax.Array, goal: Goal, settings: RewardSettings) -> jax.Array:
    """Unit `features [..., D]` against the goal: cosine, or its goal-baseline form where alpha > 0."""
    if settings.baseline_alpha == 0.0:
        return cosine(features, goal.text)
    return goal_baseline(features, goal.text, goal.baseline, settings.baseline_alpha)


def reward_terms(
    score: jax.Array,
    previous: jax.Array,
    style: jax.Array,
    fallen: jax.Array,
    normalizer: ScoreNormalizer,
    discount: float,
) -> dict[str, jax.Array]:
    """Unweighted terms `[..., E]` of a latent step; `score` and `previous` are similarities after and before it.

    The first step of an episode has no `previous` (-inf, see `clip.reward.Trend`) and gets no shaping.
    """
    norm_score = normalizer.apply(score[..., None, :])[..., 0, :]
    norm_previous = normalizer.apply(previous[..., None, :])[..., 0, :]
    return {
        "clip": norm_score,
        "style": style,
        "alive": 1.0 - fallen,
        "fall": -1.0 * fallen,
        "delta": delta(jnp.where(jnp.isfinite(norm_previous), norm_previous, norm_score), norm_score, discount),
    }


def weigh(terms: dict[str, jax.Array], settings: RewardSettings) -> jax.Array:
    """The reward: every term times the weight of the same name."""
    return sum((getattr(settings, name) * terms[name] for name in TERMS), jnp.zeros(()))
