"""From features to rewards: what a reward model is, and every form of reward on top of its features.

Written for unit features: `image [..., D]` of a state, `goal [..., D]` of an instruction. Everything broadcasts, so a
batch viewed as `[I, E, D]` meets goals `[I, 1, D]`. Numbers that a run chooses are arguments; none has a default.
"""

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from anyskill_brax.character.kinematics import BodyState
from anyskill_brax.networks import unit
from anyskill_brax.types import PRNGKey

PROMPTS = (
    "{}",
    "a person, {}",
    "a humanoid figure: {}",
    "a rendered image of someone: {}",
    "the pose or movement of a human body: {}",
)


@runtime_checkable
class RewardModel(Protocol):
    """Text and states in one space of unit vectors `[D]`; states are images or poses, never both."""

    name: str
    dim: int  # D
    sha256: str  # of the weights: two runs with equal hashes were rewarded by the same model
    needs_images: bool  # embed_images if true, embed_poses if not
    image_size: int  # H = W [px]; 0 when no images are needed

    def embed_text(self, texts: Sequence[str]) -> np.ndarray:
        """K texts -> `[K, D]` unit rows. Host side, once at start-up."""
        ...

    def text_confidence(self, texts: Sequence[str]) -> np.ndarray:
        """K texts -> `[K]` in [0, 1]: how near each text is to what the model was trained on."""
        ...

    def embed_images(self, images: jax.Array) -> jax.Array:
        """`[W, H, W, 3]` float32 in 0..1 -> `[W, D]` unit rows. Jit-friendly."""
        ...

    def embed_poses(self, bodies: BodyState) -> jax.Array:
        """Bodies of W worlds -> `[W, D]` unit rows. Jit-friendly."""
        ...


@runtime_checkable
class TemporalModel(RewardModel, Protocol):
    """A reward model of poses that looks at the last `window` latent steps of a world; 1 if it cannot."""

    window: int  # N

    def state_features(self, bodies: BodyState) -> jax.Array:
        """What is remembered of one latent step: bodies of W worlds -> `[W, F]`. Jit-friendly."""
        ...

    def embed_window(self, features: jax.Array) -> jax.Array:
        """Features of N latent steps, oldest first: `[W, N, F]` -> `[W, D]` unit rows. Jit-friendly."""
        ...


def window_of(model: RewardModel) -> int:
    """How many latent steps a model looks at."""
    return getattr(model, "window", 1)


def known(features: Any) -> jax.Array:
    """`[..., D]`: what was made of NaN or infinity is the zero vector, which is like no text."""
    return jnp.asarray(jnp.where(jnp.isfinite(features).all(axis=-1, keepdims=True), features, 0.0))


def mean_feature(features: jax.Array) -> jax.Array:
    """The direction of the mean over prompts, views or frames: `[..., N, D]` -> `[..., D]` unit."""
    return unit(unit(features).mean(axis=-2))


def prompt_variants(text: str) -> list[str]:
    """One instruction said in several ways; averaging over them is the one clear gain in retrieval."""
    text = " ".join(text.split()).rstrip(".")
    return [prompt.format(text) for prompt in PROMPTS]


def embed_goals(model: RewardModel, texts: Sequence[str]) -> np.ndarray:
    """K instructions -> `[K, D]`: each the renormalised mean of the unit features of its prompt variants."""
    variants = [prompt_variants(text) for text in texts]
    rows = model.embed_text([variant for group in variants for variant in group])
    return np.asarray(mean_feature(jnp.asarray(rows).reshape(len(texts), len(PROMPTS), -1)))


def cosine(image: jax.Array, goal: jax.Array) -> jax.Array:
    """z.g, `[...]` in [-1, 1]: AnySkill's reward."""
    return jnp.sum(image * goal, axis=-1)


def goal_baseline(image: jax.Array, goal: jax.Array, baseline: jax.Array, alpha: float) -> jax.Array:
    """1 - |P (z - g)|^2 / 2 with d = g - b and P = alpha d d' / |d|^2 + (1 - alpha) I (VLM-RM, arXiv 2310.12921).

    `baseline [..., D]` describes a state without the skill ("a person standing"). alpha = 0 is `cosine`;
    alpha = 1 counts only the way from the baseline to the goal.
    """
    direction = goal - baseline
    error = image - goal
    along = cosine(error, direction) / jnp.maximum(cosine(direction, direction), 1e-12)
    projected = alpha * along[..., None] * direction + (1.0 - alpha) * error
    return 1.0 - 0.5 * cosine(projected, projected)


def contrast(image: jax.Array, bank: jax.Array, index: jax.Array, tau: float) -> jax.Array:
    """log softmax_k(z.b_k / tau) at k = `index [...]`: the goal against every other text of `bank [K, D]`; <= 0.

    Two rows that say the same share the mass; a row of zeros is no text and takes none.
    """
    logits = jnp.where(bank.any(axis=-1), image @ bank.T / tau, -jnp.inf)
    log_probs = jax.nn.log_softmax(logits, axis=-1)
    return jnp.take_along_axis(log_probs, jnp.asarray(index)[..., None], axis=-1)[..., 0]


def delta(previous: jax.Array, score: jax.Array, gamma: float) -> jax.Array:
    """gamma r(s') - r(s): potential shaping, so that only improvement pays. Give the same frame twice at a start."""
    return gamma * score - previous


def ensemble(scores: jax.Array, pessimism: float) -> jax.Array:
    """mean - pessimism * std over the last axis (prompts, views or models): `[..., N]` -> `[...]`."""
    return scores.mean(axis=-1) - pessimism * scores.std(axis=-1)


@struct.dataclass
class FeatureWindow:
    """The last N features of each world, newest last."""

    features: jax.Array  # [W, N, D]
    count: jax.Array  # [W] how many of them are of this episode

    @classmethod
    def create(cls, num_worlds: int, num_frames: int, dim: int) -> "FeatureWindow":
        return cls(jnp.zeros((num_worlds, num_frames, dim)), jnp.zeros(num_worlds, jnp.int32))

    def push(self, image: jax.Array, fresh: jax.Array) -> "FeatureWindow":
        """Add `image [W, D]`; where `fresh [W]` an episode began, and its first frame fills the window."""
        fresh = fresh | (self.count == 0)
        shifted = jnp.concatenate([self.features[:, 1:], image[:, None]], axis=1)
        features = jnp.where(fresh[:, None, None], image[:, None], shifted)
        count = jnp.where(fresh, 1, jnp.minimum(self.count + 1, self.features.shape[1]))
        return FeatureWindow(features, count)


def stillness(window: FeatureWindow, moving_spread: float) -> jax.Array:
    """How still a world holds, `[W]` in 0..1: max(0, 1 - spread / moving_spread), growing in as the window fills.

    spread = 1 - |mean z|^2 is the variance of the window's features: 0 for a pose held still, at least `moving_spread`
    for a movement.
    """
    mean = window.features.mean(axis=1)
    spread = 1.0 - cosine(mean, mean)
    filled = (window.count - 1) / max(window.features.shape[1] - 1, 1)
    return filled * jnp.maximum(0.0, 1.0 - spread / moving_spread)


def temporal(window: FeatureWindow, goal: jax.Array, weight: float, moving_spread: float) -> jax.Array:
    """The window's mean direction against the goal, less `weight` times its stillness: `[W]`.

    For an instruction that asks for a held pose give weight = 0.
    """
    return cosine(unit(window.features.mean(axis=1)), goal) - weight * stillness(window, moving_spread)


@struct.dataclass
class ScoreNormalizer:
    """Per-instruction affine normalisation; fitted on a warm-up, then frozen, so a reward keeps its meaning."""

    mean: jax.Array  # [I, 1]
    std: jax.Array  # [I, 1]

    @classmethod
    def fit(cls, scores: jax.Array, min_std: float) -> "ScoreNormalizer":
        """`scores [T, I, E]` of random-latent rollouts. `min_std` keeps a text that nothing moves from exploding."""
        return cls(scores.mean(axis=(0, 2))[:, None], jnp.maximum(scores.std(axis=(0, 2)), min_std)[:, None])

    def apply(self, score: jax.Array) -> jax.Array:
        """`score [..., I, E]` -> the same in units of the warm-up's standard deviation."""
        return (score - self.mean) / self.std


@struct.dataclass
class Trend:
    """How each world's similarity has been going."""

    last: jax.Array  # [W] the previous score; -inf before the first
    reductions: jax.Array  # [W] successive reductions so far


@struct.dataclass
class EarlyTermination:
    """AnySkill's rule: give up on an episode that keeps getting worse, or whose head is on the floor.

    Eight successive reductions are one event, and the coin is tossed once per event: where it spares the episode,
    the count begins again. (Tossed at every further step, 0.8 would soon be a certainty.) A score that rises or
    stays clears the count. A low head always terminates; the paper's probability is about the similarity.
    """

    max_reductions: jax.Array | int  # 8 in the paper
    probability: jax.Array | float  # 0.8 in the paper
    min_head_height: jax.Array | float  # [m], 0.15 in the paper

    def init(self, num_worlds: int) -> Trend:
        return Trend(jnp.full(num_worlds, -jnp.inf, jnp.float32), jnp.zeros(num_worlds, jnp.int32))

    def clear(self, trend: Trend, done: jax.Array) -> Trend:
        """Forget the past of the worlds that begin a new episode, `done [W]`."""
        return Trend(jnp.where(done, -jnp.inf, trend.last), jnp.where(done, 0, trend.reductions))

    def update(self, trend: Trend, score: jax.Array, head_height: jax.Array, key: PRNGKey) -> tuple[Trend, jax.Array]:
        """Once per latent step: `score [W]`, `head_height [W]` [m] -> next trend, `terminate [W]` bool.

        Terminated worlds come back cleared; call `clear` for those that end for another reason.
        """
        reductions = jnp.where(score < trend.last, trend.reductions + 1, 0)
        event = reductions >= self.max_reductions
        given_up = event & jax.random.bernoulli(key, self.probability, event.shape)
        terminate = given_up | (head_height < self.min_head_height)
        trend = Trend(score, jnp.where(event, 0, reductions))
        return self.clear(trend, terminate), terminate
