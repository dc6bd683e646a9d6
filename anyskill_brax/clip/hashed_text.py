"""Text as hashed n-grams: words, word pairs and triples, and pieces of words; no tokenizer file, no vocabulary file.

The hash is CRC-32 of the UTF-8 bytes, so a text has the same features on every machine and in every process.
"""

import re
import unicodedata
import zlib
from collections import Counter, defaultdict
from collections.abc import Sequence

import numpy as np

from anyskill_brax.types import UserError

MAX_CHARS = 1000
PIECES = (4,)
FILLERS = frozenset(["a", "an", "the", "your", "their", "his", "her", "its", "my", "of", "is", "are", "be"])
"""Words that carry no meaning for a pose; they make no features of their own."""


class TextError(UserError):
    """A text that says nothing, or too much."""


def words(text: str) -> list[str]:
    """Lower-case words of a text, NFKC-normalised, punctuation dropped, fillers kept out."""
    if len(text) > MAX_CHARS:
        raise TextError(f"expected a sentence of at most {MAX_CHARS} characters, got {len(text)}; shorten it")
    plain = unicodedata.normalize("NFKC", text).casefold()
    found = re.findall(r"[^\W_]+(?:'[^\W_]+)?", plain)
    if not found:
        raise TextError(f"expected a sentence with words in it, got {text!r}; write what the figure should do")
    return [word for word in found if word not in FILLERS] or found


def grams(text: str) -> list[str]:
    """The n-grams of a text, each marked by its kind."""
    tokens = words(text)
    out = [f"w {token}" for token in tokens]
    for size in (2, 3):
        out += [f"{size} {' '.join(tokens[i : i + size])}" for i in range(len(tokens) - size + 1)]
    for token in tokens:
        framed = f"<{token}>"
        out += [f"c {framed[i : i + n]}" for n in PIECES for i in range(len(framed) - n + 1) if n < len(framed)]
    return out


def buckets(texts: Sequence[str], num_buckets: int, multiple: int = 64) -> np.ndarray:
    """`[K, N]` int32 in 1..num_buckets - 1; 0 pads. N is the longest row, rounded up to `multiple`."""
    rows = [[1 + zlib.crc32(gram.encode()) % (num_buckets - 1) for gram in grams(text)] for text in texts]
    width = multiple * -(-max(len(row) for row in rows) // multiple)
    out = np.zeros((len(rows), width), np.int32)
    for i, row in enumerate(rows):
        out[i, : len(row)] = row
    return out


class PhraseIndex:
    """The phrases a model was trained on: which is nearest to a text, and how much of the text they cover.

    `neutral` words ("please", "slowly") are those that the model has heard around phrases: they count neither way.
    """

    def __init__(self, phrases: Sequence[str], neutral: Sequence[str] = ()):
        self.phrases = tuple(phrases)
        self._neutral = frozenset(neutral)
        counts = [Counter(grams(phrase)) for phrase in self.phrases]
        seen = Counter(gram for count in counts for gram in count)
        self._idf = {gram: float(np.log((1 + len(counts)) / (1 + n)) + 1.0) for gram, n in seen.items()}
        self._unseen = float(np.log(1 + len(counts)) + 1.0)
        postings: dict[str, list[tuple[int, float]]] = defaultdict(list)
        for row, count in enumerate(counts):
            for gram, weight in self._weights(count).items():
                postings[gram].append((row, weight))
        self._postings = {
            gram: (np.array([r for r, _ in p]), np.array([w for _, w in p])) for gram, p in postings.items()
        }

    def _weights(self, count: Counter[str]) -> dict[str, float]:
        raw = {gram: n * self._idf.get(gram, self._unseen) for gram, n in count.items()}
        norm = np.sqrt(sum(w * w for w in raw.values()))
        return {gram: w / norm for gram, w in raw.items()}

    def similarity(self, text: str) -> np.ndarray:
        """Cosine of the text's tf-idf n-grams to every phrase, `[P]`."""
        out = np.zeros(len(self.phrases))
        for gram, weight in self._weights(Counter(grams(text))).items():
            if gram in self._postings:
                rows, others = self._postings[gram]
                out[rows] += weight * others
        return out

    def nearest(self, text: str, count: int) -> list[str]:
        """The `count` phrases most like the text, best first."""
        return [self.phrases[i] for i in np.argsort(-self.similarity(text), kind="stable")[:count]]

    def evidence(self, text: str) -> np.ndarray:
        """What the confidence looks at, `[2]` in [0, 1]: similarity to the nearest phrase, share of known words."""
        said = [word for word in words(text) if word not in self._neutral]
        if not said:
            return np.zeros(2)
        weight = {token: self._idf.get(token, self._unseen) for token in (f"w {word}" for word in said)}
        known = sum(w for token, w in weight.items() if token in self._idf)
        return np.array([self.similarity(" ".join(said)).max(), known / sum(weight.values())])
