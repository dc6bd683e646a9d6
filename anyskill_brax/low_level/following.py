"""Lessons in following: motions that the teacher keeps longer than the actor does are learnt from the teacher.

The teacher of the warm start (`teacher.py`) sees the reference and keeps its balance: it stands on one leg, kicks and
marches, which PPO under a reward for following does not find. Where it is no better, in most walks, the actor is left
as it is. Measured in docs/experiments/lifting.md.
"""

import jax
import jax.numpy as jnp

from anyskill_brax.envs.humanoid_env import HumanoidState
from anyskill_brax.low_level.guidance import Act, Guided
from anyskill_brax.low_level.rollout import Step
from anyskill_brax.low_level.stage import Stage
from anyskill_brax.low_level.state import TrainState
from anyskill_brax.low_level.worlds import Worlds, is_lost
from anyskill_brax.types import Metrics, PRNGKey

STARTS = 6
"""Of every motion, evenly spread over it, from which actor and teacher are compared."""
LONGEST = 90
"""Control steps of the comparison, at most."""
GOOD, BETTER = 0.7, 0.05
"""The share of the time that the teacher must keep a motion to be learnt from, and by which it must be longer than the
actor does: from one that falls, falling is learnt."""


class Following(Guided):
    """The course; a `lessons.Course`. It is given in worlds most of which follow a motion, with little noise."""

    def __init__(self, stage: Stage, state: TrainState):
        super().__init__(stage, stage.settings.following)
        key = jax.random.PRNGKey(stage.settings.seed)
        self.by_teacher = jax.jit(lambda: kept(key, self.stage, self.teach))()
        self.by_actor = jax.jit(lambda state: kept(key, self.stage, self.by(state)))(state)

    @property
    def taught(self) -> jax.Array:
        """The motions that the teacher is to be learnt from in, `[M]` bool."""
        return (self.by_teacher > GOOD) & (self.by_teacher > self.by_actor + BETTER)

    def plan(self) -> str:
        """What is to be taught, a line."""
        taught = self.taught
        if not taught.any():
            return "lessons in following: the teacher keeps no motion well that the actor does not"
        return (
            f"lessons in following: {int(taught.sum())} of {taught.size} motions, of whose time the teacher keeps "
            f"{float(self.by_teacher[taught].mean()):.2f}, the actor so far {float(self.by_actor[taught].mean()):.2f}; "
            f"of the others the actor keeps {float(self.by_actor[~taught].mean()):.2f}"
        )

    def due(self, worlds: Worlds) -> jax.Array:
        # Who is still on the way from another pose would be torn to the motion.
        return worlds.follows & self.taught[self.stage.reference.clip[worlds.row]] & (worlds.patience == 0)

    def success(self, steps: Step) -> Metrics:
        """Mean time until a motion is lost [s], of those that are taught and of the others; the taught ones' share."""
        assert steps.advice is not None
        due = steps.advice.due

        def seconds(mask: jax.Array) -> jax.Array:
            share = (steps.terminated & mask).sum() / jnp.maximum(mask.sum(), 1)
            return 1.0 / (30.0 * jnp.maximum(share, 1e-4))

        return {
            "seconds_taught": seconds(due),
            "seconds_others": seconds(steps.follows & ~due),
            "share_taught": due.mean(),
        }


def kept(key: PRNGKey, stage: Stage, act: Act) -> jax.Array:
    """Of the time that every motion takes from `STARTS` moments of it, the share before it is lost under `act`, `[M]`.

    Lost as training counts it, with the noise of training's settings.
    """
    env, reference = stage.env, stage.reference
    start, length = (jnp.repeat(x, STARTS) for x in (reference.start, reference.length))
    part = jnp.tile(jnp.arange(STARTS) / STARTS, reference.start.size)
    first = start + (part * jnp.maximum(length - 6, 1)).astype(jnp.int32)
    moves = jnp.ones(first.shape, bool)

    def step(carry: tuple[HumanoidState, jax.Array], key: PRNGKey):
        humanoid, row = carry
        action = act(humanoid, row, moves, reference.ahead(row, stage.settings.networks.encoder_frames))
        action = action + stage.settings.learner.sigma * jax.random.normal(key, action.shape)
        humanoid, over, row = env.advance(humanoid, action), row >= reference.last[row], reference.ahead(row, 1)
        _, gone = is_lost(stage.settings.start, env.character, humanoid.bodies, reference.bodies(env.character, row))
        return (humanoid, row), (over, gone)

    begun = env.place(reference.qpos[first], reference.qvel[first], reference.window(first, env.num_frames))
    _, (over, gone) = jax.lax.scan(step, (begun, first), jax.random.split(key, LONGEST))
    there = jnp.cumsum(over, axis=0) == 0
    well = there & (jnp.cumsum(gone, axis=0) == 0)
    return (well.sum(axis=0) / jnp.maximum(there.sum(axis=0), 1)).reshape(-1, STARTS).mean(axis=1)
