"""BVH: a joint tree with Euler channels. Axes and units are not in the file: the rest pose tells."""

import itertools
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from anyskill_brax.motion.skeleton import SourceMotion, in_axes, rest_positions, standing_axes
from anyskill_brax.types import UserError

_CHANNELS = ("Xposition", "Yposition", "Zposition", "Xrotation", "Yrotation", "Zrotation")
T_POSE_JUMP = np.radians(20.0)
"""A first frame this far [rad] from the second, and five times farther than any later step, is an added T-pose."""


class _Lines:
    """A file's non-empty lines as words, with the line number for messages."""

    def __init__(self, path: Path):
        self.path = path
        try:
            lines = path.read_text(encoding="utf-8-sig").splitlines()
        except UnicodeDecodeError:
            raise UserError(f"{path}: expected a text file") from None
        self._rest: Iterator = iter([(n, line.split()) for n, line in enumerate(lines, 1) if line.strip()])
        self.number = 0

    def next(self, expected: str) -> list[str]:
        number, words = next(self._rest, (0, []))
        if not words:
            raise UserError(
                f"{self.path}: the file ends after line {self.number}, expected {expected}; is it cut short?"
            )
        self.number = number
        return words

    def fail(self, expected: str, found: list[str]) -> UserError:
        return UserError(f"{self.path}, line {self.number}: expected {expected}, found {' '.join(found)[:60]!r}")

    def keyword(self, word: str, expected: str | None = None) -> list[str]:
        words = self.next(expected or word)
        if words[0].lower() != word.lower():
            raise self.fail(expected or word, words)
        return words[1:]

    def numbers(self, words: list[str], count: int, expected: str) -> list[float]:
        try:
            values = [float(word) for word in words]
        except ValueError:
            values = []
        if len(values) != count or not np.isfinite(values).all():
            raise self.fail(f"{expected} ({count} numbers, the line has {len(words)} words)", words)
        return values


def _read_hierarchy(lines: _Lines) -> tuple[list[str], list[int], list[list[float]], list[list[str]]]:
    """Names, parents, offsets and channels of every joint, in the file's (depth first) order."""
    names: list[str] = []
    parents: list[int] = []
    offsets: list[list[float]] = []
    channels: list[list[str]] = []
    lines.keyword("HIERARCHY")
    open_joints: list[int] = []
    while True:
        words = lines.next("a JOINT, an End Site or '}'")
        kind = words[0].lower()
        if kind in ("root", "joint") and (kind == "root") == (not names):
            if len(words) < 2:
                raise lines.fail("a joint name", words)
            names.append(" ".join(words[1:]))
            parents.append(open_joints[-1] if open_joints else -1)
            lines.keyword("{")
            offsets.append(lines.numbers(lines.keyword("OFFSET"), 3, "OFFSET x y z"))
            listed = lines.keyword("CHANNELS")
            if listed[:1] != [str(len(listed) - 1)] or any(channel not in _CHANNELS for channel in listed[1:]):
                raise lines.fail(f"CHANNELS n and n of {', '.join(_CHANNELS)}", listed)
            axes = [channel[0] for channel in listed[1:] if channel.endswith("rotation")]
            if len(axes) > 3 or any(axis == following for axis, following in itertools.pairwise(axes)):
                raise lines.fail("at most three rotations, no axis twice in a row", listed)
            channels.append(listed[1:])
            open_joints.append(len(names) - 1)
        elif kind == "end" and open_joints:
            lines.keyword("{")
            lines.numbers(lines.keyword("OFFSET"), 3, "OFFSET x y z")
            lines.keyword("}")
        elif kind == "}" and open_joints:
            open_joints.pop()
            if not open_joints:
                return names, parents, offsets, channels
        else:
            raise lines.fail("a JOINT, an End Site or '}'" if names else "ROOT", words)


def read_bvh(path: Path, fps: float | None = None) -> SourceMotion:
    """Any BVH whose rest pose stands (y or z up, facing anywhere). Only the root may travel: bones keep their length.

    An added T-pose (the first frame of the MotionBuilder conversions of the CMU data) is dropped.
    """
    lines = _Lines(path)
    names, parents, offsets, channels = _read_hierarchy(lines)
    lines.keyword("MOTION")
    frames = lines.keyword("Frames:", "Frames: count")
    count = int(lines.numbers(frames, 1, "Frames: count")[0])
    words = lines.keyword("Frame", "Frame Time: seconds")
    step = lines.numbers(words[1:], 1, "Frame Time: seconds")[0]
    if step <= 0 or count < 2:
        raise lines.fail("two frames or more and a frame time above 0", words)
    width = sum(map(len, channels))
    table = np.array(
        [
            lines.numbers(lines.next(f"frame {i + 1} of {count}"), width, f"frame {i + 1} of {count}")
            for i in range(count)
        ]
    )

    axes = standing_axes(str(path), names, rest_positions(parents, np.array(offsets)))
    local = np.zeros((count, len(names), 4))
    root = np.zeros((count, 3))
    column = 0
    for joint, own in enumerate(channels):
        values = table[:, column : column + len(own)]
        column += len(own)
        turns = [(channel[0], values[:, i]) for i, channel in enumerate(own) if channel.endswith("rotation")]
        order, angles = "".join(name for name, _ in turns), [angle for _, angle in turns]
        rot = Rotation.from_euler(order, np.stack(angles, -1), degrees=True) if turns else Rotation.identity(count)
        local[:, joint] = in_axes(axes, rot).as_quat(scalar_first=True)
        if joint == 0:
            for i, channel in enumerate(own):
                if channel.endswith("position"):
                    root[:, "XYZ".index(channel[0])] = values[:, i]
    motion = SourceMotion(
        path.stem, fps or 1 / step, tuple(names), np.array(parents), np.array(offsets) @ axes.T, root @ axes.T, local
    )
    return motion.window(1 / motion.fps) if _starts_with_t_pose(local) else motion


def _starts_with_t_pose(local: np.ndarray) -> bool:
    """Whether the first frame `[F, Jn, 4]` is not part of the movement: a jump that nothing near it comes close to."""
    dots = np.abs(np.sum(local[1:31] * local[:-1][:30], axis=-1))
    jump = 2 * np.arccos(np.clip(dots, 0, 1)).max(axis=1)
    return len(jump) > 1 and jump[0] > T_POSE_JUMP and jump[0] > 5 * jump[1:].max()
