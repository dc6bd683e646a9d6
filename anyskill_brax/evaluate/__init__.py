"""Grading: rollouts, the judge, predicates, reports."""

from anyskill_brax.evaluate.instructions import Meaning, meaning
from anyskill_brax.evaluate.intervals import Rate, standard_error, wilson
from anyskill_brax.evaluate.judge import SETTLE, Grade, Judge, grade
from anyskill_brax.evaluate.predicates import PREDICATES, Predicate, predicate
from anyskill_brax.evaluate.rollouts import FALL_HEIGHT, Episodes, rollout_policy, survival, untrained_policies
from anyskill_brax.evaluate.track import Track
from anyskill_brax.policies import HeldLatent

__all__ = [
    "FALL_HEIGHT",
    "PREDICATES",
    "SETTLE",
    "Episodes",
    "Grade",
    "HeldLatent",
    "Judge",
    "Meaning",
    "Predicate",
    "Rate",
    "Track",
    "grade",
    "meaning",
    "predicate",
    "rollout_policy",
    "standard_error",
    "survival",
    "untrained_policies",
    "wilson",
]
