"""Smooth curves through keyframes: quintic pieces, minimum-jerk wherever a movement starts and stops."""

from collections.abc import Sequence

import numpy as np

Key = tuple[float, ...]
"""(time, value), or (time, value, velocity, acceleration) where both are known, as at a take-off."""


def curve(times: np.ndarray, keys: Sequence[Key]) -> np.ndarray:
    """The curve through `keys` (times increasing) at `times [F]`; constant before the first and after the last.

    Each piece is the quintic with the ends' value, velocity and acceleration. A key that turns the movement round or
    holds it has velocity 0, one that it passes through the harmonic mean of the two slopes (Fritsch-Carlson), so the
    curve never overshoots a key; accelerations are 0 unless given. A lone move is thus the minimum-jerk curve.
    """
    t = np.array([key[0] for key in keys])
    value = np.array([key[1] for key in keys])
    if len(keys) == 1:
        return np.full(len(times), value[0])
    if np.any(np.diff(t) <= 0):
        raise ValueError(f"key times must increase, got {t}")
    slope = np.diff(value) / np.diff(t)
    velocity, acceleration = np.zeros(len(t)), np.zeros(len(t))
    same_way = slope[1:] * slope[:-1] > 0
    total = np.where(same_way, slope[1:] + slope[:-1], 1.0)
    velocity[1:-1] = np.where(same_way, 2 * slope[1:] * slope[:-1] / total, 0.0)
    for i, key in enumerate(keys):
        if len(key) == 4:
            velocity[i], acceleration[i] = key[2], key[3]
    i = np.clip(np.searchsorted(t, times, side="right") - 1, 0, len(t) - 2)
    h = t[i + 1] - t[i]
    s = np.clip((times - t[i]) / h, 0.0, 1.0)
    p0, p1, v0, v1 = value[i], value[i + 1], h * velocity[i], h * velocity[i + 1]
    a0, a1 = h * h * acceleration[i], h * h * acceleration[i + 1]
    jump = p1 - p0 - v0 - 0.5 * a0
    dv, da = v1 - v0 - a0, a1 - a0
    c3, c4, c5 = 10 * jump - 4 * dv + 0.5 * da, -15 * jump + 7 * dv - da, 6 * jump - 3 * dv + 0.5 * da
    return p0 + s * (v0 + s * (0.5 * a0 + s * (c3 + s * (c4 + s * c5))))
