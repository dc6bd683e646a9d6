"""A run's curves as one picture, for whoever looks into its folder while it trains."""

import io
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from anyskill_brax.workdir import read_metrics, write_atomically

PANELS = {
    "rewards": {
        "reward_style": "style",
        "reward_discovery": "discovery",
        "reward_tracking": "tracking",
        "reward_rising": "rising",
        "reward_energy": "energy",
    },
    "discriminator accuracy": {"disc_accuracy_demo": "demonstrations", "disc_accuracy_simulated": "simulated"},
    "encoder": {"encoder_agreement": "agreement <E(x), z>", "uniformity": "uniformity", "alignment": "alignment"},
    "episodes [s]": {
        "episode_seconds": "length",
        "seconds_to_fail_free": "until a fall, free",
        "seconds_to_fail_following": "until lost, following",
    },
    "coverage of clips": {"coverage": "share seen", "coverage_entropy": "evenness"},
    "policy": {"ratio_clipped": "share clipped", "bounds_loss": "bounds", "power_kw": "power [kW]"},
}


def keep(folder: Path | None, at_least_old: float = 0.0) -> None:
    """`curves.png` of a run's metrics, drawn anew where it is older than so many seconds; nothing without a folder."""
    if folder is None:
        return
    file = folder / "curves.png"
    if not file.exists() or time.time() - file.stat().st_mtime > at_least_old:
        write_atomically(file, draw(read_metrics(folder)))


def draw(rows: Sequence[Mapping[str, Any]], most: int = 1000) -> bytes:
    """PNG of `rows` of metrics over million samples; of more than `most` rows every so many."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rows = rows[:: max(1, len(rows) // most)]
    figure = Figure(figsize=(13, 7), layout="constrained")
    canvas = FigureCanvasAgg(figure)
    for axis, (title, lines) in zip(figure.subplots(2, 3).flat, PANELS.items(), strict=True):
        for name, label in lines.items():
            points = [(row["samples"] / 1e6, row[name]) for row in rows if name in row]
            if any(value for _, value in points):  # what has no weight is no line
                axis.plot(*zip(*points, strict=True), label=label, marker="." if len(points) == 1 else None)
        if axis.lines:
            axis.legend(fontsize="small")
        axis.set(title=title, xlabel="million samples")
        axis.grid(alpha=0.3)
    image = io.BytesIO()
    canvas.print_png(image)
    return image.getvalue()
