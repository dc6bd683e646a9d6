"""Motions on disk: one `.npz` per clip, a folder of them with an `index.json`. docs/motion-format.md has the fields."""

import dataclasses
import functools
import json
import re
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import jax
import numpy as np

from anyskill_brax.character.humanoid import Character, load_character
from anyskill_brax.character.kinematics import BodyState, foot_contacts, forward_kinematics
from anyskill_brax.types import UserError

FORMAT = "amp28-motion/1"
"""Written into every file; a file without it is read as version 1."""
ANGLE_TOLERANCE = 0.05
"""How far outside its range a hinge may be before a file is refused [rad]; smaller excesses are only reported."""


class MotionFormatError(UserError):
    """A motion file or folder that is not what docs/motion-format.md says."""


@dataclass(frozen=True, eq=False)
class Motion:
    """One recorded movement at a constant frame rate."""

    name: str
    fps: float
    qpos: np.ndarray  # [F, 35] float32: x y z [m], quaternion wxyz, hinges [rad]
    qvel: np.ndarray  # [F, 34] float32: root linear (world), root angular (root's frame), hinge rates
    contact: np.ndarray  # [F, 2] uint8: right foot, left foot planted
    category: str = ""
    captions: tuple[str, ...] = ()
    weight: float = 1.0
    split: str = "train"
    licence: str = ""
    source: str = ""

    @property
    def num_frames(self) -> int:
        return len(self.qpos)

    @property
    def duration(self) -> float:
        """From the first frame to the last [s]."""
        return (self.num_frames - 1) / self.fps


_TEXT_FIELDS = ("category", "split", "licence", "source")


@functools.partial(jax.jit, static_argnums=0)
def _bodies_and_contacts(character: Character, qpos: jax.Array, qvel: jax.Array) -> tuple[BodyState, jax.Array]:
    bodies = forward_kinematics(character, qpos, qvel)
    return bodies, foot_contacts(character, bodies)


def motion_bodies(character: Character, qpos: np.ndarray, qvel: np.ndarray) -> tuple[BodyState, np.ndarray]:
    """FK of a whole clip as numpy: poses `[F, B, ...]` and planted feet `[F, 2]` uint8.

    Frames are padded to a power of two, at least 512, so clips of many lengths share one compilation.
    """
    frames = len(qpos)
    rows = np.minimum(np.arange(max(512, 1 << (frames - 1).bit_length())), frames - 1)
    poses = np.asarray(qpos, np.float32)[rows], np.asarray(qvel, np.float32)[rows]
    out = _bodies_and_contacts(character, *poses)
    bodies, contact = jax.tree.map(lambda a: np.asarray(a)[:frames], out)
    return bodies, contact.astype(np.uint8)


def _relative_exp_map(q0: np.ndarray, q1: np.ndarray) -> np.ndarray:
    """log(q0^-1 q1) `[..., 3]` [rad]: the turn from `q0` to `q1`, seen from either."""
    w = np.sum(q0 * q1, axis=-1, keepdims=True)
    v = q0[..., :1] * q1[..., 1:] - q1[..., :1] * q0[..., 1:] - np.cross(q0[..., 1:], q1[..., 1:])
    v, w = np.where(w < 0, -v, v), np.abs(w)
    sin_half = np.linalg.norm(v, axis=-1, keepdims=True)
    return v * np.where(sin_half > 1e-8, 2 * np.arctan2(sin_half, w) / np.maximum(sin_half, 1e-8), 2.0)


def finite_difference(qpos: np.ndarray, fps: float) -> np.ndarray:
    """`qpos [F, 35]` -> `qvel [F, 34]` in MuJoCo's convention: central differences, one-sided at the two ends."""
    qpos = np.asarray(qpos, np.float64)
    flat = np.delete(qpos, np.s_[3:7], axis=1)
    step = np.diff(flat, axis=0)
    turn = _relative_exp_map(qpos[:-1, 3:7], qpos[1:, 3:7])
    step = np.concatenate([step[:, :3], turn, step[:, 3:]], axis=1)
    return fps * 0.5 * (np.concatenate([step[:1], step]) + np.concatenate([step, step[-1:]]))


def motion_from_qpos(character: Character, name: str, fps: float, qpos: np.ndarray, **labels: Any) -> Motion:
    """A validated motion from poses `[F, 35]` alone: velocities by differences, planted feet by FK.

    Quaternions are normalised and made continuous. `labels` are Motion's other fields (captions, category, ...).
    """
    qpos = np.array(qpos, np.float64)
    if qpos.ndim != 2 or qpos.shape[1] != 35 or len(qpos) < 2:
        raise MotionFormatError(f"motion {name!r}: qpos must be [F >= 2, 35], found {qpos.shape}")
    qpos[:, 3:7] /= np.linalg.norm(qpos[:, 3:7], axis=1, keepdims=True)
    flips = np.sign(np.sum(qpos[1:, 3:7] * qpos[:-1, 3:7], axis=1) + 1e-12)
    qpos[:, 3:7] *= np.sign(qpos[0, 3] + 1e-12) * np.concatenate([[1.0], np.cumprod(flips)])[:, None]
    qvel = finite_difference(qpos, fps)
    _, contact = motion_bodies(character, qpos, qvel)
    motion = Motion(name, float(fps), qpos.astype(np.float32), qvel.astype(np.float32), contact, **labels)
    _validate(character, motion, f"motion {name!r}")
    return motion


def resample_motion(character: Character, motion: Motion, fps: float) -> Motion:
    """The same movement at another frame rate: hinges linear, root rotation along the great circle."""
    if motion.fps == fps:
        return motion
    frame = np.arange(int(motion.duration * fps) + 1) * (motion.fps / fps)
    low = np.minimum(frame.astype(int), motion.num_frames - 2)
    part = (frame - low)[:, None]
    a, b = motion.qpos[low].astype(np.float64), motion.qpos[low + 1].astype(np.float64)
    qpos = (1 - part) * a + part * b
    qa, qb = a[:, 3:7], b[:, 3:7]
    dot = np.sum(qa * qb, axis=1, keepdims=True)
    angle = np.arccos(np.clip(np.abs(dot), 0, 1))
    far, sine = angle > 1e-4, np.maximum(np.sin(angle), 1e-9)
    left = np.where(far, np.sin((1 - part) * angle) / sine, 1 - part)
    right = np.where(far, np.sin(part * angle) / sine, part) * np.where(dot < 0, -1, 1)
    qpos[:, 3:7] = left * qa + right * qb
    labels = {f.name: getattr(motion, f.name) for f in dataclasses.fields(Motion)[5:]}
    return motion_from_qpos(character, motion.name, fps, qpos, **labels)


def _validate(character: Character, motion: Motion, where: str) -> None:
    """Raises MotionFormatError at the first fact that does not hold; `where` begins the message."""
    frames = motion.num_frames
    if not (np.isfinite(motion.fps) and 5 <= motion.fps <= 480):
        raise MotionFormatError(f"{where}: fps must be one number in [5, 480], found {motion.fps}")
    for key, width, kind in (("qpos", 35, "float"), ("qvel", 34, "float"), ("contact", 2, "0/1 integer")):
        value = getattr(motion, key)
        if value.shape != (frames, width) or frames < 2:
            raise MotionFormatError(f"{where}: {key} must be {kind} [F >= 2, {width}] (F of qpos), found {value.shape}")
        if not np.isfinite(value).all():
            bad = np.argwhere(~np.isfinite(value))[0]
            raise MotionFormatError(f"{where}: {key} has NaN or infinity, first at frame {bad[0]}, column {bad[1]}")
    if motion.contact.max() > 1:
        raise MotionFormatError(f"{where}: contact must be 0 or 1, found {motion.contact.max()}")
    error = np.abs(np.linalg.norm(motion.qpos[:, 3:7], axis=1) - 1)
    if error.max() > 1e-3:
        raise MotionFormatError(
            f"{where}: qpos[:, 3:7] must be unit quaternions wxyz; frame {error.argmax()} has norm "
            f"{np.linalg.norm(motion.qpos[error.argmax(), 3:7]):.4f}"
        )
    over = np.maximum(character.joint_low - motion.qpos[:, 7:], motion.qpos[:, 7:] - character.joint_high)
    frame, joint = np.unravel_index(over.argmax(), over.shape)
    if over[frame, joint] > ANGLE_TOLERANCE:
        raise MotionFormatError(
            f"{where}: {character.joint_names[joint]} = {motion.qpos[frame, 7 + joint]:.3f} rad at frame {frame}, "
            f"outside [{character.joint_low[joint]:.3f}, {character.joint_high[joint]:.3f}]; "
            "hinges go in MJCF order, in radians"
        )
    if not (np.isfinite(motion.weight) and motion.weight >= 0):
        raise MotionFormatError(f"{where}: weight must be a finite number >= 0, found {motion.weight}")


def save_motion(path: str | Path, motion: Motion) -> None:
    """Write one clip with its labels; `load_motion` reads it back equal."""
    path = Path(path)
    if path.suffix != ".npz":
        raise MotionFormatError(f"{path}: motions are saved as .npz")
    fields = {f.name: np.asarray(getattr(motion, f.name)) for f in dataclasses.fields(Motion) if f.name != "captions"}
    captions = np.array(motion.captions, dtype=np.str_)
    np.savez_compressed(path, **{**fields, "fps": np.float32(motion.fps)}, captions=captions, format=np.array(FORMAT))


def load_motion(path: str | Path) -> Motion:
    """Read and validate one clip. Labels are optional; the name defaults to the file's stem."""
    path = Path(path)
    try:
        with np.load(path) as archive:
            data = {key: archive[key] for key in archive.files}
    except FileNotFoundError:
        raise MotionFormatError(f"{path}: no such motion file") from None
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise MotionFormatError(f"{path}: not a motion .npz of plain arrays ({error})") from None
    version = str(data.get("format", FORMAT))
    if version != FORMAT:
        raise MotionFormatError(f"{path}: format {version!r}; this version reads {FORMAT!r}")
    missing = [key for key in ("fps", "qpos", "qvel", "contact") if key not in data]
    if missing:
        raise MotionFormatError(f"{path}: missing {', '.join(missing)}; the file has {', '.join(sorted(data))}")
    for key, kinds, what in (
        ("fps", "fiu", "a number"),
        ("qpos", "f", "float"),
        ("qvel", "f", "float"),
        ("contact", "biu", "0/1"),
    ):
        if data[key].dtype.kind not in kinds or (key == "fps" and data[key].size != 1):
            raise MotionFormatError(f"{path}: {key} must be {what}, found {data[key].dtype} {data[key].shape}")
    motion = Motion(
        name=str(data.get("name", path.stem)),
        fps=float(data["fps"].reshape(())),
        qpos=data["qpos"].astype(np.float32),
        qvel=data["qvel"].astype(np.float32),
        contact=data["contact"].astype(np.uint8),
        captions=tuple(str(c) for c in np.atleast_1d(data.get("captions", np.array([], np.str_)))),
        weight=_number(data.get("weight", 1.0), f"{path}: weight"),
        **{key: str(data[key]) for key in _TEXT_FIELDS if key in data},
    )
    _validate(load_character(), motion, str(path))
    return motion


def _number(value: Any, where: str) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        raise MotionFormatError(f"{where} must be a number, found {value!r}") from None


def save_motion_folder(folder: str | Path, motions: Iterable[Motion], reports: dict[str, dict] | None = None) -> Path:
    """Write `clips/<name>.npz` and `index.json`; `reports` (by name) become each record's `quality`. -> the index."""
    folder = Path(folder)
    (folder / "clips").mkdir(parents=True, exist_ok=True)
    records: list[dict] = []
    for motion in motions:
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", motion.name) or any(r["id"] == motion.name for r in records):
            raise MotionFormatError(
                f"motion name {motion.name!r}: must be unique, of letters, digits, '_', '-' and '.'"
            )
        save_motion(folder / "clips" / f"{motion.name}.npz", motion)
        records.append(
            {"id": motion.name, "file": f"clips/{motion.name}.npz", "frames": motion.num_frames, "fps": motion.fps}
            | {"seconds": round(motion.duration, 3), "captions": list(motion.captions), "weight": motion.weight}
            | {"category": motion.category, "split": motion.split, "licence": motion.licence, "source": motion.source}
            | {"quality": (reports or {}).get(motion.name, {})}
        )
    index = folder / "index.json"
    index.write_text(json.dumps({"format": FORMAT, "clips": records}, indent=1) + "\n")
    return index


def _load_record(folder: Path, record: Any) -> Motion:
    """One clip of an index; the record's labels win over the file's."""
    index = folder / "index.json"
    if not isinstance(record, dict) or not isinstance(record.get("file"), str):
        raise MotionFormatError(f"{index}: each clip needs a 'file', found {str(record)[:80]}")
    relative = PurePosixPath(record["file"])
    if relative.is_absolute() or ".." in relative.parts:
        raise MotionFormatError(f"{index}: file {record['file']!r} must lie inside the folder")
    motion = load_motion(folder / relative)
    labels: dict[str, Any] = {key: str(record[key]) for key in _TEXT_FIELDS if key in record}
    if isinstance(record.get("origin"), dict):
        labels["source"] = " ".join(str(v) for v in record["origin"].values())
    if "captions" in record:
        labels["captions"] = tuple(str(caption) for caption in record["captions"])
    if "weight" in record:
        labels["weight"] = _number(record["weight"], f"{index}: weight of {relative}")
    motion = dataclasses.replace(motion, name=str(record.get("id", motion.name)), **labels)
    _validate(load_character(), motion, str(folder / relative))
    return motion


def load_motion_folder(folder: str | Path, split: str | None = None) -> list[Motion]:
    """All clips of a folder: those its `index.json` lists, or every `.npz` beneath it where there is no index.

    `split` keeps only the clips of that split ("train", ...); finding none is an error that names the splits there are.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise MotionFormatError(f"{folder}: no such folder of motions; tools/prepare_motions.py --builtin makes one")
    index = folder / "index.json"
    if index.is_file():
        try:
            records = json.loads(index.read_text())["clips"]
        except (ValueError, KeyError, TypeError) as error:
            raise MotionFormatError(f"{index}: must be JSON with a list 'clips' ({error!r})") from None
        motions = [_load_record(folder, record) for record in records]
    else:
        motions = [load_motion(path) for path in sorted(folder.rglob("*.npz"))]
    if not motions:
        raise MotionFormatError(f"{folder}: no motions; expected an index.json or .npz files")
    kept = [motion for motion in motions if split in (None, motion.split)]
    if not kept:
        raise MotionFormatError(
            f"{folder}: no motion of split {split!r}; there is {', '.join(sorted({m.split for m in motions}))}"
        )
    return kept
