"""Shared fixtures, and type checks that only tests pay for: jaxtyping shapes and annotations, enforced by beartype."""

import ctypes.util
import os
from pathlib import Path

import jaxtyping
import pytest

if ctypes.util.find_library("OSMesa"):
    os.environ.setdefault("MUJOCO_GL", "osmesa")  # MuJoCo's own renderer without a display

with jaxtyping.install_import_hook(["anyskill_brax", "skill_zoo"], "typecheck.annotations"):
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
