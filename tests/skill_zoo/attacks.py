"""Deliberate attacks on the zoo: headers that lie, names that lead elsewhere, files swapped or set back.

Every function returns (cases tried, what was wrong); an attack is answered with a `SkillZooError` or has no effect.
"""

import contextlib
import gzip
import json
import random
import resource
import shutil
import tarfile
import time
from collections.abc import Callable
from pathlib import Path

from store_writers import WAVE, contents, publish
from zoo_objects import make_controller, make_skill

import skill_zoo
from skill_zoo.archive import _header, import_archive
from skill_zoo.codecs import tensors_from_bytes
from skill_zoo.ids import SkillId
from skill_zoo.manifest import WEIGHTS, FileRef, Manifest, strict_json
from skill_zoo.store import blob_parts

Outcome = tuple[int, list[str]]


def header(text: bytes, length: int | None = None, body: bytes = b"") -> bytes:
    """A safetensors file with this header, whatever its length field says."""
    return (len(text) if length is None else length).to_bytes(8, "little") + text + body


def tensor(shape: object, offsets: object, dtype: str = "F32") -> bytes:
    return json.dumps({"a": {"dtype": dtype, "shape": shape, "data_offsets": offsets}}).encode()


def header_attacks() -> Outcome:
    """Lengths, sizes, offsets and depths that lie: refused in under a second and 200 MB each."""
    twice = (
        b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}'
    )
    both = (
        b'{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}}'
    )
    deep = b'{"a":' * 10_000 + b"1" + b"}" * 10_000
    tensors = {
        "a length of 2^63": header(b"{}", 1 << 63),
        "a length of 2^64 - 1": header(b"{}", (1 << 64) - 1),
        "a length one past the end": header(b"{}", 3),
        "no length": b"\x02",
        "a header of 100 MB": header(b" " * 100_000_000),
        "a header of 100 MB of brackets": header(b"[" * 100_000_000),
        "depth 10,000": header(deep),
        "overlapping offsets": header(both, body=bytes(12)),
        "the same tensor twice": header(twice, body=bytes(4)),
        "a gap": header(tensor([1], [4, 8]), body=bytes(8)),
        "bytes that no tensor owns": header(tensor([1], [0, 4]), body=bytes(8)),
        "offsets backwards": header(tensor([1], [4, 0]), body=bytes(4)),
        "negative offsets": header(tensor([1], [-4, 0]), body=bytes(4)),
        "a shape of 2^62": header(tensor([1 << 31, 1 << 31], [0, 4]), body=bytes(4)),
        "a shape of 2^40 that is not there": header(tensor([1 << 40], [0, 4 << 40]), body=bytes(4)),
        "a shape with a zero": header(tensor([0, 1 << 40], [0, 4]), body=bytes(4)),
        "a shape of 1,000 dimensions": header(tensor([1] * 1000, [0, 4]), body=bytes(4)),
        "a shape of true": header(tensor([True], [0, 4]), body=bytes(4)),
        "a number of 5,000 digits": header(b'{"a":' + b"9" * 5000 + b"}"),
        "another type": header(tensor([1], [0, 8], "F64"), body=bytes(8)),
        "not a number": header(tensor([1], [0, 4]), body=b"\0\0\xc0\x7f"),
    }
    attacks: dict[str, Callable[[], object]] = {
        name: (lambda data=data: tensors_from_bytes(data)) for name, data in tensors.items()
    }
    attacks["a manifest of 100 MB"] = lambda: Manifest.from_bytes(b"[" * 100_000_000, "an attack")
    attacks["a manifest of depth 10,000"] = lambda: strict_json(deep, "an attack")
    wrong = []
    for name, attack in attacks.items():
        memory, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
        try:
            attack()
            wrong.append(f"{name}: accepted")
        except skill_zoo.SkillZooError:
            pass
        except Exception as error:
            wrong.append(f"{name}: {type(error).__name__}")
        seconds = time.process_time() - start
        grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory) / 1024
        if seconds > 1.0 or grown > 200.0:
            wrong.append(f"{name}: {seconds:.2f} s, {grown:.0f} MB")
    return len(attacks), wrong


PATHS = ["..", ".", "/", "//", "/etc/passwd", "../../etc/passwd", "a/../../b", "..\\..\\b", "C:\\b", "~", "~root/x"]
PATHS += [
    "$HOME",
    "%2e%2e%2f",
    "a\0b",
    "a\n",
    "\r",
    "\t",
    " a",
    "a ",
    "-",
    "--",
    "-a",
    "a-",
    "CON",
    ".hidden",
]
PATHS += ["\u2024\u2024/x", "\uff0e\uff0e/x", "\u202egpj", "é", "ａ", "\ud800", "a" * 300, "a/" * 50, "*", "?", "|ls"]
PATHS += [";ls", "`ls`", "$(ls)", "file:///etc/passwd", "http://x/y", ".tmp", "..;/"]


def traversal(folder: Path) -> Outcome:
    """Names that lead out of the root, at every door where a name comes in; nothing may appear outside it."""
    folder.mkdir()
    zoo, outside = folder / "zoo", folder / "outside"
    outside.mkdir()
    controller = make_controller(0)
    skill_zoo.save(controller, "low-level", zoo=zoo)
    manifest = skill_zoo.describe("humanoid/low-level", zoo)
    fields = json.loads(manifest.to_bytes())
    good = manifest.to_bytes()
    tries: list[Callable[[str], object]] = [
        lambda p: skill_zoo.load(p, zoo),
        lambda p: skill_zoo.load(f"humanoid/{p}", zoo),
        lambda p: skill_zoo.load(f"humanoid/low-level@{p}", zoo),
        lambda p: skill_zoo.save(controller, p, zoo=zoo),
        lambda p: skill_zoo.save(controller, "other", character=p, zoo=zoo),
        lambda p: skill_zoo.save(controller, "other", files={p: b"x"}, zoo=zoo),
        lambda p: skill_zoo.alias("humanoid/low-level", p, zoo),
        lambda p: skill_zoo.read_file("humanoid/low-level", p, zoo),
        lambda p: Manifest.from_bytes(resigned({**fields, "id": f"humanoid/{p}-v1"}), "an attack"),
        lambda p: Manifest.from_bytes(resigned({**fields, "files": {p: fields["files"][WEIGHTS]}}), "an attack"),
        lambda p: Manifest.from_bytes(
            resigned({**fields, "files": {WEIGHTS: {**fields["files"][WEIGHTS], "sha256": p}}}), "an attack"
        ),
        lambda p: _import(folder / "evil.tar", _member(p, good), zoo),
        lambda p: _import(folder / "evil.tar", _member(f"entries/{p}", good), zoo),
    ]
    before = _everything(folder)
    cases, wrong = 0, []
    for path in PATHS:
        for number, attempt in enumerate(tries):
            cases += 1
            try:
                attempt(path)
                wrong.append(f"{path!r} at door {number}: accepted")
            except skill_zoo.SkillZooError:
                pass
            except Exception as error:
                wrong.append(f"{path!r} at door {number}: {type(error).__name__}: {error}")
    (folder / "evil.tar").unlink(missing_ok=True)
    for place in ("entries/humanoid/low-level/v1/manifest.json", "blobs/sha256", "entries/humanoid", "aliases.json"):
        for target in ("/etc/passwd", str(outside), "../outside", "/dev/zero"):
            cases += 1
            link, kept = zoo / place, folder / "kept"
            link.rename(kept)
            link.symlink_to(target)
            with contextlib.suppress(skill_zoo.SkillZooError):
                publish(zoo, WAVE, b"x")  # may work where the link is not on its way; it must not follow it
            with contextlib.suppress(skill_zoo.SkillZooError):
                skill_zoo.load("humanoid/low-level", zoo)
                wrong.append(f"a link {place} -> {target} was followed")
            link.unlink()
            kept.rename(link)
            shutil.rmtree(zoo / "entries/humanoid/wave", ignore_errors=True)
    after = _everything(folder)
    wrong += [f"outside the root: {name}" for name in after - before if not name.startswith("zoo/")]
    return cases, wrong


def resigned(fields: dict) -> bytes:
    """A manifest with any content and a digest that fits."""
    from fuzz import signed_anew

    fields = {name: value for name, value in fields.items() if name != "sha256"}
    body = json.dumps(fields, sort_keys=True, indent=1)
    return signed_anew((body[:-2] + ',\n "sha256": "x"\n}\n').encode())


def _member(name: str, data: bytes) -> bytes:
    info = tarfile.TarInfo(name)
    info.size = len(data)
    block = info.tobuf(tarfile.GNU_FORMAT, "utf-8", "surrogateescape" if "\ud800" not in name else "replace")
    return block + data + bytes(-len(data) % 512 + 1024)


def _import(path: Path, data: bytes, zoo: Path) -> object:
    path.write_bytes(data)
    return import_archive(path, zoo)


def _everything(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def bit_flips(folder: Path, count: int, seed: int = 0) -> Outcome:
    """Flips of one bit anywhere in the files of a published entry: every one is found by reading it."""
    publish(folder, WAVE, random.Random(1).randbytes(3000))
    rng, wrong = random.Random(seed), []
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and path.name != "aliases.json"]
    originals = [path.read_bytes() for path in files]
    total = 8 * sum(map(len, originals))
    for number in range(count):
        place = number if count >= total else rng.randrange(total)
        bit = place % total
        which = 0
        while bit >= 8 * len(originals[which]):
            bit -= 8 * len(originals[which])
            which += 1
        path, data = files[which], originals[which]
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << bit % 8
        path.write_bytes(flipped)
        try:
            contents(folder, WAVE)
            wrong.append(f"bit {bit} of {path}")
        except (skill_zoo.CorruptArtifact, skill_zoo.UnsupportedFormat):
            pass
        path.write_bytes(data)
    return count, wrong


def swaps(folder: Path) -> Outcome:
    """Good files in the wrong place, an alias set back, a version replaced, archives that swell."""
    zoo, other = folder / "zoo", folder / "other"
    first, second = make_controller(1), make_controller(2)
    for controller in (first, second):
        skill_zoo.save(controller, "low-level", zoo=zoo)
    skill_zoo.save(make_skill(second, "wave"), "wave", zoo=zoo, force=True)
    skill_zoo.lock(folder / "lock", ["humanoid/wave"], zoo)
    skill_zoo.alias("humanoid/wave", "stable", zoo)
    blobs = [zoo.joinpath(*blob_parts(skill_zoo.describe(i, zoo).weights.sha256)) for i in _IDS]
    manifests = [zoo / f"entries/humanoid/{i}/manifest.json" for i in ("low-level/v1", "low-level/v2", "wave/v1")]
    cases, wrong = 0, []

    def expect(what: str, attempt: Callable[[], object], refused: bool = True) -> None:
        nonlocal cases
        cases += 1
        try:
            attempt()
            if refused:
                wrong.append(f"{what}: accepted")
        except skill_zoo.SkillZooError as error:
            if not refused:
                wrong.append(f"{what}: {error}")

    for files in (blobs, manifests):
        for a in range(3):
            for b in range(a):
                with swapped(files[a], files[b]):
                    expect(f"swapped {_IDS[a]} and {_IDS[b]}", lambda a=a: skill_zoo.load(_IDS[a], zoo))
                    expect(f"swapped {_IDS[a]} and {_IDS[b]}", lambda b=b: skill_zoo.load(_IDS[b], zoo))
    aliases = zoo / "aliases.json"
    kept = aliases.read_bytes()
    aliases.write_bytes(kept.replace(b'"humanoid/low-level": 2', b'"humanoid/low-level": 1'))
    cases += 2
    if skill_zoo.load("humanoid/low-level", zoo).name != "seed-2":
        wrong.append("an alias set back was followed")
    if [report.what for report in skill_zoo.verify(zoo=zoo) if not report.ok] != ["humanoid/low-level"]:
        wrong.append("an alias set back was not reported")
    aliases.write_bytes(kept)
    # The whole version replaced by another, well signed: the pin of the skill, the alias and the lock all notice.
    skill_zoo.save(make_skill(first, "wave"), "wave", zoo=_with(first, other), force=True)
    shutil.copytree(other / "blobs", zoo / "blobs", dirs_exist_ok=True)
    with swapped(manifests[2], other / "entries/humanoid/wave/v1/manifest.json"):
        expect("a version replaced, by alias", lambda: skill_zoo.load("humanoid/wave@stable", zoo))
        expect("a version replaced, by lock", lambda: skill_zoo.load("humanoid/wave", zoo, lock=folder / "lock"))
    controller = Manifest(**{**vars(skill_zoo.describe(_IDS[0], zoo)), "id": SkillId("humanoid", "low-level", 2)})
    kept = manifests[1].read_bytes()
    manifests[1].write_bytes(controller.to_bytes())
    expect("the low-level controller replaced under its id", lambda: skill_zoo.load("humanoid/wave", zoo))
    manifests[1].write_bytes(kept)
    expect("everything in its place", lambda: skill_zoo.load("humanoid/wave", zoo, lock=folder / "lock"), refused=False)
    for name, data in bombs(skill_zoo.describe(_IDS[0], zoo)).items():
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        expect(name, lambda data=data: _import(folder / "bomb.tar", data, folder / "target"))
        if (grown := (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory) / 1024) > 200:
            wrong.append(f"{name}: {grown:.0f} MB")
    if (folder / "target").exists():
        wrong.append("a bomb was written")
    return cases, wrong


_IDS = ["humanoid/low-level-v1", "humanoid/low-level-v2", "humanoid/wave-v1"]


def bombs(manifest: Manifest) -> dict[str, bytes]:
    """Archives that say they are larger than they are, or swell when read."""
    huge = Manifest(**{**vars(manifest), "files": {WEIGHTS: FileRef(2 << 30, "a" * 64)}}).to_bytes()
    path = f"entries/{manifest.id.character}/{manifest.id.name}/v{manifest.id.version}/manifest.json"
    start = _header(path, len(huge)) + huge + bytes(-len(huge) % 512)
    blob = _header("blobs/sha256/aa/" + "a" * 64, 2 << 30)
    return {
        "a blob of 2 GiB that is not there": start + blob,
        "a blob of 2 GiB of nothing": start + blob + bytes(10_000_000),
        "a manifest of 1 GiB": _header(path, 1 << 30) + bytes(1024),
        "a gigabyte in a megabyte of gzip": gzip.compress(bytes(100_000_000)) * 10,
    }


def _with(controller: object, folder: Path) -> Path:
    skill_zoo.save(controller, "low-level", zoo=folder)
    return folder


@contextlib.contextmanager
def swapped(a: Path, b: Path):
    first, second = a.read_bytes(), b.read_bytes()
    a.write_bytes(second)
    b.write_bytes(first)
    try:
        yield
    finally:
        a.write_bytes(first)
        b.write_bytes(second)
