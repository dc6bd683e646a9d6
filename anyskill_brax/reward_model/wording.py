"""How people put phrases: inflected, joined, framed ("stand with ..."), with a manner that means nothing."""

import re
from collections.abc import Callable, Sequence

import numpy as np

from anyskill_brax.clip.reward import PROMPTS
from anyskill_brax.reward_model.phrases import LIMBS, frames, verbs

SUBJECTS = re.compile(
    r"(?:(?:a|the|this|his|her) )?(?:(?:young|old|tall) )?(?:man|woman|guy|boy|girl|kid|child|person|figure|character|"
    r"player|robot|humanoid|avatar|subject|actor|performer|dancer|fighter|boxer|soldier|guard|enemy|hero|npc|he|she|"
    r"they|it|someone|somebody|you|i)\b(?! (?:stance|pose|guard|arms|on the|with))"
)
JOINTS = {
    "verb": (
        "{} and {}",
        "{}, {}",
        "{} while you {}",
        "{} and also {}",
        "{} then {}",
        "{} as you {}",
        "{} while {ing}",
    ),
    "gerund": ("{} while {}", "{}, {}", "{} and {}", "{} during {}"),
    "noun": ("{} with {}", "{} and {}", "{}, {}", "{} with {}", "{} while keeping {}"),
    "clause": ("{}, {}", "{} and {}", "{} while {}"),
}
"""How the next phrase is tied to what went before, by its form."""
IRREGULAR = {"be": "is", "have": "has"}
MANNER = 0.15
"""Share of captions that name a manner."""
OWNER = 0.25
"""Share of captions whose limbs have another owner: "your arm", "the arm", "her arm"."""
OWNERS = ("the", "the", "your", "his", "her")
OWNED = re.compile(rf"\b(?:your|his|her|their|the)((?: (?:left|right|two))? (?:{LIMBS}|head|hip|ear|chest)s?)\b")


def gerund(verb: str) -> str:
    """raise -> raising, sit -> sitting, lie -> lying."""
    if verb.endswith("ie"):
        return verb[:-2] + "ying"
    if verb.endswith("e") and verb != "be" and not verb.endswith(("ee", "oe")):
        return verb[:-1] + "ing"
    if re.fullmatch(r"[^aeiou]*[aeiou][bdgmnprt]", verb) or verb == "squat":
        return verb + verb[-1] + "ing"
    return verb + "ing"


def third_person(verb: str) -> str:
    """raise -> raises, crouch -> crouches, carry -> carries."""
    if verb in IRREGULAR:
        return IRREGULAR[verb]
    if re.search(r"[^aeiou]y$", verb):
        return verb[:-1] + "ies"
    return verb + ("es" if verb.endswith(("s", "sh", "ch", "x", "o")) else "s")


def form_of(phrase: str) -> str:
    """ "verb" for an imperative, "gerund", "clause" with a subject, "noun" for the rest ("arms crossed")."""
    first = phrase.partition(" ")[0]
    if first in verbs():
        return "verb"
    if SUBJECTS.match(phrase):
        return "clause"
    return "gerund" if first.endswith("ing") and len(first) > 5 else "noun"


def _gerund_phrase(phrase: str) -> str:
    verb, _, rest = phrase.partition(" ")
    return f"{gerund(verb)} {rest}".strip()


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


def _pick(options: Sequence[str], rng: np.random.Generator) -> str:
    return options[int(rng.integers(len(options)))]


def joined(phrases: Sequence[str], rng: np.random.Generator) -> str:
    """One to three phrases as one sentence."""
    text = phrases[0]
    for phrase in phrases[1:]:
        form = form_of(phrase)
        text = _pick(JOINTS[form], rng).format(text, phrase, ing=_gerund_phrase(phrase) if form == "verb" else phrase)
    text = re.sub(r"\bboth\b", _pick(("two", "the two"), rng), text) if rng.random() < 0.1 else text
    return OWNED.sub(_pick(OWNERS, rng) + r"\1", text) if rng.random() < OWNER else text


def is_standing(frame: str) -> bool:
    """Whether a frame says that the figure stands."""
    return re.search(r"\bstand", frame) is not None


def _with_manner(text: str, rng: np.random.Generator) -> str:
    """Now and then a manner before or after the sentence; it means nothing."""
    if rng.random() >= MANNER:
        return text
    manner = _pick(frames("manner"), rng)
    return f"{manner} {text}" if manner.endswith("ly") and rng.random() < 0.5 else f"{text} {manner}"


def framed(phrases: Sequence[str], may: Callable[[str], bool], rng: np.random.Generator) -> tuple[str, str]:
    """One to three phrases as a sentence, and the frame around it, one of those that it `may` be; "{}" for none."""
    form, way = form_of(phrases[0]), rng.random()
    if way < 0.4 and form in ("verb", "noun"):
        frame = _pick([frame for frame in frames(form) if may(frame)], rng)
        return frame.format(_with_manner(joined(phrases, rng), rng)), frame
    frame = _pick(PROMPTS, rng) if way < 0.6 else "{}"
    said = joined([inflect(phrases[0], rng), *phrases[1:]], rng)
    return frame.format(_with_manner(said, rng)), frame
