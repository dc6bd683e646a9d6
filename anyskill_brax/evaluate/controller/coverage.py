"""Motion coverage: how many of the clips random latents bring forth, and how evenly (ASE, section 7; AnySkill, table
3).

A rollout votes for the clip to which most of its windows are nearest (`windows.Atlas`). Its first second, in which it
leaves the pose it was started in, has no vote, nor have frames after the head went down for good: a heap on the floor
is near to every clip that ends there. A rollout with no such window votes for nothing.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from anyskill_brax.evaluate.controller.stage import Recording
from anyskill_brax.evaluate.controller.windows import Atlas, window_frames, windows

SETTLE = 1.0
"""[s] at a rollout's start that do not vote."""
DRAWS = 200


@dataclass(frozen=True)
class Coverage:
    """Of M clips by N rollouts. Spreads are jackknife standard errors over rollouts."""

    clips: int
    rollouts: int
    voted: int  # rollouts with a vote
    share: float  # of the clips that got at least one vote
    share_error: float
    entropy: float  # of the votes over log M: 1 is uniform
    entropy_error: float
    uniform_share: float  # what as many uniform draws would give on average: the ceiling of `share` here
    uniform_entropy: float
    distance: float  # median over windows, to the nearest window of any clip [m]
    distance_between_clips: float  # the same, from the clips' own windows to other clips' [m]
    votes: tuple[int, ...]  # [M]
    nearest: tuple[int, ...]  # [N] the clip of each rollout, -1 for none

    @property
    def most_hit(self) -> np.ndarray:
        """Clips from the most votes to the fewest."""
        return np.argsort(-np.array(self.votes), kind="stable")


def coverage(recording: Recording, atlas: Atlas, stride: int, dice: np.random.Generator) -> Coverage:
    """Of rollouts of random latents, every `stride` frames a window."""
    nearest, distance = votes(recording, atlas, stride)
    counts = np.bincount(nearest[nearest >= 0], minlength=atlas.num_clips)
    return Coverage(
        clips=atlas.num_clips,
        rollouts=len(nearest),
        voted=int(counts.sum()),
        share=share(counts),
        share_error=jackknife(counts, share),
        entropy=entropy(counts),
        entropy_error=jackknife(counts, entropy),
        **_uniform(atlas.num_clips, len(nearest), dice),
        distance=distance,
        distance_between_clips=_between(atlas, dice),
        votes=tuple(map(int, counts)),
        nearest=tuple(map(int, nearest)),
    )


def votes(recording: Recording, atlas: Atlas, stride: int) -> tuple[np.ndarray, float]:
    """The clip of each world `[W]`, -1 for none, and the median distance of the windows that voted [m]."""
    late = recording.after(SETTLE)
    seen = windows(late.qpos, late.pos, stride)  # [N, W, D]
    counts = late.alive[window_frames(len(late.qpos), stride)]  # [N, W]
    if not counts.any():
        return np.full(counts.shape[1], -1), float("nan")
    clip, distance = atlas.nearest(seen[counts])
    table = np.zeros((counts.shape[1], atlas.num_clips), int)
    np.add.at(table, (np.nonzero(counts)[1], clip), 1)
    return np.where(table.any(axis=1), table.argmax(axis=1), -1), float(np.median(distance))


def share(counts: np.ndarray) -> float:
    """Of clips that were hit."""
    return float((counts > 0).mean())


def entropy(counts: np.ndarray) -> float:
    """-sum p log p / log M; 0 where nothing was hit, 1 for a single clip that was."""
    total = counts.sum()
    if total == 0:
        return 0.0
    if len(counts) == 1:
        return 1.0
    p = counts[counts > 0] / total
    return float(-(p * np.log(p)).sum() / np.log(len(counts)))


def jackknife(counts: np.ndarray, statistic: Callable[[np.ndarray], float]) -> float:
    """Standard error of a statistic of counts, from leaving out one draw at a time (Efron 1982)."""
    total = int(counts.sum())
    if total < 2:
        return float("inf")
    hit = np.flatnonzero(counts)
    left = np.array([statistic(counts - (np.arange(len(counts)) == clip)) for clip in hit])
    weight = counts[hit] / total
    return float(np.sqrt((total - 1) * (weight * (left - (weight * left).sum()) ** 2).sum()))


def _uniform(clips: int, draws: int, dice: np.random.Generator) -> dict[str, float]:
    tries = [np.bincount(dice.integers(clips, size=draws), minlength=clips) for _ in range(DRAWS)]
    return {
        "uniform_share": float(np.mean([share(counts) for counts in tries])),
        "uniform_entropy": float(np.mean([entropy(counts) for counts in tries])),
    }


def _between(atlas: Atlas, dice: np.random.Generator, most: int = 2000) -> float:
    if atlas.num_clips < 2:
        return float("nan")
    some = dice.permutation(len(atlas.windows))[:most]
    return float(np.median(atlas.nearest(atlas.windows[some], not_of=atlas.clip[some])[1]))
