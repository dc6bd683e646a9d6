"""Grading: rollouts, the judge, predicates, reports."""

from anyskill_brax.evaluate.judge import SETTLE, Grade, Judge, grade, standard_error
from anyskill_brax.evaluate.rollouts import (
    FALL_HEIGHT,
    Episodes,
    HeldLatent,
    perturbed_starts,
    rollout_policy,
    survival,
    untrained_policies,
)

__all__ = [
    "FALL_HEIGHT",
    "SETTLE",
    "Episodes",
    "Grade",
    "HeldLatent",
    "Judge",
    "grade",
    "perturbed_starts",
    "rollout_policy",
    "standard_error",
    "survival",
    "untrained_policies",
]
