"""tools/prepare_motions.py: a folder that loads again, a report, a contact sheet, and errors without tracebacks."""

import importlib
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from anyskill_brax.motion.io import load_motion_folder


@pytest.fixture
def prepare(monkeypatch):
    """Run the tool in this process; returns its exit code."""
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "tools"))
    door, tool = importlib.import_module("_door"), importlib.import_module("prepare_motions")

    def run(*args) -> int:
        monkeypatch.setattr("sys.argv", ["prepare_motions.py", *map(str, args)])
        with pytest.raises(SystemExit) as stopped:
            door.run(tool.main)
        return stopped.value.code

    return run


def test_builtin_and_folders_become_one_library(prepare, tmp_path):
    first, second = tmp_path / "first", tmp_path / "second"
    assert prepare("--builtin", "--kinds", "wave", "stand", "--out", first) == 0
    motions = load_motion_folder(first, split="train")
    assert sorted(m.name for m in motions) == ["stand", "wave_left", "wave_right"] and all(m.captions for m in motions)
    report = json.loads((first / "report.json").read_text())
    assert report["total"]["clips"] == 3 and report["clips"]["stand"]["penetration_m"] <= 0.01
    with Image.open(first / "contact_sheet.png") as sheet:
        assert np.asarray(sheet.convert("L")).std() > 10  # something is drawn

    assert prepare(first, "--builtin", "--kinds", "squat", "--out", second, "--no-sheet") == 0
    motions = {m.name: m for m in load_motion_folder(second)}
    assert set(motions) == {"stand", "squat", "wave_left", "wave_right"}
    assert sum(m.weight for m in motions.values()) == pytest.approx(4, abs=1e-3)
    assert not (second / "contact_sheet.png").exists()


def test_bad_input_is_one_message_and_code_2(prepare, tmp_path, capsys):
    assert prepare("--builtin", "--kinds", "cartwheel", "--out", tmp_path / "x") == 2
    assert "no built-in motion kind cartwheel" in capsys.readouterr().err
    assert prepare(tmp_path / "absent", "--out", tmp_path / "x") == 2
    assert "no such folder of motions" in capsys.readouterr().err
    assert prepare("--out", tmp_path / "x") == 2
    assert "nothing to do" in capsys.readouterr().err
