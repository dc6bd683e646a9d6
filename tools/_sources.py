"""What the tools for controllers are given: motions by `--motions` and `--split`, and a controller by its id."""

import argparse
from pathlib import Path
from typing import Any

SPLITS = ("train", "test", "all")


def add_source_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--motions",
        nargs="+",
        default=["builtin"],
        metavar="SOURCE",
        help="`builtin`, `builtin:SEED` (the same kinds by other dice: left out of training), folders of clips",
    )
    parser.add_argument("--split", choices=SPLITS, default="train", help="which clips of folders (default train)")


def load_sources(sources: list[str], split: str) -> list[Any]:
    """The motions of `--motions` and `--split`. `UserError` where there are none."""
    import dataclasses

    from anyskill_brax.character.humanoid import load_character
    from anyskill_brax.motion.io import load_motion_folder
    from anyskill_brax.motion.synthesis import builtin_motions
    from anyskill_brax.types import UserError

    found = []
    for source in sources:
        kind, _, seed = source.partition(":")
        if kind != "builtin" or Path(source).is_dir():
            found += load_motion_folder(Path(source), split=None if split == "all" else split)
        elif seed and not seed.isdigit():
            raise UserError(f"--motions {source}: expected builtin or builtin:SEED, e.g. builtin:1")
        elif not int(seed or 0) and split == "test":
            raise UserError("the built-in motions are all for training; left out are those of another seed, builtin:1")
        else:
            made = builtin_motions(load_character(), seed=int(seed or 0))
            found += [dataclasses.replace(m, name=f"{m.name}.seed{seed}") for m in made] if int(seed or 0) else made
    return found


def find_controller(id: str, zoo: Path | None) -> Any:
    """The zoo's entry. `UserError` for one that is no low-level controller."""
    from anyskill_brax.types import UserError
    from skill_zoo.search import find

    entry = find(id, zoo)
    if entry.kind != "low_level":
        raise UserError(f"{entry.id} is a {entry.kind}; expected a low-level controller, e.g. humanoid/low-level")
    return entry
