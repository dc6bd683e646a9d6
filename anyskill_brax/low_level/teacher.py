"""The teacher that the warm start clones: it sees the reference, plays it through the PD drives and keeps its balance.

PD target = the next reference pose, led by the drives' lag + what carries that pose (`character/inverse_dynamics.py`) +
what brings the body back over its feet (`balance.py`).
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from anyskill_brax.character.humanoid import Character
from anyskill_brax.character.inverse_dynamics import accelerations, support_shift
from anyskill_brax.character.kinematics import BodyState
from anyskill_brax.low_level.balance import correction
from anyskill_brax.low_level.reference import Reference


@struct.dataclass
class Teacher:
    """Per reference frame, what carries the body there."""

    moving: jax.Array  # [F, J] [rad]
    still: jax.Array  # [F, J] [rad] the same pose at rest
    gains: jax.Array  # [..., 2, 4, 4] of the balance feedback; leading axes are worlds

    @classmethod
    def create(cls, character: Character, reference: Reference, gains: Sequence[Sequence[float]]) -> "Teacher":
        qpos, qvel = np.asarray(reference.qpos), np.asarray(reference.qvel)
        qacc = accelerations(qvel, np.asarray(reference.clip))
        return cls(
            moving=jnp.asarray(support_shift(character, qpos, qvel, qacc)),
            still=jnp.asarray(support_shift(character, qpos, 0.0 * qvel, 0.0 * qacc)),
            gains=jnp.asarray(gains, jnp.float32).reshape(2, 4, 4),
        )

    def action(
        self, character: Character, reference: Reference, simulated: BodyState, row: jax.Array, moves: jax.Array
    ) -> jax.Array:
        """`[W, 28]` for worlds at `row`: on to the next frame where a motion is followed, else the pose `row` kept."""
        ahead = jnp.where(moves, reference.ahead(row, 1), row)
        # Joint damping acts on absolute velocity, so a PD drive lags its target by kd / kp seconds: lead by as much.
        lead = jnp.asarray(character.kd / character.kp) * reference.qvel[ahead, 6:] * moves[:, None]
        carried = jnp.where(moves[:, None], self.moving[ahead], self.still[ahead])
        balanced = correction(character, self.gains, simulated, reference.bodies(character, row, moves))
        return jnp.clip(character.action_for(reference.qpos[ahead, 7:] + lead + carried + balanced), -1.0, 1.0)
