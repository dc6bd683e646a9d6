"""poselib `SkeletonMotion` .npy: the AMP/ASE humanoid's own skeleton, local quaternions xyzw, z up, x forward.

The file is a pickle. Unpickling runs whatever a file asks for, so here a pickle may ask for numpy arrays alone, and
gets plain stand-ins for them: no numpy constructor ever sees the file's arguments.
"""

import io
import pickle
import pickletools
import re
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np

from anyskill_brax.character.humanoid import load_character
from anyskill_brax.motion.skeleton import SourceMotion
from anyskill_brax.types import UserError


class _DType:
    """Stands in for `numpy.dtype(code, align, copy)`."""

    def __init__(self, code: str, *_: Any):
        self.code, self.order = code, "|"

    def __setstate__(self, state: tuple) -> None:
        self.order = state[1]


class _Array:
    """Stands in for an `ndarray` whose state is (version, shape, dtype, is_fortran, raw bytes or list)."""

    def __setstate__(self, state: tuple) -> None:
        self.shape, self.dtype, self.fortran, self.raw = state[1:]

    def to_numpy(self) -> Any:
        if not isinstance(self.dtype, _DType) or not re.fullmatch(r"(O8?|[fiu][248]|[iu]1|b1)", self.dtype.code):
            raise ValueError(f"an array of {getattr(self.dtype, 'code', self.dtype)!r} instead of numbers")
        if self.dtype.code.startswith("O"):
            if not isinstance(self.raw, list) or len(self.raw) != 1:
                raise ValueError("an object array of other than one object")
            return _plain(self.raw[0])
        kind = np.dtype(("<" if self.dtype.order in "|=" else self.dtype.order) + self.dtype.code)
        return np.frombuffer(self.raw, kind).reshape(self.shape, order="F" if self.fortran else "C")


class _ArrayUnpickler(pickle.Unpickler):
    """Knows numpy arrays and nothing else."""

    def find_class(self, module: str, name: str) -> Any:
        if module in ("numpy.core.multiarray", "numpy._core.multiarray") and name == "_reconstruct":
            return lambda *_: _Array()
        if module == "numpy" and name in ("ndarray", "dtype"):
            return {"ndarray": _Array, "dtype": _DType}[name]
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        raise pickle.UnpicklingError(f"it asks for {module}.{name}; numpy arrays alone are allowed")


def _plain(value: Any) -> Any:
    """The same nest of dicts and lists with numpy arrays in place of the stand-ins."""
    if isinstance(value, _Array):
        return value.to_numpy()
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return value


def _check_sizes(data: bytes) -> None:
    """`ValueError` for a pickle that asks for memory by a number alone; arrays need none of those operations."""
    for operation, argument, _ in pickletools.genops(data):
        place = argument if operation.name in ("PUT", "BINPUT", "LONG_BINPUT") else 0
        if operation.name in ("BYTEARRAY8", "NEXT_BUFFER", "READONLY_BUFFER") or int(place or 0) > len(data):
            raise ValueError(f"its operation {operation.name} is not one that arrays are made with")


def load_array_pickle(path: Path) -> Any:
    """The contents of an object `.npy`, by the allow-list unpickler."""
    try:
        with path.open("rb") as file:
            if np.lib.format.read_magic(file) != (1, 0):
                raise ValueError("not version 1.0")
            np.lib.format.read_array_header_1_0(file)
            data = file.read()
            _check_sizes(data)
            return _plain(_ArrayUnpickler(io.BytesIO(data)).load())
    except Exception as error:  # a damaged pickle can fail in any way; the file is at fault, not the code
        raise UserError(f"{path}: not a poselib .npy that can be read safely: {error}") from None


def read_poselib(path: Path, fps: float | None = None) -> SourceMotion:
    """Frames stored twice at twice the true rate (all but one of IsaacGymEnvs' AMP files) are kept once."""
    data = load_array_pickle(path)
    try:
        local = np.asarray(data["rotation"]["arr"], np.float64)
        root = np.asarray(data["root_translation"]["arr"], np.float64)
        joints = tuple(str(name) for name in data["skeleton_tree"]["node_names"])
        offsets = np.array(data["skeleton_tree"]["local_translation"]["arr"], np.float64)
        rate = float(np.asarray(data["fps"]))
        is_local = bool(data["is_local"])
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(
            f"{path}: expected a SkeletonMotion of rotation, root_translation, skeleton_tree, is_local, fps; {error!r}"
        ) from None
    character = load_character()
    if joints != character.body_names or np.abs(offsets[1:] - character.offsets[1:]).max() > 1e-3:
        raise UserError(
            f"{path}: a poselib file must be on the humanoid's own skeleton ({', '.join(character.body_names)}, its "
            f"lengths); found {', '.join(joints)}. Retarget it with poselib first, or import the original BVH or AMC"
        )
    if not is_local or local.shape != (len(root), len(joints), 4) or len(root) < 2 or root.shape[1] != 3:
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
