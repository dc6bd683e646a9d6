"""A report as one HTML file that opens from disk without network: text, tables, figures and films, all inside it."""

import base64
import html
import io
import math
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from anyskill_brax.character.humanoid import Character
from anyskill_brax.render.video import film
from anyskill_brax.workdir import write_atomically

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #1c2430; background: #fbfbfc; max-width: 72rem; margin: 2rem auto;
  padding: 0 1rem } h1 { font-size: 1.6rem } h2 { font-size: 1.2rem; margin-top: 2.2rem }
table { border-collapse: collapse; margin: .8rem 0; display: block; overflow-x: auto }
th, td { padding: .25rem .7rem; border-bottom: 1px solid #dde1e7; text-align: left; vertical-align: top }
td.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap }
figure { display: inline-block; margin: .4rem; vertical-align: top } figcaption { color: #55606e; max-width: 20rem }
img, video { max-width: 100%; border-radius: 4px } p { max-width: 48rem }
"""
FILM_FPS = 15.0
Cell = str | float | int | None


class Page:
    """Sections from top to bottom; `write` puts the file in place whole."""

    def __init__(self, title: str):
        self.title = title
        self._parts: list[str] = []

    def heading(self, text: str) -> None:
        self._parts.append(f"<h2>{html.escape(text)}</h2>")

    def text(self, text: str) -> None:
        self._parts.append(f"<p>{html.escape(text)}</p>")

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[Cell]]) -> None:
        """Numbers to three digits, on the right; None is a dash."""
        head = "".join(f"<th>{html.escape(column)}</th>" for column in columns)
        body = "".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in rows)
        self._parts.append(f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>")

    def figure(self, figure: Figure, caption: str = "") -> None:
        """A matplotlib figure as a PNG."""
        image = io.BytesIO()
        figure.savefig(image, format="png", dpi=110)
        self._media(f'<img src="{_data("image/png", image.getvalue())}" alt="{html.escape(caption)}">', caption)

    def film(self, character: Character, qpos: np.ndarray, caption: str, fps: float = 30.0, size: int = 192) -> None:
        """`qpos [F, 35]` as a looping H.264 film."""
        stride = max(1, round(fps / FILM_FPS))
        with tempfile.TemporaryDirectory() as folder:
            path = film(
                character,
                np.asarray(qpos)[::stride],
                Path(folder) / "film.mp4",
                fps=fps / stride,
                width=size,
                height=size,
                supersample=1,
            )
            source = _data("video/mp4", path.read_bytes())
        self._media(f'<video src="{source}" width="{size}" autoplay loop muted playsinline controls></video>', caption)

    def _media(self, tag: str, caption: str) -> None:
        self._parts.append(f"<figure>{tag}<figcaption>{html.escape(caption)}</figcaption></figure>")

    def write(self, path: Path) -> None:
        title = html.escape(self.title)
        page = (
            f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
            f"<style>{STYLE}</style></head><body><h1>{title}</h1>\n" + "\n".join(self._parts) + "\n</body></html>\n"
        )
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, page.encode())


def _cell(value: Cell) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return '<td class="number">-</td>'
    if isinstance(value, str):
        return f"<td>{html.escape(value)}</td>"
    return f'<td class="number">{value:.3g}</td>' if isinstance(value, float) else f'<td class="number">{value}</td>'


def _data(kind: str, data: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"
