"""Power loss, replayed: what a disk may hold after the plug is pulled at any moment of a publish.

A shim under the file operations records what a writer does. The replay keeps two states of everything, what programs
see and what the disk has for certain: data become certain by fsync of the file, names by fsync of the folder. At every
prefix of the record it builds folders that a disk might hold: data kept, dropped or torn, names kept up to any point.
"""

import os
import random
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

Ack = tuple[str, bytes]


@dataclass
class Recorder:
    """The calls that change a file system, below `base`, in order."""

    base: Path
    operations: list[tuple] = field(default_factory=list)
    syncs: bool = True  # False: fsync is forgotten, which the replay must find

    def __enter__(self) -> "Recorder":
        self._real = {name: getattr(os, name) for name in ("open", "write", "fsync", "link", "replace", "rename")}
        self._real |= {name: getattr(os, name) for name in ("mkdir", "unlink")}
        self._paths: dict[int, str] = {}
        for name in self._real:
            setattr(os, name, getattr(self, f"_{name}"))
        return self

    def __exit__(self, *_: object) -> None:
        for name, call in self._real.items():
            setattr(os, name, call)

    def acknowledge(self, ack: Ack) -> None:
        self.operations.append(("ack", ack))

    def _name(self, path: object) -> str:
        return str(Path(os.fspath(path)).relative_to(self.base))

    def _open(self, path, flags, mode=0o777, *, dir_fd=None):
        descriptor = self._real["open"](path, flags, mode, dir_fd=dir_fd)
        if dir_fd is None and Path(path).is_relative_to(self.base):
            self._paths[descriptor] = self._name(path)
            if flags & os.O_CREAT:
                self.operations.append(("create", self._name(path)))
        return descriptor

    def _write(self, descriptor, data):
        count = self._real["write"](descriptor, data)
        if descriptor in self._paths:
            self.operations.append(("write", self._paths[descriptor], bytes(data[:count])))
        return count

    def _fsync(self, descriptor):
        self._real["fsync"](descriptor)
        if self.syncs:
            self.operations.append(("fsync", self._paths[descriptor]))

    def _link(self, source, target, **options):
        self._real["link"](source, target, **options)
        self.operations.append(("link", self._name(source), self._name(target)))

    def _replace(self, source, target):
        self._real["replace"](source, target)
        self.operations.append(("move", self._name(source), self._name(target)))

    def _rename(self, source, target):
        self._real["rename"](source, target)
        self.operations.append(("move", self._name(source), self._name(target)))

    def _mkdir(self, path, mode=0o777):
        self._real["mkdir"](path, mode)
        self.operations.append(("mkdir", self._name(path)))

    def _unlink(self, path):
        self._real["unlink"](path)
        self.operations.append(("unlink", self._name(path)))


@dataclass
class File:
    seen: bytes = b""
    certain: bytes = b""


@dataclass
class Folder:
    certain: dict[str, "File | Folder"] = field(default_factory=dict)
    pending: list[tuple[str, "File | Folder | None"]] = field(default_factory=list)  # name -> what, None: removed

    def seen(self) -> dict[str, "File | Folder"]:
        return self.after(len(self.pending))

    def after(self, count: int) -> dict[str, "File | Folder"]:
        names = dict(self.certain)
        for name, what in self.pending[:count]:
            if what is None:
                names.pop(name, None)
            else:
                names[name] = what
        return names


class Disk:
    """The model: what is certain, and what is merely seen."""

    def __init__(self) -> None:
        self.root = Folder()

    def apply(self, operation: tuple) -> None:
        kind, path, *rest = operation
        if kind == "fsync":
            found = self._find(path)
            if isinstance(found, Folder):
                found.certain, found.pending = found.seen(), []
            else:
                found.certain = found.seen
            return
        if kind == "write":
            self._find(path).seen += rest[0]
            return
        folder, name = self._find(str(Path(path).parent)), Path(path).name
        if kind in ("create", "mkdir"):
            folder.pending.append((name, File() if kind == "create" else Folder()))
        elif kind == "unlink":
            folder.pending.append((name, None))
        else:
            found, target = self._find(path), Path(rest[0])
            self._find(str(target.parent)).pending.append((target.name, found))
            if kind == "move":
                folder.pending.append((name, None))

    def _find(self, path: str):
        found = self.root
        for part in Path(path).parts:
            found = found.seen()[part]
        return found

    def write(self, target: Path, rng: random.Random | None) -> None:
        """One state that the disk may hold; without `rng`, what programs see."""
        data: dict[int, bytes] = {}

        def lay(folder: Folder, path: Path) -> None:
            path.mkdir()
            count = len(folder.pending) if rng is None else rng.choice([0, rng.randint(0, len(folder.pending))])
            for name, what in folder.after(count).items():
                if isinstance(what, Folder):
                    lay(what, path / name)
                else:
                    content = data.setdefault(id(what), what.seen if rng is None else _torn(what, rng))
                    (path / name).write_bytes(content)

        lay(self.root, target)


def _torn(file: File, rng: random.Random) -> bytes:
    """Certain bytes, and of the rest anything: nothing, a part, zeros or noise in its place, or all."""
    new = file.seen[len(file.certain) :]
    cut = rng.randint(0, len(new))
    return file.certain + rng.choice([b"", new[:cut], new[:cut] + bytes(len(new) - cut), rng.randbytes(len(new)), new])


def crash_states(
    operations: list[tuple], scratch: Path, per_prefix: int, seed: int
) -> Iterator[tuple[Path, list[Ack]]]:
    """(folder as after a power loss, what had been acknowledged by then), `per_prefix` for every prefix."""
    rng, disk, acks = random.Random(seed), Disk(), []
    for operation in operations:
        if operation[0] == "ack":
            acks.append(operation[1])
        else:
            disk.apply(operation)
        for _ in range(per_prefix):
            state = scratch / "state"
            disk.write(state, rng)
            yield state, list(acks)
            shutil.rmtree(state)


def replayed(operations: list[tuple], target: Path) -> None:
    """The folder as programs see it at the end: equal to the real one, or something escaped the shim."""
    disk = Disk()
    for operation in operations:
        if operation[0] != "ack":
            disk.apply(operation)
    disk.write(target, None)


def record(base: Path, work: Callable[[Recorder], None], syncs: bool = True) -> list[tuple]:
    with Recorder(base, syncs=syncs) as recorder:
        work(recorder)
    return recorder.operations
