"""Captions: one to three phrases joined into a sentence, and how much each pose deserves it.

A caption is stored as its text and the attributes that it names, `[3, 2]`: up to three phrases, each with up to two
readings. A phrase is deserved as much as its best reading; a caption half as much as its weakest phrase and half as
its mean phrase, so that a pose which does one thing of two is already nearer than one which does neither.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np

from anyskill_brax.clip.reward import PROMPTS
from anyskill_brax.reward_model.phrases import verbs

PHRASES, READINGS = 3, 2
FAVOUR = 4
"""How many times more often a favoured attribute begins a caption."""
JOINTS = ("{} and {}", "{}, {}", "{} while you {}", "{} with {}", "{} and also {}", "{} then {}")
FRAMES = (
    "somebody who should {}",
    "please {}",
    "{} now",
    "try to {}",
    "a figure: {}",
    "the character has to {}",
    "{} once more",
)


def gerund(verb: str) -> str:
    """raise -> raising, sit -> sitting, lie -> lying."""
    if verb.endswith("ie"):
        return verb[:-2] + "ying"
    if verb.endswith("e") and not verb.endswith(("ee", "oe")):
        return verb[:-1] + "ing"
    if re.fullmatch(r"[^aeiou]*[aeiou][bdgmnprt]", verb) or verb == "squat":
        return verb + verb[-1] + "ing"
    return verb + "ing"


def third_person(verb: str) -> str:
    """raise -> raises, crouch -> crouches, carry -> carries."""
    if re.search(r"[^aeiou]y$", verb):
        return verb[:-1] + "ies"
    return verb + ("es" if verb.endswith(("s", "sh", "ch", "x", "o")) else "s")


def inflect(phrase: str, rng: np.random.Generator) -> str:
    """The phrase as it is, or, where it begins with a verb, now and then "raising ..." or "a person raises ..."."""
    verb, _, rest = phrase.partition(" ")
    if verb not in verbs() or rng.random() < 0.65:
        return phrase
    form = rng.integers(3)
    start = (gerund(verb), f"someone is {gerund(verb)}", f"a person {third_person(verb)}")[form]
    return f"{start} {rest}".strip().replace(" your ", " their " if form else " your ")


def swap_sides(text: str) -> str:
    """The caption of the mirrored pose."""
    return re.sub(r"\b(left|right)\b", lambda m: "right" if m[0] == "left" else "left", text)


@dataclass(frozen=True)
class Captions:
    """C captions; `attributes` index the degrees with one column of ones appended at A."""

    texts: tuple[str, ...]
    mirrored_texts: tuple[str, ...]
    attributes: np.ndarray  # [C, 3, 2] int, A where a phrase or a reading is absent
    mirrored_attributes: np.ndarray  # [C, 3, 2]
    source: np.ndarray  # [C] a pose that deserves the caption


def caption_degrees(degrees: jax.Array, attributes: jax.Array) -> jax.Array:
    """`degrees [B, A]`, `attributes [C, 3, 2]` -> `[B, C]`: (min + mean) / 2 over phrases of max over readings."""
    padded = jnp.concatenate([degrees, jnp.ones_like(degrees[:, :1])], axis=1)
    phrase = padded[:, attributes].max(axis=-1)
    missing = ((1.0 - phrase).sum(axis=-1)) / (attributes[..., 0] < degrees.shape[1]).sum(axis=-1)
    return 0.5 * (phrase.min(axis=-1) + 1.0 - missing)


def _readings(names: Sequence[str], column: Mapping[str, int], absent: int) -> list[list[int]]:
    """One phrase's readings padded by repetition; an absent phrase is `absent` twice."""
    columns = [column[name] for name in names[:READINGS]]
    return [(columns * READINGS)[:READINGS] if columns else [absent] * READINGS]


def compose(
    meanings: Mapping[str, tuple[str, ...]],
    names: Sequence[str],
    mirror_of: Sequence[str],
    degrees: np.ndarray,
    num: int,
    seed: int,
    favoured: Sequence[str] = (),
) -> Captions:
    """`num` captions of poses with `degrees [N, A]`, rare attributes as often as common ones, `favoured` ones more.

    `meanings` maps a phrase to the attributes it may mean; `names` are the columns, `mirror_of` their mirror images.
    """
    rng = np.random.default_rng(seed)
    column = {name: i for i, name in enumerate(names)}
    mirror = np.append([column[name] for name in mirror_of], len(names))
    spoken: list[list[str]] = [[] for _ in names]
    for phrase, means in meanings.items():
        for name in means:
            spoken[column[name]].append(phrase)
    holds = degrees > 0.5
    shown = [np.flatnonzero(holds[:, a]) for a in range(len(names))]
    usable = [a for a in range(len(names)) if spoken[a] and len(shown[a])]
    usable += [a for a in usable if names[a] in favoured] * FAVOUR
    rarity = 1.0 / np.maximum(holds.mean(axis=0), 0.01)
    texts, attributes, source = [], [], []
    for i in range(num):
        first = usable[i % len(usable)]
        pose = int(rng.choice(shown[first]))
        others = [a for a in np.flatnonzero(holds[pose]) if a != first and spoken[a]]
        count = min(int(rng.choice(PHRASES, p=[0.55, 0.3, 0.15])), len(others))
        weight = rarity[others] / rarity[others].sum() if others else None
        chosen = [first, *(rng.choice(others, count, replace=False, p=weight) if count else ())]
        phrases = [spoken[a][rng.integers(len(spoken[a]))] for a in rng.permutation(chosen)]
        text = inflect(phrases[0], rng)
        for phrase in phrases[1:]:
            text = JOINTS[rng.integers(len(JOINTS))].format(text, phrase)
        way = rng.random()
        frames = PROMPTS if way < 0.35 else FRAMES if way < 0.5 else ("{}",)
        texts.append(frames[rng.integers(len(frames))].format(text))
        rows = [_readings(meanings[phrase], column, len(names))[0] for phrase in phrases]
        attributes.append(rows + [[len(names)] * READINGS] * (PHRASES - len(rows)))
        source.append(pose)
    array = np.array(attributes, np.int32)
    return Captions(
        tuple(texts), tuple(map(swap_sides, texts)), array, mirror[array].astype(np.int32), np.array(source)
    )
