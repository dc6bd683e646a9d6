"""Closed-form inverse kinematics of a limb: a three-hinge joint x y z, then one hinge y (hip-knee, shoulder-elbow)."""

import functools
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.spatial.transform import Rotation

from anyskill_brax.character.humanoid import Character

MAX_STRETCH = 0.998
"""Longest hip-to-ankle distance as a part of the straight limb; the knee keeps about 7 degrees."""


@dataclass(frozen=True)
class Limb:
    """Root joint's place in its parent's frame and the two segments' lengths [m]."""

    offset: np.ndarray  # [3]
    upper: float
    lower: float
    hinges: tuple[int, ...]  # indices into [J]: x, y, z, bend

    @property
    def reach(self) -> float:
        return MAX_STRETCH * (self.upper + self.lower)


@functools.cache
def limb(character: Character, side: str, upper: str, lower: str, end: str) -> Limb:
    """A limb by its three bodies, as ("right", "thigh", "shin", "foot")."""
    a, b, c = (character.body(f"{side}_{part}") for part in (upper, lower, end))
    upper_length, lower_length = (float(np.linalg.norm(character.offsets[body])) for body in (b, c))
    hinges = character.body_hinges[a] + character.body_hinges[b]
    return Limb(character.offsets[a].astype(float), upper_length, lower_length, hinges)


def leg(character: Character, side: str) -> Limb:
    return limb(character, side, "thigh", "shin", "foot")


def arm(character: Character, side: str) -> Limb:
    return limb(character, side, "upper_arm", "lower_arm", "hand")


def solve_limb(
    limb: Limb, target: np.ndarray, twist: np.ndarray | float, bend_sign: int, branch: int | np.ndarray = 1
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Hinges that put the limb's end at `target [..., 3]`, seen from the limb's root in the parent's axes [m].

    With k the bend, the end lies at v = (-l sin k, 0, -u - l cos k) of the upper segment; Rx(a) Ry(b) Rz(c) v = target
    is solved for a and b with c = `twist` given. Inexact where the limb is too short, or that twist cannot get there.
    `bend_sign` is +1 for knees, -1 for elbows; `branch` -1 is the solution with the upper segment turned over.
    Returns a, b, c, k, each `[...]` [rad].
    """
    u, low = limb.upper, limb.lower
    distance = np.clip(np.linalg.norm(target, axis=-1), 1.02 * abs(u - low) + 0.05, limb.reach)
    aim = target / np.maximum(np.linalg.norm(target, axis=-1, keepdims=True), 1e-9)
    k = bend_sign * np.arccos(np.clip((distance**2 - u**2 - low**2) / (2 * u * low), -1.0, 1.0))
    vx, vz = -low * np.sin(k) / distance, (-u - low * np.cos(k)) / distance
    twist = np.broadcast_to(np.asarray(twist, float), vx.shape)
    wx, wy = np.cos(twist) * vx, np.sin(twist) * vx
    radius = np.hypot(wx, vz)
    b = np.arctan2(vz, wx) + branch * np.arccos(np.clip(aim[..., 0] / radius, -1.0, 1.0))
    wz = -np.sin(b) * wx + np.cos(b) * vz
    a = np.arctan2(aim[..., 2], aim[..., 1]) - np.arctan2(wz, wy)
    return _wrap(a), _wrap(b), twist, k


def _wrap(angle: np.ndarray) -> np.ndarray:
    return (angle + np.pi) % (2 * np.pi) - np.pi


def arm_pose(character: Character, side: str, hand: ArrayLike, elbow: ArrayLike) -> dict[str, float]:
    """Arm hinges [rad] that bring the hand to `hand [3]` in the torso's frame, its elbow towards `elbow [3]`.

    Tries twists and both branches, keeps those inside the hinge ranges, takes the one whose elbow points best.
    """
    own, reach = arm(character, side), np.asarray(hand, float)
    aim = np.asarray(elbow, float) / np.linalg.norm(np.asarray(elbow))
    twist = np.tile(np.radians(np.arange(-90, 91, 5)), 2)
    branch = np.repeat([1, -1], len(twist) // 2)
    target = np.tile(reach - own.offset, (len(twist), 1))
    angles = np.stack(solve_limb(own, target, twist, -1, branch), axis=1)
    turned, bend = Rotation.from_euler("XYZ", angles[:, :3]), angles[:, 3]
    ends = np.stack([-own.lower * np.sin(bend), 0 * bend, -own.upper - own.lower * np.cos(bend)], axis=1)
    missed = np.linalg.norm(turned.apply(ends) - target, axis=1)
    low, high = character.joint_low[list(own.hinges)], character.joint_high[list(own.hinges)]
    outside = np.maximum(low - angles, angles - high).clip(0).sum(axis=1)
    points = turned.apply([0.0, 0.0, -own.upper]) @ aim
    best = angles[(points - 0.02 * abs(twist) - 10 * outside - 100 * missed).argmax()].clip(low, high)
    return {character.joint_names[j]: float(angle) for j, angle in zip(own.hinges, best)}
