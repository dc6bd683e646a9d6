"""A balance feedback on top of a reference pose: the teacher that the warm start clones.

Playing reference poses through the PD drives falls within seconds, even plain standing. Shifting ankle, hip and waist
targets in proportion to how the centre of mass and the pelvis deviate from the reference keeps the same motions up (the
ankle and hip strategies of human balance). The gains are numbers of the config, found by search
(docs/experiments/balance-feedback.md).
"""

import jax
import jax.numpy as jnp
import numpy as np

from anyskill_brax import rotations
from anyskill_brax.character.humanoid import Character
from anyskill_brax.character.kinematics import BodyState
from anyskill_brax.envs import observations

SAGITTAL = (("right_ankle_y", "left_ankle_y"), ("right_hip_y", "left_hip_y"), ("abdomen_y",))
FRONTAL = (("right_ankle_x", "left_ankle_x"), ("right_hip_x", "left_hip_x"), ("abdomen_x",))
LEG = ("hip", "knee", "ankle")


def posture(character: Character, bodies: BodyState) -> jax.Array:
    """What balance depends on, `[..., 2, 4]` (sagittal, frontal), in the heading frame.

    Centre of mass from the middle of the feet [m], its velocity [m/s], tilt of the pelvis' up axis, its rate [rad/s].
    """
    model = character.model
    share = jnp.asarray(model.body_mass[1:] / model.body_mass[1:].sum(), jnp.float32)
    arm = rotations.rotate(bodies.rot, jnp.asarray(model.body_ipos[1:], jnp.float32))
    com = jnp.einsum("...bi,b->...i", bodies.pos + arm, share)
    com_vel = jnp.einsum("...bi,b->...i", bodies.linvel + rotations.cross(bodies.angvel, arm), share)
    to_heading = observations.heading_inverse(bodies)[..., 0, :]
    offset = rotations.rotate(to_heading, com - bodies.pos[..., character.feet, :].mean(axis=-2))
    velocity = rotations.rotate(to_heading, com_vel)
    pelvis = rotations.quat_mul(to_heading, bodies.rot[..., 0, :])
    up = rotations.rotate(pelvis, jnp.array([0.0, 0.0, 1.0]))
    rate = rotations.rotate(to_heading, bodies.angvel[..., 0, :])
    sagittal = jnp.stack([offset[..., 0], velocity[..., 0], up[..., 0], rate[..., 1]], axis=-1)
    frontal = jnp.stack([offset[..., 1], velocity[..., 1], up[..., 1], rate[..., 0]], axis=-1)
    return jnp.stack([sagittal, frontal], axis=-2)


def correction(character: Character, gains: jax.Array, simulated: BodyState, reference: BodyState) -> jax.Array:
    """PD target shift `[..., 28]` [rad]: `gains [2, 3, 4]` times the deviation of posture from the reference's."""
    deviation = posture(character, simulated) - posture(character, reference)
    shift = jnp.einsum("...pgd,...pd->...pg", gains, deviation)
    return jnp.einsum("...pg,pgj->...j", shift, jnp.asarray(_groups(character)))


def _groups(character: Character) -> np.ndarray:
    """`[2, 3, J]`: which hinges each group moves."""
    groups = np.zeros((2, 3, character.action_dim), np.float32)
    for plane, parts in enumerate((SAGITTAL, FRONTAL)):
        for group, names in enumerate(parts):
            for name in names:
                groups[plane, group, character.joint_names.index(name)] = 1.0
    return groups


def balancing_joints(character: Character) -> np.ndarray:
    """Hinges that carry the body's weight, `[J]` bool: waist and legs."""
    return np.array([name.split("_")[0] == "abdomen" or name.split("_")[1] in LEG for name in character.joint_names])
