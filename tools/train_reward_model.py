"""Train the built-in reward models: `tools/train_reward_model.py --out runs/reward_model --image`.

Writes pose/, judge/ and, with --image, image/: config.json, weights.safetensors and report.json each; temporal.json
is about the towers of pose and judge that look at windows of time. The image model takes half an hour and more:
Ctrl-C or SIGTERM saves it in image_run/, and the same command resumes it.
"""

import argparse
import json
import time
from pathlib import Path

import _door
from _config import add_config_arguments, load_config

KINDS = ("pose", "judge", "temporal", "image")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    add_config_arguments(parser, "configs/reward_model.py")
    parser.add_argument("--out", required=True, type=Path, help="folder to write the models into")
    parser.add_argument("--seed", type=int, help="default: the config's")
    parser.add_argument("--motions", type=Path, help="a folder of clips: poses, windows, captions (train split)")
    parser.add_argument("--text-encoder", type=Path, metavar="FOLDER", help="of a BERT (MiniLM) that reads the texts")
    parser.add_argument("--only", nargs="+", choices=KINDS, help="these; without OUT/pose the last two use the zoo's")
    parser.add_argument("--image", action="store_true", help="distil the image model as well")
    parser.add_argument("--test-phrases", type=Path, metavar="FILE", help='{"entries": [...]}: for the report only')
    options = parser.parse_args()
    if options.seed is not None:
        options.set += [f"encoder.seed={options.seed}", f"temporal.seed={options.seed}", f"image.seed={options.seed}"]
    config = load_config(options)

    from anyskill_brax.reward_model.run import train_reward_model
    from anyskill_brax.types import UserError

    entries = []
    if options.test_phrases:
        try:
            entries = json.loads(options.test_phrases.read_text())["entries"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UserError(f'{options.test_phrases}: expected JSON {{"entries": [...]}} ({error})') from error
    models = options.only or list(KINDS if options.image else KINDS[:-1])
    began = time.monotonic()

    def log(line: str) -> None:
        print(f"{time.monotonic() - began:6.0f} s  {line}", flush=True)

    if not {"pose", "judge"} & {*models} and not (options.out / "pose" / "config.json").exists():
        from anyskill_brax.clip.builtin import save_builtin
        from skill_zoo.search import find_reward_model
        from skill_zoo.zoo import load_entry

        teacher = find_reward_model("reward", None)
        log(f"no {options.out / 'pose'}: {teacher.id} takes its place")
        save_builtin(load_entry(teacher, []), options.out / "pose")
    stops = _door.StopSignals()
    reports = train_reward_model(
        config, options.out, options.motions, models, entries, log, stops, options.text_encoder
    )
    stopped = [name for name in models if name not in reports]
    for name, result in reports.pop("temporal", {}).items():
        print(f"{name}, windows of time: {result['mixed'].get('unseen_phrases', {})}")
    for name, result in reports.items():
        _door.note_command(options.out / name)
        unseen = result["unseen_phrases"]
        print(f"{name}: AUC {unseen['auc']:.3f} on {unseen['phrases']} unseen phrases, {result['megabytes']} MB")
    if stopped:
        print("stopped in the image model; the same command resumes it, with --only image at once")
        return stops.exit_code
    print(f"written to {options.out}")
    return 0


if __name__ == "__main__":
    _door.run(main)
