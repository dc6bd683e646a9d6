"""One policy out of many skills: `tools/distill.py --skills humanoid/wave humanoid/bow --name repertoire --zoo my_zoo`.

Rolls out the teachers, then the student, which learns what each teacher would have done; publishes the student and
prints the judge's scores side by side. The same command continues a run that was stopped.
"""

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import _door
import numpy as np
from _config import add_config_arguments, load_config
from _models import load_reward_model


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--skills", nargs="+", metavar="ID", help="the teachers, e.g. humanoid/wave humanoid/bow-v2")
    which.add_argument("--all", action="store_true", help="every skill that the zoo lists")
    parser.add_argument("--name", required=True, help="name to publish under")
    parser.add_argument("--zoo", type=Path, help="zoo folder to read and publish to; default: SKILL_ZOO_PATH")
    parser.add_argument("--workdir", type=Path, help="the run's folder; default: outputs/distill/<name>")
    parser.add_argument("--clip", type=Path, metavar="FOLDER", help="a Hugging Face CLIP folder embeds the texts")
    parser.add_argument("--episodes", type=int, default=16, help="of the final table, per skill and side")
    add_config_arguments(parser, "configs/distill.py")
    options = parser.parse_args()
    config: dict[str, Any] = load_config(options).to_dict()

    from anyskill_brax.character.humanoid import load_character
    from anyskill_brax.distill.train import train
    from anyskill_brax.envs.humanoid_env import HumanoidEnv
    from anyskill_brax.types import UserError
    from anyskill_brax.workdir import read_metrics
    from skill_zoo import repertoire
    from skill_zoo.ids import check_name
    from skill_zoo.search import find_reward_model, save_target
    from skill_zoo.zoo import load_entry

    console, name, zoo = _door.make_console(), check_name(options.name), save_target(options.zoo)
    if options.episodes < 2:
        raise UserError(f"--episodes {options.episodes}: a standard error takes at least 2")
    skills = repertoire.load_teachers(None if options.all else options.skills, options.zoo)
    controller = repertoire.controller_of(skills, options.zoo)
    low_level = load_entry(controller, [])
    teachers = {skill.instruction: skill.policy for skill in skills.values()}
    judge = load_entry(find_reward_model("judge", options.zoo), [])
    model = load_reward_model(options.clip, options.zoo)
    env = HumanoidEnv(
        load_character(),
        num_frames=low_level.style.num_frames,
        backend=config["backend"],
        fall_height=config["fall_height"],
    )
    workdir = options.workdir or Path("outputs/distill") / name

    def report(done: int, metrics: Mapping[str, np.ndarray]) -> None:
        agreement = metrics["agreement"]
        worst = list(teachers)[int(agreement.argmin())]
        console.print(
            f"round {done}/{config['rounds']}: loss {metrics['loss']:.4f}, agreement with the teachers "
            f"{agreement.mean():.3f} (least {agreement.min():.3f}: {worst}), fell {metrics['fell']:.1%}",
            markup=False,
            highlight=False,
        )

    console.print(f"{len(teachers)} teachers on {controller.id}, texts by {model.name}; run: {workdir}")
    with _door.StopSignals() as stopped:
        student = train(
            config,
            workdir,
            env=env,
            low_level=low_level,
            teachers=teachers,
            model=model,
            report=report,
            should_stop=stopped,
        )
    if student is None:
        console.print("stopped; the same command continues")
        return stopped.exit_code

    console.print(f"grading with {judge.name}")
    rows = repertoire.compare(env, low_level, teachers, student, judge, options.episodes, config["seed"])
    console.print(repertoire.table(rows, options.episodes))
    published = repertoire.publish_student(
        student,
        name,
        teachers=list(skills),
        controller=controller,
        rows=rows,
        judge=judge,
        reward_model=model,
        config=config,
        zoo=zoo,
        training=read_metrics(workdir),
        command=_door.command(),
    )
    console.print(f"published {published} in {zoo}")
    return 0


if __name__ == "__main__":
    _door.run(main)
