"""Film a motion: `python tools/render_video.py --motion walk.npz --out walk.mp4`.

A motion is an .npz with `qpos [T, 35]` (and `fps`, else 30): a file of the motion library or a saved rollout.
"""

import argparse
import zipfile
from pathlib import Path

import _door
import numpy as np


def read_motion(path: Path) -> tuple[np.ndarray, float]:
    """`qpos [T, 35]` and frames per second of an .npz."""
    from anyskill_brax.types import UserError

    if not path.is_file():
        raise UserError(f"no motion at {path}")
    try:
        with np.load(path) as data:
            if "qpos" not in data:
                raise UserError(
                    f"{path} holds {', '.join(data.files) or 'nothing'}; a motion to film needs qpos [T, 35]"
                )
            return data["qpos"], float(data["fps"]) if "fps" in data else 30.0
    except (ValueError, EOFError, TypeError, OSError, zipfile.BadZipFile) as error:
        raise UserError(f"{path} is not an .npz of plain arrays; give a motion file or a saved rollout") from error


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--motion", type=Path, required=True, help="an .npz with qpos [T, 35]")
    parser.add_argument("--out", type=Path, required=True, help="the film, .mp4 or .gif")
    parser.add_argument("--size", type=int, nargs="+", default=[480], metavar="PX", help="side, or width and height")
    parser.add_argument("--caption", default="", help="text along the lower edge")
    parser.add_argument("--azimuth", type=float, default=35.0, help="camera [deg]: 0 in front, 90 on its left")
    parser.add_argument("--elevation", type=float, default=12.0, help="camera [deg]")
    parser.add_argument("--frame", type=float, default=2.5, help="height of the picture at the character [m]")
    parser.add_argument("--speed", type=float, default=1.0, help="2 plays twice as fast")
    args = parser.parse_args()

    from anyskill_brax.character.humanoid import load_character
    from anyskill_brax.render.video import film
    from anyskill_brax.types import UserError

    if len(args.size) > 2 or min(args.size) < 16 or args.speed <= 0.0 or abs(args.elevation) > 85.0:
        raise UserError("--size takes one or two numbers >= 16, --speed is > 0, --elevation within +-85")
    qpos, fps = read_motion(args.motion)
    if not fps > 0.0:
        raise UserError(f"{args.motion} says {fps} frames per second; it must be positive")
    path = film(
        load_character(),
        qpos,
        args.out,
        fps=fps * args.speed,
        text=args.caption,
        width=args.size[0],
        height=args.size[-1],
        azimuth=np.radians(args.azimuth),
        elevation=np.radians(args.elevation),
        frame=args.frame,
    )
    print(f"{path}: {len(qpos)} frames, {len(qpos) / (fps * args.speed):.1f} s")


if __name__ == "__main__":
    _door.run(main)
