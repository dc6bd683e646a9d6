"""The index makes the listing fast and is never believed when the files say something else."""

import itertools
import os
import time

import pytest
from store_writers import manifest
from zoo_objects import tree

import skill_zoo
from skill_zoo import index
from skill_zoo.ids import SkillId
from skill_zoo.manifest import WEIGHTS
from skill_zoo.search import refresh_index
from skill_zoo.store import Store


def publish(store: Store, names: list[str]) -> None:
    for name in names:
        store.publish(SkillId("humanoid", name), {WEIGHTS: name.encode()}, manifest)


@pytest.fixture
def many(memory_folder, monkeypatch):
    """A zoo of 80 entries whose folders have come to rest, with its index."""
    zoo = memory_folder / "zoo"
    publish(Store(zoo), [f"entry-{n}" for n in range(80)])
    past = time.time() - 60
    for path in (zoo / "entries").rglob("*"):
        os.utime(path, (past, past))
    assert not (zoo / "index.cache").exists()
    refresh_index(zoo)
    return zoo


def newest(zoo) -> dict[str, int]:
    return {str(entry.id.unversioned): entry.id.version for entry in skill_zoo.list_skills(zoo=zoo)}


def read_manifests(zoo, monkeypatch) -> int:
    """How many manifests a listing reads."""
    counter, real = itertools.count(), Store.read_manifest
    with monkeypatch.context() as patch:
        patch.setattr(Store, "read_manifest", lambda self, skill_id: (next(counter), real(self, skill_id))[1])
        skill_zoo.list_skills(zoo=zoo)
    return next(counter)


def test_a_listing_reads_the_index_and_only_what_changed_since(many, monkeypatch):
    assert len(newest(many)) == 80 and read_manifests(many, monkeypatch) == 0
    publish(Store(many), ["entry-3", "another"])
    found = newest(many)
    assert found["humanoid/entry-3"] == 2 and found["humanoid/another"] == 1 and len(found) == 81
    assert read_manifests(many, monkeypatch) == 2
    entry = skill_zoo.list_skills(zoo=many)[0]
    assert entry.manifest.id == entry.id and entry.summary == index.Summary.of(entry.manifest)


def test_listing_writes_nothing_and_a_damaged_index_is_ignored(many, monkeypatch):
    before = tree(many)
    expected = newest(many)
    assert tree(many) == before
    data = (many / "index.cache").read_bytes()
    for damaged in (b"", data[:-1], data.replace(b"entry-1", b"entry-2"), b"[" * 10_000, os.urandom(100)):
        (many / "index.cache").write_bytes(damaged)
        assert newest(many) == expected and read_manifests(many, monkeypatch) == 80


def test_a_version_that_is_being_published_is_not_taken_for_settled(memory_folder, monkeypatch):
    """Its folder is there, its manifest not yet; when it comes, no time above it changes."""
    zoo = memory_folder / "zoo"
    publish(Store(zoo), [f"entry-{n}" for n in range(80)])
    (zoo / "entries/humanoid/entry-7/v2").mkdir()
    past = time.time() - 60
    for path in (zoo / "entries").rglob("*"):
        os.utime(path, (past, past))
    refresh_index(zoo)
    assert newest(zoo)["humanoid/entry-7"] == 1
    name = SkillId("humanoid", "entry-7")
    before = (zoo / "entries/humanoid/entry-7").stat().st_mtime_ns
    publish(Store(zoo), ["entry-7"])
    assert (zoo / "entries/humanoid/entry-7").stat().st_mtime_ns == before
    assert newest(zoo)[str(name)] == 2
