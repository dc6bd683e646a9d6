"""Feet in time: steps -> foot poses, which foot carries how much, and the centre of mass that this asks for."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.linalg import solve_banded
from scipy.spatial.transform import Rotation

from anyskill_brax.motion.synthesis.curves import Key, curve

GRAVITY = 9.81
TOE, HEEL = np.array([0.1335, 0.0, -0.05]), np.array([-0.0435, 0.0, -0.05])
"""Middle of the sole's front and back edge, seen from the ankle [m]."""
MID_FOOT = 0.035
"""How far in front of the ankle the load of a quietly standing foot acts [m]."""
FLATTEN = 0.09
"""From landing to the foot's rest pitch [s]."""

Place = tuple[float, float, float]
"""x [m], y [m], yaw [rad] of a flat foot's ankle, seen from above."""
Via = tuple[float, float, float, float, float]
"""time [s], forward and left of where the foot stood [m], lift [m], pitch [rad]."""


@dataclass(frozen=True)
class Step:
    """One foot leaves the floor at `start` and lands on `place` at `end` [s]; positive pitch is toes down."""

    side: int  # 0 right, 1 left
    start: float
    end: float
    place: Place
    lift: float = 0.06  # [m], half way; unused with `via`
    toe_off: float = 0.3  # pitch at lift-off [rad]
    strike: float = -0.1  # pitch at landing [rad]
    settle: float = 0.0  # pitch it comes to rest at [rad]; > 0 stays on the toes
    rise: float = 0.25  # the heel begins to rise this long before lift-off [s]
    via: tuple[Via, ...] = ()


@dataclass(frozen=True)
class Foot:
    """One foot's pose over F frames."""

    ankle: np.ndarray  # [F, 3] [m]
    rot: Rotation  # [F]
    yaw: np.ndarray  # [F] [rad]
    grounded: np.ndarray  # [F] bool
    load_point: np.ndarray  # [F, 2] where it presses on the floor when it carries weight


def foot_track(times: np.ndarray, start: Place, steps: Sequence[Step], heels: np.ndarray) -> Foot:
    """The pose of one foot; `heels [F]` [rad] raises it onto its toes besides.

    Pitch turns it about its toe edge or heel edge, so a planted foot never slides.
    """
    x, y, yaw, lift, pitch = ([(-1.0, value)] for value in (*start, 0.0, 0.0))
    tracks: tuple[list[Key], ...] = (x, y, yaw)
    grounded = np.ones(len(times), bool)
    place, rest, settled = start, 0.0, -1.0
    for step in steps:
        grounded &= (times <= step.start) | (times >= step.end)
        for track, value in zip(tracks, place):
            track.append((step.start, value))
        lift.append((step.start, 0.0))
        pitch += [(max(step.start - step.rise, settled + 0.02), rest), (step.start, step.toe_off)]
        cos, sin = np.cos(place[2]), np.sin(place[2])
        for at, forward, left, height, angle in step.via:
            x.append((at, place[0] + cos * forward - sin * left))
            y.append((at, place[1] + sin * forward + cos * left))
            lift.append((at, height))
            pitch.append((at, angle))
        if not step.via:
            lift.append((0.55 * step.start + 0.45 * step.end, step.lift))
        for track, value in zip(tracks, step.place):
            track.append((step.end, value))
        lift.append((step.end, 0.0))
        pitch += [(step.end, step.strike), (step.end + FLATTEN, step.settle)]
        place, rest, settled = step.place, step.settle, step.end + FLATTEN
    at_x, at_y, at_yaw, at_lift, at_pitch = (curve(times, keys) for keys in (x, y, yaw, lift, pitch))
    at_pitch = at_pitch + heels
    rot = Rotation.from_euler("ZY", np.stack([at_yaw, at_pitch], axis=1))
    edge = np.where(at_pitch[:, None] > 0, TOE, HEEL)
    flat = Rotation.from_euler("Z", at_yaw[:, None])
    ankle = np.stack([at_x, at_y, at_lift], axis=1) + flat.apply(edge) - rot.apply(edge)
    ankle[:, 2] -= edge[:, 2]
    forward = np.maximum(_roll_over(times, steps), np.interp(heels, [0.0, 0.3], [-1.0, 0.1]))
    load_point = np.stack([at_x + forward * np.cos(at_yaw), at_y + forward * np.sin(at_yaw)], axis=1)
    return Foot(ankle, rot, at_yaw, grounded, load_point)


def _roll_over(times: np.ndarray, steps: Sequence[Step]) -> np.ndarray:
    """How far in front of the ankle a foot is loaded `[F]` [m]: from where it lands to where it leaves."""
    knots, values = [times[0] - 1.0], [MID_FOOT]
    for step in steps:
        if step.start - knots[-1] > 1.0:
            knots += [knots[-1] + 0.5, step.start - 0.4]
            values += [MID_FOOT, MID_FOOT]
        knots += [step.start, step.end]
        values += np.interp([step.toe_off, step.strike], [-0.1, 0.0, 0.3], [-0.02, MID_FOOT, 0.11]).tolist()
    return np.interp(times, [*knots, knots[-1] + 0.5], [*values, MID_FOOT])


def pressure_point(times: np.ndarray, right: Foot, left: Foot) -> np.ndarray:
    """Where the floor should push, `[F, 2]`: under a lone foot, moving from foot to foot while both stand.

    Clips begin and end on both feet alike; a long stand between two steps returns to the middle.
    """
    lone = right.grounded ^ left.grounded
    known, share = times[lone], right.grounded[lone].astype(float)
    gaps = [g for g in range(len(known) - 1) if known[g + 1] - known[g] > 1.3]
    pauses = [t for g in gaps for t in (known[g] + 0.5, known[g + 1] - 0.6)]
    if known.size:
        pauses += [t for t in (known[0] - 0.7, known[-1] + 0.6) if times[0] < t < times[-1]]
    knots = np.concatenate([known, pauses, times[[0, -1]]])
    values = np.concatenate([share, np.full(len(pauses) + 2, 0.5)])
    order = np.argsort(knots, kind="stable")
    on_right = np.interp(times, knots[order], values[order])[:, None]
    return on_right * right.load_point + (1 - on_right) * left.load_point


def pendulum(pressure: np.ndarray, stiffness: np.ndarray, dt: float) -> np.ndarray:
    """The centre of mass `c [F, 2]` that stays upright over the pressure point `p`: c'' = w^2 (c - p).

    `stiffness` is w^2 = (g + z'') / z per frame: the linear inverted pendulum, and a free flight where it is 0.
    Solved as a boundary value problem (at rest at both ends), so the body leans into a step before it is taken.
    """
    frames = len(pressure)
    bands = np.zeros((3, frames))
    bands[1] = stiffness + 2 / dt**2
    bands[0, 1:] = bands[2, :-1] = -1 / dt**2
    bands[0, 1] = bands[2, -2] = -2 / dt**2
    return solve_banded((1, 1), bands, stiffness[:, None] * pressure)
