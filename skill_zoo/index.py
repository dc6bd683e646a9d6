"""A cache of the listing: one row for the newest version of every name, so that ten thousand are listed at once.

Files are the truth. A row counts only while the folder of its name is the one that was read, and unchanged: publishing
makes a folder `vN` in it, which changes its time. Readers write nothing; who publishes rewrites the cache when more
than a few rows are stale. Its first line is the sha256 of the rest, and a damaged one is ignored. It may be deleted.
"""

import contextlib
import hashlib
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass

from skill_zoo.errors import InvalidId, SkillZooError
from skill_zoo.ids import SkillId, check_name
from skill_zoo.manifest import Manifest
from skill_zoo.store import Store

_FILE = ("index.cache",)
_FORMAT = 1
_MAX_BYTES = 256 << 20
_SETTLED = 2.0
"""[s] Two changes of a folder within one tick of the clock look like one; a row is kept once this has passed."""
_parsed: dict[str, tuple[tuple[int, ...], dict[str, "Row"]]] = {}
"""Per folder: the file's identity and its rows, so that a second listing parses nothing."""


@dataclass(frozen=True, slots=True)
class Summary:
    """What the listing shows of an entry."""

    kind: str
    instruction: str
    created: str
    sha256: str  # of the manifest
    weights: str  # sha256 of the weights file
    size: int  # bytes of all files
    unverified: bool

    @classmethod
    def of(cls, manifest: Manifest) -> "Summary":
        size = sum(ref.size for ref in manifest.files.values())
        weights, unverified = manifest.weights.sha256, manifest.unverified
        return cls(manifest.kind, manifest.instruction, manifest.created, manifest.sha256, weights, size, unverified)


@dataclass(frozen=True, slots=True)
class Row:
    stamp: tuple[int, int]  # the name's folder: time of its last change [ns] and inode
    version: int
    summary: Summary


def listing(store: Store) -> tuple[dict[SkillId, Row], list[SkillId]]:
    """The rows that hold, by unversioned id, and the names whose newest version must be read."""
    rows, known, unknown = _read(store), {}, []
    for name, stamp in _stamps(store).items():
        row = rows.get(str(name))
        if row is not None and row.stamp == stamp:
            known[name] = row
        else:
            unknown.append(name)
    return known, unknown


def refresh(store: Store, summary_of: Callable[[SkillId], Summary]) -> None:
    """Rewrite the cache if more than a few rows are stale. It is a cache: a full disk is no reason to fail."""
    with contextlib.suppress(SkillZooError):
        known, unknown = listing(store)
        if len(unknown) <= 64 + len(known) // 50:
            return
        oldest = (store.now() - _SETTLED) * 1e9
        for name, stamp in _stamps(store).items():
            pending = len(store.folders("entries", name.character, name.name)) != len(versions := store.versions(name))
            if name in known or pending or not versions or stamp[0] > oldest:
                continue
            with contextlib.suppress(SkillZooError):  # a damaged one is read, and reported, at every listing
                known[name] = Row(stamp, versions[-1], summary_of(name.at(versions[-1])))
        _write(store, known)


def _stamps(store: Store) -> dict[SkillId, tuple[int, int]]:
    found = {}
    for character in store.folders("entries"):
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            for entry in os.scandir(store.root / "entries" / character):
                if entry.is_dir(follow_symlinks=False):
                    with contextlib.suppress(InvalidId):  # not made by a zoo
                        name = SkillId(check_name(character), check_name(entry.name))
                        status = entry.stat(follow_symlinks=False)
                        found[name] = (status.st_mtime_ns, status.st_ino)
    return found


def _read(store: Store) -> Mapping[str, Row]:
    try:
        status = os.stat(store.root.joinpath(*_FILE), follow_symlinks=False)  # noqa: PTH116
    except OSError:
        return {}
    identity = (status.st_ino, status.st_size, status.st_mtime_ns)
    if (cached := _parsed.get(str(store.root))) and cached[0] == identity:
        return cached[1]
    rows: dict[str, Row] = {}
    with contextlib.suppress(SkillZooError, ValueError, TypeError, LookupError, RecursionError):
        data = store.read_parts(_FILE, _MAX_BYTES) or b""
        if data[:65] == hashlib.sha256(data[65:]).hexdigest().encode() + b"\n":
            content = json.loads(data[65:])
            if content["format"] == _FORMAT:
                for name, (time, inode, version, summary) in content["rows"].items():
                    rows[name] = Row((time, inode), version, Summary(*summary))
    _parsed[str(store.root)] = (identity, rows)
    return rows


def _write(store: Store, rows: Mapping[SkillId, Row]) -> None:
    plain = {str(n): [*row.stamp, row.version, list(asdict(row.summary).values())] for n, row in sorted(rows.items())}
    body = json.dumps({"format": _FORMAT, "rows": plain}, separators=(",", ":")).encode()
    with store.writing():
        store.replace_file(_FILE, hashlib.sha256(body).hexdigest().encode() + b"\n" + body)
