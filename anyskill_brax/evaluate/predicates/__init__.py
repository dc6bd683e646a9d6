"""Predicates: what an instruction means, decided by geometry over a rollout, one registered function each."""

from anyskill_brax.evaluate.predicates import arms, gestures, legs, travel, trunk  # noqa: F401  (they register)
from anyskill_brax.evaluate.predicates.register import PREDICATES, Predicate, predicate

__all__ = ["PREDICATES", "Predicate", "predicate"]
