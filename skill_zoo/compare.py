"""Two entries side by side, and the command that made one."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from skill_zoo.errors import SkillZooError
from skill_zoo.manifest import Manifest
from skill_zoo.search import Folder, Id, find

_SAME_BY_NATURE = ("id", "sha256", "created")
_TOOLS = ("train_batch", "distill", "publish_low_level", "publish_reward_model")
_OPTIONS = ("--all", "--config", "--episodes", "--instructions", "--low-level", "--name", "--no-publish", "--set")
_OPTIONS += ("--skills", "--workdir", "--zoo")
_VALUE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9 _.,=:/@+()\[\]-]*", re.ASCII)
_CONFIG = re.compile(r"configs/\w+\.py(:\w*)?", re.ASCII)


def diff(a: Id, b: Id, zoo: Folder | None = None) -> dict[str, tuple[Any, Any]]:
    """Where two entries differ: "config.learner.epochs" -> (in a, in b); None where one does not have it."""
    one, other = (_flat(find(id, zoo).manifest.to_json()) for id in (a, b))
    return {
        name: (one.get(name), other.get(name))
        for name in sorted(one.keys() | other.keys())
        if one.get(name) != other.get(name) and name not in _SAME_BY_NATURE
    }


def _flat(value: Any, prefix: str = "") -> dict[str, Any]:
    if isinstance(value, Mapping) and value:
        return {name: leaf for key, item in value.items() for name, leaf in _flat(item, f"{prefix}{key}.").items()}
    return {prefix[:-1]: value}


def command_to_run(manifest: Manifest, out: Path) -> list[str]:
    """The command that made an entry, for this checkout, with its run and its zoo in `out`.

    A manifest is data that somebody else may have written, so only what cannot do harm is run: a training tool of this
    project, its plain options, a config of this project. `SkillZooError` for anything else; it may be run by hand.
    """
    if not manifest.command:
        raise SkillZooError(f"{manifest.id} does not say what made it; its resolved config is in the manifest")
    tool, *arguments = manifest.command
    if tool not in [f"tools/{name}.py" for name in _TOOLS]:
        raise SkillZooError(f"{manifest.id} was made by {tool!r:.80}, which is not run for you")
    kept, option = [tool], ""
    for argument in arguments:
        option = argument if argument.startswith("-") else option
        if option not in _OPTIONS or (argument != option and not _harmless(option, argument)):
            raise SkillZooError(f"{argument!r:.80} in the command of {manifest.id} is not run for you; run it by hand")
        if option not in ("--zoo", "--workdir"):
            kept.append(argument)
    return [*kept, "--workdir", str(out / "run"), "--zoo", str(out / "zoo")]


def _harmless(option: str, value: str) -> bool:
    if option in ("--zoo", "--workdir"):
        return True  # replaced
    if option == "--config":
        return _CONFIG.fullmatch(value) is not None
    return _VALUE.fullmatch(value) is not None and ".." not in value
