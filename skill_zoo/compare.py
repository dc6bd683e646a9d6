"""Two entries side by side."""

from collections.abc import Mapping
from typing import Any

from skill_zoo.search import Folder, Id, find

_SAME_BY_NATURE = ("id", "sha256", "created")


def diff(a: Id, b: Id, zoo: Folder | None = None) -> dict[str, tuple[Any, Any]]:
    """Where two entries differ: "config.learner.epochs" -> (in a, in b); None where one does not have it."""
    one, other = (_flat(find(id, zoo).manifest.to_json()) for id in (a, b))
    return {
        name: (one.get(name), other.get(name))
        for name in sorted(one.keys() | other.keys())
        if one.get(name) != other.get(name) and name not in _SAME_BY_NATURE
    }


def _flat(value: Any, prefix: str = "") -> dict[str, Any]:
    if isinstance(value, Mapping) and value:
        return {name: leaf for key, item in value.items() for name, leaf in _flat(item, f"{prefix}{key}.").items()}
    return {prefix[:-1]: value}
