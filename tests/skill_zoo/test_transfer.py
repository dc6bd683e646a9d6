"""push and pull between folders, archives and a Hugging Face repository's local cache; no network anywhere."""

import os
import shutil
from pathlib import Path

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


@pytest.fixture
def hub(origin, tmp_path, monkeypatch) -> Path:
    """Offline, with the zoo in the cache of `huggingface_hub` as the client lays it out: links to blobs."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    repository = tmp_path / "hub" / "models--user--zoo"
    snapshot = repository / "snapshots" / ("a" * 40)
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text("a" * 40)
    (repository / "blobs").mkdir()
    for number, path in enumerate(path for path in sorted(origin.rglob("*")) if path.is_file()):
        link = snapshot / path.relative_to(origin)
        link.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, repository / "blobs" / str(number))
        link.symlink_to(os.path.relpath(repository / "blobs" / str(number), link.parent))
    return snapshot


def test_a_hugging_face_repository_is_pulled_from_its_cache(hub, origin, tmp_path):
    other = tmp_path / "other"
    pulled = skill_zoo.pull("hf://user/zoo", ["humanoid/wave"], other)
    assert list(map(str, pulled)) == ["humanoid/low-level-v1", "humanoid/wave-v1"]
    assert skill_zoo.load("humanoid/wave", other).instruction == "wave"
    assert not any(path.is_symlink() for path in other.rglob("*"))
    assert len(skill_zoo.pull("hf://user/zoo", zoo=other)) == 3 and tree(other) == tree(origin)


def test_without_network_the_reason_is_given(hub, tmp_path):
    with pytest.raises(skill_zoo.RemoteError, match="hf://user/other"):
        skill_zoo.pull("hf://user/other", zoo=tmp_path / "other")
    with pytest.raises(skill_zoo.RemoteError, match="hf://user/zoo"):
        skill_zoo.push("hf://user/zoo")
    for wrong in ("hf://zoo", "hf:///x", "hf://a/b/c"):
        with pytest.raises(skill_zoo.SkillZooError, match="expected hf://user/repo"):
            skill_zoo.pull(wrong, zoo=tmp_path / "other")


def test_a_push_is_one_commit_on_top_of_what_was_looked_at(origin, tmp_path, monkeypatch):
    """Against a stand-in for the service (the client's own calls and types), which knows one version already."""
    import huggingface_hub

    shelf = {
        f"entries/humanoid/low-level/v1/{n}": (origin / f"entries/humanoid/low-level/v1/{n}").read_bytes()
        for n in ["manifest.json"]
    }
    commits = []

    class Service:
        def create_repo(self, name, exist_ok):
            assert (name, exist_ok) == ("user/zoo", True)

        def repo_info(self, name, revision):
            files = [huggingface_hub.hf_api.RepoSibling(rfilename=path) for path in shelf]
            return huggingface_hub.hf_api.ModelInfo(id=name, sha="f" * 40, siblings=[vars(f) for f in files])

        def create_commit(self, name, additions, *, commit_message, revision, parent_commit):
            assert parent_commit == "f" * 40
            commits.append({a.path_in_repo: a.path_or_fileobj for a in additions})

    def download(name, path, revision):
        (tmp_path / "downloaded").write_bytes(shelf[path])
        return str(tmp_path / "downloaded")

    monkeypatch.setattr(huggingface_hub, "HfApi", Service)
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
    skill_zoo.push("hf://user/zoo", ["humanoid/wave"])
    (commit,) = commits
    assert (
        "entries/humanoid/wave/v1/manifest.json" in commit
        and "entries/humanoid/low-level/v1/manifest.json" not in commit
    )
    stored = tree(origin)
    assert all(stored[path] == data for path, data in commit.items())
    shelf["entries/humanoid/low-level/v1/manifest.json"] = b"another"
    with pytest.raises(skill_zoo.IdTaken):
        skill_zoo.push("hf://user/zoo", ["humanoid/wave"])
