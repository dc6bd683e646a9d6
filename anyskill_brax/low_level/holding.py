"""Lessons in holding: poses that the teacher keeps better than the actor does are learnt from the teacher.

Arms raised above the head; with `holding.arrival_share` a raised knee or a lunge as well. Those with the feet where
standing has them are reached directly, the others by the motion that they are of; all of it is done under one latent,
that of the pose, because a policy above knows nothing of motions. Measured in docs/experiments/holding.md.
"""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from anyskill_brax.envs import observations
from anyskill_brax.envs.humanoid_env import HumanoidState
from anyskill_brax.low_level.balance import balancing_joints
from anyskill_brax.low_level.guidance import Act, Guided
from anyskill_brax.low_level.reference import Reference, body_errors
from anyskill_brax.low_level.rollout import Step
from anyskill_brax.low_level.settings import LowLevelSettings
from anyskill_brax.low_level.stage import Stage
from anyskill_brax.low_level.state import TrainState
from anyskill_brax.low_level.still_poses import APPROACH
from anyskill_brax.low_level.worlds import NEAR, Worlds
from anyskill_brax.types import Metrics

EVERY = 5
"""Frames of a clip of which one is asked about: its neighbours are like it."""
HELD = 90
"""Control steps that a pose is to be held, in the comparison of teacher and actor; the last third of them counts."""
GOOD, BETTER = 0.1, 0.04
"""How far off [m] the furthest body may be where the teacher is to be learnt from, and by how much less than under the
actor."""
STEP = 0.1
"""How far off [m] a foot may be, on the floor, where a pose is to be reached without a step."""
BLOCK = 512


class Holding(Guided):
    """The course; a `lessons.Course`. It is given in worlds most of which hold poses, half of them taught ones."""

    def __init__(self, stage: Stage, state: TrainState):
        super().__init__(stage, stage.settings.holding)
        reference = stage.reference
        every_still = np.unique(reference.still)
        every_arrival = np.unique(reference.arrivals) if self.settings.arrival_share else np.zeros(0, int)
        self.still, self.arrivals = sparse(reference, every_still), sparse(reference, every_arrival)
        self.by_teacher = jax.jit(lambda: self._off(self.teach))()
        self.by_actor = jax.jit(lambda state: self._off(self.by(state)))(state)
        self.better = np.asarray((self.by_teacher < GOOD) & (self.by_teacher + BETTER < self.by_actor))
        still = spread(every_still, self.still, self.better[: self.still.size])
        arrivals = spread(every_arrival, self.arrivals, self.better[self.still.size :])
        self.taught = jnp.zeros(reference.clip.size, bool).at[np.concatenate([still, arrivals])].set(True)
        self.stage = dataclasses.replace(
            self.stage,
            settings=_practice(self.stage.settings, arrivals.size > 0),
            reference=reference.replace(
                still=jnp.asarray(half_taught(np.asarray(reference.still), still)),
                arrivals=jnp.asarray(arrivals if arrivals.size else reference.arrivals),
            ),
        )

    def plan(self) -> str:
        """What is to be taught, a line."""
        better, count = self.better, self.still.size
        if not better.any():
            return "lessons in holding: the teacher keeps no pose well that the actor does not"
        teacher, actor = np.asarray(self.by_teacher), np.asarray(self.by_actor)
        others = f"; in the others {np.median(actor[~better]):.2f}" if not better.all() else ""
        return (
            f"lessons in holding: {better[:count].sum()} of {count} poses, {better[count:].sum()} of "
            f"{better.size - count} to arrive at; there the teacher is {teacher[better].mean():.2f} m off with the "
            f"furthest body, the actor so far {actor[better].mean():.2f}{others}"
        )

    def due(self, worlds: Worlds) -> jax.Array:
        stage, character = self.stage, self.stage.env.character
        target = stage.reference.bodies(character, worlds.row, False)
        local = observations.local_positions(worlds.humanoid.bodies) - observations.local_positions(target)
        feet = local[:, character.feet, :2]
        near = jnp.linalg.norm(feet - feet.mean(axis=1, keepdims=True), axis=-1).max(axis=-1) < STEP
        still = worlds.poses & near & ~worlds.recovering & self.taught[worlds.row]
        return still | (worlds.arrives & self.taught[worlds.source])

    def joints(self, worlds: Worlds) -> jax.Array:
        # PPO keeps its balance better than the teacher's clone does: legs and waist are left to it where they can be.
        arms = ~jnp.asarray(balancing_joints(self.stage.env.character))
        return arms | worlds.arrives[:, None]

    def success(self, steps: Step) -> Metrics:
        """Quality of tracking where a pose is taught and in others; the taught ones' time to fail [s] and share."""
        assert steps.advice is not None
        due = steps.advice.due

        def share(x: jax.Array, mask: jax.Array) -> jax.Array:
            return (x * mask).sum() / jnp.maximum(mask.sum(), 1)

        return {
            "quality_taught": share(steps.tracking, due),
            "quality_others": share(steps.tracking, steps.poses & ~due & ~steps.recovers),
            "seconds_taught": 1.0 / (30.0 * jnp.maximum(share(steps.terminated, due), 1e-4)),
            "share_taught": due.mean(),
        }

    def _off(self, act: Act) -> jax.Array:
        asked = (self.still, False), (self.arrivals, True)
        return jnp.concatenate(
            [off(self.stage, act, jnp.asarray(poses), arrive) for poses, arrive in asked if poses.size]
        )


def off(stage: Stage, act: Act, poses: jax.Array, arrive: bool) -> jax.Array:
    """How far the furthest body is from rows `poses [N]` under `act` in the end, `[N]` [m], from standing; if they
    `arrive` by the way there, which waits for who is late."""
    env, reference = stage.env, stage.reference

    def some(pose: jax.Array) -> jax.Array:
        def errors(humanoid: HumanoidState, row: jax.Array, moves: jax.Array | bool) -> jax.Array:
            return body_errors(humanoid.bodies, reference.bodies(env.character, row, moves)).max(axis=-1)

        def step(carry: tuple[HumanoidState, jax.Array], _):
            humanoid, row = carry
            moves = row < pose
            humanoid = env.advance(humanoid, act(humanoid, row, moves, pose))
            there = errors(humanoid, row + moves, moves) < NEAR
            return (humanoid, row + (moves & there)), errors(humanoid, pose, False)

        begin = env.place_default(pose.shape), reference.way[pose] if arrive else pose
        found = jax.lax.scan(step, begin, length=HELD + APPROACH * arrive)[1]
        return found[-HELD // 3 :].mean(axis=0)

    blocks = jnp.resize(poses, (-(-poses.size // BLOCK), min(BLOCK, poses.size)))
    return jax.lax.map(some, blocks).reshape(-1)[: poses.size]


def sparse(reference: Reference, rows: np.ndarray) -> np.ndarray:
    """Of `rows`, in order, the first of every run of frames and every `EVERY`-th of their clip."""
    begins = np.diff(rows, prepend=-2) > 1
    return rows[begins | ((rows - np.asarray(reference.first)[rows]) % EVERY == 0)]


def spread(rows: np.ndarray, asked: np.ndarray, answer: np.ndarray) -> np.ndarray:
    """Those of `rows` for which the last of `asked` that is not after them has the `answer` yes."""
    return rows[answer[np.searchsorted(asked, rows, side="right") - 1]]


def half_taught(still: np.ndarray, taught: np.ndarray) -> np.ndarray:
    """`still` with the `taught` ones of it as often as all others."""
    is_taught = np.isin(still, taught)
    times = max(1, round((~is_taught).sum() / max(1, is_taught.sum())))
    return np.sort(np.concatenate([np.tile(still[is_taught], times), still[~is_taught]]))


def _practice(settings: LowLevelSettings, arrive: bool) -> LowLevelSettings:
    holding, start = settings.holding, settings.start
    others = start.motion_latent_share / max(1.0 - start.pose_share, 1e-6)
    start = dataclasses.replace(
        start,
        pose_share=holding.pose_share,
        motion_latent_share=min(others, 1.0) * (1.0 - holding.pose_share),
        arrival_share=holding.arrival_share * arrive,
    )
    return dataclasses.replace(settings, start=start)
