"""The state that every physics backend steps."""

import jax
import jax.numpy as jnp
from flax import struct


@struct.dataclass
class PhysicsState:
    """Generalised state; leading axes are free."""

    qpos: jax.Array  # [..., nq]
    qvel: jax.Array  # [..., nv]
    warmstart: jax.Array  # [..., nv] last acceleration, the constraint solver's first guess

    @classmethod
    def create(cls, qpos: jax.Array, qvel: jax.Array) -> "PhysicsState":
        return cls(qpos=qpos, qvel=qvel, warmstart=jnp.zeros_like(qvel))
