"""Upkeep of one zoo folder: set damaged files aside, and give back the space that no entry needs.

Both work beside readers and writers, without locks. Nothing is deleted before two looks: `gc` moves a blob that no
manifest names to `trash/`, where readers still find it, lists the manifests again, and deletes it only if it is still
named by none. What is younger than `grace` may belong to a publish that has not linked its manifest yet, and stays.
"""

import contextlib
import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from skill_zoo.errors import CorruptArtifact
from skill_zoo.manifest import MAX_FILE_BYTES, FileRef
from skill_zoo.search import Entry, entry_at
from skill_zoo.store import Store, blob_parts, manifest_parts

GRACE = 24 * 3600.0
"""[s] A publish takes less than this from its first blob to its manifest."""


@dataclass(frozen=True)
class Collected:
    """What `gc` did: files deleted and their size [bytes], and blobs taken back out of the trash."""

    deleted: int
    freed: int
    restored: int


def quarantine(root: Path) -> list[Path]:
    """Move every damaged manifest and blob below `root` to `quarantine/`; where each one lies now.

    The version of a damaged manifest disappears, its number is never given again, and the newest sound version is the
    newest. An entry whose blob went stays listed and is refused until the blob is back (import or publish it again).
    """
    store, moved, sound = Store(root), [], []
    with store.writing():
        for name in store.names():
            for version in store.versions(name):
                try:
                    sound.append(entry_at(root, name.at(version)))
                except CorruptArtifact:
                    moved.append(_set_aside(store, manifest_parts(name.at(version))))
        refs = {ref.sha256: ref for entry in sound for ref in entry.manifest.files.values()}
        for sha256 in _blobs(store):
            data = _contents(store, refs.get(sha256), sha256)
            if data is None or hashlib.sha256(data).hexdigest() != sha256:
                moved.append(_set_aside(store, blob_parts(sha256)))
        if moved:
            store.forget_newest()
    return moved


def gc(root: Path, grace: float = GRACE) -> Collected:
    """Delete blobs that no manifest names and what killed writers left, if older than `grace` [s].

    `CorruptArtifact` if a manifest cannot be read: who knows what it needs. `quarantine` it first.
    """
    store = Store(root)
    if not root.is_dir():
        return Collected(0, 0, 0)
    with store.writing():
        oldest = store.now() - grace
        needed = _needed(store)
        for sha256 in _blobs(store):
            path = root.joinpath(*blob_parts(sha256))
            if sha256 not in needed and _is_old(path, oldest):
                trash = store.make_folder("trash")
                with contextlib.suppress(FileNotFoundError):  # another gc was faster
                    path.rename(trash / sha256)
        needed, restored, doomed = _needed(store), 0, []
        for path in _files(root / "trash"):
            if path.name not in needed and _is_old(path, oldest):
                doomed.append(path)
                continue
            home = blob_parts(path.name)
            with contextlib.suppress(FileExistsError, FileNotFoundError):  # a writer has put it there anew
                os.link(path, store.make_folder(*home[:-1]) / home[-1], follow_symlinks=False)
                store.sync_folders(home[:-1])
            path.unlink(missing_ok=True)
            restored += 1
        doomed += [path for path in _files(root / ".tmp") if _is_old(path, oldest)]
        freed = sum(_delete(path) for path in doomed)
    return Collected(len(doomed), freed, restored)


def _is_old(path: Path, oldest: float) -> bool:
    try:
        return path.lstat().st_mtime < oldest
    except FileNotFoundError:
        return False


def _delete(path: Path) -> int:
    """Bytes freed."""
    try:
        size = path.lstat().st_size
        path.unlink()
        return size
    except FileNotFoundError:
        return 0


def _needed(store: Store) -> set[str]:
    """sha256 of every blob that some manifest names."""
    return {ref.sha256 for entry in _entries(store) for ref in entry.manifest.files.values()}


def _entries(store: Store) -> Iterator[Entry]:
    for name in store.names():
        for version in store.versions(name):
            yield entry_at(store.root, name.at(version))


def _blobs(store: Store) -> list[str]:
    folders = store.folders("blobs", "sha256")
    return [path.name for folder in folders for path in _files(store.root / "blobs" / "sha256" / folder)]


def _files(folder: Path) -> list[Path]:
    """What lies in a folder, folders aside; nothing where there is no folder."""
    with contextlib.suppress(FileNotFoundError, NotADirectoryError), os.scandir(folder) as found:
        return sorted(Path(entry.path) for entry in found if not entry.is_dir(follow_symlinks=False))
    return []


def _contents(store: Store, ref: FileRef | None, sha256: str) -> bytes | None:
    """A blob's bytes; None if it is no regular file of the size that its manifest states."""
    try:
        return store.read_parts(blob_parts(sha256), MAX_FILE_BYTES, exact_size=ref.size if ref else None)
    except CorruptArtifact:
        return None


def _set_aside(store: Store, parts: tuple[str, ...]) -> Path:
    """Move a file to the same place below `quarantine/`, beside what came there before."""
    folder = store.make_folder("quarantine", *parts[:-1])
    number = sum(1 for _ in folder.iterdir())
    target = folder / f"{parts[-1]}.{number}"
    store.root.joinpath(*parts).rename(target)
    store.sync_folders(("quarantine", *parts[:-1]), parts[:-1])
    return target
