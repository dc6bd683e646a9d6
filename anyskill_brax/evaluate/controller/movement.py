"""How it moves beside how the motions move: jerk, sliding feet, penetration, power."""

from dataclasses import dataclass

import numpy as np

from anyskill_brax.character.humanoid import Character
from anyskill_brax.character.inverse_dynamics import accelerations, support_torque
from anyskill_brax.evaluate.controller.clips import Clips
from anyskill_brax.evaluate.controller.stage import RATE, Recording
from anyskill_brax.evaluate.intervals import Mean
from anyskill_brax.evaluate.quality import depths, jerks, middle, slides
from anyskill_brax.evaluate.track import Track

KINDS = (
    ("median jerk", "m/s^3", np.median),
    ("foot slide", "m/s", np.mean),
    ("penetration", "m", np.mean),
    ("power", "W", np.mean),
)


@dataclass(frozen=True)
class Measure:
    """One number of the controller and of the motions."""

    name: str
    unit: str
    simulated: float
    spread: float  # standard error over rollouts
    reference: float
    ratio: float
    trials: int  # rollouts


def movement(character: Character, recording: Recording, clips: Clips) -> tuple[Measure, ...]:
    """Of a recording's frames before a fall, beside all frames of the clips.

    Jerk is the median over frames of the mean over bodies; slide, penetration and power are means. The motions' power
    is from inverse dynamics with the floor pushing on the feet alone: an estimate, and too high on hands and knees.
    """
    up = recording.up
    simulated = _values(Track.of(character, recording.qpos, float(RATE)), up, recording.power)
    reference = _reference(character, clips)
    out = []
    for (name, unit, kind), values, theirs in zip(KINDS, simulated, reference, strict=True):
        whole, known = middle(values, kind), middle(theirs, kind)
        each = np.array([middle(values[..., world], kind) for world in range(up.shape[1])])
        spread = Mean.of(each)
        ratio = whole / known if known > 0 else float("nan")
        out.append(Measure(name, unit, whole, spread.standard_error, known, ratio, spread.trials))
    return tuple(out)


def _values(track: Track, counts: np.ndarray, power: np.ndarray) -> tuple[np.ndarray, ...]:
    """In the order of `KINDS`, worlds last, nan where a frame does not count."""
    return (
        jerks(track.pos, track.fps, counts),
        slides(track, counts),
        depths(track, counts),
        np.where(counts, power, np.nan),
    )


def _reference(character: Character, clips: Clips) -> tuple[np.ndarray, ...]:
    """All clips end to end; a clip's first three frames, whose differences reach into the one before, do not count."""
    qpos, qvel = (np.concatenate([getattr(m, name) for m in clips.motions]) for name in ("qpos", "qvel"))
    clip = np.repeat(np.arange(len(clips)), clips.frames)
    counts = np.concatenate([np.zeros(3, bool), clip[3:] == clip[:-3]])
    power = reference_power(character, qpos, qvel, clip)
    return _values(Track.of(character, qpos[:, None], float(RATE)), counts[:, None], power[:, None])


def reference_power(character: Character, qpos: np.ndarray, qvel: np.ndarray, clip: np.ndarray) -> np.ndarray:
    """Sum over hinges of |torque x velocity| `[F]` [W] along clips `[F]`, by inverse dynamics, torques in their
    limits."""
    torque = support_torque(character, qpos, qvel, accelerations(qvel, clip))
    torque = np.clip(torque, -character.torque_limit, character.torque_limit)
    return np.abs(torque * qvel[:, 6:]).sum(axis=-1)
