"""Two clips and tiny configs that the tests of the low-level stage share."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from quick_runs import Quick, preset

from anyskill_brax.motion.io import motion_from_qpos, save_motion


@pytest.fixture(scope="session")
def motions(character, tmp_path_factory) -> Path:
    """Two clips: standing while one arm goes up, and the other."""
    folder = tmp_path_factory.mktemp("motions")
    for name in ("right_shoulder_x", "left_shoulder_x"):
        qpos = np.tile(character.default_qpos, (40, 1))
        sign = -1.0 if name.startswith("right") else 1.0
        qpos[:, 7 + character.joint_names.index(name)] = sign * np.linspace(0.0, 1.5, 40)
        save_motion(folder / f"{name}.npz", motion_from_qpos(character, name, 30.0, qpos, category="gesture"))
    return folder


@pytest.fixture(scope="session")
def quick_config(motions) -> Callable[..., Any]:
    """`quick_config(variant, overrides)`: a smoke test's config on the two clips; keys like "start.fall_share"."""

    def make(variant: str = "quicktest", overrides: dict[str, Any] | None = None) -> Any:
        config = preset(variant)
        with config.unlocked():
            config.update_from_flattened_dict({"motions": (str(motions),)} | (overrides or {}))
        return config

    return make


@pytest.fixture(scope="session")
def quick_ase(quick_config) -> Quick:
    return Quick(quick_config("quicktest"))


@pytest.fixture(scope="session")
def quick_conditional(quick_config) -> Quick:
    return Quick(quick_config("quicktest_conditional"))
