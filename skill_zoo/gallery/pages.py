"""The HTML of the gallery. Every text that comes from a manifest is escaped here, and nowhere else."""

import json
import shlex
from collections.abc import Mapping
from html import escape
from typing import Any

from skill_zoo.curves import Curves
from skill_zoo.gallery.plots import plots
from skill_zoo.manifest import Manifest
from skill_zoo.reproduce import commands

FILMS = ("preview.gif", "preview.mp4", "preview.webm", "preview.png", "preview.svg")
PICTURES = ("curves.png", "curves.svg")
"""Training curves that came as a picture."""
_FILMS_BUTTON = '<button type="button" id="films">Stop the films</button>'
_POLICY = "default-src 'none'; img-src 'self' file: data:; media-src 'self' file:; style-src 'self' file:; "
_POLICY += "script-src 'self' file:"


def _page(title: str, body: str, scripts: tuple[str, ...] = (), up: str = "") -> str:
    tags = "".join(f'<script src="{up}{script}" defer></script>\n' for script in scripts)
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{_POLICY}">
<title>{escape(title)}</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="{up}static/style.css">
{tags}</head>
<body>
<a class="skip" href="#main">Skip to the content</a>
{body}
</body>
</html>
"""


def front_page(count: int) -> str:
    """The search box, the filters and a card for every entry (drawn by static/index.js)."""
    body = f"""<header><h1>Skill zoo</h1>
<p>{count} entries. <a href="player.html">Compare two in the player</a></p></header>
<main id="main">
<form role="search" id="filters">
<label>Search <input type="search" id="query" autocomplete="off" placeholder="wave a hand"></label>
<span><label for="kind">Kind</label> <select id="kind"><option value="">all</option></select></span>
<label>Score at least <input type="number" id="score" step="0.05" inputmode="decimal"></label>
<label><input type="checkbox" id="verified"> admitted only</label>
</form>
<p><span id="count" role="status" aria-live="polite"></span> {_FILMS_BUTTON}</p>
<ul id="cards"></ul>
<button type="button" id="more" hidden>Show more</button>
<noscript>The list needs JavaScript; the pages themselves are in the folder <code>pages</code>.</noscript>
</main>"""
    return _page("Skill zoo", body, ("data/zoo.js", "static/index.js", "static/films.js"))


def player_page() -> str:
    """Two skills side by side in 3-D (static/player.js); `player.html?a=ID&b=ID` chooses them."""
    body = f"""<header><h1>Player</h1><p><a href="index.html">All entries</a></p></header>
<main id="main">
<div class="choice">
<label for="a">Skill</label> <select id="a"></select>
<label for="b">Beside it</label> <select id="b"><option value="">none</option></select>
</div>
{stage_controls("the skill")}
<p id="message" role="status" aria-live="polite"></p>
</main>"""
    scripts = ("static/three.min.js", "data/zoo.js", "data/character.js", "static/stage.js", "static/player.js")
    return _page("Player", body, scripts)


def stage_controls(what: str) -> str:
    """The canvas and what static/stage.js needs under it; `what` is replayed."""
    return f"""<p id="keys">In the picture: arrow keys turn the camera, plus and minus zoom, space plays and pauses.</p>
<div id="view"><canvas id="canvas" tabindex="0" role="application" aria-label="The humanoid replays {what}" \
aria-describedby="keys"></canvas></div>
<div class="controls">
<button type="button" id="play">Play</button>
<label for="scrub">Time</label> <input type="range" id="scrub" min="0" max="0" step="1" value="0">
<output id="clock" for="scrub" aria-live="off">0.0 s</output>
<label for="speed">Speed</label> <select id="speed">
<option value="0.25">quarter</option><option value="0.5">half</option>
<option value="1" selected>real time</option><option value="2">double</option></select>
<button type="button" id="reset">Reset the camera</button>
</div>"""


def skill_page(
    manifest: Manifest,
    card: Mapping[str, Any],
    files: Mapping[str, str],
    pages: Mapping[str, str],
    notes: str,
    curves: Curves | None,
) -> str:
    """All that is known of one entry. `files` are its films and pictures in the site, `pages` every entry's page."""
    title = manifest.instruction or str(manifest.id)
    admission = manifest.admission
    parts = [
        f'<header><p><a href="../index.html">All entries</a></p><h1>{escape(title)}</h1>'
        f'<p><code>{manifest.id}</code> <span class="badge">{escape(manifest.kind)}</span> '
        f'<span class="badge {admission["status"]}">{admission["status"]}</span></p></header>\n<main id="main">'
    ]
    if admission["reasons"]:
        parts.append(f"<p>Not vouched for: {escape('; '.join(admission['reasons']))}.</p>")
    parts.append(_film(card, files, title))
    if card["rollout"]:
        parts.append(f'<p><a class="button" href="../player.html?a={manifest.id}">Replay it in 3-D</a></p>')
    parts.append(_section("Scores", _table(manifest.metrics)))
    if admission["measured"]:
        parts.append(_section("At the gate", _table(admission["measured"])))
    picture = next((f'<img src="../{files[name]}" alt="Training curves">' for name in PICTURES if name in files), "")
    parts.append(_section("Training curves", plots(curves) if curves else picture))
    parts.append(_section("Lineage", _lineage(manifest, pages)))
    parts.append(_section("Motions and their licences", _table(manifest.motions)))
    made_by = "\n".join(shlex.join(words) for words in commands(manifest.command))
    parts.append(_section("Made by", f"<pre>{escape(made_by)}</pre>" if made_by else ""))
    parts.append(_section("Notes", f"<pre>{escape(notes)}</pre>" if notes else ""))
    parts.append(_section("Interface", _table(manifest.interface)))
    config = escape(json.dumps(manifest.config, indent=1, sort_keys=True))
    parts.append(f"<details><summary>Resolved config</summary><pre>{config}</pre></details>")
    rows = {name: f"{ref.size:,} bytes, sha256 {ref.sha256}" for name, ref in sorted(manifest.files.items())}
    parts.append(_section("Files", _table(rows)))
    scripts = ("static/films.js",) if _moves(card) else ()
    return _page(f"{title} - skill zoo", "\n".join(part for part in parts if part) + "\n</main>", scripts, up="../")


def _moves(card: Mapping[str, Any]) -> bool:
    """Whether a page shows a film that plays by itself."""
    return card["film"].endswith(".gif")


def _film(card: Mapping[str, Any], files: Mapping[str, str], title: str) -> str:
    if not card["film"]:
        return ""
    source = escape(f"../{card['film']}")
    if source.endswith((".mp4", ".webm")):
        return f'<video controls loop src="{source}" aria-label="Film: {escape(title)}"></video>'
    image = f'<img class="film" src="{source}" alt="Film: {escape(title)}">'
    return f"<p>{image}</p><p>{_FILMS_BUTTON}</p>" if _moves(card) else image


def _lineage(manifest: Manifest, pages: Mapping[str, str]) -> str:
    rows = [("made by", escape(manifest.code_version)), ("published", escape(manifest.created))]
    if pin := manifest.low_level:
        page = pages.get(str(pin.id))
        name = f'<a href="{page.removeprefix("pages/")}">{pin.id}</a>' if page else escape(str(pin.id))
        rows.append(("controller", f"{name}, weights {pin.sha256}"))
    config = manifest.config
    if isinstance(model := config.get("reward_model"), Mapping):
        rows.append(("rewarded by", escape(f"{model.get('name', '')}, sha256 {model.get('sha256', '')}")))
    if isinstance(teachers := config.get("teachers"), list):
        rows.append(("teachers", escape(", ".join(map(str, teachers)))))
    rows.append(("manifest", f"sha256 {manifest.sha256}, format {manifest.format_version}"))
    return "<dl>" + "".join(f"<dt>{name}</dt><dd>{value}</dd>" for name, value in rows) + "</dl>"


def _section(title: str, content: str) -> str:
    return f"<section><h2>{escape(title)}</h2>{content}</section>" if content else ""


def _table(values: Mapping[str, Any]) -> str:
    """Name and value, one row each; empty for no values."""
    rows = [
        f'<tr><th scope="row">{escape(str(name))}</th><td>{escape(_shown(value))}</td></tr>'
        for name, value in values.items()
    ]
    return f"<table>{''.join(rows)}</table>" if rows else ""


def _shown(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    return value if isinstance(value, str) else json.dumps(value)
