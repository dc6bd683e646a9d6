"""Training curves: `curves.json`, a small file of an entry that the gallery draws.

    {"over": "update", "at": [1, 2, ...], "curves": {"reward per latent step": [5.9, 6.1, ...], ...}}

A value that was not measured is null.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from skill_zoo.errors import CorruptArtifact
from skill_zoo.manifest import strict_json

CURVES = "curves.json"
_MOST_POINTS, _MOST_CURVES, _LONGEST_NAME = 500, 24, 80


@dataclass(frozen=True)
class Curves:
    """Named rows of values, all over the same axis."""

    over: str  # what the axis counts
    at: list[float]
    curves: Mapping[str, list[float | None]]


def write_curves(rows: Sequence[Mapping[str, Any]], axis: str, names: Mapping[str, str], scale: float = 1.0) -> bytes:
    """`names` maps keys of the rows to what the curves are called, `axis` among them (values times `scale`).

    Of more than 500 rows every so many are kept, and the last one.
    """
    rows = [row for row in rows if axis in row]
    rows = rows[-1 :: -math.ceil(len(rows) / _MOST_POINTS)][::-1] if rows else []
    curves = {title: [_number(row.get(key)) for row in rows] for key, title in names.items() if key != axis}
    known = {title: values for title, values in curves.items() if any(value is not None for value in values)}
    at = [round(row[axis] * scale, 6) for row in rows]
    return json.dumps({"over": names[axis], "at": at, "curves": known}, sort_keys=True).encode()


def read_curves(data: bytes, what: object) -> Curves:
    """`CorruptArtifact` for anything but what `write_curves` writes."""
    found = strict_json(data, what)
    good = isinstance(found, dict) and found.keys() == {"over", "at", "curves"} and _is_name(found["over"])
    good = good and isinstance(found["curves"], dict) and len(found["curves"]) <= _MOST_CURVES
    good = good and _is_row(found["at"], len(found["at"]) if isinstance(found["at"], list) else -1, (int, float))
    if not good or not all(
        _is_name(name) and _is_row(row, len(found["at"]), (int, float, type(None)))
        for name, row in found["curves"].items()
    ):
        raise CorruptArtifact(what, "curves: {over, at, curves}, equally long rows of numbers", "something else")
    return Curves(**found)


def _number(value: Any) -> float | None:
    """Five digits are enough for a picture."""
    if not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(f"{value:.5g}")


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and value.isprintable() and len(value) <= _LONGEST_NAME


def _is_row(value: Any, length: int, kinds: tuple[type, ...]) -> bool:
    """A row as long as the axis, of numbers small enough to be drawn."""
    return (
        isinstance(value, list)
        and len(value) == length <= _MOST_POINTS
        and all(type(item) in kinds and (item is None or abs(item) < 1e15) for item in value)
    )
