"""push and pull between folders, archives and a Hugging Face repository on loopback; no network anywhere."""

import os
import subprocess
import sys
from pathlib import Path

import hub_server
import pytest
from zoo_objects import make_controller, make_skill, tree

import skill_zoo
from skill_zoo.search import find


@pytest.fixture
def origin(zoo, controller):
    skill_zoo.save(controller, "low-level")
    for name in ("wave", "bow"):
        skill_zoo.save(make_skill(controller, name), name, force=True)
    return zoo


def test_a_skill_is_pushed_with_its_controller_and_pulled_again(origin, tmp_path):
    remote, other = tmp_path / "remote", tmp_path / "other"
    assert list(map(str, skill_zoo.push(remote, ["humanoid/wave"]))) == ["humanoid/low-level-v1", "humanoid/wave-v1"]
    assert {e.id.name for e in skill_zoo.list_skills(zoo=remote)} == {"low-level", "wave"}
    skill_zoo.push(remote)
    assert tree(remote) == tree(origin)
    before = tree(remote)
    assert len(skill_zoo.push(remote)) == 3 and tree(remote) == before
    assert len(skill_zoo.pull(remote, zoo=other)) == 3
    assert tree(other) == tree(origin)
    assert all(report.ok for report in skill_zoo.verify(zoo=other))


def test_what_is_pulled_goes_to_the_cache_and_is_found_there(origin, tmp_path, monkeypatch):
    skill_zoo.push(tmp_path / "remote", ["humanoid/wave"])
    monkeypatch.setenv("SKILL_ZOO_PATH", "")
    with pytest.raises(skill_zoo.SkillNotFound):
        skill_zoo.load("humanoid/wave")
    skill_zoo.pull(tmp_path / "remote", ["humanoid/wave"])
    assert find("humanoid/wave").root == tmp_path / "cache"
    assert skill_zoo.load("humanoid/wave").instruction == "wave"


def test_a_version_that_differs_is_never_overwritten(origin, tmp_path):
    remote = tmp_path / "remote"
    skill_zoo.save(make_controller(9), "low-level", zoo=remote)
    before = tree(remote)
    with pytest.raises(skill_zoo.IdTaken):
        skill_zoo.push(remote)
    with pytest.raises(skill_zoo.IdTaken):
        skill_zoo.pull(remote, zoo=origin)
    assert tree(remote) == before


def test_a_damaged_remote_gives_nothing(origin, tmp_path):
    remote = tmp_path / "remote"
    skill_zoo.push(remote)
    for blob in (remote / "blobs").rglob("*"):
        if blob.is_file() and blob.stat().st_size > 1000:
            blob.write_bytes(blob.read_bytes()[:-1] + b"\1")
    with pytest.raises(skill_zoo.CorruptArtifact):
        skill_zoo.pull(remote, zoo=tmp_path / "other")
    assert not (tmp_path / "other").exists()


def test_archives_are_remotes_too(origin, tmp_path):
    skill_zoo.push(tmp_path / "wave.tar", ["humanoid/wave"])
    skill_zoo.pull(tmp_path / "wave.tar", zoo=tmp_path / "other")
    assert skill_zoo.load("humanoid/wave", tmp_path / "other").instruction == "wave"
    for wrong in (
        lambda: skill_zoo.push(tmp_path / "all.tar"),
        lambda: skill_zoo.pull(tmp_path / "wave.tar", ["humanoid/wave"]),
        lambda: skill_zoo.pull(tmp_path / "nowhere", zoo=tmp_path / "other"),
    ):
        with pytest.raises(skill_zoo.SkillZooError):
            wrong()


CLIENT = """
import sys, skill_zoo
move, *ids = sys.argv[1:]
try:
    print(*(skill_zoo.push if move == "push" else skill_zoo.pull)("hf://user/zoo", ids or None, ZOO))
except skill_zoo.SkillZooError as error:
    print(type(error).__name__, error)
"""


@pytest.fixture
def client(tmp_path):
    """The real client of Hugging Face, in a process of its own, on a hub of ours: `client(zoo, "push", *ids)`."""
    pytest.importorskip("huggingface_hub", reason="huggingface_hub is not installed")
    with hub_server.running() as hub:
        surroundings = {"HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path / "hf"), "HF_TOKEN": "hf_none"}
        surroundings |= {"HF_HUB_DISABLE_XET": "1", "HF_HUB_DISABLE_PROGRESS_BARS": "1", "JAX_PLATFORMS": "cpu"}

        def run(zoo: Path, *words: str, **more: str) -> str:
            command = [sys.executable, "-c", CLIENT.replace("ZOO", repr(str(zoo))), *words]
            done = subprocess.run(command, env={**os.environ, **surroundings, **more}, capture_output=True, text=True)
            assert done.returncode == 0, done.stderr
            return done.stdout.strip()

        run.hub = hub
        yield run


@pytest.mark.slow
def test_a_hugging_face_repository_is_pushed_to_and_pulled_from(client, origin, tmp_path):
    hub, others = client.hub, tmp_path / "others"
    both = "humanoid/low-level-v1 humanoid/wave-v1"
    assert client(origin, "push", "humanoid/wave") == both and client(origin, "push", "humanoid/wave") == both
    assert len(hub.commits) == 1  # the second push had nothing to add
    client(origin, "push")
    assert "entries/humanoid/bow/v1/manifest.json" in hub.commits[1]
    assert "entries/humanoid/low-level/v1/manifest.json" not in hub.commits[1]
    stored = tree(origin)
    assert len(hub.files) > 5 and all(stored[path] == data for path, data in hub.files.items())

    skill_zoo.save(make_controller(9), "low-level", zoo=others)
    assert client(others, "push").startswith("IdTaken") and len(hub.commits) == 2
    skill_zoo.save(make_controller(9), "other", zoo=others)
    hub.overtaken = True
    assert client(others, "push", "humanoid/other").startswith("RemoteError") and len(hub.commits) == 2

    assert client(tmp_path / "new", "pull", "humanoid/wave") == both
    assert skill_zoo.load("humanoid/wave", tmp_path / "new").instruction == "wave"
    assert not any(path.is_symlink() for path in (tmp_path / "new").rglob("*"))  # the client's cache is made of links
    hub.files.clear()
    assert client(tmp_path / "off", "pull", "humanoid/wave", HF_HUB_OFFLINE="1") == both  # from the client's cache
    assert client(tmp_path / "off", "push", HF_HUB_OFFLINE="1").startswith("RemoteError hf://user/zoo")


@pytest.mark.slow
def test_an_empty_repository_holds_nothing(client, tmp_path):
    assert client(tmp_path / "new", "pull") == ""
    assert client(tmp_path / "new", "pull", "humanoid/wave").startswith("SkillNotFound")


def test_what_is_no_repository_is_refused(origin, tmp_path):
    for wrong in ("hf://zoo", "hf:///x", "hf://a/b/c"):
        with pytest.raises(skill_zoo.SkillZooError, match="expected hf://user/repo"):
            skill_zoo.pull(wrong, zoo=tmp_path / "other")
