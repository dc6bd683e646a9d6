"""Train the low-level controller: `tools/train_low_level.py --config configs/low_level.py --workdir runs/low_level`."""

import argparse

import _door
from _config import add_config_arguments, load_config


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    add_config_arguments(parser, "configs/low_level.py")
    parser.add_argument("--workdir", required=True, help="the run's folder; the same command resumes")
    parser.add_argument("--init-from", help="continue from a published controller, e.g. humanoid/low-level-v1")
    options = parser.parse_args()
    config = load_config(options)

    from anyskill_brax.low_level import run

    init_from = None
    if options.init_from:
        from skill_zoo.codecs import tensors_from_bytes
        from skill_zoo.zoo import read_file

        init_from = tensors_from_bytes(read_file(options.init_from, "training.safetensors"))
    trained = run.train(config, options.workdir, init_from, report=lambda line: print(line, flush=True))
    print(f"{trained.controller}\npublish it with: tools/publish_low_level.py --workdir {options.workdir} --zoo ZOO")


if __name__ == "__main__":
    _door.run(main)
