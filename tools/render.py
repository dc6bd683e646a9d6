"""Any motion or rollout as a film or a sheet of stills, by the ending of --out.

    tools/render.py walk.bvh --out walk.mp4
    tools/render.py humanoid/wave-right-hand --out wave.gif --size 240 --camera orbit
    tools/render.py walk-forward --out walk.png --stills 12

SOURCE is a clip (.npz with qpos [T, 35]), a recording (.bvh, .amc, .npy, .txt), a rollout (.safetensors), an entry of
the zoo that keeps its rollout, or the name of a built-in motion.
"""

import argparse
from pathlib import Path

import _door
from _motions import find_motion

FILMS, SHEET = (".mp4", ".gif"), ".png"


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", metavar="SOURCE")
    parser.add_argument("--out", type=Path, required=True, help="the film (.mp4, .gif) or sheet (.png)")
    parser.add_argument("--zoo", type=Path, help="where SOURCE's id is looked up; default: the search path")
    parser.add_argument("--size", type=int, nargs="+", metavar="PX", help="side, or width and height of a picture")
    parser.add_argument("--caption", help="text along the lower edge; default: none")
    parser.add_argument("--start", type=float, default=0.0, help="first second to show")
    parser.add_argument("--end", type=float, help="last second to show")
    parser.add_argument("--speed", type=float, default=1.0, help="2 plays twice as fast")
    parser.add_argument("--stills", type=int, default=8, help="pictures on a sheet")
    parser.add_argument("--columns", type=int, default=4, help="of a sheet")
    parser.add_argument("--camera", default="follow", help="follow (default), orbit or fixed")
    parser.add_argument("--azimuth", type=float, default=35.0, help="camera [deg]: 0 in front, 90 on its left")
    parser.add_argument("--elevation", type=float, default=12.0, help="camera [deg]")
    parser.add_argument("--frame", type=float, default=2.5, help="height of the picture at the character [m]")
    parser.add_argument("--antialias", type=int, default=2, metavar="N", help="N x N rays per pixel")
    parser.add_argument("--shadow", choices=("soft", "hard", "none"), default="soft")
    parser.add_argument("--ambient", type=float, help="light from everywhere; default 0.46")
    return parser.parse_args()


def check(args: argparse.Namespace) -> None:
    from anyskill_brax.render.video import CAMERAS
    from anyskill_brax.types import UserError

    size = args.size or [240 if args.out.suffix == SHEET else 480]
    args.size = size
    wrong = {
        f"--out {args.out}: expected a name that ends in .mp4, .gif or .png": args.out.suffix not in (*FILMS, SHEET),
        "--size takes one or two numbers from 16 to 2048": len(size) > 2 or min(size) < 16 or max(size) > 2048,
        f"--camera {args.camera}: choose from {', '.join(CAMERAS)}": args.camera not in CAMERAS,
        "--speed and --frame are > 0": not (args.speed > 0.0 and args.frame > 0.0),
        "--elevation lies within +-85": not abs(args.elevation) <= 85.0,
        "--antialias lies between 1 and 8": not 1 <= args.antialias <= 8,
        "--stills and --columns are >= 1": min(args.stills, args.columns) < 1,
        "--start is >= 0 and comes before --end": args.start < 0.0 or (args.end is not None and args.end <= args.start),
    }
    for message, found in wrong.items():
        if found:
            raise UserError(message)


def main() -> None:
    args = parse()
    check(args)

    import numpy as np

    from anyskill_brax.character.humanoid import load_character
    from anyskill_brax.render.scene import Look
    from anyskill_brax.render.video import film, sheet
    from anyskill_brax.types import UserError

    qpos, fps, name = find_motion(args.source, args.zoo)
    if not 0.0 < fps < 10_000.0:
        raise UserError(f"{args.source} says {fps} frames per second; it must be positive")
    last = None if args.end is None else round(args.end * fps) + 1
    shown = qpos[round(args.start * fps) : last]
    if not len(shown):
        raise UserError(f"{name} lasts {len(qpos) / fps:.1f} s; nothing of it comes after --start {args.start:g}")
    light = {} if args.ambient is None else {"ambient": args.ambient}
    light |= {"hard_shadow": args.shadow == "hard"} | ({"shadow": 0.0} if args.shadow == "none" else {})
    options = {
        "fps": fps * args.speed,
        "text": args.caption or "",
        "width": args.size[0],
        "height": args.size[-1],
        "camera": args.camera,
        "azimuth": np.radians(args.azimuth),
        "elevation": np.radians(args.elevation),
        "frame": args.frame,
        "supersample": args.antialias,
        "look": Look(**light),
    }
    if args.out.suffix == SHEET:
        path = sheet(load_character(), shown, args.out, stills=args.stills, columns=args.columns, **options)
    else:
        path = film(load_character(), shown, args.out, **options)
    print(f"{path}: {name}, {len(shown)} frames, {len(shown) / (fps * args.speed):.1f} s")


if __name__ == "__main__":
    _door.run(main)
