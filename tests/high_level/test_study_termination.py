"""tools/study_termination.py: its table by hand, and a text that no predicate decides."""

import importlib
import json
from pathlib import Path

import pytest
from zoo_objects import make_controller, make_reward_model

import skill_zoo

TOOL = "study_termination"


def test_levels_are_averaged_over_blocks_of_text_and_seed(monkeypatch):
    """Two blocks; at probability 0 they held 0 and (0.5 + 1) / 2, at 1 both 1."""
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "tools"))
    tool = importlib.import_module(TOOL)
    cells = [(0.0, 0, 8, 0.0), (0.0, 1, 8, 0.5), (0.0, 1, 4, 1.0), (1.0, 0, 8, 1.0), (1.0, 1, 8, 1.0)]
    rows = [
        {"text": "bow", "probability": p, "seed": seed, "max_reductions": r, "min_head_height": 0.15, "held": held}
        | {"collapsed": 0.0, "gave_up": 0.25}
        for p, seed, r, held in cells
    ]
    lines = tool.marginals(rows).splitlines()
    assert lines[2] == "| probability | 0 | 0.375 ± 0.375 | 0.000 ± 0.000 | 0.250 ± 0.000 |"
    assert lines[3] == "| probability | 1 | 1.000 ± 0.000 | 0.000 ± 0.000 | 0.250 ± 0.000 |"
    assert lines[4] == "| max reductions | 4 | 1.000 ± nan | 0.000 ± nan | 0.250 ± nan |"
    assert len(lines) == 2 + 2 + 2 + 1


def test_a_text_that_no_predicate_decides_is_refused(tool, tmp_path, capsys):
    assert tool("--texts", "play the violin", "--out", tmp_path / "out") == 2
    assert "no predicate decides 'play the violin'" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_every_setting_is_trained_and_judged_and_given_up_by_its_own_rule(tool, tmp_path, capsys):
    """Episodes of three steps, a rule that gives up at the first step that is no better: by chance 0 or 1."""
    zoo, out = tmp_path / "zoo", tmp_path / "out"
    skill_zoo.save(make_controller(1), "low-level", zoo=zoo)
    skill_zoo.save(make_reward_model(), "reward-model", zoo=zoo, config={"role": "reward"})
    few = ("--reductions", 1, "--heights", 0.15, "--seeds", 2, "--episodes", 2, "--probabilities", 0.0, 1.0)
    quick = ("--config", "configs/high_level.py:quicktest", "--set", "fall_height=0.15", "--zoo", zoo)
    assert tool(*quick, *few, "--texts", "bow", "--out", out) == 0
    rows = json.loads((out / "termination.json").read_text())["rows"]
    assert [(r["text"], r["seed"], r["probability"], r["max_reductions"]) for r in rows] == [
        ("bow", seed, probability, 1) for seed in (0, 1) for probability in (0.0, 1.0)
    ]
    never, always = ([r["gave_up"] for r in rows if r["probability"] == p] for p in (0.0, 1.0))
    assert never == [0.0, 0.0] and min(always) > 0.2
    assert all(r[name] in (0.0, 0.5, 1.0) for r in rows for name in ("held", "collapsed"))
    shown = capsys.readouterr().out
    assert "update 3/3" in shown and "4 policies of 2 episodes" in shown and "| probability | 1 |" in shown
