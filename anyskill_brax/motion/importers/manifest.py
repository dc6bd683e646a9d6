"""A list of clips to cut from files the user has: which trial, which seconds, what to call them."""

import dataclasses
import json
import re
from dataclasses import dataclass
from pathlib import Path

from anyskill_brax.motion.importers import read_source
from anyskill_brax.motion.skeleton import SourceMotion
from anyskill_brax.types import UserError

BLIND_BVH_FPS = 120
"""What the BVH conversions of the CMU data state for every trial, those captured at 60 fps too."""


@dataclass(frozen=True)
class ManifestClip:
    """One clip: seconds `start` to `end` (None: to the last frame) of the file named after `trial`."""

    name: str
    trial: str
    fps: float
    start: float
    end: float | None
    category: str
    split: str
    weight: float
    captions: tuple[str, ...]
    licence: str


def read_manifest(path: str | Path) -> list[ManifestClip]:
    """Read and check e.g. `configs/motions/cmu.json`."""
    path = Path(path)
    try:
        data = json.loads(path.read_text())
        records = data["clips"]
    except FileNotFoundError:
        raise UserError(f"{path}: no such manifest") from None
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path}: expected JSON with a list 'clips' ({error!r})") from None
    clips = []
    for number, record in enumerate(records):
        try:
            clip = ManifestClip(
                name=str(record["id"]),
                trial=str(record["trial"]),
                fps=float(record["fps"]),
                start=float(record["start"]),
                end=None if record["end"] is None else float(record["end"]),
                category=str(record["category"]),
                split=str(record["split"]),
                weight=float(record["weight"]),
                captions=tuple(str(caption) for caption in record["captions"]),
                licence=str(data.get("licence", "")),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise UserError(
                f"{path}, clip {number}: expected {', '.join(ManifestClip.__annotations__)} ({error!r})"
            ) from None
        if not all(re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", text) for text in (clip.name, clip.trial)):
            raise UserError(f"{path}, clip {number}: id and trial are letters, digits, '_' and '-', not {clip.name!r}")
        clips.append(clip)
    return clips


def find_trials(folder: str | Path, clips: list[ManifestClip]) -> dict[str, Path]:
    """Trial -> its file anywhere under `folder`; an .amc wins over a .bvh (the CMU BVHs lost the thorax bone)."""
    folder = Path(folder)
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder of motion files")
    wanted = {clip.trial for clip in clips}
    files = sorted(
        path for path in folder.rglob("*") if path.suffix.lower() in (".amc", ".bvh") and path.stem in wanted
    )
    return {path.stem: path for path in sorted(files, key=lambda path: path.suffix.lower() == ".amc")}


def read_clip(clip: ManifestClip, path: Path, asf: str | Path | None = None) -> SourceMotion:
    """The clip's seconds of its file, at the rate the manifest knows unless the file states another."""
    source = read_source(path, fps=clip.fps if path.suffix.lower() == ".amc" else None, asf=asf)
    if round(source.fps) == BLIND_BVH_FPS:
        source = dataclasses.replace(source, fps=clip.fps)
    return source.window(clip.start, clip.end)
