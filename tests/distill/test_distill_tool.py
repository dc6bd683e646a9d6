"""tools/distill.py: bad input publishes nothing; a run distils, compares, publishes, and the student can be loaded."""

import functools

import numpy as np
import pytest
from constant_policy import constant_policy
from stand_ins import random_controller
from zoo_objects import make_reward_model

import skill_zoo
from anyskill_brax.skill import Skill
from skill_zoo.curves import read_curves

TOOL = "distill"


def publish(zoo, controller, name, axis, instruction=None):
    latent = np.eye(8)[axis]
    return skill_zoo.save(
        Skill(constant_policy(latent), controller, instruction or name, name), name, zoo=zoo, force=True
    )


@pytest.fixture(scope="module")
def zoo(tmp_path_factory, character):
    """Two skills on one controller, one on another, and the reward models."""
    folder = tmp_path_factory.mktemp("zoo")
    first, second = (random_controller(character, seed) for seed in (0, 1))
    skill_zoo.save(first, "low-level", zoo=folder)
    skill_zoo.save(second, "other-low-level", zoo=folder)
    publish(folder, first, "wave", 0)
    publish(folder, first, "bow", 1)
    publish(folder, first, "wave-again", 2, instruction="wave")
    publish(folder, second, "jump", 3)
    for role in ("reward", "judge"):
        skill_zoo.save(make_reward_model(), f"{role}-model", zoo=folder, config={"role": role})
    return folder


@pytest.fixture
def distill(tool, monkeypatch, tmp_path, zoo):
    """The tool on the zoo, in a run of this test."""
    monkeypatch.setenv("SKILL_ZOO_PATH", str(zoo))
    return functools.partial(tool, "--workdir", tmp_path / "run")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--skills", "humanoid/wave", "humanoid/bwo", "--name", "both"], "did you mean humanoid/bow"),
        (["--skills", "humanoid/wave", "humanoid/jump", "--name", "both"], "one low-level controller"),
        (["--skills", "humanoid/wave", "humanoid/wave-v1", "--name", "both"], "at least 2"),
        (["--skills", "humanoid/wave", "humanoid/low-level", "--name", "both"], "is a low_level"),
        (["--skills", "humanoid/wave", "humanoid/wave-again", "--name", "both"], "both say 'wave'"),
        (["--skills", "humanoid/wave", "humanoid/bow", "--name", "Both of them"], "Both of them"),
        (["--skills", "humanoid/wave", "humanoid/bow", "--name", "both", "--set", "round=1"], "did you mean rounds"),
        (["--all", "--name", "both"], "one low-level controller"),
        (["--name", "both"], "--skills"),
    ],
)
def test_bad_input_is_one_message_and_publishes_nothing(distill, zoo, tmp_path, capsys, arguments, says):
    before = sorted(zoo.rglob("*"))
    assert distill(*arguments) == 2
    error = capsys.readouterr().err
    assert says in error and "Traceback" not in error
    assert sorted(zoo.rglob("*")) == before and not (tmp_path / "run").exists()


@pytest.mark.slow
def test_a_run_publishes_the_student_with_its_comparison(distill, zoo, capsys):
    arguments = ["--skills", "humanoid/wave", "humanoid/bow", "--name", "both", "--episodes", 2]
    assert distill(*arguments, "--config", "configs/distill.py:quicktest") == 0
    shown = capsys.readouterr().out
    assert "round 3/3" in shown and "teacher" in shown and "student" in shown and "humanoid/both-v1" in shown
    student, manifest = skill_zoo.load("humanoid/both", zoo), skill_zoo.describe("humanoid/both", zoo)
    assert student.instructions == ("wave", "bow")
    assert str(manifest.low_level.id) == "humanoid/low-level-v1"
    assert manifest.config["teachers"] == ["humanoid/wave-v1", "humanoid/bow-v1"]
    curves = read_curves(skill_zoo.read_file("humanoid/both", "curves.json", zoo), "the student's curves")
    assert curves.at == [1, 2, 3] and {"loss", "agreement with the teachers"} <= curves.curves.keys()
    rows = manifest.metrics["skills"]
    assert [row["instruction"] for row in rows] == ["wave", "bow"]
    assert all(-1.0 <= row[who] <= 1.0 and row[f"{who}_se"] >= 0.0 for row in rows for who in ("teacher", "student"))
