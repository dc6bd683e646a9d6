"""poselib `SkeletonMotion` .npy: the AMP/ASE humanoid's own skeleton, local quaternions xyzw, z up, x forward."""

from pathlib import Path
from typing import Any

import numpy as np

from anyskill_brax.character.humanoid import load_character
from anyskill_brax.motion.importers.object_array import Array, read_object
from anyskill_brax.motion.skeleton import SourceMotion
from anyskill_brax.types import UserError


def read_poselib(path: Path, fps: float | None = None) -> SourceMotion:
    """Frames stored twice at twice the true rate (all but one of IsaacGymEnvs' AMP files) are kept once."""
    data = read_object(path)
    try:
        tree = data["skeleton_tree"]
        local, root = _numbers(data["rotation"]["arr"]), _numbers(data["root_translation"]["arr"])
        joints, offsets = _texts(tree["node_names"]), _numbers(tree["local_translation"]["arr"])
        rate, is_local = float(_numbers(data["fps"])), data["is_local"] is True
    except (LookupError, TypeError, ValueError, ArithmeticError) as error:
        raise UserError(
            f"{path}: expected a SkeletonMotion of rotation, root_translation, skeleton_tree, is_local, fps; {error!r}"
        ) from None
    character = load_character()
    same = joints == character.body_names and offsets.shape == character.offsets.shape
    if not same or np.abs(offsets[1:] - character.offsets[1:]).max() > 1e-3:
        raise UserError(
            f"{path}: a poselib file must be on the humanoid's own skeleton ({', '.join(character.body_names)}, its "
            f"lengths); found {', '.join(joints)}. Retarget it with poselib first, or import the original BVH or AMC"
        )
    frames = local.shape[0] if local.ndim == 3 else 0
    if not is_local or local.shape != (frames, len(joints), 4) or root.shape != (frames, 3) or frames < 2:
        raise UserError(
            f"{path}: expected local rotations [F, {len(joints)}, 4] and root translations [F, 3], found "
            f"{'local' if is_local else 'global'} {local.shape} and {root.shape}"
        )
    if np.array_equal(local[0 : len(local) // 2 * 2 : 2], local[1::2]):
        local, root, rate = local[::2], root[::2], rate / 2
    norm = np.linalg.norm(local, axis=-1, keepdims=True)
    if not (np.isfinite(root).all() and np.isfinite(norm).all() and norm.min() > 0.5):
        raise UserError(f"{path}: rotations must be unit quaternions and positions finite")
    parents, offsets[0] = character.parents, 0.0
    quats = np.roll(local / norm, 1, axis=-1)  # xyzw -> wxyz
    return SourceMotion(path.stem, fps or rate, joints, parents, offsets, root, quats, same_skeleton=True)


def _numbers(value: Any) -> np.ndarray:
    """An array of the file, or one number. `TypeError` for a list: it may hold itself."""
    if not isinstance(value, Array | int | float):
        raise TypeError(f"numbers are an array, not a {type(value).__name__}")
    return np.array(value.numbers() if isinstance(value, Array) else value, np.float64)


def _texts(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
        raise TypeError("names are a list of texts")
    return tuple(value)
