"""The simulated humanoid as a Brax environment.

The physics part (`place`, `advance`, `has_fallen`) broadcasts over leading axes and is what the trainers scan; `reset`
and `step` wrap it for one world, as Brax expects, and `jax.vmap` turns them into a batch.
"""

from typing import Any

import anyskill_brax.physics  # noqa: F401  before brax, which imports the same and not quietly

# isort: split
import jax
import jax.numpy as jnp
import numpy as np
from brax.envs.base import Env, State
from flax import struct

from anyskill_brax import rotations
from anyskill_brax.character.humanoid import SUBSTEPS, Character
from anyskill_brax.character.kinematics import BodyState, forward_kinematics, lowest_points
from anyskill_brax.envs import observations
from anyskill_brax.envs.tasks.steering import Steering
from anyskill_brax.motion.library import MotionLibrary
from anyskill_brax.physics.door import make_step_batch
from anyskill_brax.physics.state import Disturbance, PhysicsState
from anyskill_brax.types import PRNGKey


@struct.dataclass
class HumanoidState:
    """One world; leading axes are free."""

    physics: PhysicsState
    bodies: BodyState
    window: jax.Array  # [..., N, 125] the last N discriminator frames, newest last


class HumanoidEnv(Env):
    """Humanoid on a flat floor: PD targets in, heading-frame observation out.

    Args:
      character: from `load_character()`.
      motions: reference-state starts come from here; None starts every episode standing.
      task: gives the reward of `step` and extra observations; see `envs/tasks`. Trainers of latents bring their own.
      num_frames: N, length of the discriminator's window.
      backend: "native" (MuJoCo's C engine, CPU threads), "mjx" (JAX, any device) or "warp" (MJX-Warp).
      reference_start_prob: share of episodes that start on a reference frame.
      fall_height: an episode ends when the head's origin is lower than this [m].
      may_touch: an episode also ends when another body than these touches the floor; None lets every body.
    """

    def __init__(
        self,
        character: Character,
        motions: MotionLibrary | None = None,
        task: Steering | None = None,
        num_frames: int = 10,
        backend: str = "native",
        reference_start_prob: float = 0.5,
        fall_height: float = 0.3,
        may_touch: tuple[str, ...] | None = None,
    ):
        self.character = character
        self.motions = motions
        self.task = task if task is not None else Steering()
        self.num_frames = num_frames
        self.fall_height = fall_height
        allowed = range(character.num_bodies) if may_touch is None else [character.body(name) for name in may_touch]
        self._no_touch = np.flatnonzero(~np.isin(character.geom_body, allowed))
        self._reference_start_prob = reference_start_prob if motions is not None else 0.0
        self._backend = backend
        self._step_batch = make_step_batch(character.model, SUBSTEPS, backend)

    # -- physics, any leading axes -------------------------------------------------------------------------------

    def place(self, qpos: jax.Array, qvel: jax.Array, window: jax.Array | None = None) -> HumanoidState:
        """A world in the given state. Without a reference `window [..., N, 125]` the present frame is repeated."""
        bodies = forward_kinematics(self.character, qpos, qvel)
        if window is None:
            frame = observations.disc_frame(self.character, bodies, qvel[..., 6:])
            window = jnp.repeat(frame[..., None, :], self.num_frames, axis=-2)
        return HumanoidState(physics=PhysicsState.create(qpos, qvel), bodies=bodies, window=window)

    def grounded(self, qpos: jax.Array) -> jax.Array:
        """`qpos [..., 35]` moved up or down until its lowest point is on the floor."""
        bodies = forward_kinematics(self.character, qpos, jnp.zeros((*qpos.shape[:-1], qpos.shape[-1] - 1)))
        return qpos.at[..., 2].add(-lowest_points(self.character, bodies).min(axis=-1))

    def place_default(self, lead: tuple[int, ...] = ()) -> HumanoidState:
        """Standing still in the default pose."""
        qpos = jnp.broadcast_to(jnp.asarray(self.character.default_qpos), (*lead, self.character.default_qpos.size))
        return self.place(qpos, jnp.zeros((*lead, qpos.shape[-1] - 1)))

    def standing(self, key: PRNGKey, lead: tuple[int, ...] = ()) -> HumanoidState:
        """Standing, but never twice alike: joints +- 0.05 rad, velocities +- 0.1, any heading; feet on the floor."""
        key_joint, key_vel, key_yaw = jax.random.split(key, 3)
        default = jnp.broadcast_to(jnp.asarray(self.character.default_qpos), (*lead, self.character.default_qpos.size))
        low, high = jnp.asarray(self.character.joint_low), jnp.asarray(self.character.joint_high)
        noise = 0.05 * jax.random.normal(key_joint, (*lead, self.character.action_dim))
        yaw = rotations.yaw_quat(jax.random.uniform(key_yaw, lead, minval=-jnp.pi, maxval=jnp.pi))
        qpos = jnp.concatenate([default[..., :3], yaw, jnp.clip(default[..., 7:] + noise, low, high)], axis=-1)
        return self.place(self.grounded(qpos), 0.1 * jax.random.normal(key_vel, (*lead, default.shape[-1] - 1)))

    def advance(self, state: HumanoidState, action: jax.Array, disturbance: Disturbance | None = None) -> HumanoidState:
        """One control step (1/30 s) under `action [..., 28]` in [-1, 1] (clipped) and whatever else acts on it."""
        physics = self._step_batch(state.physics, jnp.asarray(self.character.pd_target(action)), disturbance)
        bodies = forward_kinematics(self.character, physics.qpos, physics.qvel)
        frame = observations.disc_frame(self.character, bodies, physics.qvel[..., 6:])
        window = jnp.concatenate([state.window[..., 1:, :], frame[..., None, :]], axis=-2)
        return HumanoidState(physics=physics, bodies=bodies, window=window)

    def has_fallen(self, bodies: BodyState) -> jax.Array:
        """Head lower than `fall_height` (0.3 m in ASE's tasks, 0.15 m in AnySkill), or a body on the floor that may not
        be there, `[...]` bool. Contact is read off the geometry, so every physics backend agrees."""
        low = bodies.pos[..., self.character.body("head"), 2] < self.fall_height
        if self._no_touch.size == 0:
            return low
        return low | (lowest_points(self.character, bodies)[..., self._no_touch] < 0.01).any(axis=-1)

    def is_broken(self, state: HumanoidState) -> jax.Array:
        """A world whose physics diverged: not finite, or faster than anything a body does, `[...]` bool."""
        qvel, qpos = state.physics.qvel, state.physics.qpos
        finite = jnp.isfinite(qvel).all(-1) & jnp.isfinite(qpos).all(-1)
        return ~finite | (jnp.abs(qvel).max(-1) > 300.0)

    # -- Brax ------------------------------------------------------------------------------------------------------

    def reset(self, rng: jax.Array) -> State:
        """Reference-state start with probability `reference_start_prob`, else `standing`; random heading."""
        key_start, key_motion, key_time, key_standing, key_task = jax.random.split(rng, 5)
        state = self.standing(key_standing)
        if self.motions is not None:
            motion = self.motions.sample_motions(key_motion, ())
            qpos, qvel = self.motions.at(motion, self.motions.sample_times(key_time, motion))
            key_start, key_yaw = jax.random.split(key_start)
            turn = rotations.yaw_quat(jax.random.uniform(key_yaw, minval=-jnp.pi, maxval=jnp.pi))
            qpos = qpos.at[:2].set(0.0).at[3:7].set(rotations.quat_mul(turn, qpos[3:7]))
            qvel = qvel.at[:3].set(rotations.rotate(turn, qvel[:3]))
            use = jax.random.bernoulli(key_start, self._reference_start_prob)
            state = jax.tree.map(lambda x, y: jnp.where(use, x, y), self.place(qpos, qvel), state)
        task = self.task.reset(key_task, state.bodies)
        metrics = {name: jnp.zeros(()) for name in self.task.term_names}
        obs = jnp.concatenate([observations.observe(state.bodies), self.task.observe(task, state.bodies)], axis=-1)
        return State(state, obs, jnp.zeros(()), jnp.zeros(()), metrics, {"task": task})  # pyright: ignore[reportArgumentType]

    def step(self, state: State, action: jax.Array) -> State:
        before: Any = state.pipeline_state
        after = self.advance(before, action)
        broken = self.is_broken(after)
        after = jax.tree.map(lambda new, old: jnp.where(broken, old, new), after, before)
        task = self.task.step(state.info["task"], after.bodies)
        terms = self.task.reward_terms(task, before.bodies, after.bodies)
        obs = jnp.concatenate([observations.observe(after.bodies), self.task.observe(task, after.bodies)], axis=-1)
        done = (self.has_fallen(after.bodies) | broken).astype(jnp.float32)
        return state.replace(  # pyright: ignore[reportAttributeAccessIssue]
            pipeline_state=after,
            obs=obs,
            reward=jnp.sum(jnp.stack(list(terms.values())), axis=0),
            done=done,
            metrics=state.metrics | terms,
            info=state.info | {"task": task},
        )

    @property
    def observation_size(self) -> int:
        return observations.obs_dim(self.character) + self.task.obs_dim

    @property
    def action_size(self) -> int:
        return self.character.action_dim

    @property
    def backend(self) -> str:
        return self._backend
