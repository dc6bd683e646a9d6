"""`tools/evaluate.py low_level`: the arguments, the motions, and where the answers go."""

import argparse
import datetime
import json
from pathlib import Path

import _door
from _config import add_config_arguments, load_config
from _sources import add_source_arguments, find_controller, load_sources


def add_arguments(sub: argparse.ArgumentParser) -> None:
    sub.set_defaults(run=low_level)
    sub.add_argument("id", metavar="ID", help="a controller of the zoo, humanoid/low-level-v9, or a run's folder")
    sub.add_argument("--zoo", type=Path, help="a zoo folder; default: SKILL_ZOO_PATH, the packaged zoo, the cache")
    sub.add_argument("--out", type=Path, default=Path("outputs/evaluate_low_level"), help="the folder of the report")
    add_source_arguments(sub)
    add_config_arguments(sub, "configs/evaluate.py")
    sub.add_argument("--quick", action="store_true", help="short for --config configs/evaluate.py:quick")
    for name, kind, what in (
        ("latents", int, "random latents"),
        ("seconds", float, "that they are held"),
        ("films", int, "in the report"),
        ("seed", int, "of everything"),
    ):
        sub.add_argument(f"--{name}", type=kind, help=f"{what}; short for --set {name}=...")


def low_level(args: argparse.Namespace) -> int:
    from rich.markup import escape
    from rich.table import Table

    from anyskill_brax.character.humanoid import load_character
    from anyskill_brax.evaluate.controller.exam import Sizes, examine
    from anyskill_brax.evaluate.controller.page import summary, write
    from anyskill_brax.evaluate.report import Page
    from anyskill_brax.workdir import write_atomically

    if args.quick:
        args.config = "configs/evaluate.py:quick"
    short = {name: getattr(args, name) for name in ("latents", "seconds", "films", "seed")}
    args.set = [*args.set, *(f"{name}={value}" for name, value in short.items() if value is not None)]
    sizes = Sizes.from_config(load_config(args).to_dict())
    subject = find_controller(args.id, args.zoo)
    motions = load_sources(args.motions, args.split, subject)
    console, character = _door.make_console(), load_character()
    say = lambda line: console.print(line, markup=False, highlight=False)  # noqa: E731
    answers = examine(character, subject.controller, motions, sizes, say)
    about = {
        "controller": f"{subject.name}, {subject.digest}",
        "weights_sha256": subject.weights_sha256,
        "motions": f"{' '.join(args.motions)}, split {args.split}: {len(answers.imitation.clips)} clips",
        "date": f"{datetime.datetime.now(datetime.UTC):%Y-%m-%d %H:%M} UTC",
        **{name: str(value) for name, value in vars(sizes).items()},
    }
    args.out.mkdir(parents=True, exist_ok=True)
    whole = {"about": {**about, **vars(sizes)}, **answers.to_json()}
    write_atomically(args.out / "eval.json", (json.dumps(whole, indent=1) + "\n").encode())
    page = Page(f"{subject.name} examined")
    say(f"drawing and filming ({len(answers.reels)} films)")
    write(page, character, answers, about)
    page.write(args.out / "report.html")
    table = Table("", "", "trials", title=f"{subject.name} on {about['motions']}")
    for row in summary(answers):
        table.add_row(*map(escape, row))
    console.print(table)
    for t in answers.targets:
        say(f"{'met    ' if t.met else 'NOT MET'}  {t.what} {t.wanted}: {t.found}")
    say(f"{args.out / 'report.html'} and eval.json")
    return 0
