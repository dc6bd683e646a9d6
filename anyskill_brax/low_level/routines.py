"""Two routines that get up from the floor, from the back and from the front, as PD targets over time.

Their keyframes, alike on the left and on the right, were found by a cross-entropy search over simulated falls
(docs/experiments/rising_search.py). They are played blindly, by the clock, once the body has stretched out on the
floor: stretching turns it onto its back or its front within a second. They lead to standing but cannot keep it.
"""

import jax
import jax.numpy as jnp
import numpy as np

from anyskill_brax import rotations
from anyskill_brax.character.humanoid import CONTROL_DT, Character
from anyskill_brax.character.kinematics import BodyState
from anyskill_brax.envs.humanoid_env import HumanoidState

BACK, FRONT = 0, 1
HINGES = (
    "abdomen_y", "neck_y", "shoulder_x", "shoulder_y", "shoulder_z", "elbow",
    "hip_x", "hip_y", "hip_z", "knee", "ankle_y",
)  # fmt: skip
SECONDS = ((0.5, 0.6, 0.27, 0.64, 0.58, 0.32), (0.37, 0.55, 0.36, 0.23, 0.48, 0.25))
"""Of the ways to the keyframes, by routine."""
DEGREES = (
    (
        (26, 61, 133, 142, 27, -57, -8, -21, -13, 115, -10),
        (95, 95, -32, 82, 25, 24, 8, -96, -9, 179, 0),
        (68, -6, -5, -98, -60, 48, 52, -44, -49, 229, -77),
        (-1, 12, 18, -68, -16, 41, 34, -39, -7, 185, -90),
        (4, -4, -63, -76, 15, 81, 0, -73, 24, 14, -16),
        (0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0),
    ),
    (
        (26, -13, 70, 18, -41, -122, 6, -12, 6, 38, -12),
        (-42, 2, 108, -68, 8, -37, 8, -57, -4, 118, -36),
        (90, -5, -62, -167, -71, 1, 9, -157, -6, 232, -33),
        (40, -5, -26, -48, 28, 59, 17, -151, -15, 182, -67),
        (42, 11, 78, -10, -11, 5, -16, -13, 1, 15, -60),
        (0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0),
    ),
)
"""Targets by routine, keyframe and hinge, cut to the hinges' ranges. Of a pair the left one's; the right one's has the
other sign about x and z."""


def both_sides(character: Character, targets: np.ndarray) -> np.ndarray:
    """`targets [..., 11]` of HINGES [rad] -> `[..., 28]` of all hinges, within their ranges."""
    full = np.zeros((*targets.shape[:-1], character.action_dim), np.float32)
    for column, hinge in enumerate(HINGES):
        if hinge in character.joint_names:
            full[..., character.joint_names.index(hinge)] = targets[..., column]
            continue
        mirrored = -1.0 if hinge.endswith(("_x", "_z")) else 1.0
        full[..., character.joint_names.index(f"left_{hinge}")] = targets[..., column]
        full[..., character.joint_names.index(f"right_{hinge}")] = mirrored * targets[..., column]
    return np.clip(full, character.joint_low, character.joint_high)


def routines(character: Character) -> jax.Array:
    """PD targets `[2, T, 28]` [rad] of every control step, lines from keyframe to keyframe; the last is kept."""
    steps = int(np.ceil(max(map(sum, SECONDS)) / CONTROL_DT))
    clock = CONTROL_DT * (1 + np.arange(steps))
    played = []
    for seconds, degrees in zip(SECONDS, DEGREES, strict=True):
        frames = both_sides(character, np.radians(np.concatenate([np.zeros((1, len(HINGES))), degrees])))
        times = np.concatenate([[0.0], np.cumsum(seconds)])
        played.append(np.stack([np.interp(clock, times, column) for column in frames.T], axis=-1))
    return jnp.asarray(np.stack(played), jnp.float32)


def may_begin(character: Character, humanoid: HumanoidState) -> tuple[jax.Array, jax.Array]:
    """Whether the body lies stretched out and still, `[...]` bool, and the routine for it, BACK or FRONT."""
    bodies, physics = humanoid.bodies, humanoid.physics
    up = chest_up(bodies)
    low = bodies.pos[..., character.body("head"), 2] < 0.25 * character.standing_head
    straight = jnp.abs(physics.qpos[..., 7:]).max(axis=-1) < 0.45
    still = jnp.abs(physics.qvel[..., :6]).max(axis=-1) < 0.8
    return (jnp.abs(up) > 0.85) & low & straight & still, jnp.where(up > 0.0, BACK, FRONT)


def chest_up(bodies: BodyState) -> jax.Array:
    """How far the pelvis' front points up: 1 on the back, -1 on the front, `[...]`."""
    return rotations.rotate(bodies.rot[..., 0, :], jnp.array([1.0, 0.0, 0.0]))[..., 2]
