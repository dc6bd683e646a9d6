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

PLANES = ("y", "x")  # hinge axes that move the body in the sagittal and in the frontal plane
LEG = ("hip", "knee", "ankle")
MARGIN = ((-0.01, 0.07), (-0.01, 0.01))  # [m] beyond the ankles, per plane: where soles of 18 x 9 cm can carry


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


def within_support(character: Character, bodies: BodyState, wanted: jax.Array) -> jax.Array:
    """`wanted [..., 2, 4]` with the centre of mass over the soles of `bodies`: leaning further cannot be held."""
    feet = bodies.pos[..., character.feet, :]
    to_heading = observations.heading_inverse(bodies)[..., :1, :]
    apart = rotations.rotate(to_heading, feet - feet.mean(axis=-2, keepdims=True))
    half, margin = jnp.abs(apart[..., 0, :2]), jnp.asarray(MARGIN)
    return wanted.at[..., 0].set(jnp.clip(wanted[..., 0], margin[:, 0] - half, margin[:, 1] + half))


def correction(character: Character, gains: jax.Array, simulated: BodyState, reference: BodyState) -> jax.Array:
    """PD target shift `[..., 28]` [rad]: `gains [2, 4, 4]` times the deviation of posture from the reference's.

    Rows of a plane: ankles, hips of legs that stand, hips of legs that swing, waist.
    """
    wanted = within_support(character, reference, posture(character, reference))
    shift = jnp.einsum("...pgd,...pd->...pg", gains, posture(character, simulated) - wanted)
    height = simulated.pos[..., character.feet, 2]
    stands = jnp.exp(-(((height - height.min(axis=-1, keepdims=True)) / 0.04) ** 2))  # [..., 2]
    share = jnp.stack([stands, stands, 1.0 - stands], axis=-2)  # [..., 3, 2]
    legs, waist = _hinges(character)
    shift_of_leg = shift[..., :3, None] * share[..., None, :, :]  # [..., 2, 3, 2]
    return jnp.einsum("...pgk,pgkj->...j", shift_of_leg, legs) + shift[..., 3] @ waist


def _hinges(character: Character) -> tuple[np.ndarray, np.ndarray]:
    """Which hinges move: `[2 planes, 3 groups, 2 legs, J]` and, of the waist, `[2 planes, J]`."""
    legs = np.zeros((2, 3, 2, character.action_dim), np.float32)
    waist = np.zeros((2, character.action_dim), np.float32)
    for p, axis in enumerate(PLANES):
        waist[p, character.joint_names.index(f"abdomen_{axis}")] = 1.0
        for g, joint in enumerate(("ankle", "hip", "hip")):
            for k, side in enumerate(("right", "left")):
                legs[p, g, k, character.joint_names.index(f"{side}_{joint}_{axis}")] = 1.0
    return legs, waist


def balancing_joints(character: Character) -> np.ndarray:
    """Hinges that carry the body's weight, `[J]` bool: waist and legs."""
    return np.array([name.split("_")[0] == "abdomen" or name.split("_")[1] in LEG for name in character.joint_names])
