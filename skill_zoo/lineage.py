"""What lies behind a low-level run: what it began with, and how many samples everything together took."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from anyskill_brax.workdir import write_atomically
from skill_zoo.errors import SkillZooError
from skill_zoo.search import Folder, find

ORIGIN = "origin.json"
LESSONS = ("rising", "following", "holding")


@dataclass(frozen=True)
class Lineage:
    """Samples are control steps: of PPO, of the warm start and of lessons."""

    samples: int = 0
    entries: tuple[str, ...] = ()  # what was continued, the nearest first, as far back as is known


ALONE = Lineage()
"""Of a run that began with fresh networks."""


def practice(config: Mapping[str, Any], warm: bool) -> int:
    """Samples before the first update: of lessons and, if the run was `warm`ed up, of the warm start."""
    learner, start = config.get("learner", {}), config.get("warm_start", {})
    rounds = sum(int(config.get(name, {}).get("rounds", 0)) for name in LESSONS)
    taught = rounds * int(learner.get("num_worlds", 0)) * int(learner.get("horizon", 0))
    cloned = int(start.get("rounds", 0)) * int(start.get("num_worlds", 0)) * int(start.get("horizon", 0))
    return taught + (cloned if warm else 0)


def behind(folder: Path, command: Sequence[str], zoo: Folder | None = None) -> Lineage:
    """What the run in `folder` began with: as was noted there, or as its `command` says (runs from before notes)."""
    if (folder / ORIGIN).is_file():
        noted = json.loads((folder / ORIGIN).read_text())
        return Lineage(int(noted["samples"]), tuple(noted["entries"]))
    return _named(begun_with(command), zoo)


def note_origin(folder: Path, init_from: str | None) -> None:
    """Leave in a run's folder what it begins with; a run that is resumed has begun already."""
    if not (folder / ORIGIN).exists():
        found = lineage(init_from) if init_from else ALONE
        noted = {"samples": found.samples, "entries": list(found.entries)}
        write_atomically(folder / ORIGIN, json.dumps(noted).encode())


def lineage(source: str, zoo: Folder | None = None) -> Lineage:
    """A published controller, or a run's folder, with everything before it, as far as manifests say."""
    folder = Path(source)
    if (folder / "config.json").is_file():
        config, noted = json.loads((folder / "config.json").read_text()), folder / "command.json"
        before = behind(folder, json.loads(noted.read_text()) if noted.is_file() else (), zoo)
        done = [int(path.name) for path in (folder / "checkpoints").glob("*") if path.name.isdigit()]
        samples = max(done, default=0) * config["learner"]["num_worlds"] * config["learner"]["horizon"]
        return Lineage(whole(samples, config, before), (folder.name, *before.entries))
    manifest = find(source, zoo).manifest
    name, metrics = str(manifest.id), manifest.metrics
    if "lineage_samples" in metrics:
        return Lineage(int(metrics["lineage_samples"]), (name, *str(metrics["lineage"]).split()))
    before = _named(begun_with(manifest.command), zoo, manifest.created)
    # Nobody knows whether one that does not say what it began with was warmed up.
    taught = practice(manifest.config, bool(manifest.config.get("warm_start_always", False)))
    return Lineage(int(metrics.get("samples", 0)) + taught + before.samples, (name, *before.entries))


def whole(samples: int, config: Mapping[str, Any], before: Lineage) -> int:
    """Samples of a run and of everything before it."""
    return samples + practice(config, warmed(config, before)) + before.samples


def warmed(config: Mapping[str, Any], before: Lineage) -> bool:
    """Whether a run began with the warm start."""
    return not before.entries or bool(config.get("warm_start_always", False))


def begun_with(command: Sequence[str]) -> str:
    """What a recorded command gives to `--init-from`; "" for nothing."""
    for option, value in zip(command, [*command[1:], ""], strict=False):
        if option == "--init-from":
            return value
        if option.startswith("--init-from="):
            return option.partition("=")[2]
    return ""


def _named(source: str, zoo: Folder | None, before: str = "") -> Lineage:
    """The lineage of what a command names, if the zoo has it, published `before`; else no more than its name."""
    try:
        found = find(source, zoo).manifest if source else None
    except SkillZooError:
        found = None
    if found is None or (before and found.created >= before):
        return Lineage(0, (source,) if source else ())
    return lineage(str(found.id), zoo)
