"""Tiny configs of the low-level stage, and what they bring to life."""

import functools
import importlib.util
from pathlib import Path
from typing import Any

import jax

from anyskill_brax.low_level import run
from anyskill_brax.low_level import train as trainer
from anyskill_brax.low_level.devices import ALONE
from anyskill_brax.low_level.stage import Stage

ROOT = Path(__file__).parents[2]


def preset(variant: str) -> Any:
    """A config of configs/low_level.py."""
    spec = importlib.util.spec_from_file_location("low_level_config", ROOT / "configs" / "low_level.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.get_config(variant)


class Quick:
    """A config brought to life, its programs compiled when first asked for."""

    def __init__(self, config: Any):
        self.setup = run._Setup.create(config)
        self.settings = self.setup.settings
        self.stage = Stage.create(self.settings, self.setup.env, self.setup.reference, ALONE)
        self.init, self.update = trainer.make_train(self.settings, self.setup.env, self.setup.reference)

    @functools.cached_property
    def state(self) -> trainer.TrainState:
        return jax.jit(self.init)(jax.random.PRNGKey(0))

    @functools.cached_property
    def jitted_update(self) -> trainer.Update:
        return jax.jit(self.update)
