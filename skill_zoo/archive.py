"""One entry and the controller it stands on, as one file to hand around.

A plain tar (unpacked, it is a zoo folder) without compression, so nothing in it can be larger than the archive itself.
The members and their order are fixed: manifests first, then the blobs they name, by sha256. The reader accepts those
bytes only: every 512-byte header must equal the one that the writer would have written, which leaves no room for
links, devices, absolute paths or extensions. Everything is verified before anything is written.
"""

import os
import tarfile
from pathlib import Path
from typing import BinaryIO

from skill_zoo.errors import CorruptArtifact, UnsupportedFormat, ZooIOError
from skill_zoo.ids import SkillId
from skill_zoo.manifest import MAX_MANIFEST_BYTES, FileRef, Manifest
from skill_zoo.search import Folder, Id, controller_roots, find, pinned_controller, refresh_index, save_target
from skill_zoo.store import Store, blob_parts, manifest_parts
from skill_zoo.zoo import check_pin, decode_entry

MAX_ARCHIVE_BYTES = 2 << 30
_BLOCK = 512


def export_archive(id: Id, path: Folder, zoo: Folder | None = None) -> SkillId:
    """Write an entry, and the low-level controller it pins, to `path`; equal entries give equal bytes."""
    entry = find(id, zoo)
    parts = [entry]
    if entry.manifest.low_level:
        parts.append(pinned_controller(entry.manifest, controller_roots(zoo)))
        check_pin(entry.manifest, parts[1].manifest)
    members = [("/".join(manifest_parts(part.id)), Store(part.root).read_manifest(part.id)) for part in parts]
    blobs = {
        "/".join(blob_parts(ref.sha256)): part.read(name) for part in parts for name, ref in part.manifest.files.items()
    }
    target = Path(path).expanduser()
    private = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        with private.open("xb") as file:
            for name, data in [*members, *sorted(blobs.items())]:
                file.write(_header(name, len(data)) + data + bytes(-len(data) % _BLOCK))
            file.write(bytes(2 * _BLOCK))
            file.flush()
            os.fsync(file.fileno())
        private.replace(target)
    except OSError as error:
        raise ZooIOError("write", target, error) from error
    finally:
        private.unlink(missing_ok=True)
    return entry.id


def import_archive(path: Folder, zoo: Folder | None = None, max_bytes: int = MAX_ARCHIVE_BYTES) -> list[SkillId]:
    """Verify an archive and publish its entries under their own ids; returns them, the one that was exported first.

    Entries that exist with the same content are left as they are; other content under the same id is `IdTaken`.
    """
    source, target = Path(path).expanduser(), save_target(zoo)
    try:
        size = source.stat().st_size
        if not source.is_file() or size > max_bytes:
            raise CorruptArtifact(source, f"an archive of at most {max_bytes} bytes", f"{size} bytes")
        with source.open("rb") as file:
            manifests, blobs = _read(file, source)
    except OSError as error:
        raise ZooIOError("read", source, error) from error
    controller = None
    for manifest in reversed(manifests):
        controller = decode_entry(manifest, blobs[manifest.weights.sha256], controller)
    store = Store(target)
    for manifest in manifests:
        store.check_free(manifest.id, manifest.to_bytes())
    store.commit_all(  # the controller first: no moment shows a skill without it
        (manifest.id, {name: blobs[ref.sha256] for name, ref in manifest.files.items()}, manifest.to_bytes())
        for manifest in reversed(manifests)
    )
    refresh_index(target)
    return [manifest.id for manifest in manifests]


def _read(file: BinaryIO, source: Path) -> tuple[list[Manifest], dict[str, bytes]]:
    manifests = [_read_manifest(file, source)]
    if pin := manifests[0].low_level:
        controller = _read_manifest(file, source)
        if controller.kind != "low_level" or controller.weights.sha256 != pin.sha256:
            found = f"{controller.id}, a {controller.kind} of sha256 {controller.weights.sha256}"
            raise CorruptArtifact(source, f"the controller {pin.id} of sha256 {pin.sha256}", found)
        check_pin(manifests[0], controller)
        manifests.append(controller)
    refs = {ref.sha256: ref for manifest in manifests for ref in manifest.files.values()}
    blobs = {}
    for sha256, ref in sorted(refs.items()):
        name, data = _read_member(file, source, ref.size)
        if name != "/".join(blob_parts(sha256)) or FileRef.of(data) != ref:
            raise CorruptArtifact(source, f"blob {sha256} of {ref.size} bytes", f"{name} of {len(data)} bytes")
        blobs[sha256] = data
    if file.read(2 * _BLOCK + 1) != bytes(2 * _BLOCK):
        raise CorruptArtifact(source, "the end of the archive", "more members")
    return manifests, blobs


def _read_manifest(file: BinaryIO, source: Path) -> Manifest:
    name, data = _read_member(file, source, MAX_MANIFEST_BYTES)
    manifest = Manifest.from_bytes(data, name)
    if name != "/".join(manifest_parts(manifest.id)):
        raise CorruptArtifact(source, f"{manifest.id} under its own path", name)
    return manifest


def _read_member(file: BinaryIO, source: Path, limit: int) -> tuple[str, bytes]:
    block = file.read(_BLOCK)
    try:
        info = tarfile.TarInfo.frombuf(block, "ascii", "strict")
        plain = 0 <= info.size <= limit and block == _header(info.name, info.size)
    except (tarfile.TarError, ValueError) as error:
        raise UnsupportedFormat(source, str(error), "archives written by `tools/zoo.py export`") from error
    if not plain:
        raise CorruptArtifact(
            source, f"a plain file of at most {limit} bytes", f"{info.name!r:.100} of {info.size} bytes"
        )
    data, padding = file.read(info.size), file.read(-info.size % _BLOCK)
    if len(data) != info.size or len(padding) != -info.size % _BLOCK or any(padding):
        raise CorruptArtifact(source, f"{info.size} bytes of {info.name}", f"{len(data)}")
    return info.name, data


def _header(name: str, size: int) -> bytes:
    """The one tar header that a file of this name and size has here: no owner, no time, readable by all."""
    info = tarfile.TarInfo(name)
    info.size = size
    return info.tobuf(tarfile.USTAR_FORMAT, "ascii", "strict")
