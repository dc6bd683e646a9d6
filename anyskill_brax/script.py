"""Scripts in plain words: "walk forward 3s, raise both arms for 2 seconds, then bow" -> phrases -> nearest skills."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from anyskill_brax.clip.reward import RewardModel, embed_goals
from anyskill_brax.types import UserError

LONGEST_SECONDS = 600.0
_SEPARATOR = re.compile(r"[,;\n]|\b(?:and\s+)?then\b", re.IGNORECASE)
_DURATION = re.compile(r"(?:^|\s)(?:for\s+)?(?P<number>-?[0-9]+(?:\.[0-9]+)?)\s*s(?:ec(?:ond)?s?)?$", re.IGNORECASE)


@dataclass(frozen=True)
class Phrase:
    """What to do, and for how long [s]."""

    text: str
    seconds: float


@dataclass(frozen=True)
class Match:
    """The instruction that a phrase comes nearest to."""

    phrase: Phrase
    index: int  # of the instruction
    similarity: float  # cosine of phrase and instruction
    confidence: float  # of the text encoder in the phrase, 0..1
    second: int | None  # the runner-up; None where there is one instruction only

    def is_doubtful(self, min_similarity: float) -> bool:
        """Too far from the instruction, or not a text that the encoder understands."""
        return self.similarity < min_similarity or self.confidence < 0.5


def parse_script(script: str, default_seconds: float) -> list[Phrase]:
    """Phrases in order; separated by commas, semicolons, lines or "then".

    A phrase ends in its duration ("3s", "for 2.5 seconds") or lasts `default_seconds`.
    """
    phrases = []
    for part in filter(None, (" ".join(piece.split()).strip(" .!") for piece in _SEPARATOR.split(script))):
        found = _DURATION.search(part)
        text = part[: found.start()].strip() if found else part
        seconds = float(found["number"]) if found else default_seconds
        if not any(character.isalpha() for character in text):
            raise UserError(f"no words in the phrase {part!r}; write what to do, then for how long: 'walk forward 3s'")
        if not 0.0 < seconds <= LONGEST_SECONDS:
            raise UserError(
                f"{text!r} is to last {seconds:g} s; a phrase lasts more than 0 and at most {LONGEST_SECONDS:g} s"
            )
        phrases.append(Phrase(text, seconds))
    if not phrases:
        raise UserError("the script is empty; write phrases such as 'walk forward 3s, raise both arms 2s, bow'")
    return phrases


def resolve(phrases: Sequence[Phrase], instructions: Sequence[str], model: RewardModel) -> list[Match]:
    """Each phrase's nearest instruction, by the cosine of their text features."""
    if not instructions:
        raise UserError("there are no skills to choose from")
    texts = [phrase.text for phrase in phrases]
    similarity = embed_goals(model, texts) @ embed_goals(model, instructions).T
    ranking = np.argsort(-similarity, axis=1, kind="stable")
    return [
        Match(
            phrase=phrase,
            index=int(order[0]),
            similarity=float(row[order[0]]),
            confidence=float(confidence),
            second=int(order[1]) if len(order) > 1 else None,
        )
        for phrase, row, order, confidence in zip(
            phrases, similarity, ranking, model.text_confidence(texts), strict=True
        )
    ]
