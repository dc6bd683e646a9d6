"""The fixed space in which movements are compared: where the bodies are during half a second.

A window is four poses 1/6 s apart, every body's origin seen from the first pose's root (its heading and its place
on the floor; heights stay heights). So it holds posture, travel and turning, and nothing that any training produced. It
is scaled so that the Euclidean distance of two windows is the root mean square distance of their bodies [m].
"""

import functools
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np

OFFSETS = np.array([0, 5, 10, 15])
"""Frames of a window, at 30 Hz."""
LENGTH = int(OFFSETS[-1]) + 1
ROWS = 1024


def yaw_of(rot: np.ndarray) -> np.ndarray:
    """The heading [rad] of quaternions wxyz `[..., 4]`, as in `rotations.heading`."""
    w, x, y, z = np.moveaxis(rot, -1, 0)
    return np.arctan2(2.0 * (x * y + w * z), 1.0 - 2.0 * (y * y + z * z))


def windows(qpos: np.ndarray, pos: np.ndarray, stride: int) -> np.ndarray:
    """Every `stride` frames a window of `qpos [F, ..., 35]` and body origins `pos [F, ..., B, 3]`: `[N, ..., D]`.

    Too short a movement is continued by its last frame.
    """
    starts = np.arange(0, max(1, len(qpos) - LENGTH + 1), stride)
    rows = np.minimum(starts[:, None] + OFFSETS, len(qpos) - 1)
    seen = from_root(qpos[starts], np.moveaxis(np.asarray(pos, np.float32)[rows], 1, -3))  # [N, ..., 4, B, 3]
    scale = 1.0 / np.sqrt(seen.shape[-3] * seen.shape[-2])
    return (scale * seen).reshape(*seen.shape[:-3], -1).astype(np.float32)


def from_root(qpos: np.ndarray, pos: np.ndarray) -> np.ndarray:
    """Points `pos [..., P, B, 3]` as seen from above the root of `qpos [..., 35]`: x ahead of it, z from the floor."""
    x, y, z = np.moveaxis(pos, -1, 0)
    x, y = x - qpos[..., :1, None], y - qpos[..., 1:2, None]
    yaw = yaw_of(qpos[..., 3:7])[..., None, None]
    cos, sin = np.cos(yaw), np.sin(yaw)
    return np.stack([cos * x + sin * y, cos * y - sin * x, z], axis=-1)


def pose_errors(qpos: np.ndarray, pos: np.ndarray, other_qpos: np.ndarray, other_pos: np.ndarray) -> np.ndarray:
    """The mean of `body_errors`, `[...]` [m]; the same as `low_level.reference.tracking_error`."""
    return body_errors(qpos, pos, other_qpos, other_pos).mean(axis=-1)


def body_errors(qpos: np.ndarray, pos: np.ndarray, other_qpos: np.ndarray, other_pos: np.ndarray) -> np.ndarray:
    """Distances of body origins of two poses, each seen from its own root, `[..., B]` [m].

    Place and heading do not count, height does.
    """
    difference = from_root(qpos, pos[..., None, :, :]) - from_root(other_qpos, other_pos[..., None, :, :])
    return np.linalg.norm(difference, axis=-1)[..., 0, :]


def window_frames(frames: int, stride: int) -> np.ndarray:
    """The last frame of each of `windows`' rows `[N]`."""
    return np.minimum(np.arange(0, max(1, frames - LENGTH + 1), stride) + LENGTH - 1, frames - 1)


@dataclass(frozen=True, eq=False)
class Atlas:
    """The windows of all clips, with the clip that each is of."""

    windows: np.ndarray  # [R, D]
    clip: np.ndarray  # [R] int
    num_clips: int

    def nearest(self, queries: np.ndarray, not_of: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """The nearest window's clip `[Q]` and its distance `[Q]` [m]; `not_of [Q]` is a clip not to be looked in."""
        table, owner = jnp.asarray(self.windows), jnp.asarray(self.clip)
        barred = np.full(len(queries), -1) if not_of is None else np.asarray(not_of)
        clips, distances = [], []
        for first in range(0, len(queries), ROWS):
            rows = np.minimum(np.arange(first, first + ROWS), len(queries) - 1)
            clip, distance = _nearest(table, owner, jnp.asarray(queries[rows]), jnp.asarray(barred[rows]))
            clips.append(np.asarray(clip)[: len(queries) - first])
            distances.append(np.asarray(distance)[: len(queries) - first])
        return np.concatenate(clips), np.concatenate(distances)

    def of_clip(self, clip: int) -> np.ndarray:
        return self.windows[self.clip == clip]


@functools.partial(jax.jit)
def _nearest(table: jax.Array, owner: jax.Array, queries: jax.Array, barred: jax.Array):
    square = jnp.sum(table**2, axis=-1) - 2.0 * queries @ table.T
    square = jnp.where(owner == barred[:, None], jnp.inf, square)
    best = jnp.argmin(square, axis=-1)
    # Differences, not the expanded square, whose rounding would hide an exact hit.
    return owner[best], jnp.linalg.norm(queries - table[best], axis=-1)


def distances(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """All distances between windows `a [..., N, D]` and `b [..., K, D]`: `[..., N, K]` [m]."""
    square = (a**2).sum(-1)[..., :, None] + (b**2).sum(-1)[..., None, :] - 2.0 * a @ np.swapaxes(b, -1, -2)
    return np.sqrt(np.maximum(square, 0.0))


def unlikeness(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """How far two movements are, whatever their timing: from each window of one to the nearest of the other, on
    average.

    `a [..., N, D]`, `b [..., K, D]` -> `[...]` [m], symmetric.
    """
    between = distances(a, b)
    return 0.5 * (between.min(-1).mean(-1) + between.min(-2).mean(-1))
