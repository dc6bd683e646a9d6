"""What people call each posecode. The words are in `phrases.toml`, in a small grammar, and in `spoken.toml`, as
writers put them who knew only what each posecode means; this file reads them.

The reward and the judge learn from disjoint halves of the phrases: what gives the reward never grades.
"""

import functools
import hashlib
import itertools
import re
import tomllib
from importlib import resources

from anyskill_brax.clip.hashed_text import words

PARTS = ("reward", "judge")
FILES = ("phrases.toml", "spoken.toml")
LIMBS = "arm|hand|palm|fist|elbow|leg|foot|knee|heel"


def _text(file: str) -> str:
    return (resources.files("anyskill_brax.reward_model") / file).read_text()


@functools.cache
def _source() -> dict:
    """`phrases.toml`, with the phrases of `spoken.toml` among its own and its frames beside them."""
    grammar, spoken = (tomllib.loads(_text(file)) for file in FILES)
    phrases = {name: [*grammar["phrases"].get(name, ()), *texts] for name, texts in spoken["phrases"].items()}
    return {**grammar, "phrases": {**grammar["phrases"], **phrases}, "frames": spoken["frames"]}


@functools.cache
def phrases_sha256() -> str:
    """Of both files."""
    return hashlib.sha256("".join(map(_text, FILES)).encode()).hexdigest()


def frames(form: str) -> tuple[str, ...]:
    """What people say around a phrase: "verb" and "noun" frames with a slot, "manner"s that follow it."""
    return tuple(_source()["frames"][form])


def unrelated() -> tuple[str, ...]:
    """Sentences about no attribute."""
    return tuple(_source()["unrelated"])


@functools.cache
def verbs() -> frozenset[str]:
    """Words that make a phrase an imperative when it begins with them."""
    return frozenset(_source()["verbs"].split())


def antonyms() -> dict[str, str]:
    """Attributes that exclude each other, both directions."""
    pairs = _source()["antonyms"]
    return {**pairs, **{b: a for a, b in reversed(pairs.items())}}


def expand(template: str) -> list[str]:
    """All choices of a template: `{a|b} c` -> `a c`, `b c`."""
    parts = re.split(r"\{([^}]*)\}", template)
    options = [part.split("|") if i % 2 else [part] for i, part in enumerate(parts)]
    return [" ".join("".join(choice).split()) for choice in itertools.product(*options)]


def unsided(text: str) -> str | None:
    """ "raise your left arm" -> "raise one arm", which means either; None where no side of one limb is named."""
    found = list(re.finditer(r"\b(?:left|right)\b", text))
    neutral = re.sub(rf"\b(?:(?:your|the|his|her|their) )?(?:left|right) ({LIMBS})\b", r"one \1", text)
    return neutral if len(found) == 1 and neutral != text else None


def _sided(text: str, side: str) -> str:
    return text.replace("<side>", side).replace("<other>", "right" if side == "left" else "left")


@functools.cache
def all_phrases() -> dict[str, tuple[str, ...]]:
    """Every attribute's phrases, without repeats, sides filled in or left open, sorted by attribute."""
    out: dict[str, tuple[str, ...]] = {}
    for name, templates in _source()["phrases"].items():
        for side in ("left", "right") if "<side>" in name else ("",):
            texts = [_sided(text, side) for template in templates for text in expand(template)]
            either = [loose for text in texts if side and (loose := unsided(text))]
            out[_sided(name, side)] = tuple(dict.fromkeys([*texts, *either]))
    return dict(sorted(out.items()))


def meanings() -> dict[str, tuple[str, ...]]:
    """Every phrase -> the attributes it may mean. "Stand on one leg" means either leg: one of them is enough."""
    out: dict[str, list[str]] = {}
    for name, texts in all_phrases().items():
        for text in texts:
            out.setdefault(text, []).append(name)
    return {text: tuple(names) for text, names in sorted(out.items())}


def part_of(text: str) -> str:
    """Which half of the vocabulary a phrase is in, by its hash; left and right of a pair stay in the same half."""
    neutral = re.sub(r"\b(left|right)\b", "side", text)
    return PARTS[hashlib.blake2b(neutral.encode(), digest_size=1).digest()[0] & 1]


def mark(text: str) -> str:
    """By this the phrases of the tests are known without being read: a hash of the words, left and right alike."""
    neutral = re.sub(r"\b(left|right)\b", "side", " ".join(words(text)))
    return hashlib.blake2b(neutral.encode(), digest_size=4).hexdigest()


@functools.cache
def kept_for_tests() -> frozenset[str]:
    """The `mark` of every phrase that no model may learn, because it is tested on it."""
    return frozenset(_source()["kept_for_tests"].split())


@functools.cache
def learnable() -> dict[str, tuple[str, ...]]:
    """`meanings()` without what is kept for tests; those who check a skill know these phrases all the same."""
    return {text: names for text, names in meanings().items() if mark(text) not in kept_for_tests()}


def phrases_of(part: str) -> dict[str, tuple[str, ...]]:
    """`learnable()` of one half, "reward" or "judge"."""
    return {text: names for text, names in learnable().items() if part_of(text) == part}
