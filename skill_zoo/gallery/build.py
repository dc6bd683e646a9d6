"""Write the site: pages, films, rollouts and everything they need, in one folder.

Browsers let a page from disk load scripts and pictures but no modules and no data files, so data are scripts that call
a function, and three.js comes as one classic script (`static/three.min.js`; how it was made: docs/zoo.md).
"""

import base64
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np

from skill_zoo.codecs import tensors_from_bytes
from skill_zoo.curves import CURVES, Curves, read_curves
from skill_zoo.errors import CorruptArtifact, SkillZooError, ZooIOError
from skill_zoo.gallery.character import describe_character
from skill_zoo.gallery.pages import FILMS, PICTURES, front_page, player_page, skill_page
from skill_zoo.manifest import Manifest
from skill_zoo.search import Entry, Folder, entries, entry_roots

STATIC = Path(__file__).parent / "static"
ROLLOUT = "rollout.safetensors"
_MARK = ".skill-zoo-gallery"


def build(out: Path, zoo: Folder | None = None) -> int:
    """A page for the newest version of every entry, a front page and a player; the number of entries.

    `out` is new, empty, or an older gallery, which is replaced. `SkillZooError` for a folder that holds anything else.
    """
    found = sorted(entries(entry_roots(zoo)), key=lambda entry: entry.id)
    try:
        _make_room(out)
        for file in STATIC.iterdir():
            shutil.copy(file, out / "static" / file.name)
        pages = {str(e.id): f"pages/{e.id.character}.{e.id.name}.html" for e in found}
        cards = []
        for entry in found:
            files = {
                name: _copy_media(entry, name, out) for name in (*FILMS, *PICTURES) if name in entry.manifest.files
            }
            rollout = _write_rollout(entry, out) if ROLLOUT in entry.manifest.files else ""
            card = _card(entry.manifest, pages[str(entry.id)], files, rollout)
            cards.append(card)
            notes, curves = _text_file(entry, "card.md"), _curves(entry)
            page = skill_page(entry.manifest, card, files, pages, notes, curves)
            (out / card["page"]).write_text(page, encoding="utf-8")
        _write_script(out / "data" / "zoo.js", "ZOO", cards)
        _write_script(out / "data" / "character.js", "CHARACTER", describe_character())
        (out / "player.html").write_text(player_page(), encoding="utf-8")
        (out / "index.html").write_text(front_page(len(cards)), encoding="utf-8")
    except OSError as error:
        raise ZooIOError("write the gallery", error.filename or out, error) from error
    return len(cards)


def _make_room(out: Path) -> None:
    if out.is_dir() and any(out.iterdir()):
        if not (out / _MARK).is_file():
            raise SkillZooError(f"{out} is not empty and no gallery; choose a new folder")
        shutil.rmtree(out)
    for folder in ("pages", "media", "rollouts", "data", "static"):
        (out / folder).mkdir(parents=True)
    (out / _MARK).touch()


def _card(manifest: Manifest, page: str, files: dict[str, str], rollout: str) -> dict[str, Any]:
    """What the front page and the player know of an entry."""
    metrics = manifest.metrics
    score = next((metrics[name] for name in ("mean", "survival_random_latents_10s") if name in metrics), None)
    return {
        "id": str(manifest.id),
        "kind": manifest.kind,
        "instruction": manifest.instruction,
        "score": score if isinstance(score, int | float) else None,
        "unverified": manifest.unverified,
        "low_level": str(manifest.low_level.id) if manifest.low_level else "",
        "page": page,
        "film": next((files[name] for name in FILMS if name in files), ""),
        "rollout": rollout,
    }


def _copy_media(entry: Entry, name: str, out: Path) -> str:
    """A film or picture under its own hash: equal ones are there once."""
    ref = entry.manifest.files[name]
    target = f"media/{ref.sha256[:24]}{Path(name).suffix}"
    if not (out / target).exists():
        (out / target).write_bytes(entry.read(name))
    return target


def _write_rollout(entry: Entry, out: Path) -> str:
    """`qpos [T, 35]` at 30 Hz as a script that hands base64 of float32 to the player; the name it goes by."""
    name = entry.manifest.files[ROLLOUT].sha256[:24]
    target = out / "rollouts" / f"{name}.js"
    if not target.exists():
        qpos = tensors_from_bytes(entry.read(ROLLOUT), f"{ROLLOUT} of {entry.id}").get("qpos")
        if qpos is None or qpos.ndim != 2 or qpos.shape[1] != 35:
            raise CorruptArtifact(f"{ROLLOUT} of {entry.id}", "qpos [T, 35]", None if qpos is None else qpos.shape)
        data = base64.b64encode(np.ascontiguousarray(qpos, "<f4").tobytes()).decode()
        target.write_text(f'receiveRollout("{name}", "{data}");\n')
    return name


def _curves(entry: Entry) -> Curves | None:
    return read_curves(entry.read(CURVES), f"{CURVES} of {entry.id}") if CURVES in entry.manifest.files else None


def _text_file(entry: Entry, name: str) -> str:
    return entry.read(name).decode("utf-8", "replace") if name in entry.manifest.files else ""


def _write_script(path: Path, name: str, value: Any) -> None:
    path.write_text(f"window.{name} = {json.dumps(value, ensure_ascii=True, separators=(',', ':'))};\n")
