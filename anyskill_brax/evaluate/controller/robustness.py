"""Does it stay up, get up again, take a push?"""

from collections.abc import Sequence
from dataclasses import dataclass

import jax
import numpy as np

from anyskill_brax.evaluate.controller.stage import RATE, Recording, Stage, held, repeated
from anyskill_brax.evaluate.intervals import Mean, Rate
from anyskill_brax.evaluate.rollouts import FALL_HEIGHT
from anyskill_brax.low_level.falls import drop_fall_states
from anyskill_brax.types import PRNGKey

UPRIGHT = 0.75
"""Got up: the head's origin is above this part of its height in standing (1.35 m), for `UPRIGHT_SECONDS` on end."""
UPRIGHT_SECONDS = 0.5
PUSH_AT = 2


@dataclass(frozen=True)
class Survival:
    """Latents held from perturbed standing starts: the head never under `FALL_HEIGHT`."""

    up: Rate
    seconds_up: Mean
    seconds: float
    curve: tuple[float, ...]  # share still up after each second


def survival(recording: Recording) -> Survival:
    """Of a recording that began in standing."""
    up, seconds = recording.up, len(recording.qpos) / RATE
    ends = np.minimum((np.arange(max(1, round(seconds))) + 1) * RATE, len(up)) - 1
    return Survival(Rate.of(up[-1]), Mean.of(up.sum(axis=0) / RATE), seconds, tuple(map(float, up[ends].mean(axis=1))))


@dataclass(frozen=True)
class Recovery:
    """From fall states under random latents."""

    got_up: Rate  # within `seconds`, of those that lay when it began
    stayed_up: Rate  # and were up at the end
    time: Mean  # of those that got up [s]
    seconds: float
    curve: tuple[float, ...]  # share that had got up by each half second


def recovery(stage: Stage, key: PRNGKey, latents: np.ndarray, seconds: float) -> tuple[Recovery, Recording]:
    """One fall state per latent of `latents [N, L]`, each held for `seconds`; worlds whose head is up are left out."""
    starts = jax.jit(drop_fall_states, static_argnums=(1, 2))(key, stage.env, len(latents))
    down = np.asarray(starts.bodies.pos)[:, stage.character.body("head"), 2] < FALL_HEIGHT
    recording = stage.play(starts, held(latents, seconds))
    return recovery_of(recording, down, standing_head(stage)), recording.worlds(down)


def standing_head(stage: Stage) -> float:
    """Height of the head's origin in standing [m]."""
    return float(stage.env.place_default().bodies.pos[stage.character.body("head"), 2])


def recovery_of(recording: Recording, down: np.ndarray, standing: float) -> Recovery:
    """Of a recording in which the worlds `down [W]` began on the floor; `standing` is the head's height [m]."""
    high = (recording.head_height > UPRIGHT * standing) & ~recording.broken
    high = high[:, down]
    need = round(UPRIGHT_SECONDS * RATE)
    run = np.array([high[i : i + need].all(axis=0) for i in range(max(0, len(high) - need + 1))])
    run = run if len(run) else np.zeros((1, high.shape[1]), bool)
    got_up = np.asarray(run.any(axis=0))
    time = (run.argmax(axis=0) + need) / RATE  # the half second is part of it
    marks = np.arange(0.5, len(high) / RATE + 1e-9, 0.5)
    return Recovery(
        got_up=Rate.of(got_up),
        stayed_up=Rate.of(got_up & high[-1]),
        time=Mean.of(time[got_up]),
        seconds=len(high) / RATE,
        curve=tuple(float((got_up & (time <= mark)).mean()) if got_up.size else 0.0 for mark in marks),
    )


@dataclass(frozen=True)
class Pushes:
    """The root's velocity changed at once; still up `seconds` later, of those that were up when pushed."""

    speeds: tuple[float, ...]  # [m/s]
    up: tuple[Rate, ...]
    seconds: float
    half: float  # speed at which half of them fall, between the two speeds that bracket it [m/s]; nan for none


def pushes(stage: Stage, key: PRNGKey, latents: np.ndarray, speeds: Sequence[float], seconds: float) -> Pushes:
    """Every speed on all of `latents [N, L]` from the same starts, in directions spread evenly over the compass."""
    count = len(latents)
    starts = repeated(stage.stand(key, count), len(speeds))
    angle = 2.0 * np.pi * np.arange(count) / count
    way = np.stack([np.cos(angle), np.sin(angle), np.zeros(count)], axis=-1)
    push = (np.asarray(speeds)[:, None, None] * way).reshape(-1, 3)
    latents = np.tile(latents, (len(speeds), 1))
    up = stage.play(starts, held(latents, PUSH_AT + seconds), {PUSH_AT: push}).up
    before, after = (x.reshape(len(speeds), count) for x in (up[PUSH_AT * RATE - 1], up[-1]))
    rates = [Rate.of(a[b]) for a, b in zip(after, before, strict=True)]
    return Pushes(tuple(map(float, speeds)), tuple(rates), seconds, half_speed(speeds, [r.share for r in rates]))


def half_speed(speeds: Sequence[float], shares: Sequence[float]) -> float:
    """Where the share first falls through one half, on the straight line between two speeds."""
    for slow, fast, high, low in zip(speeds, speeds[1:], shares, shares[1:]):
        if high >= 0.5 > low:
            return float(slow + (fast - slow) * (high - 0.5) / (high - low))
    return float("nan")
