"""Steering: walk in a given direction at a given speed, facing another given direction (ASE, section 7)."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
from flax import struct

from anyskill_brax import rotations
from anyskill_brax.character.kinematics import BodyState


@struct.dataclass
class SteeringState:
    direction: jax.Array  # [..., 2] unit, world frame, where to go
    facing: jax.Array  # [..., 2] unit, world frame, where to look
    speed: jax.Array  # [...] [m/s]


@dataclass(frozen=True)
class Steering:
    """r = .7 exp(-.25 (v* - v.d)^2 - .025 |tangential|^2) + .3 facing; targets are drawn at reset."""

    min_speed: float = 0.0
    max_speed: float = 2.0
    term_names = ("velocity", "facing")
    obs_dim = 5

    def reset(self, key: jax.Array, bodies: BodyState) -> SteeringState:
        del bodies
        key_direction, key_facing, key_speed = jax.random.split(key, 3)
        direction = jax.random.uniform(key_direction, minval=-jnp.pi, maxval=jnp.pi)
        facing = jax.random.uniform(key_facing, minval=-jnp.pi, maxval=jnp.pi)
        return SteeringState(
            direction=jnp.stack([jnp.cos(direction), jnp.sin(direction)], -1),
            facing=jnp.stack([jnp.cos(facing), jnp.sin(facing)], -1),
            speed=jax.random.uniform(key_speed, minval=self.min_speed, maxval=self.max_speed),
        )

    def step(self, task: SteeringState, bodies: BodyState) -> SteeringState:
        del bodies
        return task

    def observe(self, task: SteeringState, bodies: BodyState) -> jax.Array:
        """Direction and facing in the heading frame, and the speed, `[..., 5]`."""
        yaw = rotations.heading(bodies.rot[..., 0, :])
        return jnp.concatenate([_turn(task.direction, -yaw), _turn(task.facing, -yaw), task.speed[..., None]], axis=-1)

    def reward_terms(self, task: SteeringState, before: BodyState, after: BodyState) -> dict[str, jax.Array]:
        """Velocity is the root's mean over the control step."""
        velocity = (after.pos[..., 0, :2] - before.pos[..., 0, :2]) * 30.0
        along = jnp.sum(velocity * task.direction, axis=-1)
        across = velocity - along[..., None] * task.direction
        yaw = rotations.heading(after.rot[..., 0, :])
        ahead = jnp.cos(yaw) * task.facing[..., 0] + jnp.sin(yaw) * task.facing[..., 1]
        pace = jnp.exp(-0.25 * (task.speed - along) ** 2 - 0.025 * jnp.sum(across**2, axis=-1))
        return {"velocity": 0.7 * pace, "facing": 0.3 * jnp.maximum(ahead, 0.0)}


def _turn(vector: jax.Array, yaw: jax.Array) -> jax.Array:
    c, s = jnp.cos(yaw), jnp.sin(yaw)
    return jnp.stack([c * vector[..., 0] - s * vector[..., 1], s * vector[..., 0] + c * vector[..., 1]], axis=-1)
