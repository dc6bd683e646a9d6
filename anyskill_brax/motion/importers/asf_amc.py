"""Acclaim ASF/AMC, the CMU database's own format: bones in the .asf, angles per frame in the .amc.

Degrees; y up, z forward, x left. A bone turns about its START, by C M C^-1 with M = Rz Ry Rx of its degrees of freedom
and C the same of its `axis`; its children start at its END. The rate is not in the files: CMU's are 120 fps but for a
few subjects captured at 60.
"""

from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

from anyskill_brax.motion.skeleton import SourceMotion, in_axes, rest_positions, standing_axes
from anyskill_brax.types import UserError

DEFAULT_FPS = 120.0
_DOFS = {"rx", "ry", "rz", "tx", "ty", "tz", "l"}
"""Degrees of freedom: turns, travels, and a bone's length."""


def read_amc(path: Path, asf: str | Path | None = None, fps: float | None = None) -> SourceMotion:
    """`asf` defaults to the subject's file beside the .amc (02_01.amc -> 02.asf), or the only .asf there."""
    joints, parents, offsets, axis, dofs = _read_asf(find_asf(path) if asf is None else Path(asf))
    frames = _read_amc(path, joints, dofs)
    axes = standing_axes(str(path), joints, rest_positions(parents, offsets))
    local = np.zeros((len(frames["root"]), len(joints), 4))
    for joint, name in enumerate(joints):
        angles = np.zeros((len(local), 3))
        for i, dof in enumerate(dofs[name]):
            if dof[0] == "r":
                angles[:, "xyz".index(dof[1])] = frames[name][:, i]
        frame = Rotation.from_euler("xyz", axis[joint], degrees=True)  # lower case: about fixed axes, Rz Ry Rx
        turn = frame * Rotation.from_euler("xyz", angles, degrees=True) * frame.inv()
        local[:, joint] = in_axes(axes, turn).as_quat(scalar_first=True)
    travel = [i for letter in "xyz" for i, dof in enumerate(dofs["root"]) if dof == f"t{letter}"]
    root = frames["root"][:, travel] @ axes.T
    return SourceMotion(path.stem, fps or DEFAULT_FPS, joints, parents, offsets @ axes.T, root, local)


def find_asf(amc: Path) -> Path:
    """The skeleton that belongs to an .amc."""
    beside = amc.with_name(f"{amc.stem.split('_')[0]}.asf")
    if beside.is_file():
        return beside
    there = sorted(amc.parent.glob("*.asf"))
    if len(there) == 1 and "_" not in amc.stem:
        return there[0]
    raise UserError(
        f"{amc}: needs its skeleton {beside.name} beside it; there is {', '.join(p.name for p in there) or 'no .asf'}. "
        f"Put it there or name one with --asf (all CMU subjects share the bone axes; lengths differ)"
    )


def _lines(path: Path) -> list[tuple[int, list[str]]]:
    """Numbered lines as words, without comments and blanks. Text mode takes CRLF and LF alike."""
    if not path.is_file():
        raise UserError(f"{path}: no such file")
    try:
        text = path.read_text()
    except UnicodeDecodeError:
        raise UserError(f"{path}: expected a text file") from None
    numbered = ((n, line.split("#")[0].split()) for n, line in enumerate(text.splitlines(), 1))
    return [(n, words) for n, words in numbered if words]


def _numbers(path: Path, line: int, words: list[str], count: int, expected: str) -> list[float]:
    try:
        values = [float(word) for word in words]
    except ValueError:
        values = []
    if len(values) != count or not np.isfinite(values).all():
        raise UserError(f"{path}, line {line}: expected {count} numbers, {expected}; found {' '.join(words)[:60]!r}")
    return values


def _dofs(path: Path, line: int, words: list[str]) -> list[str]:
    found = [word.lower() for word in words]
    if not set(found) <= _DOFS or len(set(found)) != len(found):
        raise UserError(
            f"{path}, line {line}: expected some of {', '.join(sorted(_DOFS))}, found {' '.join(words)!r:.80}"
        )
    return found


def _read_asf(path: Path) -> tuple[tuple[str, ...], np.ndarray, np.ndarray, np.ndarray, dict[str, list[str]]]:
    """Bones `[Jn]` parents first, their parents, offsets `[Jn, 3]`, axes `[Jn, 3]` [deg] and degrees of freedom."""
    ends, axis, up = {"root": np.zeros(3)}, {"root": np.zeros(3)}, {"root": "root"}
    dofs: dict[str, list[str]] = {"root": []}
    order, section = ["root"], ""
    facts: dict[str, Any] = {}
    for line, words in _lines(path):
        key, rest = words[0].lower(), words[1:]
        if key.startswith(":"):
            section = key
        elif section == ":root" and key == "order":
            dofs["root"] = _dofs(path, line, rest)
        elif section == ":root" and key in ("orientation", "axis"):
            if key == "orientation":
                axis["root"] = np.array(_numbers(path, line, rest, 3, "the root's orientation"))
        elif section == ":bonedata" and key == "begin":
            facts = {}
        elif section == ":bonedata" and key == "end":
            missing = {"name", "direction", "length", "axis"} - facts.keys()
            if missing:
                raise UserError(f"{path}, line {line}: bone {facts.get('name')!r} lacks {', '.join(sorted(missing))}")
            bone, facts["dof"] = facts["name"], facts.get("dof", [])
            ends[bone] = np.array(facts["direction"]) * facts["length"][0]
            axis[bone], dofs[bone] = np.array(facts["axis"]), facts["dof"]
        elif section == ":bonedata" and key in ("direction", "length", "axis"):
            if key == "axis" and rest[-1:] not in (["XYZ"], ["xyz"]):
                raise UserError(f"{path}, line {line}: expected an axis of order XYZ, found {' '.join(rest)!r}")
            count = 1 if key == "length" else 3
            facts[key] = _numbers(path, line, rest[:count], count, f"the bone's {key}")
        elif section == ":bonedata" and key in ("name", "dof"):
            facts[key] = " ".join(rest) if key == "name" else _dofs(path, line, rest)
        elif section == ":hierarchy" and key not in ("begin", "end"):
            for child in rest:
                if child not in ends or words[0] not in order or child in up:
                    raise UserError(f"{path}, line {line}: expected bones of :bonedata, parents first, each once")
                up[child] = words[0]
                order.append(child)
    if len(order) < 2 or sorted(dofs["root"]) != ["rx", "ry", "rz", "tx", "ty", "tz"]:
        raise UserError(f"{path}: expected :root (order TX TY TZ RX RY RZ), :bonedata and :hierarchy; is it cut short?")
    parents = np.array([-1] + [order.index(up[bone]) for bone in order[1:]])
    offsets = np.array([np.zeros(3)] + [ends[up[bone]] for bone in order[1:]])  # a bone starts at its parent's end
    return tuple(order), parents, offsets, np.array([axis[bone] for bone in order]), dofs


def _read_amc(path: Path, joints: tuple[str, ...], dofs: dict[str, list[str]]) -> dict[str, np.ndarray]:
    """Per bone its values in every frame `[F, dofs]`."""
    values: dict[str, list[list[float]]] = defaultdict(list)
    moving = {joint for joint in joints if dofs[joint]}
    frame, line = 0, 0
    for line, words in _lines(path):
        if words[0].startswith(":"):
            if words[0].upper() == ":RADIANS":
                raise UserError(f"{path}, line {line}: expected :DEGREES")
        elif len(words) == 1 and words[0].isdigit():
            _check_frame(path, line, frame, moving, values)
            frame += 1
        elif words[0] not in moving or not frame:
            raise UserError(
                f"{path}, line {line}: expected a frame number or one of the .asf's bones, found {words[0]!r}"
            )
        else:
            values[words[0]].append(
                _numbers(path, line, words[1:], len(dofs[words[0]]), f"{words[0]}'s {' '.join(dofs[words[0]])}")
            )
    _check_frame(path, line, frame, moving, values)
    if frame < 2:
        raise UserError(f"{path}: expected two frames or more, found {frame}")
    return {joint: np.array(values.get(joint, [[]] * frame)) for joint in joints}


def _check_frame(path: Path, line: int, frame: int, moving: set[str], values: dict[str, list]) -> None:
    """A frame is whole when every moving bone has one line more than before it."""
    missing = sorted(joint for joint in moving if len(values[joint]) != frame)
    if missing:
        raise UserError(
            f"{path}, line {line}: frame {frame} must have one line per bone; wrong for {', '.join(missing[:4])}; "
            f"is the file cut short?"
        )
