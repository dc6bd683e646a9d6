"""reproduce runs what this project would run, on what the entry itself carries, and nothing else."""

import importlib
import json
import re
from pathlib import Path

import pytest
from zoo_objects import make_controller, make_multi_skill, make_skill

import skill_zoo
from skill_zoo.reproduce import commands, commands_to_run, prepare
from skill_zoo.search import find

COMMAND = ["tools/train_batch.py", "--instructions", "configs/instructions/demo.txt", "--zoo", "/home/me/zoo"]
COMMAND += ["--config", "configs/high_level.py:demo", "--set", "learner.epochs=2", "--workdir", "/tmp/x"]
PLACES = ["--workdir", "/out/run", "--zoo", "/out/zoo"]


def test_the_command_is_kept_and_runs_in_a_folder_of_its_own(zoo):
    skill_zoo.save(make_controller(1), "low-level", command=COMMAND)
    entry = find("humanoid/low-level")
    assert list(entry.manifest.command) == COMMAND
    assert commands_to_run(entry, Path("/out")) == [[*COMMAND[:3], *COMMAND[5:9], *PLACES]]


def test_the_list_of_instructions_comes_from_the_entry(zoo, controller, tmp_path):
    skill_zoo.save(controller, "low-level")
    command, listed = ["tools/train_batch.py", "--instructions", "/home/me/lost.txt"], b"wave\nbow: take a bow\n"
    skill_zoo.save(
        make_skill(controller, "wave"), "wave", command=command, files={"instructions.txt": listed}, force=True
    )
    entry = find("humanoid/wave")
    (words,) = commands_to_run(entry, tmp_path / "out")
    prepare(entry, tmp_path / "out")
    assert words[:2] == command[:2] and Path(words[2]).read_bytes() == listed


def test_a_student_finds_its_teachers_as_they_were(zoo, controller, tmp_path):
    skill_zoo.save(controller, "low-level")
    for text in ("wave", "bow", "wave"):
        skill_zoo.save(make_skill(controller, text), text, force=True)
    command = ["tools/distill.py", "--all", "--name", "both", "--zoo", str(zoo)]
    config = {"teachers": ["humanoid/bow-v1", "humanoid/wave-v1"]}
    skill_zoo.save(make_multi_skill(controller), "both", low_level="humanoid/low-level", command=command, config=config)
    prepare(find("humanoid/both"), tmp_path / "out")
    assert [str(e.id) for e in skill_zoo.list_skills(kind="skill", zoo=tmp_path / "out" / "zoo")] == config["teachers"]


def test_what_trained_and_what_published_are_both_known(zoo, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "tools"))
    door = importlib.import_module("_door")
    monkeypatch.setattr("sys.argv", ["/x/tools/train_low_level.py", "--workdir", str(tmp_path), "--set", "seed=3"])
    door.note_command(tmp_path)
    publish = ["--workdir", str(tmp_path), "--zoo", "packaged", "--licence", "../shared/motions=CC BY 4.0"]
    monkeypatch.setattr("sys.argv", ["/x/tools/publish_low_level.py", *publish])
    skill_zoo.save(make_controller(1), "low-level", command=door.command(tmp_path))
    entry = find("humanoid/low-level")
    trained, published = commands(entry.manifest.command)
    publish[1] = f"outputs/elsewhere/{tmp_path.name}"  # a path of this machine is nobody else's
    assert trained[:3] == ["tools/train_low_level.py", "--workdir", publish[1]]
    assert published == ["tools/publish_low_level.py", *publish]
    assert commands_to_run(entry, Path("/out")) == [
        ["tools/train_low_level.py", "--set", "seed=3", *PLACES[:2]],
        ["tools/publish_low_level.py", *publish[4:], *PLACES],
    ]
    assert json.loads((tmp_path / "command.json").read_text()) == trained
    assert all(re.fullmatch(r"commit [0-9a-f]{12}(-dirty)?|", version) for version in door.code_versions(tmp_path))
    monkeypatch.setattr(door, "code_version", lambda: "commit of another day")
    door.note_command(tmp_path)
    door.note_command(tmp_path)
    assert len(door.code_versions(tmp_path)) == 2, "each version once"
    assert door.command(tmp_path / "elsewhere") == published


@pytest.mark.parametrize(
    ("said", "recorded"),
    [
        ("/data/clips", "outputs/elsewhere/clips"),
        ("--out=/data/a b", "--out=outputs/elsewhere/a b"),
        ("motions=('builtin','/work/x/motions')", "motions=('builtin','outputs/elsewhere/motions')"),
        ("../shared/motions=CC BY 4.0", "../shared/motions=CC BY 4.0"),
        ("configs/low_level.py:ase", "configs/low_level.py:ase"),
        (str(Path.cwd() / "runs" / "a"), "runs/a"),
        ("wave and/or bow / rest", "wave and/or bow / rest"),
    ],
)
def test_a_recorded_command_has_no_path_of_this_machine(monkeypatch, said, recorded):
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "tools"))
    assert importlib.import_module("_door").portable(said) == recorded


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
        ["tools/train_batch.py", "--seed", "1", "&&", "rm", "-rf", "/"],
        ["tools/train_low_level.py", "--init-from", "/tmp/evil"],
        ["&&"],
    ],
)
def test_what_could_do_harm_is_not_run(zoo, command):
    skill_zoo.save(make_controller(1), "low-level", command=command)
    with pytest.raises(skill_zoo.SkillZooError):
        commands_to_run(find("humanoid/low-level"), Path("/out"))
