"""Training curves are kept as numbers, read back with suspicion and drawn as they are."""

import json
import re

import pytest

import skill_zoo
from skill_zoo.curves import Curves, read_curves, write_curves
from skill_zoo.gallery.plots import plots

NAMES = {"samples": "million samples", "reward": "reward", "fell": "share that fell"}


def test_rows_become_curves_and_are_read_back():
    rows = [
        {"samples": 1e6, "reward": 1.0},
        {"samples": 2e6, "reward": float("nan"), "fell": 0.123456789},
        {"reward": 9},
    ]
    assert read_curves(write_curves(rows, "samples", NAMES, 1e-6), "a test") == Curves(
        "million samples", [1.0, 2.0], {"reward": [1.0, None], "share that fell": [None, 0.12346]}
    )
    assert read_curves(write_curves([], "samples", NAMES), "a test") == Curves("million samples", [], {})


def test_of_many_rows_five_hundred_at_most_are_kept_and_the_last_one():
    rows = [{"samples": n, "reward": n} for n in range(1, 1202)]
    found = read_curves(write_curves(rows, "samples", NAMES), "a test")
    assert found.at == list(range(1, 1202, 3)) and found.curves["reward"] == found.at


GOOD = {"over": "update", "at": [1, 2], "curves": {"reward": [0.5, None]}}


@pytest.mark.parametrize(
    "change",
    [
        {"over": 3},
        {"over": "x\u001b[2J"},
        {"at": [1]},
        {"at": "12"},
        {"at": [1, None]},
        {"curves": {"reward": [1]}},
        {"curves": {"reward": ["1", "2"]}},
        {"curves": {"reward": [1, True]}},
        {"curves": {"reward": [1, 1e300]}},
        {"curves": {"r" * 81: [1, 2]}},
        {"curves": [[1, 2]]},
        {"curves": {str(n): [1, 2] for n in range(25)}},
        {"more": 1},
    ],
)
def test_what_is_no_curve_is_refused(change):
    read_curves(json.dumps(GOOD).encode(), "a test")
    with pytest.raises(skill_zoo.CorruptArtifact):
        read_curves(json.dumps({**GOOD, **change}).encode(), "a test")


def test_a_curve_is_drawn_from_left_to_right_and_upwards_and_breaks_where_nothing_was_measured():
    text = plots(Curves("update", [0, 1, 2, 3, 4], {"<b>": [0.0, 1.0, None, 0.5, 2.0]}))
    strokes = [[tuple(map(float, p.split(","))) for p in s.split()] for s in re.findall(r'points="([^"]*)"', text)]
    assert [len(stroke) for stroke in strokes] == [2, 2]
    across = [x for stroke in strokes for x, _ in stroke]
    assert across == sorted(across) and across[-1] - across[0] == 4 * (across[1] - across[0])
    (first, second), (third, last) = ([-y for _, y in stroke] for stroke in strokes)
    assert second - first == pytest.approx(2 * (third - first)) == pytest.approx((last - first) / 2)
    assert "<b>" not in text and "from 0 to 2, least 0, most 2" in text
    assert plots(Curves("update", [1], {"reward": [1.0]})) == ""
