import io

import numpy as np
import pytest
from rich.console import Console

from anyskill_brax.high_level.instructions import Instruction
from anyskill_brax.high_level.progress import Progress

LINES = (Instruction("wave", "wave [a hand]"), Instruction("bow", "take a bow"))


def metrics(score: float) -> dict[str, np.ndarray]:
    return {"score": np.array([score, -score]), "reward": np.array([10 * score, 0.0]), "fell": np.array([0.0, 0.25])}


@pytest.mark.parametrize("terminal", [False, True])
def test_shows_every_instruction_its_score_and_the_time_left(terminal, monkeypatch):
    clock = iter([0.0, 30.0, 60.0])
    monkeypatch.setattr("time.monotonic", lambda: next(clock, 60.0))
    out = io.StringIO()
    progress = Progress(LINES, 5, Console(file=out, force_terminal=terminal, width=120))
    with progress:
        progress(1, metrics(0.1))
        progress(2, metrics(0.2))
        progress(3, metrics(0.3))
    shown = out.getvalue()
    assert "update 3/5" in shown and "ETA 1:00" in shown
    assert "0.300" in shown and "-0.300" in shown
    if terminal:
        assert "wave [a hand]" in shown and "+2.00" in shown and "25%" in shown
    else:
        assert len(shown.splitlines()) == 3


def test_lines_are_rare_off_the_terminal(monkeypatch):
    monkeypatch.setattr("time.monotonic", lambda: 0.0)
    out = io.StringIO()
    with Progress(LINES, 100, Console(file=out, width=120)) as progress:
        for done in range(1, 100):
            progress(done, metrics(0.1))
    assert len(out.getvalue().splitlines()) == 1
