"""tools/study_termination.py: its table by hand, and a text that no predicate decides."""

import importlib
from pathlib import Path

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
