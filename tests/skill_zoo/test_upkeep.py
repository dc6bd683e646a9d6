"""Quarantine and gc: what is damaged is set aside, what nobody needs goes, and nothing else."""

import contextlib
import os
import threading

import pytest
from store_writers import WALK, WAVE, contents, publish
from zoo_objects import make_controller, make_skill, tree

import skill_zoo
from skill_zoo.manifest import WEIGHTS
from skill_zoo.search import entry_at
from skill_zoo.store import Store, blob_parts
from skill_zoo.upkeep import GRACE, gc, quarantine


def age(root, seconds=2 * GRACE):
    """Make every file look as if it had been written long ago."""
    for path in root.rglob("*"):
        with contextlib.suppress(FileNotFoundError):  # collected meanwhile
            status = path.stat()
            os.utime(path, (status.st_atime - seconds, status.st_mtime - seconds))


def test_gc_deletes_what_no_entry_needs_and_only_when_it_is_old(tmp_path):
    publish(tmp_path, WAVE, b"kept")
    publish(tmp_path, WALK, b"not needed for long")
    (tmp_path / "entries/humanoid/walk/v1/manifest.json").unlink()
    (tmp_path / ".tmp/4711-killed").write_bytes(b"left behind")
    assert gc(tmp_path) == skill_zoo.Collected(0, 0, 0)  # it may belong to a publish that is under way
    age(tmp_path)
    before = tree(tmp_path)
    done = gc(tmp_path)
    assert (done.deleted, done.freed, done.restored) == (2, len(b"not needed for long") + len(b"left behind"), 0)
    assert contents(tmp_path, WAVE) == {1: b"kept"}
    assert len(before) - len(tree(tmp_path)) == 1 and not list((tmp_path / ".tmp").iterdir())
    assert gc(tmp_path) == skill_zoo.Collected(0, 0, 0)
    assert gc(tmp_path / "nothing") == skill_zoo.Collected(0, 0, 0) and not (tmp_path / "nothing").exists()


def test_a_blob_set_aside_at_the_wrong_moment_is_read_and_comes_back(tmp_path):
    publish(tmp_path, WAVE, b"the weights")
    entry = entry_at(tmp_path, WAVE.at(1))
    sha256 = entry.manifest.weights.sha256
    (tmp_path / "trash").mkdir()
    tmp_path.joinpath(*blob_parts(sha256)).rename(tmp_path / "trash" / sha256)
    age(tmp_path)
    assert entry.read(WEIGHTS) == b"the weights"
    assert gc(tmp_path).restored == 1
    assert tmp_path.joinpath(*blob_parts(sha256)).is_file() and entry.read(WEIGHTS) == b"the weights"


def test_gc_beside_writers_loses_nothing(memory_folder):
    """The grace is as short as a publish may be slow; every version published meanwhile is whole."""
    stop, failures = threading.Event(), []

    def collect():
        while not stop.is_set():
            try:
                gc(memory_folder, grace=5.0)
            except Exception as error:
                failures.append(error)

    collector = threading.Thread(target=collect)
    collector.start()
    for n in range(60):
        publish(memory_folder, WAVE, b"%d" % (n % 7))
        age(memory_folder, seconds=0.5)
    stop.set()
    collector.join()
    assert not failures
    assert contents(memory_folder, WAVE) == {n + 1: b"%d" % (n % 7) for n in range(60)}


def test_gc_does_not_guess_what_a_damaged_manifest_needs(tmp_path):
    publish(tmp_path, WAVE, b"the weights")
    (tmp_path / "entries/humanoid/wave/v1/manifest.json").write_bytes(b"{}")
    age(tmp_path)
    before = tree(tmp_path)
    with pytest.raises(skill_zoo.CorruptArtifact):
        gc(tmp_path)
    assert tree(tmp_path) == before


def test_quarantine_sets_damage_aside_and_never_gives_a_number_again(zoo, controller):
    for seed in (1, 2):
        skill_zoo.save(make_controller(seed), "low-level")
    skill_zoo.save(controller, "other")
    skill_zoo.save(make_skill(controller, "wave"), "wave", force=True)
    assert quarantine(zoo) == []
    manifest = zoo / "entries/humanoid/low-level/v2/manifest.json"
    damaged = manifest.read_bytes().replace(b"seed", b"sEEd").replace(b'"kind"', b'"kinD"')
    manifest.write_bytes(damaged)
    blob = zoo.joinpath(*blob_parts(skill_zoo.describe("humanoid/wave").weights.sha256))
    blob.write_bytes(b"\0" * blob.stat().st_size)
    moved = quarantine(zoo)
    assert sorted(path.parts[len(zoo.parts)] for path in moved) == ["quarantine", "quarantine"]
    assert damaged in [path.read_bytes() for path in moved]
    assert skill_zoo.load("humanoid/low-level").name == "seed-1"
    with pytest.raises(skill_zoo.SkillNotFound):
        skill_zoo.load("humanoid/low-level-v2")
    with pytest.raises(skill_zoo.CorruptArtifact, match="no such file"):
        skill_zoo.load("humanoid/wave")
    assert skill_zoo.save(make_controller(3), "low-level").version == 3
    assert skill_zoo.load("humanoid/other").name == "seed-0"
    skill_zoo.save(make_skill(controller, "wave"), "wave-again", force=True)  # the same weights
    assert skill_zoo.load("humanoid/wave-v1").instruction == "wave"
    assert quarantine(zoo) == []


def test_a_manifest_of_the_future_is_not_damaged(tmp_path, monkeypatch):
    monkeypatch.setattr("skill_zoo.manifest.FORMAT_VERSION", 3)
    publish(tmp_path, WAVE, b"the weights")
    manifest = tmp_path / "entries/humanoid/wave/v1/manifest.json"
    monkeypatch.undo()
    data = manifest.read_bytes()
    assert b'"format_version": 2' in data
    future = Store(tmp_path)
    assert future.names() == [WAVE] and quarantine(tmp_path) == []
