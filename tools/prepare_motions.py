"""Build a motion library folder: the built-in motions, clips from other folders, or both, with a report.

    tools/prepare_motions.py --builtin --out motions/
    tools/prepare_motions.py --builtin ../shared/motions --out motions/

Writes clips/<name>.npz, index.json, report.json and contact_sheet.png; load_motion_folder reads the result.
To convert poselib, DeepMimic, BVH or AMC files first, see tools/import_motions.py.
"""

import argparse
import dataclasses
import json
from pathlib import Path

import _door


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="*", type=Path, help="folders of .npz clips, with or without an index.json")
    parser.add_argument("--out", required=True, type=Path, help="the library folder to write")
    parser.add_argument("--builtin", action="store_true", help="add the built-in motions")
    parser.add_argument("--kinds", nargs="+", metavar="KIND", help="only these built-in kinds")
    parser.add_argument("--seed", type=int, default=0, help="of the built-in motions")
    parser.add_argument("--variants", type=int, default=1, help="of each built-in kind")
    parser.add_argument("--split", help="only clips of this split from the folders")
    parser.add_argument("--fps", type=float, default=30.0, help="frame rate of every clip written")
    parser.add_argument("--no-sheet", action="store_true", help="do not draw contact_sheet.png")
    args = parser.parse_args(argv)
    if not args.builtin and not args.folders:
        parser.error("nothing to do: give --builtin, folders of clips, or both")
    return args


def gather(args: argparse.Namespace, character) -> list:
    """All motions asked for, at one frame rate; each source's weights sum to its number of clips."""
    from anyskill_brax.motion.io import load_motion_folder, resample_motion
    from anyskill_brax.motion.synthesis import builtin_motions

    sources = [load_motion_folder(folder, args.split) for folder in args.folders]
    if args.builtin:
        sources.append(builtin_motions(character, args.seed, args.variants, args.kinds))
    motions = []
    for source in sources:
        scale = len(source) / (sum(motion.weight for motion in source) or 1.0)
        for motion in source:
            motion = resample_motion(character, motion, args.fps)
            motions.append(dataclasses.replace(motion, weight=round(motion.weight * scale, 5)))
    return motions


def table(reports: dict[str, dict], motions: list):
    """The report as a rich table; numbers beyond the built-in motions' own bounds are marked."""
    from rich.table import Table

    bounds = {"foot_slide_mps": 0.03, "penetration_m": 0.01, "limit_violation_rad": 1e-4}
    columns = list(next(iter(reports.values())))
    grid = Table("clip", "category", *columns, title=f"{len(motions)} clips", title_justify="left")
    for motion in motions:
        row = reports[motion.name]
        cells = [f"[yellow]{row[c]:g}[/]" if row[c] > bounds.get(c, float("inf")) else f"{row[c]:g}" for c in columns]
        grid.add_row(motion.name, motion.category, *cells)
    return grid


def main() -> int:
    args = parse()
    from rich.console import Console

    from anyskill_brax.character.humanoid import load_character
    from anyskill_brax.motion.contact_sheet import contact_sheet
    from anyskill_brax.motion.io import save_motion_folder
    from anyskill_brax.motion.quality import quality

    character = load_character()
    motions = gather(args, character)
    reports = {motion.name: quality(character, motion) for motion in motions}
    index = save_motion_folder(args.out, motions, reports)
    total = {"clips": len(motions), "seconds": round(sum(motion.duration for motion in motions), 1)}
    (args.out / "report.json").write_text(json.dumps({"total": total, "clips": reports}, indent=1) + "\n")
    console = Console()
    console.print(table(reports, motions))
    console.print(f"{total['clips']} clips, {total['seconds'] / 60:.1f} min -> {index}")
    if not args.no_sheet:
        console.print(f"contact sheet -> {contact_sheet(character, motions, args.out / 'contact_sheet.png')}")
    return 0


if __name__ == "__main__":
    _door.run(main)
