"""Measure what was trained, beside what was not.

    tools/evaluate.py skills --zoo my_zoo --out outputs/evaluate        every skill of the zoo, or those named
    tools/evaluate.py skills humanoid/wave-right-hand --episodes 64
    tools/evaluate.py low_level humanoid/low-level-v9 --motions builtin my_clips    what a controller has learned

Writes eval.json and report.html (one file with films, no network) into --out and prints the table.
"""

import argparse
import json
from pathlib import Path

import _door
import _evaluate_low_level
from _models import load_candidates, load_reward_model


def skills(args: argparse.Namespace) -> int:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from anyskill_brax.character.humanoid import load_character
    from anyskill_brax.evaluate import SETTLE
    from anyskill_brax.evaluate.report import Page
    from anyskill_brax.evaluate.skills import COLUMNS, Bench, evaluate_skills, rows, summary, to_json
    from anyskill_brax.high_level.eyes import camera_views
    from anyskill_brax.types import UserError
    from anyskill_brax.workdir import write_atomically
    from skill_zoo.search import find, find_reward_model
    from skill_zoo.zoo import load_entry

    steps = round(args.seconds * 6)
    if args.episodes < 2 or steps <= SETTLE or args.films < 0:
        raise UserError(
            f"--episodes {args.episodes} --seconds {args.seconds:g} --films {args.films}: expected at least 2 "
            f"episodes of more than {SETTLE / 6:g} s, and films >= 0"
        )
    console, character = Console(), load_character()
    judge = load_entry(find_reward_model("judge", args.zoo), [])
    reward = load_reward_model(args.clip, args.zoo, args.images)
    found = load_candidates(args.ids, args.zoo)
    taught = [find(c.name, args.zoo).manifest.config.get("reward_model", {}).get("name", "unknown") for c in found]
    taught = sorted(set(taught))
    console.print(f"reward: {reward.name}; these skills learnt from: {', '.join(taught)}", markup=False)
    views = camera_views(character, reward.image_size, 1) if reward.needs_images else ()
    size = {"episodes": args.episodes, "latent_steps": steps, "seed": args.seed}
    bench = Bench.create(character, found, reward, judge, views, **size)
    page = Page(f"{len(found)} skills under reward, judge and predicates")
    results = evaluate_skills(
        bench, found, page, args.films, lambda r: console.print(f"measured {r.name}", markup=False, highlight=False)
    )
    about = {"reward": [reward.name, reward.sha256], "judge": [judge.name, judge.sha256], "learnt_from": taught, **size}
    args.out.mkdir(parents=True, exist_ok=True)
    write_atomically(args.out / "eval.json", (json.dumps(to_json(results, about), indent=1) + "\n").encode())
    page.write(args.out / "report.html")
    table = Table(*COLUMNS, title="each cell: the skill | untrained policies")
    for row in rows(results):
        table.add_row(*map(escape, row))
    console.print(table)
    for name, value in summary(results).items():
        console.print(f"  {name.replace('_', ' ')}: {value:.3g}", highlight=False)
    console.print(f"{args.out / 'report.html'} and eval.json", highlight=False)
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True, metavar="command")
    sub = commands.add_parser("skills", help="reward, judge, predicates, retrieval, motion quality")
    sub.set_defaults(run=skills)
    sub.add_argument("ids", nargs="*", metavar="ID", help="default: every skill of the zoo")
    sub.add_argument("--zoo", type=Path, help="a zoo folder; default: SKILL_ZOO_PATH, the packaged zoo, the cache")
    sub.add_argument("--out", type=Path, default=Path("outputs/evaluate"), help="the folder of the report")
    sub.add_argument("--clip", type=Path, metavar="FOLDER", help="a Hugging Face CLIP folder as the reward")
    sub.add_argument("--images", action="store_true", help="the built-in model of pictures as the reward")
    sub.add_argument("--episodes", type=int, default=16)
    sub.add_argument("--seconds", type=float, default=6.0, help="of an episode")
    sub.add_argument("--films", type=int, default=8, help="how many skills are filmed")
    sub.add_argument("--seed", type=int, default=0)
    _evaluate_low_level.add_arguments(commands.add_parser("low_level", help="what a low-level controller has learned"))
    args = parser.parse_args()
    return args.run(args)


if __name__ == "__main__":
    _door.run(main)
