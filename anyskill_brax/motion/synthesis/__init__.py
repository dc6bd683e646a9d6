"""Built-in motions: parametric, randomised by seed, so that everything runs with no data at all.

A kind writes a `Score` (kinds.py and the files it is called from); `realise` turns it into poses that stand where the
steps put the feet, balanced as an inverted pendulum; `builtin_motions` casts every kind, mirrors the sided ones.
"""

import zlib
from collections import Counter
from collections.abc import Sequence

import numpy as np

from anyskill_brax.character.humanoid import Character
from anyskill_brax.motion.io import Motion, motion_from_qpos
from anyskill_brax.motion.synthesis import floor, gestures, legs, standing, walking  # noqa: F401  (they register kinds)
from anyskill_brax.motion.synthesis.kinds import KINDS, Cast
from anyskill_brax.motion.synthesis.score import realise
from anyskill_brax.types import UserError

FPS = 30.0


def mirror_qpos(character: Character, qpos: np.ndarray) -> np.ndarray:
    """The mirror image in the x-z plane of poses `[F, 35]`: sides swap; y, x-hinges and z-hinges change sign."""
    names = character.joint_names
    swap = {"right": "left", "left": "right"}
    other = [names.index(swap.get(n.split("_")[0], n.split("_")[0]) + n[len(n.split("_")[0]) :]) for n in names]
    sign = np.array([-1.0 if name.endswith(("_x", "_z")) else 1.0 for name in names])
    root = qpos[:, :7] * np.array([1, -1, 1, 1, -1, 1, -1])
    return np.concatenate([root, qpos[:, 7:][:, other] * sign], axis=1)


def builtin_motions(
    character: Character, seed: int = 0, variants: int = 1, kinds: Sequence[str] | None = None
) -> list[Motion]:
    """Every kind (or those named), `variants` times each, a sided one for both sides; the same for the same seed.

    Each clip's dice depend on the seed, the kind's name and the variant alone, so new kinds change no old clip.
    """
    clips: list[tuple[str, str, np.ndarray, tuple[str, ...]]] = []
    unknown = sorted(set(kinds or ()) - set(KINDS))
    if unknown:
        raise UserError(f"no built-in motion kind {', '.join(unknown)}; there is {', '.join(KINDS)}")
    for kind in (KINDS[name] for name in kinds or KINDS):
        for variant in range(variants):
            for side, other in (("right", "left"), ("left", "right")) if kind.sided else (("", ""),):
                dice = np.random.default_rng([seed, zlib.crc32(kind.name.encode()), variant, side == "left"])
                qpos = realise(character, kind.compose(Cast(character, dice)), FPS)
                if side == "left":
                    qpos = mirror_qpos(character, qpos)
                name = "_".join(part for part in (kind.name, side, str(variant) if variants > 1 else "") if part)
                captions = tuple(caption.format(side=side, other=other) for caption in kind.captions)
                clips.append((name, kind.category, qpos, captions))
    crowd = Counter(category for _, category, _, _ in clips)
    return [
        motion_from_qpos(
            character,
            name,
            FPS,
            qpos,
            category=category,
            captions=captions,
            weight=float(crowd[category] ** -0.5),
            licence="Apache-2.0",
            source=f"anyskill_brax.motion.synthesis seed {seed}",
        )
        for name, category, qpos, captions in clips
    ]
