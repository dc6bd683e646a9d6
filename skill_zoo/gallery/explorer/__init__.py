"""A latent space as one page: a map, a 3-D player, the ways between anchors; everything inside, no network.

Poses are stored at 15 Hz as 16-bit integers (`SCALES`): 0.5 mm, 5e-5 rad. The page interpolates between them.
"""

import base64
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from anyskill_brax.evaluate.controller.explore import Exploration, thinned
from skill_zoo.gallery.build import STATIC
from skill_zoo.gallery.character import describe_character
from skill_zoo.gallery.pages import stage_controls

STEP = 2
SCALES = np.concatenate([np.full(3, 1e-3), np.full(4, 1 / 32767), np.full(28, 1e-4)])
"""Metres, quaternion, radians per unit."""
COLOURS = 10
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'"


def explorer_page(found: Exploration, title: str, about: Mapping[str, Any]) -> str:
    """The whole page. `about` says what was explored and how."""
    small = thinned(found, STEP)
    common = [name for name, _ in Counter(point.category for point in found.points).most_common(COLOURS)]
    data = {
        "points": [asdict(point) for point in found.points],
        "categories": common,
        "anchors": found.anchors,
        "ways": found.ways,
        "scales": SCALES.tolist(),
        "poses": pack(small.qpos),
        "frames": len(small.qpos),
        "way_poses": pack(small.way_qpos),
        "way_frames": len(small.way_qpos),
    }
    here = Path(__file__).parent
    css = (STATIC / "style.css").read_text() + (here / "explorer.css").read_text()
    scripts = [(STATIC / "three.min.js").read_text()]
    scripts += [f"window.CHARACTER = {_json(describe_character())};", (STATIC / "stage.js").read_text()]
    scripts += [(here / "explorer.js").read_text()]
    tags = "\n".join(f"<script>{_inline(script)}</script>" for script in scripts)
    facts = "".join(f"<dt>{escape(str(k))}</dt><dd>{escape(str(v))}</dd>" for k, v in about.items())
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{POLICY}">
<title>{escape(title)}</title>
<link rel="icon" href="data:,">
<style>{css}</style>
</head>
<body>
<a class="skip" href="#main">Skip to the map</a>
<header><h1>{escape(title)}</h1>
<p>Each mark is a latent, held from standing. Discs are the encoder's latents of clips, diamonds are random ones,
coloured by category: the clip's own, or that of the clip the rollout is nearest to. Hollow marks fall. Neighbours on
the map are neighbours on the sphere of latents (t-SNE of great-circle distances); far places say nothing. Click a mark
to see what it does; shift-click a ringed one for the way to it from the last ringed one.</p></header>
<main id="main">
<div class="side-by-side">
<section aria-label="Map of latents">
<svg id="map" tabindex="0" role="img" viewBox="-1.08 -1.08 2.16 2.16" aria-describedby="message"
 aria-label="Map of {len(found.points)} latents; arrow keys go to the next mark that way, Enter plays it"></svg>
<ul id="legend" aria-label="Colours"></ul>
</section>
<section aria-label="Player">
{stage_controls("the chosen latent")}
<p id="message" role="status" aria-live="polite"></p>
</section>
</div>
<form id="choose" class="choice">
<label for="only">Show</label> <select id="only"><option value="all">all</option><option value="clip">clips</option>
<option value="random">random latents</option><option value="up">those that stay up</option>
<option value="falls">those that fall</option></select>
<label for="point">Latent</label> <select id="point"></select>
</form>
<form id="way" class="choice">
<label for="from">The way from</label> <select id="from"></select> <label for="to">to</label> <select id="to"></select>
<button type="submit">Play the way</button>
</form>
<dl>{facts}</dl>
</main>
<script type="application/json" id="data">{_json(data)}</script>
{tags}
</body>
</html>
"""


def pack(qpos: np.ndarray) -> str:
    """`[F, N, 35]` -> base64 of little-endian int16 `[N, F, 35]` in units of `SCALES`, quaternions continuous."""
    poses = np.moveaxis(np.asarray(qpos, np.float64), 1, 0).copy()
    turn = np.sign((poses[:, 1:, 3:7] * poses[:, :-1, 3:7]).sum(-1, keepdims=True) + 1e-12)
    poses[:, 1:, 3:7] *= np.cumprod(turn, axis=1)
    whole = np.clip(np.round(poses / SCALES), -32767, 32767).astype("<i2")
    return base64.b64encode(whole.tobytes()).decode()


def unpack(text: str, frames: int) -> np.ndarray:
    """The inverse of `pack`, as the page does it: `[F, N, 35]`."""
    whole = np.frombuffer(base64.b64decode(text), "<i2").reshape(-1, frames, SCALES.size)
    return np.moveaxis(whole * SCALES, 0, 1)


def _json(value: Any) -> str:
    """JSON that cannot end the script it stands in."""
    return json.dumps(value, ensure_ascii=True, separators=(",", ":")).replace("<", "\\u003c")


def _inline(script: str) -> str:
    if "</script" in script.lower():
        raise ValueError("a script that ends its own tag cannot be written into a page")
    return script
