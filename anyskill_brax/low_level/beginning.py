"""What comes before the first update: a warm start and lessons, as the config asks; they can be stopped and resumed."""

import time
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp

from anyskill_brax.envs.humanoid_env import HumanoidEnv
from anyskill_brax.low_level import lessons, warm_start
from anyskill_brax.low_level.devices import ALONE
from anyskill_brax.low_level.following import Following
from anyskill_brax.low_level.holding import Holding
from anyskill_brax.low_level.pauses import Pauses
from anyskill_brax.low_level.reference import Reference
from anyskill_brax.low_level.settings import LowLevelSettings
from anyskill_brax.low_level.stage import Stage
from anyskill_brax.low_level.state import Networks, TrainState
from anyskill_brax.types import Params

Report = Callable[[str], None]
BEFORE_TRAINING = ("warm_start", "lessons_rising", "lessons_following", "lessons_holding")
"""Folders of the checkpoints."""


def begin(
    settings: LowLevelSettings,
    env: HumanoidEnv,
    reference: Reference,
    state: TrainState,
    key: jax.Array,
    warm: bool,
    report: Report,
    make_pauses: Callable[[str], Pauses],
) -> TrainState | None:
    """`state` warmed up if `warm`, then taught to get up, to follow and to hold if the settings ask for it.

    None if stopped, what was learnt saved.
    """
    warming, rising, following, holding = BEFORE_TRAINING
    if warm:
        params = warm_up(settings, env, reference, state, key, report, make_pauses(warming))
        if params is None:
            return None
        state = state.replace(params=params)
    courses: dict[str, Callable[[TrainState], lessons.Course]] = {}
    if settings.rising.rounds or settings.following.rounds or settings.holding.rounds:
        stage = Stage.create(settings, env, reference, ALONE)
        if settings.rising.rounds:
            courses[rising] = lambda state: lessons.Rising(stage)
        if settings.following.rounds:
            courses[following] = lambda state: Following(stage, state)
        if settings.holding.rounds:
            courses[holding] = lambda state: Holding(stage, state)
    for name, course in courses.items():
        state = jax.tree.map(jnp.asarray, state)
        number = BEFORE_TRAINING.index(name)
        actor = attend(name, course(state), state, jax.random.fold_in(key, number), report, make_pauses(name))
        if actor is None:
            return None
        state = state.replace(params=state.params.replace(actor=actor))
    return state


def warm_up(
    settings: LowLevelSettings,
    env: HumanoidEnv,
    reference: Reference,
    state: TrainState,
    key: jax.Array,
    report: Report,
    pauses: Pauses,
) -> Networks | None:
    """Networks after the warm start; None if stopped."""
    params, obs_normalizer, encoder_normalizer = jax.tree.map(
        jnp.asarray, (state.params, state.obs_normalizer, state.encoder_normalizer)
    )
    normalizers = obs_normalizer, encoder_normalizer
    log = _Lines(
        "warm start", {"encoder": settings.warm_start.encoder_steps, "round": settings.warm_start.rounds}, report
    )
    try:
        return warm_start.fit(key, settings, env, reference, params, *normalizers, log, pauses.resume, pauses.pause)
    finally:
        pauses.close()


def attend(
    name: str, course: lessons.Course, state: TrainState, key: jax.Array, report: Report, pauses: Pauses
) -> Params | None:
    """The actor after a course; None if stopped."""
    report(course.plan())
    log = _Lines(name.replace("_", " in "), {"round": course.settings.rounds}, report)
    try:
        return lessons.learn(key, course, state, log, pauses.resume, pauses.pause)
    finally:
        pauses.close()


class _Lines:
    """What a phase before the first update says of itself; from its second line on, when it will be over."""

    def __init__(self, phase: str, totals: Mapping[str, int], report: Report):
        self._phase, self._totals, self._report = phase, totals, report
        self._last: dict[str, tuple[int, float]] = {}

    def __call__(self, name: str, step: int, metrics: Mapping[str, Any]) -> None:
        now, total, eta = time.monotonic(), self._totals[name], ""
        if name in self._last:
            before, then = self._last[name]
            eta = f"  ETA {(now - then) / (step - before) * (total - step) / 60:.0f} min"
        self._last[name] = step, now
        said = ", ".join(f"{key} {float(value):.4f}" for key, value in metrics.items())
        self._report(f"{self._phase}, {name} {step}/{total}{eta}  {said}")
