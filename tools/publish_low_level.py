"""Publish the newest checkpoint of a low-level run: `tools/publish_low_level.py --workdir runs/low_level --zoo ZOO`."""

import argparse
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
        "--licence", action="append", default=[], metavar="SOURCE=TERMS", help="where the motions come from, repeatable"
    )
    options = parser.parse_args()

    import skill_zoo
    from anyskill_brax.low_level import run
    from anyskill_brax.types import UserError
    from skill_zoo.controllers import publish_controller

    licences = dict(entry.partition("=")[::2] for entry in options.licence)
    trained = run.load(options.workdir)
    if not licences:
        raise UserError("say where the motions come from: --licence 'builtin=made by this project, Apache-2.0'")
    zoo = skill_zoo.PACKAGED if options.zoo == "packaged" else Path(options.zoo)
    command = _door.command(Path(options.workdir))
    skill_id = publish_controller(trained, zoo, options.name, licences, options.note, command)
    print(f"published {skill_id} after {trained.samples / 1e6:.2f} M samples")
    for name, value in skill_zoo.describe(skill_id, zoo).metrics.items():
        print(f"  {name}: {value}")


if __name__ == "__main__":
    _door.run(main)
