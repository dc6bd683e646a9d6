"""Grading skills with a judge that never gave the reward.

The judge encoder (another seed, other phrases, another input than the reward model) compares every latent step's pose
with the instruction. The baseline is the untrained policy: a fresh random network for every episode, so its spread is
counted honestly.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np

from anyskill_brax.clip.reward import RewardModel, embed_goals
from anyskill_brax.evaluate.intervals import standard_error
from anyskill_brax.evaluate.rollouts import Episodes
from anyskill_brax.high_level.eyes import Eyes, Render
from anyskill_brax.types import UserError

SETTLE = 6
"""Latent steps at the start of an episode that are not graded: a skill may take a second to get going."""


def similarities(model: RewardModel, goals: np.ndarray, episodes: Episodes, views: Sequence[Render] = ()) -> np.ndarray:
    """Mean cosine over the graded steps with every goal `[K, D]`: `[E, K]`. A model of images looks through `views`."""
    if episodes.fallen.shape[0] <= SETTLE:
        raise UserError(f"an episode to be judged lasts more than {SETTLE} latent steps")
    features = Eyes.create(model, views, "vmap").watch(episodes.bodies)[SETTLE:]
    return np.asarray(features @ jnp.asarray(goals).T).mean(axis=0)


@dataclass(frozen=True)
class Judge:
    """A reward model that grades, with the goals it grades against."""

    model: RewardModel
    texts: tuple[str, ...]
    goals: np.ndarray  # [K, D]

    @classmethod
    def create(cls, model: RewardModel, texts: Sequence[str]) -> "Judge":
        if model.needs_images:
            raise UserError(f"the judge reads poses; {model.name} reads images")
        return cls(model, tuple(texts), np.asarray(embed_goals(model, list(texts))))

    def similarities(self, episodes: Episodes) -> np.ndarray:
        """Mean cosine over the graded steps with every text, `[E, K]`."""
        return similarities(self.model, self.goals, episodes)

    def score(self, episodes: Episodes, text: str) -> np.ndarray:
        """Mean cosine with `text` per episode, `[E]`."""
        return self.similarities(episodes)[:, self.texts.index(text)]


@dataclass(frozen=True)
class Grade:
    """A skill under the judge, beside the untrained policy."""

    mean: float
    standard_error: float
    untrained_mean: float
    untrained_standard_error: float
    margin: float  # (mean - untrained) in standard errors of the difference
    fell: float  # share of episodes
    retrieved: float  # share of episodes whose nearest text, of all in the batch, is the skill's own
    passed: bool
    reason: str  # why not, in words; empty when passed

    def metrics(self) -> dict[str, float | bool | str]:
        return vars(self).copy()


def grade(judge: Judge, text: str, trained: Episodes, untrained: Episodes, required_margin: float = 2.0) -> Grade:
    """Passed when the judge's mean beats the untrained one by `required_margin` standard errors and it stays up."""
    all_scores = judge.similarities(trained)
    column = judge.texts.index(text)
    scores, baseline = all_scores[:, column], judge.score(untrained, text)
    spread = np.hypot(standard_error(scores), standard_error(baseline))
    margin = float((scores.mean() - baseline.mean()) / max(spread, 1e-9))
    fell = float(np.asarray(trained.fallen[-1]).mean())
    reason = ""
    if not margin > required_margin:
        reason = (
            f"the judge sees {margin:+.1f} standard errors over the untrained policy, {required_margin:g} are needed"
        )
    elif fell > 0.5:
        reason = f"it fell in {fell:.0%} of the episodes"
    return Grade(
        mean=float(scores.mean()),
        standard_error=standard_error(scores),
        untrained_mean=float(baseline.mean()),
        untrained_standard_error=standard_error(baseline),
        margin=margin,
        fell=fell,
        retrieved=float((all_scores.argmax(axis=1) == column).mean()),
        passed=not reason,
        reason=reason,
    )
