"""Random damage to everything that the project reads from files it did not write.

Every input is a good file that was mutated; it must be read or refused with a `UserError`, in less than a second, and
an audit hook watches that nothing in it is run.
"""

import hashlib
import random
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from anyskill_brax.types import UserError

RUNS_CODE = ("exec", "os.system", "os.exec", "os.posix_spawn", "subprocess.Popen", "pickle.find_class")
WORDS = [b"-1", b"0", b"1e999", b"NaN", b"null", b"[[[[", b"}}", b'"', b"\0", b"\xff\xfe", b"../../x", b"9" * 400]
WORDS += [b"18446744073709551615", b"__class__", b"\n", b"Frames: 99999999", b'{"a":{"a":{"a":1}}}', b"\r", b" " * 64]

_watched: list[str] | None = None


def _audit(event: str, arguments: tuple) -> None:
    if _watched is not None and event in RUNS_CODE:
        _watched.append(f"{event} {str(arguments)[:200]}")


sys.addaudithook(_audit)


@dataclass
class Findings:
    inputs: int = 0
    refused: int = 0
    slowest: float = 0.0  # s
    wrong: list[str] = field(default_factory=list)


def mutate(data: bytes, others: list[bytes], rng: random.Random) -> bytes:
    """One to four changes: flipped bits, cuts, copies, splices from another file, words that parsers stumble over."""
    result = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        at, end = sorted((rng.randint(0, len(result)), rng.randint(0, len(result))))
        kind = rng.randrange(8)
        if kind <= 2 and result:
            result[min(at, len(result) - 1)] ^= 1 << rng.randrange(8)
        elif kind == 3:
            del result[at : min(end, at + 64)]
        elif kind == 4:
            result[at:at] = result[at : min(end, at + 64)]
        elif kind == 5:
            result[at : at + rng.randint(0, 8)] = rng.choice(WORDS)
        elif kind == 6:
            other = rng.choice(others)
            start = rng.randint(0, len(other))
            result[at : at + 32] = other[start : start + rng.randint(0, 64)]
        else:
            del result[at:]
    return bytes(result)


def fuzz(
    seeds: list[bytes], read: Callable[[bytes], object], count: int, seed: int, deadline: float = float("inf")
) -> Findings:
    """`read` mutants of the seeds until `count` or the `deadline` [s, time.monotonic]."""
    global _watched
    rng, found = random.Random(seed), Findings()
    for data in seeds:
        read(data)  # a good file is read; and whatever is imported or compiled on first use is now
    _watched = ran = []
    try:
        while found.inputs < count and time.monotonic() < deadline:
            data = mutate(rng.choice(seeds), seeds, rng)
            start = time.process_time()
            try:
                read(data)
            except UserError:
                found.refused += 1
            except Exception as error:
                found.wrong.append(f"{type(error).__name__}: {error} for {data[:200]!r}")
            found.slowest = max(found.slowest, time.process_time() - start)
            found.inputs += 1
    finally:
        _watched = None
    found.wrong += [f"ran code: {event}" for event in ran]
    if found.slowest > 1.0:
        found.wrong.append(f"an input took {found.slowest:.1f} s")
    return found


def via_file(path: Path, read: Callable[[Path], object]) -> Callable[[bytes], object]:
    """For readers that take a path."""

    def write_and_read(data: bytes) -> object:
        path.write_bytes(data)
        return read(path)

    return write_and_read


def targets(scratch: Path) -> Iterator[tuple[str, float, list[bytes], Callable[[bytes], object]]]:
    """(what is read, its share of all inputs, good files, reader); everything lies below `scratch`."""
    from skill_zoo.aliases import read_alias, set_alias
    from skill_zoo.archive import import_archive
    from skill_zoo.codecs import decode
    from skill_zoo.curves import read_curves, write_curves
    from skill_zoo.lock import lock, read_lock
    from skill_zoo.manifest import WEIGHTS, Manifest
    from skill_zoo.search import entry_at, find
    from skill_zoo.store import Store
    from skill_zoo.tensors import read_tensors

    formats = Path(__file__).parent / "formats"
    roots = sorted(path for path in formats.iterdir() if path.is_dir())
    found = [entry_at(root, name.at(1)) for root in roots for name in Store(root).names()]
    manifests, weights = [e.manifest.to_bytes() for e in found], [e.read(WEIGHTS) for e in found]
    yield "manifests", 0.2, manifests, lambda data: Manifest.from_bytes(data, "a fuzz")
    yield "manifests, signed anew", 0.17, manifests, lambda data: Manifest.from_bytes(signed_anew(data), "a fuzz")
    yield "safetensors", 0.37, weights, lambda data: read_tensors(data, "a fuzz")
    controllers = [e.read(WEIGHTS) for e in found if e.kind == "low_level"]
    yield "controllers", 0.01, controllers, lambda data: decode(data, "low_level", "a fuzz")

    drawn = write_curves([{"update": n, "reward": n / 3} for n in range(9)], "update", {"update": "u", "reward": "r"})
    yield "curves", 0.02, [drawn], lambda data: read_curves(data, "a fuzz")

    zoo = Store(scratch / "zoo")
    import_archive(formats / "v1.tar", zoo.root)
    wave = find("humanoid/wave", zoo.root)
    aliases, alias = zoo.root / "aliases.json", zoo.root / "aliases/humanoid/wave/stable.json"
    set_alias(zoo, "stable", wave.manifest)
    yield "aliases.json", 0.04, [aliases.read_bytes()], via_file(aliases, lambda _: zoo.aliases())
    yield "aliases", 0.04, [alias.read_bytes()], via_file(alias, lambda _: read_alias(zoo, wave.id, "stable"))
    aliases.unlink()
    locked = scratch / "zoo.lock"
    lock(locked, ["humanoid/wave"], zoo.root)
    yield "lock files", 0.04, [locked.read_bytes()], via_file(locked, read_lock)
    archive, target = (formats / "v1.tar").read_bytes(), scratch / "imported"
    yield "archives", 0.005, [archive], via_file(scratch / "a.tar", lambda path: import_archive(path, target))
    yield from _texts(scratch)


def signed_anew(manifest: bytes) -> bytes:
    """Damage that knows the format: the digest fits, so that every field's own check is met."""
    mark = b',\n "sha256": "'
    body = manifest.rpartition(mark)[0] + b"\n}\n"
    return body[:-3] + mark + hashlib.sha256(body).hexdigest().encode() + b'"\n}\n'


def _texts(scratch: Path) -> Iterator[tuple[str, float, list[bytes], Callable[[bytes], object]]]:
    """Instruction lists and motion clips."""
    import numpy as np

    from anyskill_brax.high_level.instructions import read_instructions
    from anyskill_brax.motion.importers import read_source
    from skill_zoo.ids import check_name, slug

    lists = [b"wave: wave your right hand\n# a comment\nstand still\n", "hop: hop \u2014 twice\n".encode()]
    yield (
        "instruction lists",
        0.01,
        lists,
        via_file(scratch / "list.txt", lambda path: read_instructions(path, slug, check_name)),
    )
    sys.path.insert(0, str(Path(__file__).parents[1] / "motion"))
    import test_importers as clips
    import test_poselib as poselib

    sys.path.pop(0)
    bvh = clips.bvh_text([{}, clips.RAISE]).encode()
    yield "BVH clips", 0.02, [bvh], via_file(scratch / "a.bvh", lambda path: read_source(path))
    (scratch / "a.asf").write_text(clips.asf_text())
    amc = clips.AMC.format(0).encode()
    yield "AMC clips", 0.02, [amc], via_file(scratch / "a.amc", lambda path: read_source(path, fps=120.0))
    asf = clips.asf_text().encode()
    (scratch / "b.amc").write_bytes(amc)
    yield (
        "ASF skeletons",
        0.02,
        [asf],
        via_file(scratch / "b.asf", lambda path: read_source(scratch / "b.amc", fps=120.0, asf=path)),
    )
    file = clips.write_deepmimic(scratch, [clips.deepmimic_frame(), clips.deepmimic_frame()])
    yield "DeepMimic clips", 0.02, [Path(file).read_bytes()], via_file(scratch / "a.txt", lambda p: read_source(p))
    from anyskill_brax.character.humanoid import load_character

    turns = np.tile([0.0, 0.0, 0.0, 1.0], (3, 15, 1))
    file = poselib.save_pickle(scratch / "a.npy", poselib.poselib_dict(load_character(), turns, 30))
    yield (
        "poselib clips",
        0.02,
        [Path(file).read_bytes()],
        via_file(scratch / "b.npy", lambda path: read_source(path)),
    )
