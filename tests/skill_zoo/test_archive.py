"""Archives: what goes out comes in the same, and nothing else comes in at all."""

import gzip
import io
import tarfile
import zipfile

import numpy as np
import pytest
from zoo_objects import make_controller, make_skill, tree

import skill_zoo
from skill_zoo.archive import _header


@pytest.fixture
def packed(zoo, tmp_path, controller):
    """(archive, the zoo that it came from)"""
    skill_zoo.save(controller, "low-level")
    skill_zoo.save(make_skill(controller, "wave"), "wave", files={"card.md": b"# wave", "empty.md": b""}, force=True)
    skill_zoo.export_archive("humanoid/wave", tmp_path / "wave.tar")
    return tmp_path / "wave.tar", zoo


def test_a_skill_travels_with_its_controller(packed, tmp_path, monkeypatch):
    archive, origin = packed
    monkeypatch.setenv("SKILL_ZOO_PATH", str(tmp_path / "other"))
    imported = skill_zoo.import_archive(archive)
    assert [str(i) for i in imported] == ["humanoid/wave-v1", "humanoid/low-level-v1"]
    assert tree(tmp_path / "other") == tree(origin)
    assert skill_zoo.load("humanoid/wave").instruction == "wave"
    before = tree(tmp_path / "other")
    skill_zoo.import_archive(archive)  # again: nothing to do
    assert tree(tmp_path / "other") == before
    assert all(report.ok for report in skill_zoo.verify())


def test_archives_are_deterministic_and_plain_tars(packed, tmp_path):
    archive, origin = packed
    skill_zoo.export_archive("humanoid/wave-v1", tmp_path / "again.tar")
    assert (tmp_path / "again.tar").read_bytes() == archive.read_bytes()
    with tarfile.open(archive) as tar:
        names = tar.getnames()
        files = {name: tar.extractfile(name).read() for name in names}
    stored = tree(origin)
    assert all(stored[name] == data for name, data in files.items()) and len(files) == 6
    assert {info.name for info in tmp_path.iterdir()} == {"zoo", "wave.tar", "again.tar"}


def test_a_taken_version_is_never_overwritten(packed, tmp_path):
    archive, _ = packed
    other = tmp_path / "other"
    skill_zoo.save(make_controller(5), "low-level", zoo=other)
    before = tree(other)
    with pytest.raises(skill_zoo.IdTaken, match="low-level-v1"):
        skill_zoo.import_archive(archive, other)
    assert tree(other) == before


def members(*files: tuple[str, bytes]) -> bytes:
    return b"".join(_header(name, len(data)) + data + bytes(-len(data) % 512) for name, data in files) + bytes(1024)


def rewritten(data: bytes, **changes) -> bytes:
    """The archive with its first header changed, checksum and all."""
    info = tarfile.TarInfo.frombuf(data[:512], "ascii", "strict")
    for name, value in changes.items():
        setattr(info, name, value)
    return info.tobuf(tarfile.GNU_FORMAT)[:512] + data[512:]


NAMES = [
    *(
        "/etc/passwd",
        "../../x",
        "entries/../../x",
        "entries/humanoid/../x/v1/manifest.json",
        "C:\\x",
        "blobs/sha256/ab/x",
        "x\n",
    ),
    *(
        "entries/humanoid/wave/v2/manifest.json",
        "entries/humanoid/wave/v1/manifest.json ",
        "./entries",
        "~/x",
        "aliases.json",
    ),
]
TYPES = {
    "hard link": tarfile.LNKTYPE,
    "symbolic link": tarfile.SYMTYPE,
    "character device": tarfile.CHRTYPE,
    "block device": tarfile.BLKTYPE,
    "folder": tarfile.DIRTYPE,
    "pipe": tarfile.FIFOTYPE,
    "sparse file": tarfile.GNUTYPE_SPARSE,
    "long name": tarfile.GNUTYPE_LONGNAME,
    "extended header": tarfile.XHDTYPE,
    "global header": tarfile.XGLTYPE,
}


def test_hostile_archives_write_nothing(packed, tmp_path):
    archive, _ = packed
    good = archive.read_bytes()
    size = tarfile.TarInfo.frombuf(good[:512], "ascii", "strict").size
    hostile = {
        "empty": b"",
        "zeros": bytes(10_240),
        "gzip": gzip.compress(good),
        "text": b"hello " * 1000,
        "more at the end": good + b"\0",
        "another member": good[:-1024] + members(("extra", b"x")),
        "manifest alone": good[: 512 + size + (-size % 512)] + bytes(1024),
        "a manifest of garbage": members(("entries/humanoid/wave/v1/manifest.json", b"{" * 100)),
        "setuid": rewritten(good, mode=0o4755),
        "owned": rewritten(good, uid=0, uname="root"),
        "a size of 8 GiB": rewritten(good, size=8 << 30),
        "a size of 2^62": rewritten(good, size=1 << 62),
        "a negative size": rewritten(good, size=-512),
        **{f"named {name!r}": rewritten(good, name=name) for name in NAMES},
        **{f"a {what}": rewritten(good, type=kind, linkname="/etc/passwd") for what, kind in TYPES.items()},
        **{f"cut at {cut}": good[:cut] for cut in range(0, len(good), 512)},
    }
    zipped = io.BytesIO()
    with zipfile.ZipFile(zipped, "w") as file:
        file.writestr("../x", b"x")
    hostile["zip"] = zipped.getvalue()
    rng = np.random.default_rng(0)
    for bit in rng.choice(8 * len(good), 200, replace=False):
        flipped = bytearray(good)
        flipped[bit // 8] ^= 1 << bit % 8
        hostile[f"bit {bit}"] = bytes(flipped)
    before = tree(tmp_path)
    for what, data in hostile.items():
        (tmp_path / "hostile").write_bytes(data)
        with pytest.raises((skill_zoo.CorruptArtifact, skill_zoo.UnsupportedFormat)):
            skill_zoo.import_archive(tmp_path / "hostile", tmp_path / "target")
            pytest.fail(what)
    (tmp_path / "hostile").unlink()
    assert tree(tmp_path) == before and not (tmp_path / "target").exists()


def test_size_is_capped_and_pipes_are_not_waited_for(packed, tmp_path):
    archive, _ = packed
    with pytest.raises(skill_zoo.CorruptArtifact, match="at most 1000 bytes"):
        skill_zoo.import_archive(archive, tmp_path / "target", max_bytes=1000)
    for path in (tmp_path, tmp_path / "nothing"):
        with pytest.raises(skill_zoo.SkillZooError):
            skill_zoo.import_archive(path, tmp_path / "target")
    with pytest.raises(skill_zoo.ZooIOError):
        skill_zoo.export_archive("humanoid/wave", tmp_path / "no" / "folder.tar")
