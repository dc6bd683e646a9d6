"""Walk about in a controller's latent space: one HTML page with a map and a 3-D player, opened from disk.

    tools/explore_latents.py humanoid/low-level-v9 --out latents.html
    tools/explore_latents.py humanoid/low-level-v9 --motions builtin my_clips --random 400 --out latents.html

Every clip's latent and some random ones, held from standing; slerps between a few of them. No network is needed.
"""

import argparse
import datetime
from pathlib import Path

import _door
from _sources import add_source_arguments, find_controller, load_sources


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("id", metavar="ID", help="a controller of the zoo, humanoid/low-level-v9, or a run's folder")
    parser.add_argument("--zoo", type=Path, help="a zoo folder; default: SKILL_ZOO_PATH, the packaged zoo, the cache")
    parser.add_argument("--out", type=Path, required=True, metavar="PAGE.html")
    add_source_arguments(parser)
    parser.add_argument("--random", type=int, default=200, help="random latents on the map")
    parser.add_argument("--anchors", type=int, default=8, help="latents with a way from each to each")
    parser.add_argument("--seconds", type=float, default=5.0, help="that a latent is held, and a way takes")
    parser.add_argument("--backend", default="native", help="physics: native, mjx or warp")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()

    from anyskill_brax.character.humanoid import load_character
    from anyskill_brax.evaluate.controller.clips import Clips
    from anyskill_brax.evaluate.controller.explore import explore
    from anyskill_brax.evaluate.controller.stage import Stage
    from anyskill_brax.types import UserError
    from anyskill_brax.workdir import write_atomically
    from skill_zoo.gallery.explorer import explorer_page

    if args.out.is_dir() or args.out.suffix != ".html":
        raise UserError(f"--out {args.out}: expected the name of a page, e.g. latents.html")
    subject = find_controller(args.id, args.zoo)
    motions, character = load_sources(args.motions, args.split, subject), load_character()
    clips = Clips.create(character, motions, stride=3)
    stage = Stage.create(character, subject.controller, args.backend, block=64)
    found = explore(
        stage,
        clips,
        random=args.random,
        anchors=args.anchors,
        seconds=args.seconds,
        seed=args.seed,
        stride=5,
        report=lambda line: print(line, flush=True),
    )
    about = {
        "controller": f"{subject.name}, {subject.digest}",
        "motions": f"{' '.join(args.motions)}, split {args.split}: {len(clips)} clips",
        "random latents": args.random,
        "held for": f"{args.seconds:g} s",
        "seed": args.seed,
        "made": f"{datetime.datetime.now(datetime.UTC):%Y-%m-%d %H:%M} UTC",
    }
    page = explorer_page(found, f"The latents of {subject.name}", about).encode()
    args.out.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(args.out, page)
    print(f"{args.out}: {len(found.points)} latents, {len(found.ways)} ways, {len(page) / 1e6:.1f} MB")
    return 0


if __name__ == "__main__":
    _door.run(main)
