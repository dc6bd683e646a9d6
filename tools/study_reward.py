"""Do reward, judge and predicates agree, on motions, on skills' rollouts and on poses that the reward itself asks for?

    tools/study_reward.py --out outputs/study                  the packaged reward model of poses
    tools/study_reward.py --images --out outputs/study_images  the one of pictures

Writes alignment.json (every text, every failure; what could not be measured is null) and sheet.png: the poses found for
thirty instructions, framed green where geometry agrees. docs/experiments/reward-alignment.md is what it said of the
packaged models.
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any

import _door
from _models import load_candidates, load_reward_model


def sheet(character: Any, rows: list[Any], qpos: Any, path: Path) -> None:
    """A picture per instruction."""
    import jax.numpy as jnp
    import numpy as np
    from matplotlib.figure import Figure

    from anyskill_brax.character.kinematics import forward_kinematics
    from anyskill_brax.high_level.eyes import camera_views

    (shoot,) = camera_views(character, 112, 1)
    pictures = np.asarray(shoot(forward_kinematics(character, jnp.asarray(qpos), jnp.zeros((len(qpos), 34)))))
    figure = Figure(figsize=(12, 2.2 * -(-len(rows) // 6)), layout="constrained")
    for axes, row, picture in zip(figure.subplots(-(-len(rows) // 6), 6).flat, rows, pictures, strict=False):
        axes.imshow(picture)
        axes.set_title(f"{row['text'][:34]}\n{row['cosine']:+.2f}", fontsize=7)
        axes.set_xticks([])
        axes.set_yticks([])
        for spine in axes.spines.values():
            spine.set(color="#2a9d3a" if row["held"] else "#c43a2a", linewidth=3)
    figure.savefig(path, dpi=100)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--zoo", type=Path, help="where the models are; default: the search path")
    parser.add_argument("--clip", type=Path, metavar="FOLDER", help="a Hugging Face CLIP folder as the reward")
    parser.add_argument("--images", action="store_true", help="the built-in model of pictures as the reward")
    parser.add_argument("--motions", type=Path, help="a folder of clips; default: the built-in motions")
    parser.add_argument(
        "--skills", nargs="+", default=[], metavar="ID", help="that are filmed; default: all of the zoo"
    )
    parser.add_argument("--episodes", type=int, default=4, help="to film of each; 0: no skills")
    parser.add_argument("--rounds", type=int, default=60, help="of the search for poses")
    parser.add_argument("--population", type=int, default=64)
    parser.add_argument("--stiffness", type=float, default=0.003, help="of the prior on hinges [1/rad^2]")
    parser.add_argument("--views", type=int, default=1, help="cameras, for a model of pictures")
    parser.add_argument("--quick", action="store_true", help="the thirty instructions alone")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()

    import jax

    from anyskill_brax.character.humanoid import load_character
    from anyskill_brax.evaluate.alignment import align, thirty
    from anyskill_brax.evaluate.films import films_of_motions, films_of_skills
    from anyskill_brax.high_level.eyes import camera_views
    from anyskill_brax.motion.io import load_motion_folder
    from anyskill_brax.motion.synthesis import builtin_motions
    from anyskill_brax.reward_model.optimise import SearchSettings
    from anyskill_brax.types import UserError
    from anyskill_brax.workdir import write_atomically
    from skill_zoo.search import find_reward_model
    from skill_zoo.zoo import load_entry

    if args.rounds < 1 or args.population < 8 or args.episodes < 0:
        raise UserError(
            "expected --rounds >= 1, --population >= 8 and --episodes >= 0, "
            f"not {args.rounds}, {args.population} and {args.episodes}"
        )
    model = load_reward_model(args.clip, args.zoo, args.images)
    judge = load_entry(find_reward_model("judge", args.zoo), [])
    character = load_character()
    skills = load_candidates(args.skills, args.zoo) if args.episodes and not args.quick else []
    motions = load_motion_folder(args.motions) if args.motions else builtin_motions(character, args.seed + 1)
    views = camera_views(character, model.image_size, args.views) if model.needs_images else ()
    size = {"population": args.population, "elites": max(4, args.population // 8), "rounds": args.rounds}
    settings = SearchSettings(**size, spread=0.2, stiffness=args.stiffness)
    began = time.monotonic()

    def log(line: str) -> None:
        print(f"{time.monotonic() - began:6.0f} s  {line}", flush=True)

    kinematic, qpos = thirty(character, model, views, settings, args.seed)
    log(f"confirmed by geometry: {sum(row['held'] for row in kinematic)} of {len(kinematic)}")
    found: dict[str, Any] = {"summary": {}, "gamed": [], "unordered": []}
    if not args.quick:
        films = {"motions": films_of_motions(motions)}
        if skills:
            films["rollouts"] = films_of_skills(character, skills, args.episodes, jax.random.key(args.seed + 2))
        found = align(character, model, judge, views, films, settings, log, args.seed)
    about = {name: [m.name, m.sha256] for name, m in (("reward", model), ("judge", judge))}
    args.out.mkdir(parents=True, exist_ok=True)
    sheet(character, kinematic, qpos, args.out / "sheet.png")
    whole = json.loads(json.dumps({**about, "kinematic": kinematic, **found}), parse_constant=lambda _: None)
    write_atomically(args.out / "alignment.json", (json.dumps(whole, indent=1) + "\n").encode())
    for name, value in found["summary"].items():
        print(f"{name.replace('_', ' ')}: {value:.3g}")
    for name in ("gamed", "unordered"):
        print(f"{name}: {'; '.join(found[name]) or 'none'}")
    print(f"{args.out / 'alignment.json'} and sheet.png")
    return 0


if __name__ == "__main__":
    _door.run(main)
