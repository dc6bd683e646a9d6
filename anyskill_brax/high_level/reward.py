"""What an instruction pays for: terms by name, a weight for each. Written for one instruction, worlds `[..., E]`."""

import jax
import jax.numpy as jnp
from flax import struct

from anyskill_brax.clip.reward import ScoreNormalizer, contrast, cosine, delta, ensemble, goal_baseline, mean_feature
from anyskill_brax.high_level.settings import RewardSettings


@struct.dataclass
class Goal:
    """One instruction in the reward model's space, unit vectors `[D]`."""

    text: jax.Array
    baseline: jax.Array
    prompts: jax.Array | None = None  # [P, D] the prompt variants one by one, where they are scored one by one
    bank: jax.Array | None = None  # [K, D] what it is contrasted with; zeros where that would be itself


def similarity(features: jax.Array, goal: Goal, settings: RewardSettings) -> jax.Array:
    """Unit `features [..., D]` against the goal: cosine, or its goal-baseline form where alpha > 0.

    Where the ensemble is pessimistic, `features [..., V * D]` of V views: mean - k sd over views and prompts.
    """

    def against(features: jax.Array, text: jax.Array) -> jax.Array:
        if settings.baseline_alpha == 0.0:
            return cosine(features, text)
        return goal_baseline(features, text, goal.baseline, settings.baseline_alpha)

    if settings.ensemble_pessimism == 0.0:
        return against(features, goal.text)
    assert goal.prompts is not None
    views = features.reshape(*features.shape[:-1], -1, 1, goal.text.shape[-1])
    scores = against(views, goal.prompts)
    return ensemble(scores.reshape(*features.shape[:-1], -1), settings.ensemble_pessimism)


def one_view(features: jax.Array, dim: int) -> jax.Array:
    """The mean over views `[..., V * D] -> [..., D]`."""
    if features.shape[-1] == dim:
        return features
    return mean_feature(features.reshape(*features.shape[:-1], -1, dim))


def feature_terms(
    features: jax.Array, stillness: jax.Array | None, goal: Goal, settings: RewardSettings
) -> dict[str, jax.Array]:
    """Unweighted terms `[..., E]` that are made of features `[..., E, D]`; one whose weight is 0 is not computed.

    contrast: log softmax of the goal against `goal.bank`; stillness: minus `clip.reward.stillness`, which `Eyes` knows.
    """
    terms = {}
    if settings.pays("contrast"):
        assert goal.bank is not None
        bank = jnp.concatenate([goal.text[None], goal.bank])
        own = jnp.zeros(features.shape[:-1], jnp.int32)
        terms["contrast"] = contrast(one_view(features, goal.text.shape[-1]), bank, own, settings.contrast_tau)
    if stillness is not None:
        terms["stillness"] = -stillness
    return terms


def reward_terms(
    score: jax.Array,
    previous: jax.Array,
    style: jax.Array,
    fallen: jax.Array,
    hinge_rates: jax.Array,
    of_features: dict[str, jax.Array],
    normalizer: ScoreNormalizer,
    settings: RewardSettings,
    discount: float,
) -> dict[str, jax.Array]:
    """Unweighted terms `[..., E]` of a latent step; `score` and `previous` are similarities after and before it.

    similarity: as it is, or in the standard deviations of the warm-up about its mean (`normalise`); style: r_D of the
    frozen discriminator; alive, fall; delta: shaping by the similarity; energy: minus the mean square of the
    `hinge_rates [..., E, J]` [(rad/s)^2] at the step's end. `of_features` are the `feature_terms`, handed on.
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
        **of_features,
    }


def weigh(terms: dict[str, jax.Array], settings: RewardSettings, progress: jax.Array | float = 0.0) -> jax.Array:
    """The reward: every term times the weight of the same name.

    The language terms fade from their whole weight to the part `fade_to` of it as `progress` goes from 0 to 1: at the
    end of a training that fades, style and energy decide how the skill is done.
    """
    fade = 1.0 + (settings.fade_to - 1.0) * progress
    total = jnp.zeros(())
    for name, weight in settings.weights:
        if name in terms:
            total = total + weight * terms[name] * (fade if name in ("similarity", "delta", "contrast") else 1.0)
    return total


def until_fallen(reward: jax.Array, fallen: jax.Array, settings: RewardSettings) -> jax.Array:
    """The `reward [P, ...]` of P steps in a row, where whoever has fallen earns no more than a fall does."""
    lost = jnp.cumsum(fallen, axis=0) > 0
    return jnp.where(lost, -dict(settings.weights)["fall"], reward)
