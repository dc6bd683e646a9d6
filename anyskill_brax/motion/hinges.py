"""Joint rotations to hinge angles over a whole clip: near the last frame, inside the ranges where that is possible."""

import numpy as np
from scipy.spatial.transform import Rotation

from anyskill_brax.character.humanoid import Character


def hinge_angles(character: Character, joint_rot: np.ndarray) -> np.ndarray:
    """`joint_rot [F, B, 4]` wxyz, relative to the parent -> angles `[F, J]` [rad], continuous, not clipped.

    A three-hinge joint has two angle triples for each rotation, (a, b, c) and (a + pi, pi - b, c + pi). The path that
    stays in range and moves least is the shortest one through that two-column table.
    """
    angles = np.zeros((len(joint_rot), character.action_dim))
    for body, hinges in enumerate(character.body_hinges):
        own = list(hinges)
        if len(own) == 1:
            w, _, y, _ = joint_rot[:, body].T
            angles[:, own[0]] = _wrapped(
                2 * np.arctan2(y, w), character.joint_low[own[0]], character.joint_high[own[0]]
            )
        elif len(own) == 3:
            angles[:, own] = _three_hinges(joint_rot[:, body], character.joint_low[own], character.joint_high[own])
    return angles


def _three_hinges(quats: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    w, x, y, z = quats.T
    b = np.arcsin(np.clip(2 * (x * z + w * y), -1, 1))
    a = np.arctan2(2 * (w * x - y * z), 1 - 2 * (x * x + y * y))
    c = np.arctan2(2 * (w * z - x * y), 1 - 2 * (y * y + z * z))
    triples = np.stack([np.stack([a, b, c], -1), np.stack([a + np.pi, np.pi - b, c + np.pi], -1)], axis=1)
    triples = _wrapped(triples, low, high)  # [F, 2, 3]
    over = np.maximum(low - triples, 0) + np.maximum(triples - high, 0)
    local_cost = 10.0 * np.sum(over**2, axis=-1)
    steps = np.sum((triples[1:, :, None] - triples[:-1, None]) ** 2, axis=-1)  # [F - 1, to, from]
    cost, came_from = local_cost[0], []
    for frame, step in enumerate(steps, 1):
        through = cost + step
        came_from.append(through.argmin(axis=1))
        cost = through.min(axis=1) + local_cost[frame]
    choice = [int(cost.argmin())]
    for back in reversed(came_from):
        choice.append(int(back[choice[-1]]))
    return triples[np.arange(len(triples)), choice[::-1]]


def _wrapped(angle: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """The turn by the same angle that lies nearest the middle of the range."""
    middle = 0.5 * (low + high)
    return middle + (angle - middle + np.pi) % (2 * np.pi) - np.pi


def limb_rotations(upper: np.ndarray, lower: np.ndarray, bends_forward: bool, smooth_frames: int) -> np.ndarray:
    """World rotation `[F, 4]` of an upper arm or thigh, from the directions `[F, 3]` of it and of the bone below.

    The bone lies along -z, the elbow or knee turns about y. A straight limb does not show its y axis, so the axis is
    averaged over time with the bend as weight.
    """
    hinge = np.cross(lower, upper) if bends_forward else np.cross(upper, lower)  # length: sine of the bend
    kernel = np.hanning(2 * smooth_frames + 1)
    ends = ((smooth_frames, smooth_frames), (0, 0))
    smooth = np.stack([np.convolve(column, kernel, "valid") for column in np.pad(hinge, ends, "edge").T], axis=-1)
    z = -upper
    y = smooth - np.sum(smooth * z, axis=-1, keepdims=True) * z
    y /= np.maximum(np.linalg.norm(y, axis=-1, keepdims=True), 1e-9)
    return Rotation.from_matrix(np.stack([np.cross(y, z), y, z], axis=-1)).as_quat(scalar_first=True)
