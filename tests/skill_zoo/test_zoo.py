"""save -> load gives the same function, pins hold, and every way to miss says what to do."""

import datetime
import gc
import json
import shutil
import weakref
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from zoo_objects import make_controller, make_multi_skill, make_reward_model, make_skill, some_bodies, tree

import skill_zoo
from anyskill_brax.skill import Skill
from skill_zoo.ids import SkillId
from skill_zoo.manifest import Manifest
from skill_zoo.store import Store

MOMENT = datetime.datetime(2026, 1, 31, 12, tzinfo=datetime.UTC)


def test_a_skill_acts_the_same_after_a_round_trip(zoo, controller):
    skill = make_skill(controller, "wave your right hand")
    low_level_id = skill_zoo.save(controller, "low-level", motions={"walk": "CC BY 4.0"})
    skill_id = skill_zoo.save(
        skill, "wave", metrics={"score": np.float32(0.5)}, files={"card.md": b"# wave"}, force=True
    )
    assert (str(low_level_id), str(skill_id)) == ("humanoid/low-level-v1", "humanoid/wave-v1")

    again = skill_zoo.load("humanoid/wave")
    obs = jnp.asarray(np.random.default_rng(1).normal(size=controller.obs_dim), jnp.float32)
    latent, _ = again.act(again.init(jax.random.key(0)), obs)
    np.testing.assert_array_equal(latent, skill.act((), obs)[0])
    np.testing.assert_array_equal(again.low_level.act(obs, latent), controller.act(obs, latent))
    assert isinstance(again, Skill) and again.low_level_id == "humanoid/low-level-v1"
    assert again.low_level_sha256 == skill_zoo.describe(low_level_id).weights.sha256
    assert "wave your right hand" in repr(again)
    assert skill_zoo.read_file(skill_id, "card.md") == b"# wave"
    assert skill_zoo.describe(skill_id).metrics == {"score": 0.5}
    assert skill_zoo.describe(low_level_id).motions == {"walk": "CC BY 4.0"}


def test_every_kind_of_policy_round_trips(zoo, controller):
    multi = make_multi_skill(controller)
    low_level_id = skill_zoo.save(controller, "low-level")
    skill_zoo.save(multi, "many", low_level=low_level_id)
    bound = Skill(multi.for_instruction("walk"), controller, "walk", "walk")
    skill_zoo.save(bound, "walk", force=True)
    obs = jnp.asarray(np.random.default_rng(1).normal(size=controller.obs_dim), jnp.float32)
    again = skill_zoo.load("humanoid/many")
    assert again.instructions == ("wave", "walk")
    np.testing.assert_array_equal(again.latent(obs, jnp.ones(3)), multi.latent(obs, jnp.ones(3)))
    np.testing.assert_array_equal(skill_zoo.load("humanoid/walk").act((), obs)[0], bound.act((), obs)[0])
    assert skill_zoo.load_low_level("humanoid/many") is skill_zoo.load_low_level("humanoid/walk")


def test_a_reward_model_round_trips_and_searches(zoo, controller):
    model = make_reward_model()
    skill_id = skill_zoo.save(model, "pose-reward", metrics={"role": "reward"})
    again = skill_zoo.load(skill_id)
    np.testing.assert_array_equal(again.embed_text(["wave", "sit"]), model.embed_text(["wave", "sit"]))
    embed = [jax.jit(reward.embed_poses)(some_bodies()) for reward in (again, model)]
    np.testing.assert_array_equal(*embed)
    assert again.sha256 == model.sha256 and again.config() == model.config()
    assert skill_zoo.describe(skill_id).interface == {"character_sha256": controller.character_sha256}
    skill_zoo.save(controller, "low-level")
    for text in ("sit down", "wave"):
        skill_zoo.save(make_skill(controller, text), skill_zoo.slug(text), force=True)
    assert skill_zoo.list_skills(query="wave", kind="skill", encoder=again)[0].instruction == "wave"


def test_controllers_are_shared_in_memory_and_let_go(zoo, controller):
    skill_zoo.save(controller, "low-level")
    for name in ("one", "two"):
        skill_zoo.save(make_skill(controller, name), name, force=True)
    one, two = skill_zoo.load("humanoid/one"), skill_zoo.load("humanoid/two")
    assert one.low_level is two.low_level is skill_zoo.load("humanoid/low-level")
    alive = weakref.ref(one.low_level)
    del one, two
    gc.collect()
    assert alive() is None


def test_equal_objects_publish_equal_bytes(zoo, tmp_path, controller):
    for folder in ("a", "b"):
        skill_zoo.save(controller, "low-level", zoo=tmp_path / folder, created=MOMENT, config={"lr": 3e-4, "x": (1, 2)})
    assert tree(tmp_path / "a") == tree(tmp_path / "b")
    loaded = skill_zoo.load("humanoid/low-level", tmp_path / "a")
    skill_zoo.save(loaded, "low-level", zoo=tmp_path / "c", created=MOMENT, config={"lr": 3e-4, "x": (1, 2)})
    assert tree(tmp_path / "a") == tree(tmp_path / "c")


def test_versions_are_immutable_and_the_newest_is_the_default(zoo, controller):
    ids = [skill_zoo.save(make_controller(seed), "low-level") for seed in (1, 2)]
    assert [i.version for i in ids] == [1, 2]
    assert skill_zoo.load("humanoid/low-level").name == "seed-2"
    assert skill_zoo.load("humanoid/low-level-v1").name == "seed-1"
    assert [str(e.id) for e in skill_zoo.list_skills()] == ["humanoid/low-level-v2"]
    assert len(skill_zoo.list_skills(all_versions=True)) == 2


def test_the_listing_answers_questions(zoo, controller):
    skill_zoo.save(controller, "low-level")
    for text in ("wave your right hand", "raise both arms", "walk forward slowly", "stand and wait"):
        skill_zoo.save(make_skill(controller, text), skill_zoo.slug(text), force=True)
    assert len(skill_zoo.list_skills()) == 5
    assert len(skill_zoo.list_skills(kind="skill")) == 4
    assert skill_zoo.list_skills(character="horse") == []
    assert [e.instruction for e in skill_zoo.list_skills(query="waving")] == ["wave your right hand"]
    assert skill_zoo.list_skills(query="raised arm", kind="skill")[0].instruction == "raise both arms"
    assert skill_zoo.list_skills(query="backflip") == []
    with pytest.raises(skill_zoo.SkillZooError, match="low_level, skill"):
        skill_zoo.list_skills(kind="skil")

    class Letters:
        """Texts as normalised counts of letters."""

        def embed_text(self, texts):
            rows = np.array([[text.count(chr(c)) for c in range(97, 123)] for text in texts], float)
            return rows / np.linalg.norm(rows, axis=-1, keepdims=True)

    ranked = skill_zoo.list_skills(query="slowly walk forward", kind="skill", encoder=Letters())
    assert ranked[0].instruction == "walk forward slowly" and len(ranked) == 4


def test_the_first_folder_of_the_search_path_decides(tmp_path, monkeypatch, zoo, controller):
    first, second = tmp_path / "first", tmp_path / "second"
    monkeypatch.setenv("SKILL_ZOO_PATH", f"{first}:{second}")
    skill_zoo.save(make_controller(1), "low-level", zoo=second)
    skill_zoo.save(make_controller(2), "low-level", zoo=second)
    assert skill_zoo.load("humanoid/low-level").name == "seed-2"
    skill_zoo.save(make_controller(3), "low-level")  # to the first
    assert skill_zoo.load("humanoid/low-level").name == "seed-3"
    assert skill_zoo.load("humanoid/low-level-v2").name == "seed-2"
    assert [e.root for e in skill_zoo.list_skills()] == [first]


def test_a_skill_may_stand_on_a_controller_in_another_folder(tmp_path, monkeypatch, zoo, controller):
    skill_zoo.save(controller, "low-level", zoo=tmp_path / "shared")
    with pytest.raises(skill_zoo.SkillNotFound, match="Publish it first"):
        skill_zoo.save(make_skill(controller, "wave"), "wave", force=True)
    monkeypatch.setenv("SKILL_ZOO_PATH", f"{zoo}:{tmp_path / 'shared'}")
    skill_zoo.save(make_skill(controller, "wave"), "wave", force=True)
    assert skill_zoo.load("humanoid/wave").low_level_id == "humanoid/low-level-v1"
    monkeypatch.setenv("SKILL_ZOO_PATH", str(zoo))
    with pytest.raises(skill_zoo.SkillNotFound, match=r"low-level-v1.*low-level controller of humanoid/wave-v1"):
        skill_zoo.load("humanoid/wave")
    assert any("low-level-v1" in problem for report in skill_zoo.verify() for problem in report.problems)


def test_another_controller_under_the_pinned_id_is_refused(tmp_path, zoo, controller):
    skill_zoo.save(controller, "low-level")
    skill_zoo.save(make_skill(controller, "wave"), "wave", force=True)
    skill_zoo.save(make_controller(7), "low-level", zoo=tmp_path / "other")
    shutil.rmtree(zoo / "entries/humanoid/low-level")
    shutil.copytree(tmp_path / "other", zoo, dirs_exist_ok=True)
    with pytest.raises(skill_zoo.InterfaceMismatch, match=skill_zoo.describe("humanoid/wave").low_level.sha256):
        skill_zoo.load("humanoid/wave")


def test_a_controller_of_another_body_is_refused_at_both_doors(zoo, controller):
    with pytest.raises(skill_zoo.InterfaceMismatch, match="0123"):
        skill_zoo.save(controller.replace(character_sha256="0123"), "low-level")
    skill_id = skill_zoo.save(controller, "low-level")
    manifest = skill_zoo.describe(skill_id)
    other = dict(manifest.interface, character_sha256="f" * 64)
    alien = Manifest(**{**vars(manifest), "interface": other, "id": SkillId("humanoid", "alien", 1)})
    Store(zoo).commit(alien.id, {}, alien.to_bytes())
    with pytest.raises(skill_zoo.InterfaceMismatch, match="made for another body"):
        skill_zoo.load("humanoid/alien")


def test_an_entry_under_another_name_is_refused(zoo, controller):
    skill_zoo.save(controller, "low-level")
    shutil.copytree(zoo / "entries/humanoid/low-level", zoo / "entries/humanoid/other")
    with pytest.raises(skill_zoo.CorruptArtifact, match="humanoid/other-v1"):
        skill_zoo.load("humanoid/other")


def test_a_skill_and_its_controller_must_state_one_interface(zoo, controller):
    skill_zoo.save(controller, "low-level")
    manifest = skill_zoo.describe(skill_zoo.save(make_skill(controller, "wave"), "wave", force=True))
    other = dict(manifest.interface, latent_dim=5)
    forged = Manifest(**{**vars(manifest), "interface": other, "id": SkillId("humanoid", "forged", 1)})
    Store(zoo).commit(forged.id, {}, forged.to_bytes())
    with pytest.raises(
        skill_zoo.InterfaceMismatch, match=r"forged-v1 and its low-level controller humanoid/low-level-v1"
    ):
        skill_zoo.load("humanoid/forged")


def test_what_cannot_work_is_never_published(zoo, controller):
    skill_zoo.save(controller, "low-level")
    before = tree(zoo)
    broken = jax.tree.map(lambda x: jnp.full_like(x, jnp.nan), controller)
    refused = [
        (broken, {}, "NaN"),
        (make_skill(controller, "wide", latent_dim=7), {}, "do not fit"),
        (make_multi_skill(controller), {}, "low_level="),
        (make_skill(make_controller(9), "x"), {"low_level": "humanoid/low-level"}, "do not fit"),
        (object(), {}, "cannot save a builtins.object"),
        (controller, {"metrics": {"score": float("inf")}}, "finite"),
        (controller, {"metrics": {"score": object()}}, "JSON values"),
        (controller, {"files": {"../up.md": b""}}, "file name"),
        (controller, {"files": {"weights.safetensors": b""}}, "written by save"),
        (controller, {"instruction": "\x1b[2Jboo"}, "printable"),
        (controller.replace(widths=(3,)), {}, "arrays of the shapes"),
    ]
    for obj, arguments, message in refused:
        with pytest.raises(skill_zoo.SkillZooError, match=message):
            skill_zoo.save(obj, "other", **arguments)
    assert tree(zoo) == before


def test_a_missing_skill_names_its_neighbours_and_the_folders_searched(zoo, controller):
    skill_zoo.save(controller, "low-level")
    skill_zoo.save(make_skill(controller, "wave"), "wave-right-hand", force=True)
    with pytest.raises(skill_zoo.SkillNotFound, match="did you mean humanoid/wave-right-hand") as caught:
        skill_zoo.load("humanoid/wave-rihgt-hand")
    assert str(zoo) in str(caught.value)
    with pytest.raises(skill_zoo.InvalidId, match="did you mean humanoid/wave-right-hand"):
        skill_zoo.load("Wave Right Hand")
    with pytest.raises(skill_zoo.SkillNotFound, match="wave-right-hand-v9"):
        skill_zoo.load("humanoid/wave-right-hand-v9")


def test_reading_creates_nothing(zoo, tmp_path):
    assert skill_zoo.list_skills() == [] and skill_zoo.verify() == []
    with pytest.raises(skill_zoo.SkillNotFound, match="does not exist"):
        skill_zoo.load("humanoid/wave")
    assert list(tmp_path.iterdir()) == []


def test_there_must_be_somewhere_to_save(zoo, tmp_path, monkeypatch, controller):
    with pytest.raises(skill_zoo.SkillZooError, match="cache"):
        skill_zoo.save(controller, "low-level", zoo=tmp_path / "cache")
    monkeypatch.delenv("SKILL_ZOO_PATH")
    with pytest.raises(skill_zoo.SkillZooError, match="set SKILL_ZOO_PATH"):
        skill_zoo.save(controller, "low-level")


def test_verify_finds_a_vanished_version_and_a_set_back_alias(zoo, controller):
    for seed in (1, 2):
        skill_zoo.save(make_controller(seed), "low-level")
    assert [r.ok for r in skill_zoo.verify()] == [True, True]
    aliases = zoo / "aliases.json"
    aliases.unlink()
    aliases.write_text(json.dumps({"humanoid/low-level": 1}))
    assert skill_zoo.load("humanoid/low-level").name == "seed-2"  # the entries decide
    assert ["set back" in p for r in skill_zoo.verify() for p in r.problems] == [True]
    aliases.write_text(json.dumps({"humanoid/low-level": 3}))
    with pytest.raises(skill_zoo.CorruptArtifact, match="version 3"):
        skill_zoo.load("humanoid/low-level")
    assert ["vanished" in p for r in skill_zoo.verify() for p in r.problems] == [True]


def test_every_flipped_bit_of_an_entry_is_found(zoo, controller):
    """Sampled over all bytes of manifest and weights; the whole entry is read, as `load` and `verify` do."""
    skill_id = skill_zoo.save(controller, "low-level", files={"card.md": b"# A controller"})
    rng = np.random.default_rng(0)
    files = [path for path in zoo.rglob("*") if path.is_file() and path.name != "aliases.json"]
    assert len(files) == 3
    for path in files:
        data = path.read_bytes()
        for bit in rng.choice(8 * len(data), min(8 * len(data), 100), replace=False):
            flipped = bytearray(data)
            flipped[bit // 8] ^= 1 << bit % 8
            path.write_bytes(flipped)
            with pytest.raises((skill_zoo.CorruptArtifact, skill_zoo.UnsupportedFormat)):
                for name in skill_zoo.describe(skill_id).files:
                    skill_zoo.read_file(skill_id, name)
        path.write_bytes(data)
    assert skill_zoo.verify()[0].ok


def test_a_damaged_entry_hides_no_other(zoo, controller):
    skill_zoo.save(controller, "low-level")
    skill_zoo.save(make_skill(controller, "wave"), "wave", force=True)
    manifest: Path = zoo / "entries/humanoid/wave/v1/manifest.json"
    manifest.write_bytes(manifest.read_bytes()[:-40])
    with pytest.warns(UserWarning, match="humanoid/wave-v1"):
        assert [e.kind for e in skill_zoo.list_skills()] == ["low_level"]
    assert [report.ok for report in skill_zoo.verify()] == [True, False]
