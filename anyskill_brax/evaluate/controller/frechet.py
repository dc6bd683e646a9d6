"""Frechet distance between simulated and reference windows, in the fixed space of `windows`.

d^2 = |m1 - m2|^2 + Tr(S1 + S2 - 2 (S1^1/2 S2 S1^1/2)^1/2)   (Dowson and Landau 1982), of two Gaussians that have the
means and covariances of the two sets. d is in metres, as the space is: what is left after the best possible pairing of
the two.
"""

from dataclasses import dataclass

import numpy as np

from anyskill_brax.evaluate.controller.stage import Recording
from anyskill_brax.evaluate.controller.windows import Atlas, window_frames, windows

RESAMPLES = 20


@dataclass(frozen=True)
class Frechet:
    """[m]; the error is the standard deviation over bootstrap resamples of the rollouts."""

    distance: float  # all frames of all rollouts, falls and what follows them included
    error: float
    alive: float  # frames before the head goes down for good
    floor: float  # half of the clips against the other half; nan for a single clip
    windows: int
    reference_windows: int
    rollouts: int


def frechet(recording: Recording, atlas: Atlas, stride: int, dice: np.random.Generator) -> Frechet:
    """Every `stride` frames a window of every world."""
    seen = windows(recording.qpos, recording.pos, stride)  # [N, W, D]
    alive = recording.alive[window_frames(len(recording.qpos), stride)]
    reference = moments(atlas.windows)
    worlds = [_sums(np.asarray(seen[:, world], np.float64)) for world in range(seen.shape[1])]
    count, total, square = (np.array(part) for part in zip(*worlds, strict=True))
    resampled = []
    for _ in range(RESAMPLES):
        drawn = np.bincount(dice.integers(len(worlds), size=len(worlds)), minlength=len(worlds)).astype(float)
        sums = drawn @ total, np.tensordot(drawn, square, axes=1)
        resampled.append(between(reference, _moments_of(float(drawn @ count), *sums)))
    return Frechet(
        distance=between(reference, moments(seen.reshape(-1, seen.shape[-1]))),
        error=float(np.std(resampled, ddof=1)),
        alive=between(reference, moments(seen[alive])) if alive.sum() > 1 else float("nan"),
        floor=halves(atlas, dice),
        windows=seen.shape[0] * seen.shape[1],
        reference_windows=len(atlas.windows),
        rollouts=seen.shape[1],
    )


def halves(atlas: Atlas, dice: np.random.Generator) -> float:
    """The distance between two random halves of the clips: below it nothing can be told."""
    if atlas.num_clips < 2:
        return float("nan")
    first = np.isin(atlas.clip, dice.permutation(atlas.num_clips)[: atlas.num_clips // 2])
    return between(moments(atlas.windows[first]), moments(atlas.windows[~first]))


def moments(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean `[D]` and covariance `[D, D]` of `[N, D]`."""
    return _moments_of(*_sums(np.asarray(points, np.float64)))


def _sums(points: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
    return float(len(points)), points.sum(axis=0), points.T @ points


def _moments_of(count: float, total: np.ndarray, square: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    mean = total / count
    return mean, square / count - np.outer(mean, mean)


def between(a: tuple[np.ndarray, np.ndarray], b: tuple[np.ndarray, np.ndarray]) -> float:
    """The Frechet distance of two Gaussians (mean, covariance)."""
    root = _root(a[1])
    cross = np.sqrt(np.maximum(np.linalg.eigvalsh(root @ b[1] @ root), 0.0)).sum()
    square = ((a[0] - b[0]) ** 2).sum() + np.trace(a[1]) + np.trace(b[1]) - 2.0 * cross
    return float(np.sqrt(max(square, 0.0)))


def _root(covariance: np.ndarray) -> np.ndarray:
    values, vectors = np.linalg.eigh(covariance)
    return (vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T
