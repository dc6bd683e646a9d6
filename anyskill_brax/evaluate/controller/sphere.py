"""What the sphere of latents means: does a latent name one movement, are there paths between two, can one switch?"""

from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np

from anyskill_brax import rotations
from anyskill_brax.evaluate.controller.stage import BLOCK, RATE, Stage, held, repeated
from anyskill_brax.evaluate.controller.windows import unlikeness, windows
from anyskill_brax.evaluate.intervals import Mean, Rate
from anyskill_brax.evaluate.quality import jerks
from anyskill_brax.types import PRNGKey

SETTLE = 1.0
"""[s] of a rollout that are not compared: it leaves its start."""


@dataclass(frozen=True)
class Consistency:
    """Each latent twice, from different starts; unlikeness of movements (`windows.unlikeness`) [m]."""

    same: Mean  # a latent and itself
    different: Mean  # a latent and another
    ratio: float  # different / same, of the means: 1 says that latents mean nothing
    median_ratio: float  # of the medians, which one fall in a pair does not move
    found_again: Rate  # latents whose second rollout is nearer to their first than every other latent's is


def consistency(stage: Stage, key: PRNGKey, latents: np.ndarray, seconds: float, stride: int) -> Consistency:
    """`latents [N >= 2, L]` held twice."""
    starts = stage.stand(key, 2 * len(latents))
    recording = stage.play(starts, held(np.tile(latents, (2, 1)), seconds)).after(SETTLE)
    seen = np.moveaxis(windows(recording.qpos, recording.pos, stride), 1, 0)  # [2N, windows, D]
    return consistency_of(seen[: len(latents)], seen[len(latents) :])


def consistency_of(first: np.ndarray, second: np.ndarray) -> Consistency:
    """Of two rollouts of the same latents, as windows `[N, K, D]`."""
    apart = np.stack([unlikeness(one, second) for one in first])  # [N, N]
    same, others = np.diag(apart), apart[~np.eye(len(apart), dtype=bool)]
    nearest = apart.argmin(axis=1) == np.arange(len(apart))
    return Consistency(Mean.of(same), Mean.of(others), *_ratios(same, others), Rate.of(nearest))


def _ratios(same: np.ndarray, others: np.ndarray) -> tuple[float, float]:
    return tuple(float(kind(others) / max(kind(same), 1e-9)) for kind in (np.mean, np.median))  # pyright: ignore


@dataclass(frozen=True)
class Interpolation:
    """Along the great circle between latents of two clips; beside it both ends, held as long from the same starts."""

    up: Rate
    ends_up: Rate
    jerk: float  # median, before a fall [m/s^3]
    jerk_to_ends: float  # over that of the ends
    seconds: float


def slerp_schedule(a: np.ndarray, b: np.ndarray, seconds: float, rest: float) -> np.ndarray:
    """`a`, then the way to `b`, then `b`: `[T, W, L]`; `rest` seconds at each end, `seconds` between."""
    still, moving = round(rest * BLOCK), max(2, round(seconds * BLOCK))
    part = np.concatenate([np.zeros(still), np.linspace(0, 1, moving), np.ones(still)])
    rows = [np.asarray(rotations.slerp(jnp.asarray(a), jnp.asarray(b), jnp.full(len(a), t))) for t in part]
    return np.stack(rows)


def interpolation(stage: Stage, key: PRNGKey, a: np.ndarray, b: np.ndarray, seconds: float) -> Interpolation:
    """From each of `a [N, L]` to its `b [N, L]` in `seconds`, with a second of rest at either end."""
    path = slerp_schedule(a, b, seconds, rest=1.0)
    starts = repeated(stage.stand(key, len(a)), 3)
    whole = [path, *(np.repeat(end[None], len(path), axis=0) for end in (a, b))]
    recording = stage.play(starts, np.concatenate(whole, axis=1))
    between, ends = recording.worlds(slice(len(a))), recording.worlds(slice(len(a), None))
    jerk, of_ends = (float(np.nanmedian(jerks(r.pos, float(RATE), r.up))) for r in (between, ends))
    return Interpolation(Rate.of(between.up[-1]), Rate.of(ends.up[-1]), jerk, jerk / of_ends, len(path) / BLOCK)


@dataclass(frozen=True)
class Transitions:
    """From each of K latents to each: still up `after` seconds later."""

    names: tuple[str, ...]  # [K]
    share: tuple[tuple[float, ...], ...]  # [K, K] from (row) to (column); nan where none was up at the switch
    up: Rate  # all switches of two different latents, of those that were up at the switch
    held: Rate  # the diagonal: the same, without a switch
    before: float
    after: float


def transitions(
    stage: Stage, key: PRNGKey, latents: np.ndarray, names: tuple[str, ...], repeats: int, before: float, after: float
) -> Transitions:
    """`latents [K, L]` for `before` seconds, then another of them for `after`; every pair from `repeats` starts."""
    k = len(latents)
    source, target = (x.reshape(-1) for x in np.meshgrid(np.arange(k), np.arange(k), indexing="ij"))
    source, target = np.repeat(source, repeats), np.repeat(target, repeats)
    starts = stage.stand(key, len(source))
    path = np.concatenate([held(latents[source], before), held(latents[target], after)])
    up = stage.play(starts, path).up
    return transitions_of(names, source, target, up[round(before * RATE) - 1], up[-1], before, after)


def transitions_of(
    names: tuple[str, ...],
    source: np.ndarray,
    target: np.ndarray,
    ready: np.ndarray,
    up: np.ndarray,
    before: float,
    after: float,
) -> Transitions:
    """Of switches `[N]` from `source` to `target`: up when switching (`ready`), up at the end."""
    tried, kept = np.zeros((2, len(names), len(names)))
    np.add.at(tried, (source, target), ready)
    np.add.at(kept, (source, target), up & ready)
    share = np.divide(kept, tried, out=np.full_like(kept, np.nan), where=tried > 0)
    other = ready & (source != target)
    alone = ready & (source == target)
    table = tuple(tuple(map(float, row)) for row in share)
    return Transitions(names, table, Rate.of(up[other]), Rate.of(up[alone]), before, after)
