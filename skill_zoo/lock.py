"""Lock files: name -> version -> sha256, for compositions that must stay the same.

    skill_zoo.lock("walk-and-wave.lock", ["humanoid/walk", "humanoid/wave@stable"])
    skill_zoo.load("humanoid/wave", lock="walk-and-wave.lock")

The digest is that of the manifest, which pins the weights, the controller and everything else of the entry.
"""

import os
from collections.abc import Iterable
from pathlib import Path

from anyskill_brax.workdir import write_atomically
from skill_zoo.errors import CorruptArtifact, SkillNotFound, SkillZooError, ZooIOError
from skill_zoo.ids import Reference, SkillId, nearest
from skill_zoo.manifest import STEERING_KINDS, canonical_json, strict_json
from skill_zoo.search import Entry, Folder, Id, controller_roots, entries, entry_roots, find, pinned_controller

_FORMAT = 1
_MAX_BYTES = 16 << 20


def lock(path: Folder, ids: Iterable[Id] | None = None, zoo: Folder | None = None) -> dict[str, str]:
    """Write what `ids` (by default the newest of everything) mean today; returns id with version -> sha256.

    The controllers that they pin are locked with them. `SkillZooError` if one name would mean two versions.
    """
    found = list(entries(entry_roots(zoo))) if ids is None else [find(id, zoo) for id in ids]
    roots = controller_roots(zoo)
    found += [pinned_controller(e.manifest, roots) for e in found if e.kind in STEERING_KINDS]
    locked: dict[SkillId, Entry] = {}
    for entry in found:
        other = locked.setdefault(entry.id.unversioned, entry)
        if other.manifest.sha256 != entry.manifest.sha256:
            raise SkillZooError(f"a lock holds one version of a name, here are {other.id} and {entry.id}")
    rows = {str(name): {"version": e.id.version, "sha256": e.manifest.sha256} for name, e in locked.items()}
    target = Path(path).expanduser()
    try:
        write_atomically(target, canonical_json({"lock_format": _FORMAT, "locked": rows}))
    except OSError as error:
        raise ZooIOError("write", target, error) from error
    return {str(entry.id): entry.manifest.sha256 for entry in locked.values()}


def find_locked(id: Id, path: Folder, zoo: Folder | None = None) -> Entry:
    """The entry that a lock file names. `SkillNotFound` if it does not, `CorruptArtifact` if its content is another."""
    wanted, locked = Reference.parse(id), read_lock(path)
    name = str(wanted.id.unversioned)
    if name not in locked:
        advice = f"Lock it: tools/zoo.py lock {path} {name} (with everything else that belongs in there)."
        raise SkillNotFound(f"{wanted} in the lock file {path}", [], nearest(name, locked), advice)
    version, sha256 = locked[name]
    exact = wanted.id.at(version)
    if wanted.id.version not in (None, version) or not sha256.startswith(wanted.sha256 or "") or wanted.alias:
        raise SkillZooError(f"{wanted} asks for another version than {path}, which says {exact}; ask for {name}")
    entry = find(exact, zoo)
    if entry.manifest.sha256 != sha256:
        raise CorruptArtifact(f"{exact} in {entry.root}", f"sha256 {sha256}, as {path} says", entry.manifest.sha256)
    return entry


def read_lock(path: Folder) -> dict[str, tuple[int, str]]:
    """Name -> (version, sha256 of the manifest)."""
    source = Path(path).expanduser()
    try:
        if not source.is_file() or os.stat(source).st_size > _MAX_BYTES:  # noqa: PTH116
            raise CorruptArtifact(source, f"a lock file of at most {_MAX_BYTES} bytes", "no such file, or another")
        fields = strict_json(source.read_bytes(), source)
    except OSError as error:
        raise ZooIOError("read", source, error) from error
    try:
        if set(fields) == {"lock_format", "locked"} and fields["lock_format"] == _FORMAT:
            return {
                str(SkillId.parse(name)): (_version(row["version"]), _digest(row["sha256"]))
                for name, row in fields["locked"].items()
            }
    except (SkillZooError, LookupError, TypeError, AttributeError, ValueError):
        pass
    raise CorruptArtifact(source, f"a lock file of format {_FORMAT}, written by skill_zoo.lock", "something else")


def _version(value: object) -> int:
    if type(value) is not int or not 1 <= value < 1_000_000:
        raise ValueError(value)
    return value


def _digest(value: object) -> str:
    if not isinstance(value, str) or len(value) != 64 or not set(value) <= set("0123456789abcdef"):
        raise ValueError(value)
    return value
