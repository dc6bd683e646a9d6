"""One reader per file format, one door: `read_source`. Every reader returns a `SourceMotion`."""

from pathlib import Path

from anyskill_brax.motion.importers.asf_amc import read_amc
from anyskill_brax.motion.importers.bvh import read_bvh
from anyskill_brax.motion.importers.deepmimic import read_deepmimic
from anyskill_brax.motion.importers.poselib import read_poselib
from anyskill_brax.motion.skeleton import SourceMotion
from anyskill_brax.types import UserError

FORMATS = {"poselib": ".npy", "deepmimic": ".txt", "bvh": ".bvh", "amc": ".amc"}
"""Format -> the file name ending that means it."""


def read_source(
    path: str | Path, file_format: str = "auto", fps: float | None = None, asf: str | Path | None = None
) -> SourceMotion:
    """Read any known file. `fps` overrides (or, for AMC, supplies) the rate; `asf` is an AMC's skeleton file."""
    path = Path(path)
    if file_format == "auto":
        endings = {ending: name for name, ending in FORMATS.items()}
        if path.suffix.lower() not in endings:
            known = ", ".join(f"{ending} ({name})" for name, ending in FORMATS.items())
            raise UserError(f"{path}: unknown kind of motion file; known are {known}. Convert it, or name the format")
        file_format = endings[path.suffix.lower()]
    if not path.is_file():
        raise UserError(f"{path}: no such file")
    if file_format == "poselib":
        return read_poselib(path, fps)
    if file_format == "deepmimic":
        return read_deepmimic(path, fps)
    if file_format == "bvh":
        return read_bvh(path, fps)
    if file_format == "amc":
        return read_amc(path, asf, fps)
    raise UserError(f"unknown format {file_format!r}; known are auto, {', '.join(FORMATS)}")
