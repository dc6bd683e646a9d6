"""diff names every difference that matters; reproduce runs what this project would run, and nothing else."""

from pathlib import Path

import pytest
from zoo_objects import make_controller

import skill_zoo
from skill_zoo.compare import command_to_run

COMMAND = ["tools/train_batch.py", "--instructions", "configs/instructions/demo.txt", "--zoo", "/home/me/zoo"]
COMMAND += ["--config", "configs/high_level.py:demo", "--set", "learner.epochs=2", "--workdir", "/tmp/x"]


def test_differences_are_named_by_their_path(zoo):
    config = {"learner": {"epochs": 2, "rate": 0.1}, "widths": [4]}
    skill_zoo.save(make_controller(1), "low-level", config=config, metrics={"survival": 0.5})
    config = {"learner": {"epochs": 3, "rate": 0.1}, "widths": [4, 4]}
    skill_zoo.save(make_controller(1), "low-level", config=config, metrics={"survival": 0.75, "more": 1})
    found = skill_zoo.diff("humanoid/low-level@v1", "humanoid/low-level@v2")
    assert found == {
        "config.learner.epochs": (2, 3),
        "config.widths": ([4], [4, 4]),
        "metrics.more": (None, 1),
        "metrics.survival": (0.5, 0.75),
    }
    assert skill_zoo.diff("humanoid/low-level-v1", "humanoid/low-level-v1") == {}
    skill_zoo.save(make_controller(2), "low-level", config=config, metrics={"survival": 0.75, "more": 1})
    assert set(skill_zoo.diff("humanoid/low-level-v2", "humanoid/low-level")) == {"files.weights.safetensors.sha256"}


def test_the_command_is_kept_and_runs_in_a_folder_of_its_own(zoo):
    skill_zoo.save(make_controller(1), "low-level", command=COMMAND)
    manifest = skill_zoo.describe("humanoid/low-level")
    assert list(manifest.command) == COMMAND
    command = command_to_run(manifest, Path("/out"))
    assert command == [*COMMAND[:3], *COMMAND[5:9], "--workdir", "/out/run", "--zoo", "/out/zoo"]


@pytest.mark.parametrize(
    "command",
    [
        [],
        ["rm", "-rf", "/"],
        ["tools/../evil.py"],
        ["tools/zoo.py", "gc"],
        ["tools/train_batch.py", "--config", "/tmp/evil.py"],
        ["tools/train_batch.py", "--config", "configs/../evil.py"],
        ["tools/train_batch.py", "--config=/tmp/evil.py"],
        ["tools/train_batch.py", "--conf", "/tmp/evil.py"],
        ["tools/train_batch.py", "--instructions", "/etc/passwd"],
        ["tools/train_batch.py", "--instructions", "../../x"],
        ["tools/train_batch.py", "--clip", "/tmp/clip"],
        ["tools/train_batch.py", "--", "x"],
        ["tools/train_batch.py", "/tmp/evil.py"],
        ["tools/train_batch.py", "--set", "a=$(rm -rf /)"],
    ],
)
def test_what_could_do_harm_is_not_run(zoo, command):
    skill_zoo.save(make_controller(1), "low-level", command=command)
    with pytest.raises(skill_zoo.SkillZooError):
        command_to_run(skill_zoo.describe("humanoid/low-level"), Path("/out"))
