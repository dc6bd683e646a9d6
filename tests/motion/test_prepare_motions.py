"""tools/prepare_motions.py: a folder that loads again, a report, a contact sheet, and errors without tracebacks."""

import json

import numpy as np
import pytest
from PIL import Image

from anyskill_brax.motion.io import load_motion_folder

TOOL = "prepare_motions"


def test_builtin_and_folders_become_one_library(tool, tmp_path):
    first, second = tmp_path / "first", tmp_path / "second"
    assert tool("--builtin", "--kinds", "wave", "stand", "--out", first) == 0
    motions = load_motion_folder(first, split="train")
    assert sorted(m.name for m in motions) == ["stand", "wave_left", "wave_right"] and all(m.captions for m in motions)
    report = json.loads((first / "report.json").read_text())
    assert report["total"]["clips"] == 3 and report["clips"]["stand"]["penetration_m"] <= 0.01
    with Image.open(first / "contact_sheet.png") as sheet:
        assert np.asarray(sheet.convert("L")).std() > 10  # something is drawn

    assert tool(first, "--builtin", "--kinds", "squat", "--out", second, "--no-sheet") == 0
    motions = {m.name: m for m in load_motion_folder(second)}
    assert set(motions) == {"stand", "squat", "wave_left", "wave_right"}
    assert sum(m.weight for m in motions.values()) == pytest.approx(4, abs=1e-3)
    assert not (second / "contact_sheet.png").exists()


def test_bad_input_is_one_message_and_code_2(tool, tmp_path, capsys):
    assert tool("--builtin", "--kinds", "cartwheel", "--out", tmp_path / "x") == 2
    assert "no built-in motion kind cartwheel" in capsys.readouterr().err
    assert tool(tmp_path / "absent", "--out", tmp_path / "x") == 2
    assert "no such folder of motions" in capsys.readouterr().err
    assert tool("--out", tmp_path / "x") == 2
    assert "nothing to do" in capsys.readouterr().err
