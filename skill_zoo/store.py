"""Bytes on disk: blobs named by their sha256, immutable versions, aliases. Knows nothing of skills.

    <root>/blobs/sha256/ab/abcdef...                  content-addressed, shared between entries
    <root>/entries/<character>/<name>/vN/manifest.json    one immutable version: present means complete
    <root>/aliases.json                               name -> newest version, replaced atomically
    <root>/aliases/<character>/<name>/<alias>.json    one alias that somebody set (aliases.py)
    <root>/trash/, <root>/quarantine/                 what upkeep.py set aside
    <root>/.tmp/                                      what a killed writer leaves; never read

Commit: write to a private file, fsync -> rename to its blob -> manifest to a private file, fsync -> fsync the blob
folders -> hard-link the manifest to `vN/manifest.json`, which exactly one writer can do -> fsync the folders -> replace
the aliases. No step needs a lock, and a crash between any two leaves the old state or the new one.
"""

import contextlib
import hashlib
import os
import re
import secrets
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from skill_zoo.errors import CorruptArtifact, IdTaken, InvalidId, SkillNotFound, ZooIOError
from skill_zoo.ids import SkillId, check_name, check_unversioned
from skill_zoo.manifest import MAX_FILE_BYTES, MAX_MANIFEST_BYTES, FileRef, canonical_json, strict_json

_VERSION = re.compile(r"v([1-9][0-9]{0,5})", re.ASCII)
_MAX_ALIAS_BYTES = 16 << 20
_READ = os.O_RDONLY | os.O_CLOEXEC | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
_FOLDER = _READ | getattr(os, "O_DIRECTORY", 0)


@dataclass(frozen=True)
class Store:
    """One zoo folder. Reading creates nothing; only `publish` and `commit` write."""

    root: Path

    # Reading

    def names(self) -> list[SkillId]:
        """Every entry that has at least one committed version, sorted, unversioned."""
        return sorted(self.newest())

    def newest(self) -> dict[SkillId, int]:
        """Every name and its newest committed version."""
        found = {}
        for character in self.folders("entries"):
            for name in self.folders("entries", character):
                with contextlib.suppress(InvalidId):  # not made by a zoo
                    skill_id = SkillId(check_name(character), check_name(name))
                    if version := next(self._committed(skill_id), None):
                        found[skill_id] = version
        return found

    def versions(self, skill_id: SkillId) -> list[int]:
        """Committed versions, ascending."""
        return sorted(self._committed(skill_id))

    def _committed(self, skill_id: SkillId) -> Iterator[int]:
        """Committed versions, newest first: a folder without its manifest is a publish under way, or a dead one."""
        folders = self.folders("entries", skill_id.character, skill_id.name)
        base = f"{self.root}/entries/{skill_id.character}/{skill_id.name}"
        for number in sorted(
            (int(match[1]) for folder in folders if (match := _VERSION.fullmatch(folder))), reverse=True
        ):
            if os.path.lexists(f"{base}/v{number}/manifest.json"):
                yield number

    def retired(self, skill_id: SkillId) -> list[int]:
        """Versions whose damaged manifests lie in quarantine: their numbers are never given again."""
        folders = self.folders("quarantine", "entries", skill_id.character, skill_id.name)
        return sorted(int(match[1]) for folder in folders if (match := _VERSION.fullmatch(folder)))

    def resolve(self, skill_id: SkillId) -> SkillId | None:
        """The id with its version, the newest where none is asked; None if this root does not hold it.

        The entries are the truth. An alias behind them (a writer died before replacing it, or somebody set it back) is
        not followed; an alias ahead of them means that a published version has vanished.
        """
        if skill_id.version is not None:
            return skill_id if skill_id.version in self.versions(skill_id) else None
        alias = self.aliases().get(str(skill_id), 0)  # before the listing, which can then only be newer
        newest = next(self._committed(skill_id), 0)
        if alias > newest:
            raise CorruptArtifact(
                f"{skill_id} in {self.root}", f"version {alias}, named by aliases.json", f"version {newest}"
            )
        return skill_id.at(newest) if newest else None

    def read_manifest(self, skill_id: SkillId) -> bytes:
        """The bytes of a manifest, at most `MAX_MANIFEST_BYTES`."""
        data = self.read_parts(manifest_parts(skill_id), MAX_MANIFEST_BYTES)
        if data is None:
            raise SkillNotFound(skill_id, [self.root])
        return data

    def read_blob(self, ref: FileRef, what: object) -> bytes:
        """A blob, its size checked before it is read and its sha256 after."""
        at_home = blob_parts(ref.sha256)
        for parts in (at_home, ("trash", ref.sha256), at_home):  # `gc` may be moving it there and back
            if (data := self.read_parts(parts, MAX_FILE_BYTES, exact_size=ref.size)) is not None:
                break
        else:
            raise CorruptArtifact(what, f"the blob {ref.sha256} in {self.root}", "no such file")
        actual = hashlib.sha256(data).hexdigest()
        if actual != ref.sha256:
            raise CorruptArtifact(what, f"sha256 {ref.sha256}", actual)
        return data

    def aliases(self) -> dict[str, int]:
        """Name -> newest version as last recorded; a cache of the entries."""
        data = self.read_parts(("aliases.json",), _MAX_ALIAS_BYTES)
        if data is None:
            return {}
        aliases = strict_json(data, self.root / "aliases.json")
        if isinstance(aliases, dict) and all(type(v) is int and 0 < v < 10**6 for v in aliases.values()):
            with contextlib.suppress(InvalidId):
                for name in aliases:
                    check_unversioned(name)
                return aliases
        raise CorruptArtifact(self.root / "aliases.json", "{name: version} (it may be deleted)", "something else")

    # Writing

    def publish(
        self, skill_id: SkillId, files: Mapping[str, bytes], manifest: Callable[[SkillId, dict[str, FileRef]], bytes]
    ) -> SkillId:
        """Publish `files` as the next version of an unversioned id; `manifest(id, refs)` gives the manifest's bytes."""
        with self.writing():
            refs = self._put_blobs(files)
            version = 1 + max([self.aliases().get(str(skill_id), 0), *self.versions(skill_id), *self.retired(skill_id)])
            while not self._link_manifest(skill_id.at(version), manifest(skill_id.at(version), refs)):
                version += 1
            self.record_newest()
        return skill_id.at(version)

    def commit(self, skill_id: SkillId, files: Mapping[str, bytes], manifest: bytes) -> None:
        """Publish an exact version, as imports do. The same again changes nothing; other content is `IdTaken`."""
        self.commit_all([(skill_id, files, manifest)])

    def commit_all(self, versions: Iterable[tuple[SkillId, Mapping[str, bytes], bytes]]) -> None:
        """`commit` for many: (id, files, manifest) each, made visible one by one in this order."""
        with self.writing():
            for skill_id, files, manifest in versions:
                self._put_blobs(files)
                if not self._link_manifest(skill_id, manifest):
                    self.check_free(skill_id, manifest)
            self.record_newest()

    def check_free(self, skill_id: SkillId, manifest: bytes) -> None:
        """`IdTaken` if the version exists with other content."""
        if skill_id.version in self.versions(skill_id) and self.read_manifest(skill_id) != manifest:
            raise IdTaken(skill_id, self.root)

    @contextlib.contextmanager
    def writing(self) -> Iterator[None]:
        """Whatever the file system refuses is a `ZooIOError`."""
        try:
            yield
        except OSError as error:
            raise ZooIOError("publish to", error.filename or self.root, error) from error

    def _put_blobs(self, files: Mapping[str, bytes]) -> dict[str, FileRef]:
        """Every file in its blob and synced, folders and all. Written anew even if there: that heals a damaged one."""
        refs = {name: FileRef.of(data) for name, data in files.items()}
        folders = set()
        for name, ref in sorted(refs.items()):
            *folder, blob = blob_parts(ref.sha256)
            with self._private_file(files[name]) as private:
                private.replace(self.make_folder(*folder) / blob)
            folders.add(tuple(folder))
        self.sync_folders(*folders)
        return refs

    def _link_manifest(self, skill_id: SkillId, data: bytes) -> bool:
        """The one step that makes a version visible; False if another writer has taken it."""
        *folder, name = manifest_parts(skill_id)
        with self._private_file(data) as private:
            target = self.make_folder(*folder)
            try:
                os.link(private, target / name, follow_symlinks=False)
            except FileExistsError:
                # A network file system may repeat a request that had succeeded: then the link is ours after all.
                if os.stat(private).st_nlink != 2:  # noqa: PTH116
                    return False
            self.sync_folders(tuple(folder))
        return True

    def replace_file(self, parts: tuple[str, ...], data: bytes) -> None:
        """Put a file in place of the old one, synced: a crash leaves one of the two."""
        *folder, name = parts
        with self._private_file(data) as private:
            private.replace(self.make_folder(*folder) / name)
        self.sync_folders(tuple(folder))

    def record_newest(self) -> None:
        """Write the newest versions until a listing agrees: the last of any number of writers leaves them right."""
        while True:
            aliases = self.aliases()
            newest = {str(name): version for name, version in self.newest().items()}
            wanted = {name: max(newest.get(name, 0), aliases.get(name, 0)) for name in newest | aliases}
            if wanted == aliases:
                return
            self.replace_file(("aliases.json",), canonical_json(wanted))

    def forget_newest(self) -> None:
        """Write aliases.json anew from the entries alone: versions that vanished are accepted as gone."""
        self.replace_file(
            ("aliases.json",), canonical_json({str(name): version for name, version in self.newest().items()})
        )

    def now(self) -> float:
        """The file system's own clock [s], which stamps its files."""
        with self._private_file(b"") as private:
            return private.stat().st_mtime

    @contextlib.contextmanager
    def _private_file(self, data: bytes) -> Iterator[Path]:
        """A synced file that no reader looks at, removed at the end if it has not become something else."""
        path = self.make_folder(".tmp") / f"{os.getpid()}-{secrets.token_hex(8)}"
        try:
            descriptor = os.open(path, _CREATE, 0o644)
            try:
                view = memoryview(data)
                while view:
                    view = view[os.write(descriptor, view) :]
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            yield path
        finally:
            with contextlib.suppress(OSError):
                path.unlink()

    def make_folder(self, *parts: str) -> Path:
        """A real folder below the root, made if need be; a symlink on the way is refused."""
        folder = self.root
        if not folder.is_dir():
            self._make_root()
        for part in parts:
            folder = folder / part
            with contextlib.suppress(FileExistsError):
                folder.mkdir()
            if not stat.S_ISDIR(folder.lstat().st_mode):
                raise CorruptArtifact(folder, "a folder", "a link or a file")
        return folder

    def _make_root(self) -> None:
        """The root and what is missing above it, each new folder synced into the one that holds it."""
        missing = [path for path in (self.root, *self.root.parents) if not path.exists()]
        for path in reversed(missing):
            path.mkdir(exist_ok=True)
            _sync(path.parent)
        self.root.mkdir(exist_ok=True)  # which fails if it is a file

    def sync_folders(self, *folders: tuple[str, ...]) -> None:
        """fsync folders and all above them, deepest first: another writer may have made them just now."""
        above = {folder[:depth] for folder in folders for depth in range(len(folder) + 1)}
        for parts in sorted(above, key=lambda parts: (-len(parts), parts)):
            _sync(self.root.joinpath(*parts))

    # Both

    def folders(self, *parts: str) -> list[str]:
        """The real folders in a folder below the root, sorted; none where it does not exist."""
        try:
            with os.scandir("/".join((str(self.root), *parts))) as found:
                return sorted(entry.name for entry in found if entry.is_dir(follow_symlinks=False))
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as error:
            raise ZooIOError("list", self.root.joinpath(*parts), error) from error

    def read_parts(self, parts: tuple[str, ...], limit: int, exact_size: int | None = None) -> bytes | None:
        """A regular file below the root, reached through real folders only; None if there is none."""
        path = self.root.joinpath(*parts)
        try:
            with contextlib.ExitStack() as stack:
                descriptor = os.open(self.root, os.O_RDONLY | os.O_CLOEXEC)
                stack.callback(os.close, descriptor)
                for depth, part in enumerate(parts, start=1):
                    flags = _READ if depth == len(parts) else _FOLDER
                    descriptor = os.open(part, flags, dir_fd=descriptor)
                    stack.callback(os.close, descriptor)
                status = os.fstat(descriptor)
                if not stat.S_ISREG(status.st_mode):
                    raise CorruptArtifact(path, "a regular file", "something else")
                if status.st_size > limit or (exact_size is not None and status.st_size != exact_size):
                    expected = f"at most {limit} bytes" if exact_size is None else f"{exact_size} bytes"
                    raise CorruptArtifact(path, expected, f"{status.st_size} bytes")
                return _read_all(descriptor, status.st_size)
        except FileNotFoundError:
            return None
        except OSError as error:
            if any(self.root.joinpath(*parts[: n + 1]).is_symlink() for n in range(len(parts))):
                raise CorruptArtifact(path, "files and folders of its own", "a symbolic link") from error
            raise ZooIOError("read", path, error) from error


def manifest_parts(skill_id: SkillId) -> tuple[str, ...]:
    """Where a version's manifest lies below the root."""
    return "entries", skill_id.character, skill_id.name, f"v{skill_id.version}", "manifest.json"


def blob_parts(sha256: str) -> tuple[str, ...]:
    """Where a blob lies below the root."""
    return "blobs", "sha256", sha256[:2], sha256


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _read_all(descriptor: int, size: int) -> bytes:
    """Up to `size` bytes; a file that shrinks meanwhile gives fewer, which its sha256 then shows."""
    chunks = []
    while size > 0 and (chunk := os.read(descriptor, min(size, 1 << 24))):
        chunks.append(chunk)
        size -= len(chunk)
    return b"".join(chunks)
