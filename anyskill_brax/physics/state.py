"""The state that every physics backend steps."""

import jax
import jax.numpy as jnp
from flax import struct

from anyskill_brax.character.humanoid import Character


@struct.dataclass
class PhysicsState:
    """Generalised state; leading axes are free."""

    qpos: jax.Array  # [..., nq]
    qvel: jax.Array  # [..., nv]
    warmstart: jax.Array  # [..., nv] last acceleration, the constraint solver's first guess

    @classmethod
    def create(cls, qpos: jax.Array, qvel: jax.Array) -> "PhysicsState":
        return cls(qpos=qpos, qvel=qvel, warmstart=jnp.zeros_like(qvel))


def joint_power(character: Character, physics: PhysicsState, target: jax.Array) -> jax.Array:
    """Mechanical power of the drives `[...]` [W]: the sum over hinges of |torque x velocity|.

    torque = clip(kp (target - q), +-limit) - kd v: spring and damping are both the drive's.
    """
    q, v = physics.qpos[..., 7:], physics.qvel[..., 6:]
    spring = jnp.clip(character.kp * (target - q), -character.torque_limit, character.torque_limit)
    return jnp.sum(jnp.abs((spring - character.kd * v) * v), axis=-1)


VARIATION = ("friction", "mass", "gains")


@struct.dataclass
class Disturbance:
    """What acts on a world beside its controls, for one control step; leading axes are the state's."""

    wrench: jax.Array  # [..., B, 6] force [N] and torque [Nm] on each body at its centre of mass, world axes
    variation: jax.Array  # [..., 3] factors on VARIATION: of all contacts, of all bodies, of all drives (kp and kd)
