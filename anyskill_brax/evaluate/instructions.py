"""From an instruction to the predicates that decide it: a table of phrases, and no guessing beyond it.

The phrases are those of the reward model's vocabulary (`reward_model/phrases.py`) whose attribute has a predicate of
the same name, and those that the predicates bring. Words are compared after dropping articles and endings of verbs
("raising" is "raise"); a sentence of several known phrases joined by "and", "while", "with" or a comma asks for all of
them, in any order.
"""

import functools
import re
from dataclasses import dataclass

import numpy as np

from anyskill_brax.clip.hashed_text import MAX_CHARS, words
from anyskill_brax.evaluate.predicates import PREDICATES
from anyskill_brax.evaluate.track import Mask, Track
from anyskill_brax.reward_model.phrases import meanings, verbs
from anyskill_brax.reward_model.wording import gerund, third_person

Key = tuple[str, ...]
PADDING = frozenset(
    ["person", "someone", "somebody", "please", "figure", "character", "humanoid", "human", "now", "just"]
)
"""Words that change nothing about what is asked."""
MOST_PARTS = 4


@dataclass(frozen=True)
class Meaning:
    """What an instruction asks for: of every group, one predicate."""

    groups: tuple[tuple[str, ...], ...]

    def holds(self, track: Track) -> Mask:
        """Per episode `[...]`."""
        return np.asarray(
            np.all([np.any([PREDICATES[name](track) for name in group], axis=0) for group in self.groups], axis=0)
        )

    def __str__(self) -> str:
        ways = [" or ".join(group) for group in self.groups]
        return ways[0] if len(ways) == 1 else " and ".join(f"({way})" if " or " in way else way for way in ways)


def key(text: str) -> Key:
    """The words by which an instruction is looked up; () for one without words or too long to be one."""
    if len(text) > MAX_CHARS or not any(c.isalnum() for c in text):
        return ()
    found = [_stems().get(word, word) for word in words(text)]
    return tuple(word for word in found if word not in PADDING)


@functools.cache
def _stems() -> dict[str, str]:
    return {form: verb for verb in verbs() for form in (gerund(verb), third_person(verb))}


def table() -> dict[Key, tuple[str, ...]]:
    """Every known phrase -> the predicates of which one must hold."""
    return _table(tuple(PREDICATES))


@functools.lru_cache(maxsize=4)
def _table(names: tuple[str, ...]) -> dict[Key, tuple[str, ...]]:
    """Built anew when a predicate has been added."""
    out: dict[Key, list[str]] = {}
    for text, attributes in meanings().items():
        out.setdefault(key(text), []).extend(name for name in attributes if name in PREDICATES)
    for entry in map(PREDICATES.__getitem__, names):
        for text in (*entry.instructions, entry.name.replace("_", " ")):
            out.setdefault(key(text), []).append(entry.name)
    return {phrase: tuple(dict.fromkeys(found)) for phrase, found in out.items() if phrase and found}


def meaning(text: str) -> Meaning | None:
    """What the table knows of an instruction; None for one that it does not know whole."""
    known = table()
    whole = known.get(key(text))
    if whole:
        return Meaning((whole,))
    parts = re.split(r"\s*,\s*(?:and\s+)?|\s+(?:and|while|with)\s+", text.strip(" .!"))
    groups = [known.get(key(part)) for part in parts]
    if 2 <= len(groups) <= MOST_PARTS and all(groups):
        return Meaning(tuple(group for group in groups if group))
    return None
