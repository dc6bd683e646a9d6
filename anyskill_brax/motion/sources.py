"""Where motions come from: `builtin`, `builtin:SEED`, folders of clips; which training leaves out; on what terms."""

import dataclasses
import hashlib
import re
from collections.abc import Sequence
from pathlib import Path

from anyskill_brax.character.humanoid import Character
from anyskill_brax.motion.io import Motion, load_motion_folder
from anyskill_brax.motion.synthesis import builtin_motions
from anyskill_brax.types import UserError


def load_source(character: Character, source: str, split: str | None = None) -> list[Motion]:
    """`builtin`, `builtin:SEED` (the same kinds by other dice, named `NAME.seedSEED`) or a folder's clips of `split`
    (None: all). `UserError` for anything else."""
    kind, _, seed = source.partition(":")
    if kind != "builtin" or Path(source).is_dir():
        return load_motion_folder(Path(source), split=split)
    if seed and not seed.isdigit():
        raise UserError(f"motions from {source}: expected builtin or builtin:SEED, e.g. builtin:1")
    made = builtin_motions(character, seed=int(seed or 0))
    return [dataclasses.replace(m, name=f"{m.name}.seed{seed}") for m in made] if int(seed or 0) else made


def provenance(sources: Sequence[str], licences: Sequence[str]) -> dict[str, str]:
    """Clips, each with its source and licence -> collection: its terms and how many clips it gave, the most first.

    The collection is the repository that a clip's source begins with (`owner/name commit path`), `builtin` for those
    made by `synthesis`, `other clips` for the rest. Where not every clip states its terms they are "".
    """
    clips: dict[str, list[str]] = {}
    for source, licence in zip(sources, licences, strict=True):
        first = (source.split() or [""])[0]
        made = first.startswith("anyskill_brax.motion.synthesis")
        repository = re.fullmatch(r"[\w.-]+/[\w.-]+", first)
        clips.setdefault("builtin" if made else first if repository else "other clips", []).append(licence)
    found = {}
    for name, terms in sorted(clips.items(), key=lambda item: -len(item[1])):
        stated = "; ".join(sorted({licence for licence in terms if licence}))
        found[name] = f"{stated} ({len(terms)} clip{'s' * (len(terms) > 1)})" if stated and all(terms) else ""
    return found


def held_out(name: str, share: float) -> bool:
    """Whether training with `hold_out = share` leaves the clip of this name out.

    By the name's SHA-256 alone: the same on every machine and beside any other clips, and what a smaller share leaves
    out a larger one does too.
    """
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big") < share * 2.0**64
