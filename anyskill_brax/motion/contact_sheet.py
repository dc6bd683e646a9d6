"""A contact sheet: one row of stick figures per clip, to see a whole library at a glance. No renderer needed."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.collections import EllipseCollection, LineCollection
from matplotlib.figure import Figure

from anyskill_brax.character.humanoid import Character
from anyskill_brax.motion.io import Motion, motion_bodies

COLOURS = {"right": "#d0402a", "left": "#2a62c4"}
SPACING = 1.0
"""Between neighbouring figures [m]."""
POINTS_PER_METRE = 72


def contact_sheet(
    character: Character,
    motions: Sequence[Motion],
    path: str | Path,
    figures: int = 9,
    columns: int = 3,
    azimuth: float = 55.0,
) -> Path:
    """Draw `figures` frames of every motion, evenly spread in time, seen from `azimuth` degrees off its front.

    Each figure is centred on its pelvis; heights are true, the line is the floor. Right limbs red, left limbs blue.
    """
    view = np.radians(azimuth)
    across = np.array([np.sin(view), np.cos(view), 0.0])
    columns = min(columns, len(motions))
    rows = -(-len(motions) // columns)
    figure = Figure(figsize=(SPACING * figures * columns, 2.1 * rows), dpi=64)  # an inch is a metre
    for cell, motion in enumerate(motions):
        column, row = divmod(cell, rows)
        axes = figure.add_axes((column / columns, 1 - (row + 1) / rows, 1 / columns, 1 / rows))
        frames = np.linspace(0, motion.num_frames - 1, figures).astype(int)
        bodies, _ = motion_bodies(character, motion.qpos[frames], motion.qvel[frames])
        origin = np.asarray(bodies.pos)[:, :1] * [1, 1, 0]
        shift = SPACING * np.arange(figures)[:, None]
        lines, colours, widths, circles, sizes = [], [], [], [], []

        for geom, body in enumerate(character.geom_body):
            side = character.body_names[body].split("_")[0]
            points = character.geom_points[geom]
            ends = points[:2] if character.geom_radius[geom] else points[[0, 4]] * [1, 0, 1]  # a box's sole, lengthwise
            w, u = bodies.rot[:, body, None, :1], bodies.rot[:, body, None, 1:]
            t = 2 * np.cross(u, ends)
            local = bodies.pos[:, body, None] + ends + w * t + np.cross(u, t) - origin
            flat = np.stack([local @ across + shift, local[..., 2]], axis=-1)  # [figures, ends, 2]
            if len(np.unique(points, axis=0)) == 1:
                circles += list(flat[:, 0])
                sizes += [2 * character.geom_radius[geom]] * figures
            else:
                lines += list(flat)
                colours += [COLOURS.get(side, "#555555")] * figures
                widths += [POINTS_PER_METRE * max(2 * character.geom_radius[geom], 0.05)] * figures
        body_size = np.array(sizes)
        axes.add_collection(
            EllipseCollection(
                body_size,
                body_size,
                0 * body_size,
                units="xy",
                offsets=circles,
                transOffset=axes.transData,
                color="#9a9aa2",
            )
        )
        axes.add_collection(LineCollection(lines, colors=colours, linewidths=widths, alpha=0.85, capstyle="round"))
        axes.axhline(-0.02, color="#444444", linewidth=0.8)
        axes.set(xlim=(-0.6 * SPACING, (figures - 0.4) * SPACING), ylim=(-0.12, 1.98), aspect="equal")
        axes.axis("off")
        axes.text(-0.55, 1.86, f"{motion.name}  {motion.duration:.1f} s", fontsize=9)
    figure.savefig(path)
    return Path(path)
