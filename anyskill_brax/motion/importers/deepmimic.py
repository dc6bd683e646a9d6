"""DeepMimic humanoid3d .txt: JSON frames of 44 numbers; y up, x forward, z right; quaternions wxyz.

The skeleton is the AMP humanoid's own. Knees and elbows are stored with the opposite sign.
"""

import dataclasses
import json
from pathlib import Path

import numpy as np

from anyskill_brax.character.humanoid import load_character
from anyskill_brax.motion.skeleton import SourceMotion
from anyskill_brax.types import UserError

FRAME_SIZE = 44
_LARGEST = 1e6
_QUATS = {
    "pelvis": 4,
    "torso": 8,
    "head": 12,
    "right_thigh": 16,
    "right_foot": 21,
    "right_upper_arm": 25,
    "left_thigh": 30,
    "left_foot": 35,
    "left_upper_arm": 39,
}
"""Body -> column of its joint's quaternion; column 0 is the frame's duration [s], 1 to 3 the root's position."""
_HINGES = {"right_shin": 20, "right_lower_arm": 29, "left_shin": 34, "left_lower_arm": 43}


def read_deepmimic(path: Path, fps: float | None = None) -> SourceMotion:
    """Frames last as long as each says; a file whose frames differ is brought to its commonest rate."""
    try:
        frames = json.loads(path.read_text())["Frames"]
    except UnicodeDecodeError:
        raise UserError(f"{path}: expected JSON text") from None
    except json.JSONDecodeError as error:
        raise UserError(
            f"{path}, line {error.lineno}: expected DeepMimic JSON, {error.msg}; is it cut short?"
        ) from None
    except (ValueError, RecursionError) as error:  # a number of thousands of digits, a list in a list in a list
        raise UserError(f"{path}: expected DeepMimic JSON, {error}") from None
    except (KeyError, TypeError):
        raise UserError(f"{path}: expected a JSON object with 'Frames'") from None
    if not isinstance(frames, list):
        raise UserError(f"{path}: expected 'Frames' to be a list, found {type(frames).__name__}")
    for index, frame in enumerate(frames):
        if not isinstance(frame, list) or len(frame) != FRAME_SIZE:
            found = len(frame) if isinstance(frame, list) else type(frame).__name__
            raise UserError(f"{path}, frame {index}: expected {FRAME_SIZE} numbers (humanoid3d), found {found}")
    try:
        table = np.array(frames, np.float64)
    except (TypeError, ValueError, OverflowError):
        raise UserError(f"{path}: every frame must be {FRAME_SIZE} numbers") from None
    if len(table) < 2 or not (np.abs(table) < _LARGEST).all() or (table[:-1, 0] <= 0).any():
        raise UserError(
            f"{path}: expected two frames or more, numbers below {_LARGEST:g}, each with a duration above 0 s"
        )

    character = load_character()
    local = np.zeros((len(table), character.num_bodies, 4))
    local[..., 0] = 1.0
    for body, column in _QUATS.items():
        w, x, y, z = table[:, column : column + 4].T
        local[:, character.body(body)] = np.stack([w, x, -z, y], axis=-1)  # y up -> z up
    for body, column in _HINGES.items():
        half = -0.5 * table[:, column]
        local[:, character.body(body)] = np.stack([np.cos(half), 0 * half, np.sin(half), 0 * half], axis=-1)
    norm = np.linalg.norm(local, axis=-1, keepdims=True)  # some files round to three digits
    if norm.min() < 0.5:
        raise UserError(f"{path}, frame {norm.min(axis=(1, 2)).argmin()}: a rotation is not a unit quaternion")
    root = np.stack([table[:, 1], -table[:, 3], table[:, 2]], axis=-1)
    step = float(np.median(table[:-1, 0]))
    motion = SourceMotion(
        path.stem,
        1 / step,
        character.body_names,
        character.parents,
        character.offsets,
        root,
        local / norm,
        same_skeleton=True,
    )
    if np.ptp(table[:-1, 0]) > 0.01 * step:
        motion = motion.retimed(np.concatenate([[0.0], np.cumsum(table[:-1, 0])]), 1 / step)
    return motion if fps is None else dataclasses.replace(motion, fps=fps)
