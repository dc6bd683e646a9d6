"""Train the low-level controller: `tools/train_low_level.py --config configs/low_level.py --workdir runs/low_level`."""

import argparse
import signal
from pathlib import Path

import _door
from _config import add_config_arguments, load_config


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    add_config_arguments(parser, "configs/low_level.py")
    parser.add_argument("--workdir", required=True, help="the run's folder; the same command resumes")
    parser.add_argument("--init-from", help="continue from a zoo id (humanoid/low-level-v1) or a run's folder")
    parser.add_argument("--coordinator", metavar="HOST:PORT", help="process 0's address, when several train together")
    parser.add_argument("--processes", type=int, default=1, help="how many train together, on one host or several")
    parser.add_argument("--process", type=int, default=0, help="which of them this is; 0 writes the folder")
    options = parser.parse_args()
    config = load_config(options)

    from anyskill_brax.low_level import run, team
    from anyskill_brax.types import UserError

    if options.processes > 1:
        if not options.coordinator:
            raise UserError("--processes wants --coordinator HOST:PORT, the same for all: process 0 listens there")
        team.connect(options.coordinator, options.processes, options.process)
    together = team.Team.of_all_devices()
    report = (lambda line: print(line, flush=True)) if together.leads else (lambda line: None)

    from skill_zoo.lineage import note_origin

    def note(folder: Path) -> None:
        _door.note_command(folder)
        note_origin(folder, options.init_from)

    init_from = None
    if options.init_from:
        from skill_zoo.controllers import read_training

        init_from = read_training(options.init_from)
    with _door.StopSignals() as stopped:
        trained = run.train(config, options.workdir, init_from, report, stopped, together, note)
    if trained is None:  # saved, not finished; also where another process was told to stop
        return stopped.exit_code or 128 + signal.SIGTERM
    report(f"{trained.controller}\npublish it with: tools/publish_low_level.py --workdir {options.workdir} --zoo ZOO")
    return 0


if __name__ == "__main__":
    _door.run(main)
