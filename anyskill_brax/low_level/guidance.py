"""What lessons by the warm start's teacher have in common: it watches, says what to do, and at first does it itself."""

import abc
import dataclasses
from collections.abc import Callable

import jax
import jax.numpy as jnp

from anyskill_brax.envs import observations
from anyskill_brax.envs.humanoid_env import HumanoidState
from anyskill_brax.low_level.rollout import Advice, Step, rollout
from anyskill_brax.low_level.settings import GuidedSettings
from anyskill_brax.low_level.stage import Stage
from anyskill_brax.low_level.state import TrainState
from anyskill_brax.low_level.teacher import Teacher
from anyskill_brax.low_level.worlds import Worlds
from anyskill_brax.types import PRNGKey

Act = Callable[[HumanoidState, jax.Array, jax.Array, jax.Array], jax.Array]
"""Worlds at rows `[W]` that move on or keep their pose `[W]`, under the latents of rows `[W]` -> actions `[W, J]`."""


class Guided(abc.ABC):
    """A `lessons.Course` without what it teaches to whom."""

    def __init__(self, stage: Stage, settings: GuidedSettings):
        practice = dataclasses.replace(
            stage.settings,
            learner=dataclasses.replace(stage.settings.learner, sigma=settings.noise),
            reward=dataclasses.replace(stage.settings.reward, follow_share=(settings.follow_share,) * 2),
        )
        self.stage, self.settings = dataclasses.replace(stage, settings=practice), settings
        self._teacher = Teacher.create(stage.env.character, stage.reference, practice.warm_start.balance_gains)

    @abc.abstractmethod
    def due(self, worlds: Worlds) -> jax.Array:
        """`[W]` bool: who is to learn what the teacher says."""

    def joints(self, worlds: Worlds) -> jax.Array:
        """`[W, J]` bool: what it speaks of."""
        return jnp.ones((worlds.row.size, self.stage.env.character.action_dim), bool)

    def practise(self, pupil: TrainState, key: PRNGKey, number: jax.Array) -> tuple[Worlds, Step]:
        """The teacher drives some worlds, fewer in every round."""
        key_steps, key_drives = jax.random.split(key)
        drives = jax.random.bernoulli(key_drives, self.settings.teacher_decay**number, (self.stage.num_worlds,))

        def advise(worlds: Worlds) -> Advice:
            due = self.due(worlds)
            action = self.teach(worlds.humanoid, worlds.row, worlds.moves, worlds.source)
            return Advice(action=action, joints=self.joints(worlds), due=due, taken=due & drives)

        return rollout(self.stage, pupil, key_steps, advise)

    def shown(self, state: TrainState, steps: Step) -> tuple[jax.Array, jax.Array]:
        assert steps.advice is not None
        return steps.advice.action, steps.advice.due[..., None] & steps.advice.joints

    def teach(self, humanoid: HumanoidState, row: jax.Array, moves: jax.Array, source: jax.Array) -> jax.Array:
        """The teacher's `Act`; it needs no latent."""
        return self._teacher.action(self.stage.env.character, self.stage.reference, humanoid.bodies, row, moves)

    def by(self, state: TrainState) -> Act:
        """What the actor of `state` does."""

        def act(humanoid: HumanoidState, row: jax.Array, moves: jax.Array, source: jax.Array) -> jax.Array:
            latent = self.stage.latents_of(state.params.encoder, state, source)
            obs = state.obs_normalizer(observations.observe(humanoid.bodies))
            return jnp.asarray(self.stage.modules.actor.apply(state.params.actor, obs, latent))

        return act
