"""Recorded movements -> a folder of clips for the humanoid, retargeted to it at 30 fps.

    tools/import_motions.py walk.bvh 02_01.amc --out data/mine
    tools/import_motions.py --manifest configs/motions/cmu.json --source ~/cmu --out data/cmu

Reads poselib .npy, DeepMimic .txt, BVH and ASF/AMC. The folder can be given to every tool that takes motions.
"""

import argparse
import sys
import time
from pathlib import Path

import _door

from anyskill_brax.types import UserError


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*", type=Path, help="motion files")
    parser.add_argument("--format", default="auto", help="poselib, deepmimic, bvh or amc; auto goes by the ending")
    parser.add_argument("--fps", type=float, help="the files' frame rate, where they do not say or say it wrong")
    parser.add_argument("--asf", type=Path, help="skeleton for .amc files (default: the subject's, beside the file)")
    parser.add_argument("--start", type=float, default=0.0, help="first second to keep")
    parser.add_argument("--end", type=float, help="last second to keep")
    parser.add_argument("--manifest", type=Path, help="a list of clips, such as configs/motions/cmu.json")
    parser.add_argument("--source", type=Path, help="the folder that holds the manifest's files")
    parser.add_argument("--out", type=Path, required=True, help="folder to write clips/ and index.json to")
    args = parser.parse_args()
    if bool(args.manifest) == bool(args.files) or bool(args.manifest) != bool(args.source):
        parser.error("give either FILES, or --manifest together with --source")
    return args


def import_files(args: argparse.Namespace) -> list:
    from anyskill_brax.character.humanoid import load_character
    from anyskill_brax.motion.importers import read_source
    from anyskill_brax.motion.retarget import retarget

    motions = []
    for path in args.files:
        begun = time.monotonic()
        source = read_source(path, args.format, args.fps, args.asf).window(args.start, args.end)
        motions.append(retarget(load_character(), source, source=path.name))
        taken = time.monotonic() - begun
        print(f"{path.name}: {source.duration:.1f} s at {source.fps:g} fps, retargeted in {taken:.1f} s")
    return motions


def import_manifest(args: argparse.Namespace) -> list:
    from anyskill_brax.character.humanoid import load_character
    from anyskill_brax.motion.importers.manifest import find_trials, read_clip, read_manifest
    from anyskill_brax.motion.retarget import retarget

    clips = read_manifest(args.manifest)
    found = find_trials(args.source, clips)
    missing = sorted({clip.trial for clip in clips} - found.keys())
    if not found:
        first, subject = missing[0], missing[0].split("_")[0]
        raise UserError(
            f"{args.source}: none of the manifest's {len(missing)} trials; expected files such as {first}.amc "
            f"(with {subject}.asf beside it) or {first}.bvh, at any depth"
        )
    motions = []
    for clip in clips:
        if clip.trial not in found:
            continue
        path = found[clip.trial]
        source = read_clip(clip, path, args.asf)
        labels = {key: getattr(clip, key) for key in ("name", "category", "split", "weight", "captions", "licence")}
        motions.append(retarget(load_character(), source, source=f"CMU {path.name}", **labels))
        print(f"{clip.name}: {motions[-1].duration:.1f} s of {path.name}")
    if missing:
        print(
            f"{len(missing)} of the manifest's trials are not in {args.source}: {', '.join(missing)}", file=sys.stderr
        )
    return motions


def main() -> int:
    args = parse()
    from anyskill_brax.motion.io import save_motion_folder

    motions = import_manifest(args) if args.manifest else import_files(args)
    index = save_motion_folder(args.out, motions)
    print(f"{len(motions)} clips, {sum(motion.duration for motion in motions):.1f} s -> {index}")
    return 0


if __name__ == "__main__":
    _door.run(main)
