"""Which entries a sentence asks for: by its words, and by its meaning through a reward model's text side."""

import difflib
import functools
import re
import weakref
from collections.abc import Sequence
from typing import Protocol

import numpy as np

from skill_zoo.search import Entry

_MATCH = 0.75
"""How much alike two words must be to count as one."""
_rows: "weakref.WeakKeyDictionary[TextEncoder, dict[str, np.ndarray]]" = weakref.WeakKeyDictionary()
"""Per encoder: text -> unit row. Texts are embedded once; ten thousand of them take 10 MB."""


class TextEncoder(Protocol):
    """What searches by meaning; every reward model is one."""

    def embed_text(self, texts: list[str]) -> np.ndarray:
        """K texts -> `[K, D]` unit rows."""
        ...


def rank(entries: Sequence[Entry], query: str, encoder: TextEncoder | None) -> list[Entry]:
    """The entries, best first; without an encoder, those alone that share half their words with the query.

    The score of an entry is the better of its word score and of the cosine between its text and the query.
    """
    words = _stems(query)
    stems = [_stems(_text(entry)) for entry in entries]
    vocabulary = frozenset().union(*stems)
    scores = np.zeros(len(entries))
    for alike in (_alike(word, vocabulary) for word in words):
        scores += [max(map(alike.__getitem__, alike.keys() & own), default=0.0) / len(words) for own in stems]
    if encoder is None:
        return [entries[i] for i in np.argsort(-scores, kind="stable") if scores[i] >= 0.5]
    sentences = [entry.instruction or entry.id.name.replace("-", " ") for entry in entries]
    rows = _embedded(encoder, [query, *sentences])
    return [entries[i] for i in np.argsort(-np.maximum(scores, rows[1:] @ rows[0]), kind="stable")]


def _embedded(encoder: TextEncoder, texts: list[str]) -> np.ndarray:
    known = _rows.setdefault(encoder, {})
    if new := [text for text in dict.fromkeys(texts) if text not in known]:
        known.update(zip(new, encoder.embed_text(new), strict=True))
    return np.stack([known[text] for text in texts])


def _text(entry: Entry) -> str:
    return f"{entry.instruction} {entry.id.name} {entry.kind}"


def _alike(word: str, stems: frozenset[str]) -> dict[str, float]:
    """The stems that are like a word, and how much [0, 1]."""
    matcher = difflib.SequenceMatcher(None, b=word)
    found = {}
    for stem in stems:
        matcher.set_seq1(stem)
        if matcher.real_quick_ratio() > _MATCH and matcher.quick_ratio() > _MATCH and (r := matcher.ratio()) > _MATCH:
            found[stem] = r
    return found


@functools.lru_cache(maxsize=1 << 17)
def _stems(text: str) -> frozenset[str]:
    """Words without their commonest English endings: wave, waves, waved and waving are one."""
    return frozenset(re.sub(r"(?<=\w{3})(ing|ed|es|e|s)$", "", word) for word in re.findall(r"\w+", text.lower()))
