"""Lessons in getting up, between warm start and PPO: the actor learns what the way up shows and keeps the rest.

DAgger (Ross et al. 2011): the pupil drives, in the worlds of training. What it should have done is, where a world
recovers and is not up yet, what was done in the nearest moment of the way up (`getting_up.py`); everywhere else, what
the actor did before the lessons. PPO finds none of this by itself within tens of millions of samples; it smooths it
afterwards. Measured in docs/experiments/getting-up.md.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import struct

from anyskill_brax.envs.humanoid_env import HumanoidEnv
from anyskill_brax.low_level.devices import ALONE
from anyskill_brax.low_level.getting_up import STANDING, feature, head_part
from anyskill_brax.low_level.pauses import Log, Pause, Resume
from anyskill_brax.low_level.reference import Reference
from anyskill_brax.low_level.rollout import Step, rollout
from anyskill_brax.low_level.settings import LowLevelSettings
from anyskill_brax.low_level.stage import Stage
from anyskill_brax.low_level.state import TrainState
from anyskill_brax.low_level.warm_start import Lesson, remember, study
from anyskill_brax.low_level.worlds import Worlds
from anyskill_brax.types import Metrics, Params, PRNGKey


@struct.dataclass
class Progress:
    """Everything that a checkpoint of the lessons holds."""

    done: jax.Array  # [] int32 rounds
    actor: Params
    opt: Any
    worlds: Worlds
    memory: Lesson  # [R, T, W]: a ring of the last R rounds


def learn_rising(
    key: PRNGKey,
    settings: LowLevelSettings,
    env: HumanoidEnv,
    reference: Reference,
    state: TrainState,
    report: Log,
    resume: Resume = lambda template: None,
    pause: Pause = lambda progress: False,
) -> Params | None:
    """The actor after `settings.rising.rounds` rounds from that of `state`; None where `pause` stopped it.

    A round is a function of `key`, its number and the progress before it, so what is resumed ends in the same bits.
    """
    rising = settings.rising
    stage = Stage.create(settings, env, reference, ALONE)
    optimizer = optax.adam(optax.cosine_decay_schedule(rising.lr, rising.rounds * rising.steps))
    one_round = jax.jit(lambda progress, key: hold_round(stage, optimizer, state, progress, key), donate_argnums=0)

    def begin() -> Progress:
        lesson = jax.eval_shape(lambda: show(stage, state, rollout(stage, state, key)[1]))
        memory = jax.tree.map(lambda x: jnp.zeros((min(rising.memory, rising.rounds), *x.shape), x.dtype), lesson)
        actor, worlds = jax.tree.map(jnp.array, (state.params.actor, state.worlds))  # copies: rounds reuse their memory
        return Progress(jnp.zeros((), jnp.int32), actor, optimizer.init(actor), worlds, memory)

    progress = resume(jax.eval_shape(begin))
    progress = begin() if progress is None else progress
    while not pause(progress):
        if (done := int(progress.done)) == rising.rounds:
            return progress.actor
        progress, metrics = one_round(progress, jax.random.fold_in(key, done))
        if done % 10 == 9 or done + 1 == rising.rounds:
            report("round", done + 1, jax.tree.map(np.asarray, metrics))
    return None


def hold_round(
    stage: Stage, optimizer: optax.GradientTransformation, state: TrainState, progress: Progress, key: PRNGKey
) -> tuple[Progress, Metrics]:
    """Practise, be shown, remember, study."""
    key_practice, key_study = jax.random.split(key)
    pupil = state.replace(params=state.params.replace(actor=progress.actor), worlds=progress.worlds)
    worlds, steps = rollout(stage, pupil, key_practice)
    memory = remember(progress.memory, show(stage, state, steps), progress.done)
    actor, opt, metrics = study(
        stage.modules.actor,
        optimizer,
        stage.settings.rising,
        stage.env,
        key_study,
        progress.actor,
        progress.opt,
        memory,
    )
    return Progress(progress.done + 1, actor, opt, worlds, memory), metrics | success(stage, steps)


def show(stage: Stage, state: TrainState, steps: Step) -> Lesson:
    """What should have been done in `steps`: as the way up shows, or as the actor of `state` would have."""
    character, way = stage.env.character, stage.way
    assert way is not None
    norm_obs = state.obs_normalizer(steps.obs)
    usual = stage.modules.actor.apply(state.params.actor, norm_obs, steps.latent)
    shown = jax.lax.map(lambda obs: way.action(feature(character, obs)), steps.obs)
    down = steps.recovers & (head_part(character, steps.obs) < STANDING)
    action = jnp.where(down[..., None], shown, usual)
    return Lesson(norm_obs=norm_obs, latent=steps.latent, action=action, ended=steps.terminated)


def success(stage: Stage, steps: Step) -> Metrics:
    """Of the worlds that recover, the share that stands; mean time between failures of all worlds [s]."""
    standing = head_part(stage.env.character, steps.obs) > STANDING
    return {
        "up_of_recovering": (standing & steps.recovers).sum() / jnp.maximum(steps.recovers.sum(), 1),
        "seconds_to_fail": 1.0 / (30.0 * jnp.maximum(steps.terminated.mean(), 1e-4)),
    }
