"""What the tools for controllers are given: motions by `--motions` and `--split`, a controller by its id or run."""

import argparse
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import _door

SPLITS = ("train", "test", "all")


@dataclass(frozen=True)
class Subject:
    """A controller to be looked at, of the zoo or of a run that goes on."""

    name: str
    digest: str  # which one it is, for people
    config: Mapping[str, Any]
    controller: Any
    weights_sha256: str


def add_source_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--motions",
        nargs="+",
        default=["builtin"],
        metavar="SOURCE",
        help="`builtin`, `builtin:SEED` (the same kinds by other dice: left out of training), folders of clips; or "
        "`training`, `held_out`: of the controller's own clips those that it was trained on, those it was not "
        "(`held_out:FOLDER` where they lie elsewhere now)",
    )
    parser.add_argument("--split", choices=SPLITS, default="train", help="which clips of folders (default train)")


def load_sources(sources: list[str], split: str, subject: Subject) -> list[Any]:
    """The motions of `--motions` and `--split`, for the controller `subject`. `UserError` where there are none."""
    from anyskill_brax.character.humanoid import load_character
    from anyskill_brax.motion.sources import load_source
    from anyskill_brax.types import UserError

    character, found = load_character(), []
    for source in sources:
        kind, _, place = source.partition(":")
        if kind in ("training", "held_out") and not Path(source).is_dir():
            found += own_clips(character, subject, kind == "held_out", place)
        elif split == "test" and (source, place) in (("builtin", ""), ("builtin:0", "0")):
            raise UserError("the built-in motions are all for training; left out are those of another seed, builtin:1")
        else:
            found += load_source(character, source, None if split == "all" else split)
    return found


def own_clips(character: Any, subject: Subject, left_out: bool, place: str) -> list[Any]:
    """Of the clips that the config of `subject` names, those left out of its training or the others."""
    from anyskill_brax.motion.sources import held_out, load_source
    from anyskill_brax.types import UserError

    config = subject.config
    if not config.get("motions"):
        raise UserError(f"the config of {subject.name} does not say what it was trained on; name --motions yourself")
    sources, share = [place] if place else config["motions"], float(config.get("hold_out", 0.0))
    clips = [clip for source in sources for clip in load_source(character, source, "train")]
    found = [clip for clip in clips if held_out(clip.name, share) == left_out]
    if not found:
        raise UserError(
            f"{subject.name} was trained with hold_out {share:g}, which leaves none of {len(clips)} clips out; "
            "give others (builtin:1, a folder), or train one with --set hold_out=0.15"
        )
    return found


def find_controller(id: str, zoo: Path | None) -> Subject:
    """The zoo's entry, or the newest checkpoint of a run's folder. `UserError` for what is no low-level controller."""
    from anyskill_brax.low_level.run import load
    from anyskill_brax.types import UserError
    from skill_zoo.codecs import weights_sha256
    from skill_zoo.search import find
    from skill_zoo.zoo import load_entry

    if (Path(id) / "config.json").is_file():
        run = load(id)
        name, sha256 = f"{_door.portable(str(id))} after {run.updates} updates", weights_sha256(run.controller)
        return Subject(name, f"weights sha256 {sha256}", run.config, run.controller, sha256)
    entry = find(id, zoo)
    if entry.kind != "low_level":
        raise UserError(f"{entry.id} is a {entry.kind}; expected a low-level controller, e.g. humanoid/low-level")
    controller = load_entry(entry, [])
    digest = f"sha256 {entry.summary.sha256}"
    return Subject(str(entry.id), digest, entry.manifest.config, controller, weights_sha256(controller))
