"""Shared fixtures. Tests that need the motion pack skip by name where it is absent."""

import os
from pathlib import Path

import pytest

from anyskill_brax.character.humanoid import Character, load_character


@pytest.fixture(scope="session")
def character() -> Character:
    return load_character()


@pytest.fixture(scope="session")
def motion_pack() -> Path:
    """The folder of real motion clips: `ANYSKILL_MOTIONS`, or `../shared/motions` beside the repository."""
    folder = Path(os.environ.get("ANYSKILL_MOTIONS", Path(__file__).parents[2] / "shared" / "motions"))
    if not (folder / "index.json").is_file():
        pytest.skip(f"no motion pack at {folder} (set ANYSKILL_MOTIONS)")
    return folder
