"""Lessons between warm start and PPO: the actor learns what a course shows and keeps the rest.

DAgger (Ross et al. 2011): the pupil drives, in the worlds of training. What it should have done is what the course
says where it has something to say; everywhere else, what the actor did before the lessons. Three courses: getting up
(`Rising`, below), following motions that a teacher can follow (`following.py`) and holding poses that it can hold
(`holding.py`). PPO did not find them by itself within tens of millions of samples; it smooths them afterwards. Measured
in docs/experiments/getting-up.md, lifting.md and holding.md.
"""

from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import struct

from anyskill_brax.low_level.getting_up import STANDING, feature, head_part
from anyskill_brax.low_level.pauses import Log, Pause, Resume
from anyskill_brax.low_level.rollout import Step, rollout
from anyskill_brax.low_level.settings import LessonSettings
from anyskill_brax.low_level.stage import Stage
from anyskill_brax.low_level.state import TrainState
from anyskill_brax.low_level.warm_start import Lesson, remember, study
from anyskill_brax.low_level.worlds import Worlds
from anyskill_brax.types import Metrics, Params, PRNGKey


class Course(Protocol):
    """What is taught."""

    stage: Stage

    @property
    def settings(self) -> LessonSettings: ...

    def plan(self) -> str:
        """What is to be taught, a line."""
        ...

    def practise(self, pupil: TrainState, key: PRNGKey, number: jax.Array) -> tuple[Worlds, Step]:
        """Round `number []` of practice under the actor of `pupil`."""
        ...

    def shown(self, state: TrainState, steps: Step) -> tuple[jax.Array, jax.Array]:
        """What should have been done in `steps [T, W]`, `[T, W, J]`, and where that is to be learnt, as much bool."""
        ...

    def success(self, steps: Step) -> Metrics:
        """How it goes."""
        ...


@struct.dataclass
class Progress:
    """Everything that a checkpoint of the lessons holds."""

    done: jax.Array  # [] int32 rounds
    actor: Params
    opt: Any
    worlds: Worlds
    memory: Lesson  # [R, T, W]: a ring of the last R rounds


def learn(
    key: PRNGKey,
    course: Course,
    state: TrainState,
    report: Log,
    resume: Resume = lambda template: None,
    pause: Pause = lambda progress: False,
) -> Params | None:
    """The actor after the rounds of `course` from that of `state`; None where `pause` stopped it.

    A round is a function of `key`, its number and the progress before it, so what is resumed ends in the same bits.
    """
    settings = course.settings
    optimizer = optax.adam(optax.cosine_decay_schedule(settings.lr, settings.rounds * settings.steps))
    one_round = jax.jit(lambda progress, key: hold_round(course, optimizer, state, progress, key), donate_argnums=0)

    def begin() -> Progress:
        first = jax.eval_shape(lambda: course.practise(state, key, jnp.zeros((), jnp.int32))[1])
        lesson = jax.eval_shape(lambda steps: show(course, state, steps), first)
        memory = jax.tree.map(lambda x: jnp.zeros((min(settings.memory, settings.rounds), *x.shape), x.dtype), lesson)
        actor, worlds = jax.tree.map(jnp.array, (state.params.actor, state.worlds))  # copies: rounds reuse their memory
        return Progress(jnp.zeros((), jnp.int32), actor, optimizer.init(actor), worlds, memory)

    progress = resume(jax.eval_shape(begin))
    progress = begin() if progress is None else progress
    while not pause(progress):
        if (done := int(progress.done)) == settings.rounds:
            return progress.actor
        progress, metrics = one_round(progress, jax.random.fold_in(key, done))
        if done % 10 == 9 or done + 1 == settings.rounds:
            report("round", done + 1, jax.tree.map(np.asarray, metrics))
    return None


def hold_round(
    course: Course, optimizer: optax.GradientTransformation, state: TrainState, progress: Progress, key: PRNGKey
) -> tuple[Progress, Metrics]:
    """Practise, be shown, remember, study."""
    key_practice, key_study = jax.random.split(key)
    pupil = state.replace(params=state.params.replace(actor=progress.actor), worlds=progress.worlds)
    worlds, steps = course.practise(pupil, key_practice, progress.done)
    memory = remember(progress.memory, show(course, state, steps), progress.done)
    actor, opt, metrics = study(
        course.stage.modules.actor,
        optimizer,
        course.settings,
        course.stage.env,
        key_study,
        progress.actor,
        progress.opt,
        memory,
    )
    return Progress(progress.done + 1, actor, opt, worlds, memory), metrics | course.success(steps)


def show(course: Course, state: TrainState, steps: Step) -> Lesson:
    """What should have been done in `steps`: as the course shows, or as the actor of `state` would have."""
    norm_obs = state.obs_normalizer(steps.obs)
    usual = jnp.asarray(course.stage.modules.actor.apply(state.params.actor, norm_obs, steps.latent))
    shown, due = course.shown(state, steps)
    action = jnp.where(due, shown, usual)
    return Lesson(norm_obs=norm_obs, latent=steps.latent, action=action, ended=steps.terminated)


class Rising:
    """Getting up: where a world recovers and is not up yet, what was done in the nearest moment of the way up."""

    def __init__(self, stage: Stage):
        assert stage.way is not None
        self.stage, self.settings, self._way = stage, stage.settings.rising, stage.way

    def plan(self) -> str:
        return f"lessons in rising: a way up of {self._way.progress.size} moments"

    def practise(self, pupil: TrainState, key: PRNGKey, number: jax.Array) -> tuple[Worlds, Step]:
        return rollout(self.stage, pupil, key)

    def shown(self, state: TrainState, steps: Step) -> tuple[jax.Array, jax.Array]:
        character = self.stage.env.character
        action = jax.lax.map(lambda obs: self._way.action(feature(character, obs)), steps.obs)
        due = steps.recovers & (head_part(character, steps.obs) < STANDING)
        return action, jnp.broadcast_to(due[..., None], action.shape)

    def success(self, steps: Step) -> Metrics:
        """Of the worlds that recover, the share that stands; mean time between failures of all worlds [s]."""
        standing = head_part(self.stage.env.character, steps.obs) > STANDING
        return {
            "up_of_recovering": (standing & steps.recovers).sum() / jnp.maximum(steps.recovers.sum(), 1),
            "seconds_to_fail": 1.0 / (30.0 * jnp.maximum(steps.terminated.mean(), 1e-4)),
        }
