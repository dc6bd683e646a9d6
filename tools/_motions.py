"""A motion or rollout by its name: a file of any known kind, a built-in motion, an entry of the zoo."""

import zipfile
from pathlib import Path
from typing import Any, NamedTuple

ROLLOUT = "rollout.safetensors"


class Film(NamedTuple):
    """What is filmed: poses `[T, 35]`, frames per second, what it is called."""

    qpos: Any
    fps: float
    name: str


def find_motion(source: str, zoo: Path | None) -> Film:
    """`source` as poses. `UserError` says what a source can be and what comes near it."""
    from anyskill_brax.character.humanoid import CONTROL_DT, load_character
    from anyskill_brax.motion.importers import FORMATS, read_source
    from anyskill_brax.motion.retarget import retarget
    from anyskill_brax.types import UserError

    path, suffix = Path(source), Path(source).suffix.lower()
    if suffix in (".npz", ".safetensors", *FORMATS.values()):
        if not path.is_file():
            raise UserError(f"no motion at {path}")
        if suffix == ".npz":
            return _read_npz(path)
        if suffix == ".safetensors":
            return Film(_rollout(path.read_bytes(), str(path)), 1.0 / CONTROL_DT, path.stem)
        motion = retarget(load_character(), read_source(path), source=path.name)
        return Film(motion.qpos, motion.fps, path.stem)
    if "/" in source:
        from skill_zoo.search import find

        entry = find(source, zoo)
        if ROLLOUT not in entry.manifest.files:
            raise UserError(f"{entry.id} is a {entry.kind} and keeps no {ROLLOUT}; trained skills do")
        name = entry.instruction or entry.id.name
        return Film(_rollout(entry.read(ROLLOUT), f"{ROLLOUT} of {entry.id}"), 1.0 / CONTROL_DT, name)
    return _builtin(source)


def _builtin(name: str) -> Film:
    from difflib import get_close_matches

    from anyskill_brax.character.humanoid import load_character
    from anyskill_brax.motion.synthesis import builtin_motions
    from anyskill_brax.types import UserError

    made = {motion.name: motion for motion in builtin_motions(load_character())}
    if name not in made:
        near = get_close_matches(name, made, n=5, cutoff=0.3) or list(made)[:5]
        raise UserError(
            f"{name!r} is no motion file (.npz, .bvh, .amc, .npy, .txt), no rollout (.safetensors), no zoo id "
            f"(humanoid/...) and no built-in motion; near it are {', '.join(near)}"
        )
    return Film(made[name].qpos, made[name].fps, name)


def _rollout(data: bytes, what: str) -> Any:
    from anyskill_brax.types import UserError
    from skill_zoo.codecs import tensors_from_bytes

    tensors = tensors_from_bytes(data, what)
    if "qpos" not in tensors:
        raise UserError(f"{what} holds {', '.join(tensors) or 'nothing'}; a rollout to film needs qpos [T, 35]")
    return tensors["qpos"]


def _read_npz(path: Path) -> Film:
    import numpy as np

    from anyskill_brax.types import UserError

    try:
        with np.load(path) as data:
            if "qpos" not in data:
                raise UserError(
                    f"{path} holds {', '.join(data.files) or 'nothing'}; a motion to film needs qpos [T, 35]"
                )
            return Film(data["qpos"], float(data["fps"]) if "fps" in data else 30.0, path.stem)
    except (ValueError, EOFError, TypeError, OSError, zipfile.BadZipFile) as error:
        raise UserError(f"{path} is not an .npz of plain arrays; give a motion file or a saved rollout") from error
