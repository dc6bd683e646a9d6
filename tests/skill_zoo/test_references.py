"""`@v2`, `@stable`, `@sha256:...` and lock files: what a name means, and that it cannot come to mean something else."""

import json
import shutil

import pytest
from zoo_objects import make_controller, make_skill, tree

import skill_zoo
from skill_zoo.aliases import aliases_of, remove_alias
from skill_zoo.ids import Reference, SkillId
from skill_zoo.store import Store

LOW = SkillId("humanoid", "low-level")


@pytest.fixture
def three(zoo):
    """Three versions of one controller; the digests of their manifests."""
    for seed in (1, 2, 3):
        skill_zoo.save(make_controller(seed), "low-level")
    return [skill_zoo.describe(f"humanoid/low-level@v{version}").sha256 for version in (1, 2, 3)]


def test_every_way_to_name_a_version(three):
    assert skill_zoo.load("humanoid/low-level@v2").name == "seed-2"
    assert skill_zoo.load("humanoid/low-level@latest").name == "seed-3"
    assert skill_zoo.load(f"humanoid/low-level@sha256:{three[0]}").name == "seed-1"
    assert skill_zoo.load(f"humanoid/low-level-v1@sha256:{three[0][:12]}").name == "seed-1"
    assert str(skill_zoo.alias("humanoid/low-level-v2", "stable")) == "humanoid/low-level-v2"
    assert skill_zoo.load("humanoid/low-level@stable").name == "seed-2"
    skill_zoo.alias("humanoid/low-level@v1", "stable")
    assert skill_zoo.load("humanoid/low-level@stable").name == "seed-1"
    assert str(Reference.parse("humanoid/low-level@stable")) == "humanoid/low-level@stable"


@pytest.mark.parametrize(
    "text",
    ["@", "@v0", "@V2", "@../x", "@sha256:", "@sha256:abc", "@a@b", "@stable\n", "-v1@v1", "-v1@x"],
)
def test_what_is_no_reference_is_refused(three, text):
    with pytest.raises(skill_zoo.InvalidId):
        skill_zoo.load(f"humanoid/low-level{text}")


def test_what_is_not_there_is_named(three, zoo):
    skill_zoo.alias("humanoid/low-level", "stable")
    with pytest.raises(skill_zoo.SkillNotFound, match="aliases @stable"):
        skill_zoo.load("humanoid/low-level@steady")
    for missing in (f"humanoid/low-level-v1@sha256:{three[1]}", f"humanoid/low-level@sha256:{'0' * 64}"):
        with pytest.raises(skill_zoo.SkillNotFound):
            skill_zoo.load(missing)
    for wrong in ("latest", "v1", "../x", "", "A"):
        with pytest.raises(skill_zoo.InvalidId):
            skill_zoo.alias("humanoid/low-level", wrong)
    remove_alias(Store(zoo), LOW, "stable")
    assert list(aliases_of(Store(zoo), LOW)) == []
    with pytest.raises(skill_zoo.SkillNotFound):
        remove_alias(Store(zoo), LOW, "stable")


def test_an_alias_whose_version_has_other_content_is_refused(three, zoo, tmp_path):
    skill_zoo.alias("humanoid/low-level-v2", "stable")
    skill_zoo.save(make_controller(7), "low-level", zoo=tmp_path / "other")
    skill_zoo.save(make_controller(8), "low-level", zoo=tmp_path / "other")
    shutil.rmtree(zoo / "entries/humanoid/low-level/v2")
    shutil.copytree(tmp_path / "other", zoo, dirs_exist_ok=True)
    with pytest.raises(skill_zoo.CorruptArtifact, match=three[1]):
        skill_zoo.load("humanoid/low-level@stable")
    file = zoo / "aliases/humanoid/low-level/stable.json"
    for damaged in ("", "[]", '{"id": "humanoid/low-level-v9", "sha256": "x"}', '{"id": "../x-v1", "sha256": "x"}'):
        file.write_text(damaged)
        with pytest.raises(skill_zoo.CorruptArtifact, match="stable"):
            skill_zoo.load("humanoid/low-level@stable")


def test_a_lock_keeps_a_name_what_it_was(three, zoo, tmp_path, controller):
    skill_zoo.save(controller, "low-level")
    skill_zoo.save(make_skill(controller, "wave"), "wave", force=True)
    path = tmp_path / "zoo.lock"
    assert set(skill_zoo.lock(path, ["humanoid/wave"])) == {"humanoid/wave-v1", "humanoid/low-level-v4"}
    skill_zoo.save(make_skill(controller, "wave again"), "wave", force=True)
    skill_zoo.save(make_controller(9), "low-level")
    before = tree(zoo)
    assert skill_zoo.load("humanoid/wave").instruction == "wave again"
    assert skill_zoo.load("humanoid/wave", lock=path).instruction == "wave"
    assert skill_zoo.load("humanoid/low-level", lock=path).name == "seed-0"
    assert tree(zoo) == before
    with pytest.raises(skill_zoo.SkillZooError, match="another version"):
        skill_zoo.load("humanoid/wave-v2", lock=path)
    with pytest.raises(skill_zoo.SkillNotFound, match="lock file"):
        skill_zoo.load("humanoid/wive", lock=path)
    shutil.rmtree(zoo / "entries/humanoid/wave")
    (zoo / "aliases.json").unlink()
    skill_zoo.save(make_skill(controller, "wave otherwise"), "wave", force=True)  # the same name and number again
    with pytest.raises(skill_zoo.CorruptArtifact, match=r"as .*lock says"):
        skill_zoo.load("humanoid/wave", lock=path)


def test_a_lock_file_is_checked_like_everything_that_is_read(three, tmp_path):
    path = tmp_path / "zoo.lock"
    assert len(skill_zoo.lock(path)) == 1
    with pytest.raises(skill_zoo.SkillZooError, match="one version of a name"):
        skill_zoo.lock(path, ["humanoid/low-level-v1", "humanoid/low-level-v2"])
    good = json.loads(path.read_text())
    row = good["locked"]["humanoid/low-level"]
    for damaged in (
        [],
        {**good, "lock_format": 2},
        {**good, "locked": {"../x": row}},
        {**good, "locked": {"humanoid/low-level": {**row, "version": "3"}}},
        {**good, "locked": {"humanoid/low-level": {**row, "sha256": "../../x"}}},
        {**good, "locked": {"humanoid/low-level": 3}},
    ):
        path.write_text(json.dumps(damaged))
        with pytest.raises(skill_zoo.CorruptArtifact):
            skill_zoo.load("humanoid/low-level", lock=path)
    for missing in (tmp_path / "no.lock", tmp_path):
        with pytest.raises(skill_zoo.SkillZooError):
            skill_zoo.load("humanoid/low-level", lock=missing)
