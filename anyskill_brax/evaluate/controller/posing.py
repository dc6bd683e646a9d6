"""Can it hold each pose? From standing, under the one latent of that pose: what a policy above can ask for.

Imitation asks for windows that follow each other, which carry a figure from pose to pose; here nothing but the pose
is said. Of every clip the pose at rest that is furthest from standing; and apart from those the *stances*, poses with
the feet elsewhere (on one leg, in a lunge), which take a step.
"""

from dataclasses import dataclass

import numpy as np

from anyskill_brax.evaluate.controller.clips import Clips
from anyskill_brax.evaluate.controller.stage import RATE, Recording, Stage, held
from anyskill_brax.evaluate.controller.windows import body_errors
from anyskill_brax.evaluate.intervals import Mean, Rate
from anyskill_brax.types import PRNGKey

WITHIN = 0.15
"""How far off the furthest body may be, on average over the last second, in a pose that is held [m]."""


@dataclass(frozen=True)
class PoseResult:
    """One pose."""

    name: str  # of its clip
    category: str
    second: float  # of the clip
    stance: bool
    off: float  # the furthest body, mean over the last second [m]
    standing_off: float  # of a figure that stands [m]
    up: bool  # to the end

    @property
    def held(self) -> bool:
        return self.up and self.off < WITHIN


@dataclass(frozen=True)
class Posing:
    held: Rate  # poses with the feet where standing has them
    off: Mean  # [m]
    stances_held: Rate
    stances_off: Mean
    seconds: float
    poses: tuple[PoseResult, ...]


def posing(stage: Stage, clips: Clips, key: PRNGKey, seconds: float) -> Posing:
    """Each pose for `seconds`, from perturbed standing starts."""
    rows, stance = asked(stage, clips)
    if not len(rows):
        return summary([], seconds)
    clip = np.asarray(clips.reference.clip)[rows]
    frame = rows - np.asarray(clips.reference.start)[clip]
    recording = stage.play(stage.stand(key, len(rows)), held(clips.latents(stage.low_level, clip, frame), seconds))
    off, away = distances(clips, rows, recording), from_standing(stage, clips, rows)
    up = recording.up[-1]
    results = [
        PoseResult(
            clips.names[clip[i]],
            clips.categories[clip[i]],
            float(frame[i] / RATE),
            bool(stance[i]),
            float(off[i]),
            float(away[i]),
            bool(up[i]),
        )
        for i in range(len(rows))
    ]
    return summary(results, seconds)


def asked(stage: Stage, clips: Clips) -> tuple[np.ndarray, np.ndarray]:
    """Rows of the poses `[N]`, at most one per clip and kind, and which of them are stances `[N]`."""
    reference, rows, stance = clips.reference, [], []
    for kind, found in enumerate((reference.still, reference.arrivals)):
        candidates = np.unique(found)
        if candidates.tolist() == [0]:  # which stands for none
            continue
        away, clip = from_standing(stage, clips, candidates), np.asarray(reference.clip)[candidates]
        best = [np.flatnonzero(clip == c)[away[clip == c].argmax()] for c in np.unique(clip)]
        rows.extend(candidates[best])
        stance.extend([bool(kind)] * len(best))
    return np.array(rows, int), np.array(stance, bool)


def from_standing(stage: Stage, clips: Clips, rows: np.ndarray) -> np.ndarray:
    """How far the furthest body is from where standing has it, `[N]` [m]."""
    standing = stage.env.place_default()
    qpos, pos = np.asarray(standing.physics.qpos), np.asarray(standing.bodies.pos)
    return body_errors(qpos, pos, *_poses(clips, rows)).max(axis=-1)


def distances(clips: Clips, rows: np.ndarray, recording: Recording) -> np.ndarray:
    """How far the furthest body is from the poses at `rows [N]` in the last second of `recording`, `[N]` [m]."""
    last = recording.qpos[-RATE:], recording.pos[-RATE:]
    return body_errors(*last, *_poses(clips, rows)).max(axis=-1).mean(axis=0)


def summary(results: list[PoseResult], seconds: float) -> Posing:
    still, stances = ([r for r in results if r.stance is kind] for kind in (False, True))

    def rate(some: list[PoseResult]) -> Rate:
        return Rate.of(np.array([r.held for r in some], bool))

    def mean(some: list[PoseResult]) -> Mean:
        return Mean.of(np.array([r.off for r in some]))

    return Posing(rate(still), mean(still), rate(stances), mean(stances), seconds, tuple(results))


def _poses(clips: Clips, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return np.asarray(clips.reference.qpos)[rows], np.concatenate(clips.pos)[rows]
