"""How a movement looks, whatever it was to be: falls, jerk, sliding feet, penetration."""

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
    jerk = np.linalg.norm(np.diff(track.pos, n=3, axis=0), axis=-1).mean(axis=-1) * track.fps**3
    slide = []
    for foot in ("left_foot", "right_foot"):
        speed = np.linalg.norm(np.diff(track.at(foot)[..., :2], axis=0), axis=-1) * track.fps
        down = track.touches(foot)
        slide.append(speed[down[1:] & down[:-1] & up[1:]])
    slid = np.concatenate(slide)
    depth = np.maximum(0.0, -track.low.min(axis=-1))
    return Quality(
        fall_rate=float(1.0 - up[-1].mean()),
        seconds_up=float(up.sum(axis=0).mean() / track.fps),
        jerk=float(np.median(jerk[up[3:]])) if up[3:].any() else float("nan"),
        foot_slide=float(slid.mean()) if slid.size else 0.0,
        penetration=float(depth[up].mean()) if up.any() else float("nan"),
    )
