"""tools/train_batch.py: bad input leaves no trace; a run trains, grades, publishes once, and resumes."""

import json
from pathlib import Path

import pytest
from stand_ins import random_controller
from zoo_objects import make_reward_model

import skill_zoo

TOOL = "train_batch"


@pytest.fixture(scope="module")
def zoo(tmp_path_factory, character):
    folder = tmp_path_factory.mktemp("zoo")
    skill_zoo.save(random_controller(character), "low-level", zoo=folder)
    for role in ("reward", "judge"):
        skill_zoo.save(make_reward_model(), f"{role}-model", zoo=folder, config={"role": role})
    return folder


def listing(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize(
    ("text", "arguments", "says"),
    [
        (None, [], "cannot read"),
        ("", [], "no instruction"),
        ("x" * 10_000, [], "at most 300"),
        ("a: jump\na: hop\n", [], "same slug"),
        ("🙌\n", [], "no instruction text"),
        ("jump\n", ["--clip", "BERT"], "describes a 'bert', expected 'clip' or 'siglip'"),
        ("jump\n", ["--clip", "no-such-folder"], "no-such-folder"),
        ("jump\n", ["--low-level", "humanoid/other"], "humanoid/other"),
        ("jump\n", ["--set", "learner.epoch=3"], "did you mean learner.epochs"),
        ("jump\n", ["--config", "configs/high_level.py:huge"], "'huge'"),
    ],
)
def test_bad_input_is_one_message_and_leaves_no_trace(tool, zoo, tmp_path, capsys, monkeypatch, text, arguments, says):
    (tmp_path / "BERT").mkdir()
    (tmp_path / "BERT" / "config.json").write_text('{"model_type": "bert"}')
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "list.txt"
    if text is not None:
        file.write_text(text)
    before = listing(zoo)
    workdir = tmp_path / "run"
    assert tool("--instructions", file, "--zoo", zoo, "--workdir", workdir, *arguments) == 2
    error = capsys.readouterr().err
    assert says in error and "Traceback" not in error
    assert len(error.splitlines()) < 12 and len(error) < 1500
    assert listing(zoo) == before and not workdir.exists()


@pytest.mark.slow
def test_a_list_becomes_graded_skills_and_a_second_call_adds_nothing(tool, zoo, tmp_path, capsys):
    file, workdir = tmp_path / "list.txt", tmp_path / "run"
    file.write_text("up: hand up\nbow: take a bow\nwave: 挥挥手 🙌\n")
    arguments = (
        "--instructions",
        file,
        "--zoo",
        zoo,
        "--workdir",
        workdir,
        "--config",
        "configs/high_level.py:quicktest",
    )
    assert tool(*arguments) == 0
    refused = json.loads((workdir / "published.json").read_text())
    for verdict in refused.values():
        assert bool(verdict["id"]) == (verdict["grade"]["passed"] and not verdict["remark"])
    assert len(skill_zoo.list_skills(zoo=zoo, kind="skill")) == sum(bool(v["id"]) for v in refused.values())
    said = " ".join(capsys.readouterr().out.split())
    for verdict in refused.values():
        why = f"not good enough: {verdict['text']!r}: {verdict['grade']['reason'] or verdict['remark']}"
        assert (why in said) != bool(verdict["id"])
    assert "outside vocabulary: '挥挥手 🙌' (confidence" in said and "it knows 'wave', 'sit down'" in said

    assert tool(*arguments, "--force") == 0  # what works but falls; nothing is trained again
    shown = capsys.readouterr().out
    verdicts = json.loads((workdir / "published.json").read_text())
    assert set(verdicts) == {"up", "bow", "wave"} and verdicts["wave"]["text"] == "挥挥手 🙌"
    for verdict in verdicts.values():
        assert bool(verdict["id"]) == verdict["grade"]["passed"] == (not verdict["grade"]["reason"])
        if verdict["id"]:
            skill = skill_zoo.load(verdict["id"], zoo)
            assert skill.instruction == verdict["text"]
            manifest = skill_zoo.describe(verdict["id"], zoo)
            assert {"card.md", "preview.gif", "curves.json"} <= set(manifest.files)
            assert skill_zoo.read_file(verdict["id"], "instructions.txt", zoo) == file.read_bytes()
            assert manifest.metrics["mean"] == pytest.approx(verdict["grade"]["mean"])
    assert "of 3 published" in shown and "margin" in shown

    before = listing(zoo)
    assert tool(*arguments, "--force") == 0
    assert listing(zoo) == before
    assert json.loads((workdir / "published.json").read_text()) == verdicts
