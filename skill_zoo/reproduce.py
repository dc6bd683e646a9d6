"""The commands that made an entry, and what it takes to run them again in a folder of their own."""

import re
from collections.abc import Sequence
from pathlib import Path

from skill_zoo.errors import SkillZooError
from skill_zoo.ids import SkillId
from skill_zoo.search import Entry
from skill_zoo.transfer import push

THEN = "&&"
"""Divides a manifest's `command` where two made the entry, one that trained and one that published."""
INSTRUCTIONS = "instructions.txt"
"""The list that a skill was trained in, a file of its entry."""

_PLACES = {"--workdir": "run", "--out": "run", "--from": "run", "--zoo": "zoo", "--evaluation": "run"}
"""Options that name a folder to read or write -> what stands for it below OUT; an evaluation is of another run."""
_TAKES = {
    "tools/train_batch.py": ("--workdir", "--zoo"),
    "tools/distill.py": ("--workdir", "--zoo"),
    "tools/train_low_level.py": ("--workdir",),
    "tools/publish_low_level.py": ("--workdir", "--zoo"),
    "tools/train_reward_model.py": ("--out",),
    "tools/publish_reward_model.py": ("--from", "--zoo"),
}
_TEXTS = ("--licence", "--note")  # for the card and the manifest; no tool opens what they name
_OPTIONS = ("--all", "--config", "--episodes", "--image", "--init-from", "--instructions", "--low-level", "--motions")
_OPTIONS += ("--name", "--no-publish", "--only", "--seed", "--set", "--skills", *_TEXTS, *_PLACES)
_VALUE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9 _.,=:/@+()\[\]-]*", re.ASCII)
_CONFIG = re.compile(r"configs/\w+\.py(:\w*)?", re.ASCII)


def commands(command: Sequence[str]) -> list[list[str]]:
    """A manifest's `command` as the commands that it is made of."""
    parts: list[list[str]] = [[]]
    for word in command:
        parts.append([]) if word == THEN else parts[-1].append(word)
    return [part for part in parts if part]


def commands_to_run(entry: Entry, out: Path) -> list[list[str]]:
    """The commands that made an entry, for this checkout, with their run and their zoo in `out`.

    A manifest is data that somebody else may have written, so only what cannot do harm is run: the training tools of
    this project, their plain options, a config of this project. `SkillZooError` for anything else, which may be run by
    hand.
    """
    found = commands(entry.manifest.command)
    if not found:
        raise SkillZooError(f"{entry.id} does not say what made it; its resolved config is in the manifest")
    return [_harmless(words, entry, out) for words in found]


def prepare(entry: Entry, out: Path) -> None:
    """Put into `out` what the commands read: the list of instructions, the skills that taught a multi-skill policy."""
    out.mkdir(parents=True, exist_ok=True)
    if INSTRUCTIONS in entry.manifest.files:
        (out / INSTRUCTIONS).write_bytes(entry.read(INSTRUCTIONS))
    if teachers := entry.manifest.config.get("teachers"):
        push(out / "zoo", [SkillId.parse(teacher) for teacher in teachers], entry.root)


def _harmless(words: list[str], entry: Entry, out: Path) -> list[str]:
    tool, *arguments = words
    if tool not in _TAKES:
        raise SkillZooError(f"{entry.id} was made by {tool!r:.80}, which is not run for you")
    kept, option = [tool], ""
    for argument in arguments:
        option = argument if argument.startswith("-") else option
        value = "" if argument == option else argument
        listed = option == "--instructions" and INSTRUCTIONS in entry.manifest.files
        if option not in _OPTIONS or (value and not (listed or _allowed(option, value))):
            raise SkillZooError(f"{argument!r:.80} in the command of {entry.id} is not run for you; run it by hand")
        if option not in _PLACES:
            kept.append(str(out / INSTRUCTIONS) if value and listed else argument)
    return [*kept, *(word for option in _TAKES[tool] for word in (option, str(out / _PLACES[option])))]


def _allowed(option: str, value: str) -> bool:
    if option in _TEXTS or option in _PLACES:
        return True
    if option == "--config":
        return _CONFIG.fullmatch(value) is not None
    return _VALUE.fullmatch(value) is not None and ".." not in value
