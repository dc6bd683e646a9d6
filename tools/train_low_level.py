"""Train the low-level controller: `tools/train_low_level.py --config configs/low_level.py --workdir runs/low_level`."""

import argparse
from pathlib import Path

import _door
from _config import add_config_arguments, load_config


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    add_config_arguments(parser, "configs/low_level.py")
    parser.add_argument("--workdir", required=True, help="the run's folder; the same command resumes")
    parser.add_argument("--init-from", help="continue from a zoo id (humanoid/low-level-v1) or a run's folder")
    options = parser.parse_args()
    config = load_config(options)

    from anyskill_brax.low_level import run

    init_from = None
    if options.init_from:
        from skill_zoo.controllers import read_training

        init_from = read_training(options.init_from)
    with _door.StopSignals() as stopped:
        trained = run.train(config, options.workdir, init_from, lambda line: print(line, flush=True), stopped)
    _door.note_command(Path(options.workdir))
    if trained is None:
        return stopped.exit_code
    print(f"{trained.controller}\npublish it with: tools/publish_low_level.py --workdir {options.workdir} --zoo ZOO")
    return 0


if __name__ == "__main__":
    _door.run(main)
