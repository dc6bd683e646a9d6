"""The reward's landscape under one text, before any training: would climbing it lead to what was meant?

Among poses of motions, each with what led to it where the model looks at movements: which score best, how far above
standing, along what path, and what else scores as well: the mirror image of a text that names no side (two hills: name
one), a text's opposite (the hill does not tell them apart).
The bounds below were set by looking at 25 texts with `builtin-pose-v2`, `ALIKE` again with version 4; they are
advice, not measurement.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from anyskill_brax.character.humanoid import CONTROL_DT, LATENT_STEPS, Character
from anyskill_brax.character.kinematics import BodyState, forward_kinematics
from anyskill_brax.clip.reward import RewardModel, embed_goals, window_of
from anyskill_brax.evaluate.instructions import meaning
from anyskill_brax.evaluate.track import Track
from anyskill_brax.high_level.eyes import Eyes, Render, camera_views
from anyskill_brax.motion.io import Motion
from anyskill_brax.motion.synthesis import builtin_motions
from anyskill_brax.reward_model.poses import mirror
from anyskill_brax.reward_model.wording import swap_sides
from anyskill_brax.types import UserError

LEARNABLE, AMBIGUOUS, OUTSIDE = "learnable", "ambiguous", "outside vocabulary"
LOW_CONFIDENCE = 0.5
"""A text less like the model's captions than this is outside its vocabulary."""
FLAT = 1.5
"""Less gain from standing to the best pose than this, in standard deviations over poses, is no hill."""
ALIKE = 0.88
"""A mirror image whose feature is nearer than this (cosine) to a high pose of the same motion is no second way."""
SECOND_HILL = 0.7
"""A mirror image that reaches this part of the way from standing to the best score is a second hill."""
TOLD_APART = 0.15
"""A mirrored or opposite text must score lower by this part of the way at the best pose."""
DEEP = 0.5
"""A valley on the path deeper than this part of the way is worth a word."""
PATH = 25
OPPOSITES = {
    "forward": "backward",
    "forwards": "backwards",
    "ahead": "back",
    "up": "down",
    "raise": "lower",
    "high": "low",
    "above": "below",
    "together": "apart",
    "sit": "stand",
    "straight": "bent",
}
"""Read both ways."""


@dataclass(frozen=True, eq=False)
class Poses:
    """N poses to look among, each the last of K that are a latent step apart; K is what a model looks at."""

    qpos: np.ndarray  # [N, K, 35]
    qvel: np.ndarray  # [N, K, 34]
    sources: tuple[str, ...]  # [N] the motion that each is from

    @classmethod
    def of(cls, motions: Sequence[Motion], most: int, frames: int = 1) -> "Poses":
        """At most about `most`, evenly spread, each after the `frames - 1` before it (or its motion's first)."""
        if not motions or most < 1:
            raise UserError(f"a landscape needs motions and at least one pose, not {len(motions)} and {most}")
        sources = [motion.name for motion in motions for _ in range(motion.num_frames)]
        rows = np.unique(np.linspace(0, len(sources) - 1, most).round().astype(int))
        lengths = [motion.num_frames for motion in motions]
        first = np.repeat(np.cumsum([0, *lengths[:-1]]), lengths)
        apart = np.repeat([max(1, round(motion.fps * LATENT_STEPS * CONTROL_DT)) for motion in motions], lengths)
        windows = np.maximum(rows[:, None] + apart[rows, None] * np.arange(1 - frames, 1), first[rows, None])
        qpos, qvel = (np.concatenate([getattr(m, k) for m in motions])[windows] for k in ("qpos", "qvel"))
        return cls(qpos.astype(np.float32), qvel.astype(np.float32), tuple(sources[row] for row in rows))


@dataclass(frozen=True)
class Landscape:
    """What is known of one text. Scores are cosines."""

    text: str
    confidence: float
    nearest: tuple[str, ...]  # captions the model was trained on
    best: tuple[int, ...]  # rows of `Poses`, of different motions, best first
    motions: tuple[str, ...]  # that they are from
    best_score: float
    standing: float
    spread: float  # standard deviation over all poses
    path: tuple[float, ...]  # scores from standing to the best pose, equal steps in joint angles
    valley: float  # deepest fall along the path, in parts of best - standing
    mirror_score: float  # of the best pose's mirror image
    mirror_likeness: float  # best cosine of that mirror image to a high pose of the same motion: a walk shows both
    rivals: tuple[str, ...]  # the mirrored text, then the opposite one; those that it has
    rival_margins: tuple[float, ...]  # by how much each scores lower at the best pose, in parts of best - standing
    verdict: str  # LEARNABLE, AMBIGUOUS or OUTSIDE
    reason: str

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    def __str__(self) -> str:
        return f"{self.verdict}: {self.text!r} ({self.reason})"


def rivals(text: str) -> tuple[str, ...]:
    """The same text of the other side, and the other way; those that differ from it."""
    both = OPPOSITES | {b: a for a, b in OPPOSITES.items()}
    opposite = re.sub(r"\w+", lambda m: both.get(m[0].lower(), m[0]), text)
    return tuple(other for other in (swap_sides(text), opposite) if other != text)


def survey(
    character: Character, model: RewardModel, texts: Sequence[str], poses: Poses, views: Sequence[Render] = ()
) -> list[Landscape]:
    """Every text's landscape among `poses`, of as many frames as the model's `window_of`; a model of images looks
    through `views`. TextError for an empty text."""
    embed = _embedder(character, Eyes.create(model, views, "vmap"))
    goals = np.asarray(embed_goals(model, texts))
    confidence = model.text_confidence(texts)
    stand = np.broadcast_to(character.default_qpos, (1, *poses.qpos.shape[1:]))
    features, standing = embed(poses.qpos, poses.qvel), embed(stand, np.zeros((1, *poses.qvel.shape[1:])))[0]
    best = [_best_of_each(features @ goal, poses.sources, 5) for goal in goals]
    top = [row[0] for row in best]
    mirrored = embed(*mirror(character, poses.qpos[top], poses.qvel[top]))
    paths = embed(*_paths(character, poses.qpos[top], poses.qvel[top])).reshape(len(texts), PATH, -1)
    others = [rivals(text) for text in texts]
    other_goals = [np.asarray(embed_goals(model, both)) if both else np.zeros((0, model.dim)) for both in others]
    nearest: Callable[[str], list[str]] = getattr(model, "nearest_captions", lambda text: [])
    stood = Track.of(character, np.repeat(character.default_qpos[None], 90, axis=0), 30.0)
    found = []
    for k, text in enumerate(texts):
        scores = features @ goals[k]
        low, high = float(standing @ goals[k]), float(scores[top[k]])
        path = paths[k] @ goals[k]
        rise = max(high - low, 1e-6)
        same = np.array([source == poses.sources[top[k]] for source in poses.sources])
        same &= scores >= low + SECOND_HILL * (high - low)
        facts = {
            "text": text,
            "confidence": float(confidence[k]),
            "nearest": tuple(nearest(text)),
            "best": tuple(best[k]),
            "motions": tuple(poses.sources[row] for row in best[k]),
            "best_score": high,
            "standing": low,
            "spread": float(scores.std()),
            "path": tuple(map(float, path)),
            "valley": float((np.maximum.accumulate(path) - path).max() / rise),
            "mirror_score": float(mirrored[k] @ goals[k]),
            "mirror_likeness": float((features[same] @ mirrored[k]).max()),
            "rivals": others[k],
            "rival_margins": tuple(map(float, (high - other_goals[k] @ features[top[k]]) / rise)),
        }
        asked = meaning(text)
        done = bool(asked and asked.holds(stood))
        verdict, reason = _verdict(facts, done)
        found.append(Landscape(**facts, verdict=verdict, reason=reason))
    return found


def glance(character: Character, model: RewardModel, texts: Sequence[str]) -> list[Landscape]:
    """A survey of a few seconds among the built-in motions, as training prints it first."""
    poses = Poses.of(builtin_motions(character), 100 if model.needs_images else 2000, window_of(model))
    views = camera_views(character, model.image_size, 1) if model.needs_images else ()
    return survey(character, model, texts, poses, views)


def _verdict(f: dict[str, Any], standing_does_it: bool) -> tuple[str, str]:
    """The first of these that applies."""
    rise = f["best_score"] - f["standing"]
    if f["confidence"] < LOW_CONFIDENCE:
        known = f"; it knows {', '.join(map(repr, f['nearest']))}" if f["nearest"] else ""
        return OUTSIDE, f"confidence {f['confidence']:.2f}{known}"
    if standing_does_it:
        return LEARNABLE, "standing still does it, says a predicate"
    if rise < FLAT * f["spread"]:
        return AMBIGUOUS, "standing still already scores about as well as any pose"
    sided = bool(re.search(r"\b(left|right)\b", f["text"], re.IGNORECASE))
    second = f["mirror_score"] - f["standing"] > SECOND_HILL * rise and f["mirror_likeness"] < ALIKE
    if second and not sided:
        return AMBIGUOUS, "the left and the right of it score alike; name a side"
    for other, margin in zip(f["rivals"], f["rival_margins"], strict=True):
        if margin < TOLD_APART:
            return AMBIGUOUS, f"hardly told from {other!r}"
    gain = f"{rise / max(f['spread'], 1e-6):.1f} standard deviations above standing"
    valley = f"; a valley on the way, {f['valley']:.0%} of the climb" if f["valley"] > DEEP else ""
    decided = "; a predicate can check it" if meaning(f["text"]) else ""
    return LEARNABLE, f"best in {f['motions'][0]}, {gain}{valley}{decided}"


def _best_of_each(scores: np.ndarray, sources: Sequence[str], count: int) -> list[int]:
    """Rows of the best poses, one of each motion."""
    rows: dict[str, int] = {}
    for row in np.argsort(-scores, kind="stable"):
        rows.setdefault(sources[int(row)], int(row))
        if len(rows) == count:
            break
    return list(rows.values())


def _paths(character: Character, qpos: np.ndarray, qvel: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """From standing where each of `qpos [M, K, 35]` begins, in PATH steps, all end to end; velocities grow along."""
    part = np.linspace(0.0, 1.0, PATH)[None, :, None, None]
    goal, start = qpos[:, None].astype(np.float64), character.default_qpos.astype(np.float64)
    yaw = np.arctan2(
        2 * (goal[..., 3] * goal[..., 6] + goal[..., 4] * goal[..., 5]),
        1 - 2 * (goal[..., 5] ** 2 + goal[..., 6] ** 2),
    )
    yaw = np.repeat(yaw[..., :1], yaw.shape[-1], axis=-1)  # facing where the goal faces at first
    zero = np.zeros_like(yaw)
    upright = np.stack([np.cos(yaw / 2), zero, zero, np.sin(yaw / 2)], axis=-1)
    upright *= np.where((upright * goal[..., 3:7]).sum(-1, keepdims=True) < 0, -1.0, 1.0)
    place = np.broadcast_to(goal[..., :1, :2], goal[..., :2].shape)
    begin = np.concatenate([place, 0 * goal[..., :1] + start[2], upright, 0 * goal[..., 7:] + start[7:]], -1)
    between = begin + part * (goal - begin)
    between[..., 3:7] /= np.linalg.norm(between[..., 3:7], axis=-1, keepdims=True)
    rates = part * qvel[:, None]
    frames = qpos.shape[1]
    return between.reshape(-1, frames, 35).astype(np.float32), rates.reshape(-1, frames, 34).astype(np.float32)


def _embedder(character: Character, eyes: Eyes) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    """`qpos [N, K, 35]`, `qvel [N, K, 34]` -> unit features `[N, D]`, a few hundred at a time: it compiles once."""
    chunk = 512

    @jax.jit
    def run(eyes: Eyes, qpos: jax.Array, qvel: jax.Array) -> jax.Array:
        bodies: BodyState = forward_kinematics(character, qpos, qvel)
        return eyes.recall(jax.tree.map(lambda x: jnp.moveaxis(x, 1, 0), bodies))

    def embed(qpos: np.ndarray, qvel: np.ndarray) -> np.ndarray:
        rows = np.arange(chunk * -(-len(qpos) // chunk)).clip(max=len(qpos) - 1).reshape(-1, chunk)
        parts = [run(eyes, jnp.asarray(qpos[r], jnp.float32), jnp.asarray(qvel[r], jnp.float32)) for r in rows]
        return np.concatenate(parts)[: len(qpos)]

    return embed
