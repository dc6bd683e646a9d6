"""Look at what a reward model makes of a sentence, before training on it.

    tools/check_reward.py "stand on one leg" "walk backwards" "play the violin"

Per text: a verdict (learnable / ambiguous / outside vocabulary) with its reason, confidence, nearest known captions,
the motions whose poses score best, the mirrored and the opposite text. --out also writes landscape.json and sheet.png:
the best poses, and the score along a path from standing to the best one.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import _door
from _models import load_reward_model


def sheet(character: Any, found: list[Any], poses: Any, path: Path) -> None:
    """A row per text: its five best poses, then the score along the path."""
    import jax
    import jax.numpy as jnp
    import numpy as np
    from matplotlib.figure import Figure

    from anyskill_brax.character.kinematics import forward_kinematics
    from anyskill_brax.high_level.eyes import camera_views

    (shoot,) = camera_views(character, 112, 1)
    rows = np.array([row for f in found for row in f.best])
    draw = jax.jit(lambda qpos: shoot(forward_kinematics(character, qpos, jnp.zeros((len(qpos), 34)))))
    pictures = iter(np.asarray(draw(jnp.asarray(poses.qpos[rows, -1]))))
    columns = max(len(f.best) for f in found) + 1
    figure = Figure(figsize=(1.7 * columns, 2.0 * len(found)), layout="constrained")
    for f, cells in zip(found, np.atleast_2d(figure.subplots(len(found), columns)), strict=True):
        for axes, source in zip(cells, f.motions):
            axes.imshow(next(pictures))
            axes.set_title(source, fontsize=7)
        for axes in cells[:-1]:
            axes.axis("off")
        cells[-1].plot(np.linspace(0, 1, len(f.path)), f.path)
        cells[-1].set_title(f"{f.text[:28]}\n{f.verdict}", fontsize=7)
        cells[-1].tick_params(labelsize=6)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("texts", nargs="+", metavar="TEXT")
    parser.add_argument("--zoo", type=Path, help="where the reward model is; default: the search path")
    parser.add_argument("--clip", type=Path, metavar="FOLDER", help="a Hugging Face CLIP folder as the reward")
    parser.add_argument("--images", action="store_true", help="the built-in model of pictures as the reward")
    parser.add_argument("--motions", type=Path, help="a folder of clips; default: the built-in motions")
    parser.add_argument("--poses", type=int, help="how many to look among; default 4000, for images 300")
    parser.add_argument("--out", type=Path, help="a folder for landscape.json and sheet.png")
    args = parser.parse_args()

    from anyskill_brax.character.humanoid import load_character
    from anyskill_brax.clip.reward import window_of
    from anyskill_brax.evaluate.landscape import Poses, survey
    from anyskill_brax.high_level.eyes import camera_views
    from anyskill_brax.motion.io import load_motion_folder
    from anyskill_brax.motion.synthesis import builtin_motions

    model = load_reward_model(args.clip, args.zoo, args.images)
    model.embed_text(args.texts)  # a bad text shows before the motions are made
    character = load_character()
    motions = load_motion_folder(args.motions) if args.motions else builtin_motions(character)
    poses = Poses.of(motions, args.poses or (300 if model.needs_images else 4000), window_of(model))
    views = camera_views(character, model.image_size, 1) if model.needs_images else ()
    found = survey(character, model, args.texts, poses, views)
    for f in found:
        print(f"{f.text!r}\n  verdict     {f.verdict}: {f.reason}")
        print(f"  confidence  {f.confidence:.2f}; nearest captions: {', '.join(map(repr, f.nearest)) or 'none'}")
        print(f"  best poses  {', '.join(f.motions)}: {f.best_score:+.3f}, standing {f.standing:+.3f}")
        print(
            f"  mirror      {f.mirror_score:+.3f} for the mirrored pose, likeness {f.mirror_likeness:.2f} to its motion"
        )
        for other, margin in zip(f.rivals, f.rival_margins):
            print(f"  rival       {other!r} scores lower by {margin:.0%} of the climb")
        print(f"  path        deepest valley {f.valley:.0%} of the climb")
    if args.out:
        sheet(character, found, poses, args.out / "sheet.png")
        whole = {"model": [model.name, model.sha256], "poses": len(poses.sources)}
        texts = [f.to_json() for f in found]
        (args.out / "landscape.json").write_text(json.dumps({**whole, "texts": texts}, indent=1) + "\n")
        print(f"{args.out / 'sheet.png'} and landscape.json")
    else:
        print("--out FOLDER writes a sheet of the best poses and of the path to each")
    return 0


if __name__ == "__main__":
    _door.run(main)
