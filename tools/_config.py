"""`--config FILE.py[:variant]` and `--set key.sub=value`, with "did you mean"."""

import argparse
import difflib
import importlib.util
from ast import literal_eval as read_literal
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from anyskill_brax.types import UserError


def add_config_arguments(parser: argparse.ArgumentParser, default: str) -> None:
    parser.add_argument("--config", default=default, metavar="FILE[:VARIANT]", help=f"default {default}")
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="override, e.g. learner.epochs=2"
    )


def load_config(options: argparse.Namespace) -> ConfigDict:
    """The resolved config. `UserError` for a missing file, an unknown variant, key or type."""
    file, _, variant = options.config.partition(":")
    path = Path(file)
    if not path.is_file():
        path = Path(__file__).resolve().parents[1] / file
    if not path.is_file() or path.suffix != ".py":
        raise UserError(f"no config file {file!r}; the project's are in configs/ (e.g. configs/high_level.py:demo)")
    spec = importlib.util.spec_from_file_location("config_file", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    try:
        config = module.get_config(variant)
    except ValueError as error:
        raise UserError(str(error)) from error
    for override in options.set:
        _apply(config, override)
    return config


def _apply(config: ConfigDict, override: str) -> None:
    key, equals, text = override.partition("=")
    if not equals:
        raise UserError(f"--set wants KEY=VALUE, got {override!r}")
    known = _flat_keys(config)
    if key not in known:
        near = difflib.get_close_matches(key, known, n=3)
        hint = f"did you mean {' or '.join(near)}?" if near else f"known keys: {', '.join(known)}"
        raise UserError(f"the config has no key {key!r}; {hint}")
    try:
        value = read_literal(text)
    except (ValueError, SyntaxError):
        value = text
    *parents, leaf = key.split(".")
    section: Any = config
    for parent in parents:
        section = section[parent]
    old = section[leaf]
    if isinstance(old, float) and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if isinstance(old, tuple) and not isinstance(value, tuple):
        value = tuple(value) if isinstance(value, list) else (value,)
    if old is not None and type(value) is not type(old):
        raise UserError(f"{key} is a {type(old).__name__} (now {old!r}); {text!r} is a {type(value).__name__}")
    with config.unlocked():
        section[leaf] = value


def _flat_keys(config: ConfigDict, prefix: str = "") -> list[str]:
    keys = []
    for name, value in config.items():
        keys += _flat_keys(value, f"{prefix}{name}.") if isinstance(value, ConfigDict) else [prefix + name]
    return keys
