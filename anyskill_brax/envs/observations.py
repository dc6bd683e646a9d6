"""What policies and discriminators see: ONE function each, for simulated and reference poses alike.

Everything is expressed in the heading frame (the root's yaw and horizontal position removed), so the features do not
change when the character stands elsewhere or faces elsewhere.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from anyskill_brax import rotations
from anyskill_brax.character.humanoid import Character
from anyskill_brax.character.kinematics import BodyState


def heading_inverse(bodies: BodyState) -> Float[jax.Array, "*w 1 4"]:
    """The rotation that takes the world into the heading frame, `[..., 1, 4]` (broadcasts over bodies)."""
    return rotations.yaw_quat(-rotations.heading(bodies.rot[..., 0, :]))[..., None, :]


def local_positions(bodies: BodyState) -> Float[jax.Array, "*w B 3"]:
    """Body origins relative to the root in the heading frame, `[..., B, 3]` [m]; row 0 is zero."""
    return rotations.rotate(heading_inverse(bodies), bodies.pos - bodies.pos[..., :1, :])


def observe(bodies: BodyState) -> Float[jax.Array, "*w 223"]:
    """Policy observation `[..., 223]`: root height 1, positions 3(B-1), rotations 6B, velocities 3B + 3B."""
    to_heading = heading_inverse(bodies)
    lead = bodies.pos.shape[:-2]
    parts = [
        bodies.pos[..., 0, 2:3],
        rotations.rotate(to_heading, bodies.pos - bodies.pos[..., :1, :])[..., 1:, :],
        rotations.to_6d(rotations.quat_mul(to_heading, bodies.rot)),
        rotations.rotate(to_heading, bodies.linvel),
        rotations.rotate(to_heading, bodies.angvel),
    ]
    return jnp.concatenate([p.reshape(*lead, -1) for p in parts], axis=-1)


def obs_layout(character: Character) -> dict[str, int]:
    """Names and sizes of the parts of `observe`, in order."""
    b = character.num_bodies
    return {
        "root_height": 1,
        "body_positions": 3 * (b - 1),
        "body_rotations_6d": 6 * b,
        "linear_velocities": 3 * b,
        "angular_velocities": 3 * b,
    }


def obs_dim(character: Character) -> int:
    return sum(obs_layout(character).values())


def disc_frame(character: Character, bodies: BodyState, joint_vel: jax.Array) -> Float[jax.Array, "*w 125"]:
    """One frame of the discriminator's window, `[..., 125]`.

    Root height 1, root rotation 6, root velocities 6, joint rotations 6-D 72, `joint_vel [..., 28]` [rad/s] and the
    key bodies' offsets from the root 12.
    """
    to_heading = heading_inverse(bodies)
    lead = bodies.pos.shape[:-2]
    jointed = np.array([b for b, hinges in enumerate(character.body_hinges) if hinges])
    offsets = bodies.pos[..., character.key_bodies, :] - bodies.pos[..., :1, :]
    parts = [
        bodies.pos[..., 0, 2:3],
        rotations.to_6d(rotations.quat_mul(to_heading, bodies.rot[..., :1, :])),
        rotations.rotate(to_heading, bodies.linvel[..., :1, :]),
        rotations.rotate(to_heading, bodies.angvel[..., :1, :]),
        rotations.to_6d(bodies.joint_rot[..., jointed, :]),
        joint_vel,
        rotations.rotate(to_heading, offsets),
    ]
    return jnp.concatenate([p.reshape(*lead, -1) for p in parts], axis=-1)


def disc_frame_dim(character: Character) -> int:
    jointed = sum(bool(hinges) for hinges in character.body_hinges)
    return 1 + 6 + 6 + 6 * jointed + character.action_dim + 3 * len(character.key_bodies)
