"""How a movement looks, whatever it was to be: falls, jerk, sliding feet, penetration."""

from collections.abc import Callable
from dataclasses import asdict, dataclass

import numpy as np

from anyskill_brax.evaluate.track import Track


@dataclass(frozen=True)
class Quality:
    """Over all frames before a fall, all episodes."""

    fall_rate: float  # share of episodes in which the head comes under `rollouts.FALL_HEIGHT`
    seconds_up: float  # mean time to the fall, or the whole episode [s]
    jerk: float  # median over frames of the mean over bodies of |d^3 x / dt^3| [m/s^3]
    foot_slide: float  # mean speed along the floor of feet that touch it [m/s]
    penetration: float  # mean depth of the body's lowest point under the floor [m]

    def to_json(self) -> dict[str, float]:
        return asdict(self)


def quality(track: Track) -> Quality:
    """Of a track `[F, E]` of episodes. A frame counts while the head has not yet been low."""
    up = np.logical_and.accumulate(track.up, axis=0)
    jerk, slide, depth = jerks(track.pos, track.fps, up), slides(track, up), depths(track, up)
    return Quality(
        fall_rate=float(1.0 - up[-1].mean()),
        seconds_up=float(up.sum(axis=0).mean() / track.fps),
        jerk=middle(jerk, np.median),
        foot_slide=middle(slide, np.mean) if np.isfinite(slide).any() else 0.0,
        penetration=middle(depth, np.mean),
    )


def jerks(pos: np.ndarray, fps: float, counts: np.ndarray) -> np.ndarray:
    """Mean over bodies of |d^3 x / dt^3| of `pos [F, ..., B, 3]`, `[F - 3, ...]` [m/s^3].

    nan where the frame does not count (`counts [F, ...]`), here and below.
    """
    jerk = np.linalg.norm(np.diff(pos, n=3, axis=0), axis=-1).mean(axis=-1) * fps**3
    return np.where(counts[3:], jerk, np.nan)


def slides(track: Track, counts: np.ndarray) -> np.ndarray:
    """Speed along the floor of each foot that touches it in two successive frames, `[2, F - 1, ...]` [m/s]."""
    out = []
    for foot in ("left_foot", "right_foot"):
        speed = np.linalg.norm(np.diff(track.at(foot)[..., :2], axis=0), axis=-1) * track.fps
        down = track.touches(foot)
        out.append(np.where(down[1:] & down[:-1] & counts[1:], speed, np.nan))
    return np.stack(out)


def depths(track: Track, counts: np.ndarray) -> np.ndarray:
    """How deep the body's lowest point is under the floor, `[F, ...]` [m]."""
    return np.where(counts, np.maximum(0.0, -track.low.min(axis=-1)), np.nan)


def middle(values: np.ndarray, kind: Callable[[np.ndarray], np.floating]) -> float:
    """Median or mean of those that count; nan where none does."""
    finite = values[np.isfinite(values)]
    return float(kind(finite)) if finite.size else float("nan")
