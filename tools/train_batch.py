"""Train a skill for every line of a list, all at once, and publish those that a judge finds good.

    tools/train_batch.py --instructions configs/instructions/demo.txt --zoo my_zoo

A line is `text` or `slug: text`; `#` begins a comment. A new run begins with a verdict on every text (see
tools/check_reward.py). The same command continues a run that was stopped.
Exit codes: 0 done (also when no skill was good enough: the table says so), 2 bad input, 130 / 143 stopped and saved.
"""

import argparse
from pathlib import Path

import _door
from _config import add_config_arguments, load_config
from _models import load_reward_model


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--instructions", required=True, type=Path, help="the list")
    add_config_arguments(parser, "configs/high_level.py")
    parser.add_argument("--clip", type=Path, metavar="FOLDER", help="a Hugging Face CLIP folder gives the reward")
    parser.add_argument("--images", action="store_true", help="the built-in model of pictures as the reward")
    parser.add_argument("--zoo", type=Path, help="where to publish; default: the first folder of SKILL_ZOO_PATH")
    parser.add_argument(
        "--workdir", type=Path, help="the run's folder; default: outputs/train_batch/<name of the list>"
    )
    parser.add_argument("--low-level", default="humanoid/low-level", metavar="ID", help="the controller to stand on")
    parser.add_argument("--no-publish", action="store_true", help="train only; the same command without it publishes")
    parser.add_argument(
        "--force", action="store_true", help="publish also skills that fall within ten seconds, marked unverified"
    )
    options = parser.parse_args()
    settings = load_config(options).to_dict()

    from anyskill_brax.evaluate.landscape import LEARNABLE, glance
    from anyskill_brax.high_level import run
    from anyskill_brax.high_level.instructions import read_instructions
    from anyskill_brax.high_level.progress import Progress
    from skill_zoo import publish
    from skill_zoo.ids import check_name, slug
    from skill_zoo.search import find_reward_model, save_target
    from skill_zoo.zoo import load_entry

    console = _door.make_console()
    instructions = read_instructions(options.instructions, slug, check_name)
    zoo = save_target(options.zoo)
    workdir = options.workdir or Path("outputs/train_batch") / options.instructions.stem
    controller = publish.find_entry(options.low_level, options.zoo)
    low_level = load_entry(controller, [])
    judge = load_entry(find_reward_model("judge", options.zoo), [])
    model = load_reward_model(options.clip, options.zoo, options.images)
    env, views = run.make_world(settings, low_level, model)
    if not workdir.exists():
        for landscape in glance(env.character, model, [i.text for i in instructions]):
            console.print(f"{landscape}", style="" if landscape.verdict == LEARNABLE else "yellow", markup=False)
    console.print(f"{len(instructions)} instructions on {controller.id}, rewarded by {model.name}; run: {workdir}")
    with Progress(instructions, settings["updates"], console) as progress, _door.StopSignals() as stopped:
        trained = run.train(
            settings,
            workdir,
            env=env,
            low_level=low_level,
            model=model,
            instructions=instructions,
            views=views,
            report=progress,
            should_stop=stopped,
        )
    if trained is None:
        console.print("stopped; the same command continues")
        return stopped.exit_code

    if options.no_publish:
        return 0
    console.print(f"grading with {judge.name}")
    recipe = publish.Recipe(
        controller=controller,
        low_level=low_level,
        judge=judge,
        reward_model={"name": model.name, "sha256": model.sha256},
        config=settings,
        command=_door.command(),
        listed=options.instructions.read_bytes(),
    )
    verdicts = publish.grade_and_publish(
        trained, recipe, env=env, zoo=zoo, workdir=workdir, seed=settings["seed"], force=options.force
    )
    console.print(publish.table(trained, verdicts))
    for remark in publish.remarks(verdicts):
        console.print(remark, markup=False)
    published = sum(bool(v.id) for v in verdicts)
    console.print(f"{published} of {len(verdicts)} published in {zoo}")
    if not options.force and any(v.grade.passed and not v.id for v in verdicts):
        console.print("the same command with --force publishes those that work but fall, marked unverified")
    return 0


if __name__ == "__main__":
    _door.run(main)
