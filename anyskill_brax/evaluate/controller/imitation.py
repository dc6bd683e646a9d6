"""Can it do each clip? Under latents that follow the clip, and under the best of a few that are held.

Following: from the clip's first frame, the encoder's latent of the window that comes, whenever the last one is over.
Held: one latent for all of it, the best of N that the encoder gives to N windows spread over the clip; it cannot know
where in the clip it is, so it is measured by unlikeness, which asks for the same movements at any time. Beside both, a
figure that only stands: what is no better than that imitates nothing. A mean over bodies forgives feet that stay where
they are (0.08 m for a walk on the spot), so clips that lift a foot are asked for that apart.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from anyskill_brax.character.humanoid import LATENT_STEPS
from anyskill_brax.evaluate.controller.clips import Clips
from anyskill_brax.evaluate.controller.stage import BLOCK, RATE, Recording, Stage, held
from anyskill_brax.evaluate.controller.windows import pose_errors, unlikeness, windows
from anyskill_brax.evaluate.intervals import Mean, Rate
from anyskill_brax.evaluate.quality import jerks, middle

LIFT = 0.1
"""How far a clip lifts a foot above where standing has it [m] to count as lifting one; half of that height is asked."""


@dataclass(frozen=True)
class ClipResult:
    """One clip. Errors in metres; see `windows` for what they compare."""

    name: str
    category: str
    in_training: bool
    seconds: float  # of the clip that were asked for
    error: float  # following: mean over all frames of the mean distance of bodies
    kept: bool  # following: the error never reached `lost_at`
    kept_share: float  # of the frames before it did
    standing_error: float
    following_unlikeness: float
    held_unlikeness: float  # of the best held latent
    standing_unlikeness: float
    jerk_ratio: float  # following: median jerk over the clip's, of the frames before it was lost; nan for none
    lift: float  # how far the clip lifts its higher foot above standing [m]
    lifted: float  # following: how far that foot came, before the clip was lost
    held_second: float  # of the clip, from which the best held latent is [s]


@dataclass(frozen=True)
class Imitation:
    """Over all clips alike; `categories` the same numbers by category."""

    kept: Rate
    error: Mean
    standing_error: Mean
    following_unlikeness: Mean
    held_unlikeness: Mean
    standing_unlikeness: Mean
    jerk_ratio: float  # median over clips
    better_than_standing: Rate  # clips whose following or held unlikeness is below that of standing
    feet_lifted: Rate  # following: of clips that lift a foot, those kept with that foot at least half as high
    clips: tuple[ClipResult, ...]

    @property
    def categories(self) -> dict[str, "Imitation"]:
        names = sorted({clip.category for clip in self.clips})
        return {name: summary([clip for clip in self.clips if clip.category == name]) for name in names}


def imitation(
    stage: Stage, clips: Clips, candidates: int, seconds: float, lost_at: float, stride: int
) -> tuple[Imitation, Recording]:
    """Every clip, at most `seconds` of it; held latents are the best of `candidates`. Also the followers `[F, M]`."""
    every, frames = np.arange(len(clips)), asked_frames(clips, seconds)
    steps = -(-int(frames.max()) // LATENT_STEPS)
    following = stage.play(clips.begin(stage.env, every), clips.following(stage.low_level, every, steps))
    source = np.repeat(every, candidates)
    part = np.tile((np.arange(candidates) + 1.0) / candidates, len(clips))
    at = np.clip((part * frames[source]).astype(int), stage.low_level.style.encoder_frames - 1, None)
    latents = clips.latents(stage.low_level, source, at)
    trials = stage.play(clips.begin(stage.env, source), held(latents, steps / BLOCK))
    training, stand, feet = clips.seen_in_training(stage.low_level), _standing(stage), stage.env.character.feet
    results = []
    for clip in range(len(clips)):
        own = slice(clip * candidates, (clip + 1) * candidates)
        recordings = following.worlds(slice(clip, clip + 1)), trials.worlds(own)
        found, best = measure(clips, clip, int(frames[clip]), *recordings, stand, feet, lost_at, stride)
        about = clips.names[clip], clips.categories[clip], bool(training[clip])
        results.append(ClipResult(*about, **found, held_second=float(at[own][best] / RATE)))
    return summary(results), following


def asked_frames(clips: Clips, seconds: float) -> np.ndarray:
    """How many frames after the first are asked of each clip `[M]`."""
    return np.minimum(clips.frames - 1, round(seconds * RATE))


def measure(
    clips: Clips,
    clip: int,
    frames: int,
    following: Recording,
    trials: Recording,
    stand: tuple[np.ndarray, np.ndarray],
    feet: np.ndarray,
    lost_at: float,
    stride: int,
) -> tuple[dict[str, Any], int]:
    """The numbers of one clip and which of `trials [N]` was best; frame f of a recording is frame f + 1 of the clip."""
    goal_qpos, goal_pos = clips.motions[clip].qpos[1 : frames + 1], clips.pos[clip][1 : frames + 1]
    own_qpos, own_pos = following.qpos[:frames, 0], following.pos[:frames, 0]
    errors = pose_errors(own_qpos, own_pos, goal_qpos, goal_pos)
    lost = np.logical_or.accumulate((errors >= lost_at) | following.broken[0])
    goal = windows(goal_qpos, goal_pos, stride)
    rest_qpos, rest_pos = (np.repeat(x[None], frames, axis=0) for x in stand)
    each = np.moveaxis(windows(trials.qpos[:frames], trials.pos[:frames], stride), 1, 0)  # [N, K, D]
    apart = unlikeness(each, goal)
    rise, own_rise = (pos[:, feet, 2] - stand[1][feet, 2] for pos in (goal_pos, own_pos))
    foot = int(rise.max(axis=0).argmax())
    return {
        "seconds": frames / RATE,
        "error": float(errors.mean()),
        "kept": not bool(lost[-1]),
        "kept_share": float((~lost).mean()),
        "standing_error": float(pose_errors(rest_qpos, rest_pos, goal_qpos, goal_pos).mean()),
        "following_unlikeness": float(unlikeness(windows(own_qpos, own_pos, stride), goal)),
        "held_unlikeness": float(apart.min()),
        "standing_unlikeness": float(unlikeness(windows(rest_qpos, rest_pos, stride), goal)),
        "jerk_ratio": jerk_ratio(own_pos, goal_pos, ~lost),
        "lift": float(rise[:, foot].max()),
        "lifted": float(own_rise[~lost, foot].max(initial=0.0)),
    }, int(apart.argmin())


def jerk_ratio(own: np.ndarray, goal: np.ndarray, counts: np.ndarray) -> float:
    """Median jerk of positions `[F, B, 3]` over that of others, of the frames that count `[F]`."""
    ours, theirs = (middle(jerks(pos, float(RATE), counts), np.median) for pos in (own, goal))
    return ours / theirs if theirs > 0 else float("nan")


def summary(clips: Sequence[ClipResult]) -> Imitation:
    """Means over clips, each counting alike."""
    mean = lambda name: Mean.of(np.array([getattr(clip, name) for clip in clips]))  # noqa: E731
    best = [min(clip.following_unlikeness, clip.held_unlikeness) < clip.standing_unlikeness for clip in clips]
    return Imitation(
        kept=Rate.of(np.array([clip.kept for clip in clips])),
        error=mean("error"),
        standing_error=mean("standing_error"),
        following_unlikeness=mean("following_unlikeness"),
        held_unlikeness=mean("held_unlikeness"),
        standing_unlikeness=mean("standing_unlikeness"),
        jerk_ratio=middle(np.array([clip.jerk_ratio for clip in clips]), np.median),
        better_than_standing=Rate.of(np.array(best)),
        feet_lifted=Rate.of(np.array([c.kept and c.lifted >= 0.5 * c.lift for c in clips if c.lift >= LIFT], bool)),
        clips=tuple(clips),
    )


def _standing(stage: Stage) -> tuple[np.ndarray, np.ndarray]:
    standing = stage.env.place_default()
    return np.asarray(standing.physics.qpos), np.asarray(standing.bodies.pos)
