"""The commit protocol: what is visible is whole, what was acknowledged stays, what is damaged is refused."""

import contextlib
import errno
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
from disk_faults import failing_at_every_step, publishing_until_full, small_disk
from store_writers import WALK, WAVE, contents, publish
from zoo_objects import tree

from skill_zoo.errors import CorruptArtifact, ZooIOError
from skill_zoo.manifest import WEIGHTS, FileRef
from skill_zoo.search import entry_at
from skill_zoo.store import Store, blob_parts


def run_writers(mode: str, root: Path):
    command = [sys.executable, str(Path(__file__).with_name("store_writers.py")), mode, str(root)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_what_is_published_is_read_back(tmp_path):
    data = bytes(range(256)) * 1000
    assert publish(tmp_path, WAVE, data) == WAVE.at(1)
    assert publish(tmp_path, WAVE, b"") == WAVE.at(2)
    assert contents(tmp_path, WAVE) == {1: data, 2: b""}
    assert Store(tmp_path).resolve(WAVE) == WAVE.at(2)
    assert Store(tmp_path).names() == [WAVE] and Store(tmp_path).aliases() == {"humanoid/wave": 2}
    assert list((tmp_path / ".tmp").iterdir()) == []


def test_equal_files_are_stored_once(tmp_path):
    for name in (WAVE, WALK):
        publish(tmp_path, name, b"the same")
    assert sum(path.is_file() for path in (tmp_path / "blobs").rglob("*")) == 2  # weights and card


def test_writers_at_once_get_distinct_versions_and_lose_none(memory_folder):
    acknowledged = run_writers("many_writers", memory_folder)
    assert len(acknowledged) == len({skill_id for skill_id, _ in acknowledged}) == 40
    for name in (WAVE, WALK):
        found = contents(memory_folder, name)
        assert sorted(found) == list(range(1, 21))
        told = {skill_id: content for skill_id, content in acknowledged if skill_id.startswith(str(name))}
        assert {str(name.at(version)): data.decode() for version, data in found.items()} == told
    assert Store(memory_folder).aliases() == {"humanoid/walk": 20, "humanoid/wave": 20}


def test_kill_at_random_moments(memory_folder):
    acknowledged = run_writers("killed_writers", memory_folder)
    found = {str(WAVE.at(version)): data.decode() for version, data in contents(memory_folder, WAVE).items()}
    assert len(acknowledged) > 20 and dict(acknowledged).items() <= found.items()
    assert len(found) - len(acknowledged) <= 20  # at most one complete but unacknowledged version a kill


def test_kill_before_and_after_every_step(memory_folder):
    assert run_writers("killed_at_every_step", memory_folder) > 30


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO])
def test_a_full_or_failing_disk_at_every_step(memory_folder, code):
    steps, wrong = failing_at_every_step(memory_folder, code)
    assert steps > 20 and not wrong


def test_a_disk_that_is_really_full(tmp_path):
    with small_disk(tmp_path / "disk") as mounted:
        if not mounted:
            pytest.skip("this user may not mount a small file system")
        publishes, wrong = publishing_until_full(tmp_path / "disk" / "zoo")
        assert publishes > 20 and not wrong


@contextlib.contextmanager
def ordinary_user():
    """Without the superuser's right to write anywhere."""
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(user)


def test_a_read_only_folder_is_read_and_never_written():
    with tempfile.TemporaryDirectory() as folder:
        zoo = Path(folder)
        publish(zoo, WAVE, b"first")
        shutil.rmtree(zoo / ".tmp")
        folders = [zoo, *(path for path in zoo.rglob("*") if path.is_dir())]
        for path in folders:
            path.chmod(0o555)
        try:
            with ordinary_user():
                before = tree(zoo)
                with pytest.raises(ZooIOError, match="Permission denied"):
                    publish(zoo, WAVE, b"second")
                assert contents(zoo, WAVE) == {1: b"first"} and tree(zoo) == before
        finally:
            for path in folders:
                path.chmod(0o755)
    with tempfile.NamedTemporaryFile() as file, pytest.raises(ZooIOError):
        publish(Path(file.name), WAVE, b"a file is no folder")


def damage(path: Path, how: str) -> None:
    data = path.read_bytes()
    path.unlink()
    if how == "truncated":
        path.write_bytes(data[:-1])
    elif how == "extended":
        path.write_bytes(data + b"\0")
    elif how == "same size":
        path.write_bytes(bytes(len(data)))
    elif how == "huge":
        with path.open("wb") as file:
            file.truncate(1 << 40)
    elif how == "link":
        path.with_name("elsewhere").write_bytes(data)
        path.symlink_to("elsewhere")
    elif how == "pipe":
        os.mkfifo(path)
    elif how == "folder":
        path.mkdir()


DAMAGE = {
    "gone": "no such file",
    "truncated": "10 bytes",  # the size, before a byte is read
    "extended": "12 bytes",
    "huge": f"{1 << 40} bytes",
    "same size": "sha256",
    "link": "symbolic link",
    "pipe": "regular file",
    "folder": "regular file",
}


@pytest.mark.parametrize("how", DAMAGE)
def test_a_damaged_blob_is_refused_at_once(tmp_path, how):
    publish(tmp_path, WAVE, b"the weights")
    entry = entry_at(tmp_path, WAVE.at(1))
    damage(tmp_path.joinpath(*blob_parts(entry.manifest.weights.sha256)), how)
    start = time.monotonic()
    with pytest.raises(CorruptArtifact, match=DAMAGE[how]):
        entry.read(WEIGHTS)
    assert time.monotonic() - start < 1
    publish(tmp_path / "again", WAVE, b"the weights")  # and publishing the same content heals it
    if how != "folder":
        publish(tmp_path, WALK, b"the weights")
        assert entry.read(WEIGHTS) == b"the weights"


@pytest.mark.parametrize("place", ["entries", "entries/humanoid", "entries/humanoid/wave/v1", "blobs", "blobs/sha256"])
def test_a_linked_folder_leads_nowhere(tmp_path, place):
    zoo = tmp_path / "zoo"
    publish(zoo, WAVE, b"the weights")
    entry = entry_at(zoo, WAVE.at(1))
    (zoo / place).rename(tmp_path / "outside")
    (zoo / place).symlink_to(tmp_path / "outside")
    outside = tree(tmp_path / "outside")
    with pytest.raises(CorruptArtifact, match="symbolic link"):
        entry_at(zoo, WAVE.at(1)).read(WEIGHTS)
    for write in (lambda: publish(zoo, WAVE, b"x"), lambda: Store(zoo).commit(WAVE.at(1), {"a.md": b"x"}, b"{}")):
        with contextlib.suppress(CorruptArtifact):
            write()
    assert tree(tmp_path / "outside") == outside
    assert entry.root == zoo


def test_a_vanished_version_is_noticed_and_its_number_never_used_again(tmp_path):
    for content in (b"first", b"second"):
        publish(tmp_path, WAVE, content)
    shutil.rmtree(tmp_path / "entries/humanoid/wave/v2")
    with pytest.raises(CorruptArtifact, match="version 2"):
        Store(tmp_path).resolve(WAVE)
    assert publish(tmp_path, WAVE, b"third") == WAVE.at(3)


@pytest.mark.parametrize("data", ["", "[]", "{", '{"a/b": 0}', '{"a/b": "1"}', '{"../x": 1}', '{"a/b": true}'])
def test_damaged_aliases_are_named(tmp_path, data):
    publish(tmp_path, WAVE, b"first")
    (tmp_path / "aliases.json").write_text(data)
    with pytest.raises(CorruptArtifact, match=r"aliases\.json"):
        Store(tmp_path).resolve(WAVE)
    (tmp_path / "aliases.json").unlink()
    assert Store(tmp_path).resolve(WAVE) == WAVE.at(1)  # a cache: the entries are the truth


def test_what_is_no_entry_is_not_listed(tmp_path):
    publish(tmp_path, WAVE, b"first")
    for stray in (
        "entries/.DS_Store/x/v1",
        "entries/humanoid/Wave/v1",
        "entries/humanoid/wave-v2/v1",
        "entries/humanoid/run/v1",
    ):
        (tmp_path / stray).mkdir(parents=True)
    for stray in ("entries/humanoid/Wave/v1/manifest.json", "entries/humanoid/wave-v2/v1/manifest.json"):
        (tmp_path / stray).write_text("{}")
    assert Store(tmp_path).names() == [WAVE]
    assert publish(tmp_path, WAVE, b"second") == WAVE.at(2)


def test_the_protocol_in_order(tmp_path, monkeypatch):
    """Blobs before the manifest, the manifest before the alias, each synced before the next can depend on it."""
    calls = []

    def recorded(name, call):
        def record(*args, **kwargs):
            calls.append(name if len(args) == 1 else f"{name} {Path(args[1]).relative_to(tmp_path).parts[0]}")
            return call(*args, **kwargs)

        return record

    for name in ("fsync", "replace", "link"):
        monkeypatch.setattr(os, name, recorded(name, getattr(os, name)))
    publish(tmp_path, WAVE, b"first")
    order = [call for call in dict.fromkeys(calls) if call != "fsync"]
    assert order == ["replace blobs", "link entries", "replace aliases.json"]
    for move in order:
        last = len(calls) - 1 - calls[::-1].index(move)
        assert calls[last - 1] == "fsync" == calls[last + 1]


def test_a_link_that_a_network_file_system_repeats_counts_once(tmp_path, monkeypatch):
    link = os.link

    def repeated(*args, **kwargs):
        link(*args, **kwargs)
        link(*args, **kwargs)

    monkeypatch.setattr(os, "link", repeated)
    assert publish(tmp_path, WAVE, b"first") == WAVE.at(1)
    assert contents(tmp_path, WAVE) == {1: b"first"}


def test_file_refs_name_their_bytes():
    # sha256 of the empty text, FIPS 180-4
    assert FileRef.of(b"") == FileRef(0, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
