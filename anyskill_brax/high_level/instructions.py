"""Instruction lists: one per line, `text` or `slug: text`, `#` starts a comment line."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import jax

from anyskill_brax.types import PRNGKey, UserError

LONGEST_TEXT = 300
MOST_INSTRUCTIONS = 1024


@dataclass(frozen=True)
class Instruction:
    """`slug` names the skill (files, zoo); `text` is what it is trained on, and all that its randomness hangs on."""

    slug: str
    text: str

    def key(self, seed: int) -> PRNGKey:
        """The root of this instruction's randomness: the run's seed and a stable hash of the text, nothing else."""
        word = int.from_bytes(hashlib.sha256(self.text.encode()).digest()[:4], "big")
        return jax.random.fold_in(jax.random.PRNGKey(seed), word)


def read_instructions(
    path: str | Path, slugify: Callable[[str], str], check: Callable[[str], str]
) -> tuple[Instruction, ...]:
    """The list in a file. `slugify` makes a slug of a text; `check` returns a given slug or raises a `UserError`."""
    path = Path(path)
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise UserError(f"cannot read the instruction list {path}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not UTF-8 text ({error.reason} at byte {error.start})") from error
    found: list[tuple[int, Instruction]] = []
    for number, line in enumerate(lines, start=1):
        line = line.strip()
        if line and not line.startswith("#"):
            found.append((number, _parse(f"{path}, line {number}", line, slugify, check)))
    if not found:
        raise UserError(f"{path} holds no instruction; write one per line, as `text` or `slug: text`")
    if len(found) > MOST_INSTRUCTIONS:
        raise UserError(f"{path} holds {len(found)} instructions; at most {MOST_INSTRUCTIONS} train together")
    first: dict[str, int] = {}
    for number, instruction in found:
        if instruction.slug in first:
            raise UserError(
                f"{path}, lines {first[instruction.slug]} and {number} have the same slug {instruction.slug!r}; "
                "give one of them another name: `slug: text`"
            )
        first[instruction.slug] = number
    return tuple(instruction for _, instruction in found)


def _parse(where: str, line: str, slugify: Callable[[str], str], check: Callable[[str], str]) -> Instruction:
    head, colon, tail = line.partition(":")
    named = bool(colon) and " " not in head.strip()
    text = " ".join((tail if named else line).split())
    if not any(character.isalnum() for character in text):
        raise UserError(f"{where}: no instruction text in {line[:60]!r}")
    if len(text) > LONGEST_TEXT:
        raise UserError(f"{where}: {len(text)} characters; an instruction has at most {LONGEST_TEXT}: {text[:60]!r}...")
    try:
        slug = check(head.strip()) if named else slugify(text)
    except UserError as error:
        raise UserError(f"{where}: {error}") from error
    return Instruction(slug=slug, text=text)
