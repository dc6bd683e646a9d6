"""Forward kinematics in JAX: the one source of body poses, for simulated and reference states alike.

Bodies are handled depth level by depth level, so the graph stays small however many worlds there are.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct
from jaxtyping import Bool, Float

from anyskill_brax import rotations
from anyskill_brax.character.humanoid import Character


@struct.dataclass
class BodyState:
    """World-frame state of every body; leading axes are free."""

    pos: jax.Array  # [..., B, 3] [m]
    rot: jax.Array  # [..., B, 4] wxyz
    linvel: jax.Array  # [..., B, 3] of the body origin [m/s]
    angvel: jax.Array  # [..., B, 3] [rad/s]
    joint_rot: jax.Array  # [..., B, 4] relative to the parent; identity where a body is welded


@functools.cache
def _levels(character: Character) -> tuple[np.ndarray, ...]:
    depth = np.zeros(character.num_bodies, int)
    for body in range(1, character.num_bodies):
        depth[body] = depth[character.parents[body]] + 1
    return tuple(np.flatnonzero(depth == d) for d in range(1, depth.max() + 1))


@functools.cache
def _hinge_slots(character: Character) -> np.ndarray:
    """[B, 3] indices into [J + 1] for each body's x, y, z hinge; J (a zero) where it has none."""
    slots = np.full((character.num_bodies, 3), character.action_dim)
    for body, hinges in enumerate(character.body_hinges):
        if len(hinges) == 1:
            slots[body, 1] = hinges[0]
        elif len(hinges) == 3:
            slots[body] = hinges
    return slots


def forward_kinematics(character: Character, qpos: jax.Array, qvel: jax.Array) -> BodyState:
    """`qpos [..., 35]`, `qvel [..., 34]` (MuJoCo's convention) -> every body's pose and velocity.

    `qvel[3:6]` is the root's angular velocity in its own frame.
    """
    zero = jnp.zeros_like(qpos[..., :1])
    slots = _hinge_slots(character)
    angles = jnp.concatenate([qpos[..., 7:], zero], axis=-1)[..., slots]
    rates = jnp.concatenate([qvel[..., 6:], zero], axis=-1)[..., slots]
    joint_rot = rotations.from_hinges_xyz(angles)
    # Angular velocity of x, y, z hinges in sequence, in the parent's frame: ex a' + Rx(ey b' + Ry ez c').
    ca, sa, cb, sb = jnp.cos(angles[..., 0]), jnp.sin(angles[..., 0]), jnp.cos(angles[..., 1]), jnp.sin(angles[..., 1])
    da, db, dc = rates[..., 0], rates[..., 1], rates[..., 2]
    joint_vel = jnp.stack([da + sb * dc, ca * db - sa * cb * dc, sa * db + ca * cb * dc], axis=-1)

    root_rot = rotations.quat_normalize(qpos[..., 3:7])
    level_pos, level_rot = qpos[..., None, :3], root_rot[..., None, :]
    level_linvel = qvel[..., None, :3]
    level_angvel = rotations.rotate(root_rot, qvel[..., 3:6])[..., None, :]
    order, previous = [np.array([0])], np.array([0])
    parts = [(level_pos, level_rot, level_linvel, level_angvel)]
    for level in _levels(character):
        up = np.searchsorted(previous, character.parents[level])
        pos, rot, linvel, angvel = (
            level_pos[..., up, :],
            level_rot[..., up, :],
            level_linvel[..., up, :],
            level_angvel[..., up, :],
        )
        arm = rotations.rotate(rot, jnp.asarray(character.offsets[level]))
        level_pos = pos + arm
        level_linvel = linvel + rotations.cross(angvel, arm)
        level_angvel = angvel + rotations.rotate(rot, joint_vel[..., level, :])
        level_rot = rotations.quat_mul(rot, joint_rot[..., level, :])
        parts.append((level_pos, level_rot, level_linvel, level_angvel))
        order.append(level)
        previous = level
    back = np.argsort(np.concatenate(order))
    pos, rot, linvel, angvel = (jnp.concatenate(p, axis=-2)[..., back, :] for p in zip(*parts, strict=True))
    return BodyState(pos=pos, rot=rot, linvel=linvel, angvel=angvel, joint_rot=joint_rot)


def lowest_points(character: Character, bodies: BodyState) -> Float[jax.Array, "*w G"]:
    """Height of the lowest point of every geom above the floor `[..., G]` [m]; negative is penetration."""
    pos, rot = bodies.pos[..., character.geom_body, :], bodies.rot[..., character.geom_body, :]
    w, x, y, z = (rot[..., i] for i in range(4))
    up = jnp.stack([2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)], axis=-1)  # third matrix row
    heights = jnp.einsum("...gi,gpi->...gp", up, jnp.asarray(character.geom_points))
    return pos[..., 2] + heights.min(axis=-1) - jnp.asarray(character.geom_radius)


def foot_contacts(
    character: Character, bodies: BodyState, max_height: float = 0.03, max_speed: float = 0.6
) -> Bool[jax.Array, "*w 2"]:
    """Whether each foot is planted, `[..., 2]` right, left: lowest corner under `max_height` [m] and slow [m/s]."""
    low = lowest_points(character, bodies)
    geoms = np.array([int(np.flatnonzero(character.geom_body == foot)[0]) for foot in character.feet])
    speed = jnp.linalg.norm(bodies.linvel[..., character.feet, :], axis=-1)
    return (low[..., geoms] < max_height) & (speed < max_speed)
