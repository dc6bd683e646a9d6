"""What an instruction pays for: terms by name, a weight for each. Written for one instruction, worlds `[..., E]`."""

import jax
import jax.numpy as jnp
from flax import struct

from anyskill_brax.clip.reward import ScoreNormalizer, cosine, delta, goal_baseline
from anyskill_brax.high_level.settings import RewardSettings


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
    hinge_rates: jax.Array,
    normalizer: ScoreNormalizer,
    settings: RewardSettings,
    discount: float,
) -> dict[str, jax.Array]:
    """Unweighted terms `[..., E]` of a latent step; `score` and `previous` are similarities after and before it.

    similarity: as it is, or in the standard deviations of the warm-up about its mean (`normalise`); style: r_D of the
    frozen discriminator; alive, fall; delta: shaping by the similarity; energy: minus the mean square of the
    `hinge_rates [..., E, J]` [(rad/s)^2] at the step's end.
    The first step of an episode has no `previous` (-inf, see `clip.reward.Trend`) and gets no shaping.
    """
    if settings.normalise:
        score, previous = (normalizer.apply(x[..., None, :])[..., 0, :] for x in (score, previous))
    return {
        "similarity": score,
        "style": style,
        "alive": 1.0 - fallen,
        "fall": -1.0 * fallen,
        "delta": delta(jnp.where(jnp.isfinite(previous), previous, score), score, discount),
        "energy": -jnp.mean(hinge_rates**2, axis=-1),
    }


def weigh(terms: dict[str, jax.Array], settings: RewardSettings, progress: jax.Array | float = 0.0) -> jax.Array:
    """The reward: every term times the weight of the same name.

    The language terms fade from their whole weight to the part `fade_to` of it as `progress` goes from 0 to 1: at the
    end of a training that fades, style and energy decide how the skill is done.
    """
    fade = 1.0 + (settings.fade_to - 1.0) * progress
    total = jnp.zeros(())
    for name, weight in settings.weights:
        total = total + weight * terms[name] * (fade if name in ("similarity", "delta") else 1.0)
    return total


def until_fallen(reward: jax.Array, fallen: jax.Array, settings: RewardSettings) -> jax.Array:
    """The `reward [P, ...]` of P steps in a row, where whoever has fallen earns no more than a fall does."""
    lost = jnp.cumsum(fallen, axis=0) > 0
    return jnp.where(lost, -dict(settings.weights)["fall"], reward)
