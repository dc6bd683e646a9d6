"""Publish the newest checkpoint of a low-level run: `tools/publish_low_level.py --workdir runs/low_level --zoo ZOO`."""

import argparse
import json
from pathlib import Path

import _door


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workdir", required=True, help="the run's folder")
    parser.add_argument(
        "--zoo", required=True, help="zoo folder to publish into; `packaged` is the one in this checkout"
    )
    parser.add_argument("--name", default="low-level", help="name to publish under")
    parser.add_argument("--note", default="", help="a paragraph for the card")
    parser.add_argument(
        "--licence", action="append", default=[], metavar="SOURCE=TERMS",
        help="terms that the clips do not state themselves, or in better words; repeatable",
    )  # fmt: skip
    parser.add_argument(
        "--evaluation", type=Path, metavar="EVAL.json", help="of tools/evaluate.py low_level WORKDIR: for the card"
    )
    options = parser.parse_args()

    import skill_zoo
    from anyskill_brax.low_level import run
    from anyskill_brax.types import UserError
    from skill_zoo.controllers import publish_controller
    from skill_zoo.lineage import behind

    licences = dict(entry.partition("=")[::2] for entry in options.licence)
    folder, evaluation = Path(options.workdir), None
    if options.evaluation:
        try:
            evaluation = json.loads(options.evaluation.read_text())
        except (OSError, ValueError) as error:
            raise UserError(f"--evaluation {options.evaluation}: expected an eval.json ({error})") from None
    trained = run.load(folder)
    zoo = skill_zoo.PACKAGED if options.zoo == "packaged" else Path(options.zoo)
    command, code = _door.command(folder), ", ".join(filter(None, _door.code_versions(folder)[-6:]))
    before = behind(folder, command)
    skill_id = publish_controller(trained, zoo, options.name, licences, options.note, command, code, before, evaluation)
    print(f"published {skill_id} after {trained.samples / 1e6:.2f} M samples")
    for name, value in skill_zoo.describe(skill_id, zoo).metrics.items():
        print(f"  {name}: {value}")


if __name__ == "__main__":
    _door.run(main)
