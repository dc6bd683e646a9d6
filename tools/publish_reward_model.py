"""Publish trained reward models: `tools/publish_reward_model.py --from runs/reward_model --zoo ZOO`.

`pose` becomes the reward that `train_batch` uses, `judge` the one that grades, `image` the reward from pictures.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import _door

ROLES = {"pose": "reward", "judge": "judge", "image": "image_reward"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--from", dest="source", type=Path, required=True, help="what tools/train_reward_model.py wrote"
    )
    parser.add_argument("--zoo", required=True, help="zoo folder; `packaged` is the one in this checkout")
    parser.add_argument("--only", nargs="+", choices=list(ROLES), default=list(ROLES))
    options = parser.parse_args()

    import skill_zoo
    from anyskill_brax.clip.builtin import load_builtin

    zoo = skill_zoo.PACKAGED if options.zoo == "packaged" else Path(options.zoo)
    models = {kind: load_builtin(options.source / kind) for kind in options.only}
    for kind, model in models.items():
        reports = {
            name: json.loads((options.source / kind / name).read_text())
            for name in ("report.json", "temporal.json")
            if (options.source / kind / name).is_file()
        }
        report = reports["report.json"]
        measured = {
            f"{group}_{name}": float(report[group][name])
            for group in ("unseen_phrases", "confidence")
            for name in ("auc",)
            if group in report
        }
        skill_id = skill_zoo.save(
            model,
            model.name,
            zoo=zoo,
            metrics=measured,
            config={"role": ROLES[kind]},
            motions={"builtin": "made by this project, Apache-2.0", **model.config().get("motions", {})},
            files={
                **{name: json.dumps(measured, indent=1).encode() for name, measured in reports.items()},
                "card.md": card(kind, model, reports).encode(),
            },
            command=_door.command(options.source / kind),
        )
        print(f"published {skill_id}, role {ROLES[kind]}")


def card(kind: str, model: Any, reports: dict[str, Any]) -> str:
    """What it sees, how well, and what it does not understand."""
    sees = {
        "pose": "positions and velocities of the bodies",
        "judge": "joint rotations and their rates",
        "image": "one 64 px picture",
    }[kind]
    unseen = reports["report.json"]["unseen_phrases"]
    lines = [f"- unseen phrases, single poses: {_percent(unseen, 'auc', 'sides', 'opposites')}"]
    if "temporal.json" in reports:
        names = ("auc", "forward_backward", "sit_stand", "turn_left_right", "wave_arm_up")
        moving = _percent(reports["temporal.json"]["mixed"]["unseen_phrases"], *names)
        lines.append(f"- unseen phrases about movement, windows of {model.window} latent steps: {moving}")
    time = "rhythm, counting and order beyond a second and a third" if model.window > 1 else "time: it sees one instant"
    taught = model.config().get("temporal_training", {}).get("clip_captions", 0) and model.config().get("motions")
    words = " and of its clips' captions" if taught else ""
    if encoder := model.config()["text"].get("encoder_sha256"):
        lines.append(f"- texts are read through a sentence encoder that is not part of it, sha256 {encoder}")
    still = ", movement of any kind" if kind == "image" else ""
    return f"""# {model.name}

A pose-language encoder trained by this project from geometry (docs/reward-model.md). It sees {sees}.
It is not CLIP: it understands the words of `phrases.toml` and `spoken.toml` (anyskill_brax/reward_model){words} and
near relatives; a text outside that vocabulary gets a low confidence. `report.json` holds everything that was measured.

{chr(10).join(lines)}

It does not understand: {time}{still}; negation ("don't" is ignored); objects and other bodies; style ("sadly"); which
limb does what in long sentences; other languages; left and right of a body that lies on the floor.
"""


def _percent(scores: dict[str, float], *names: str) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {scores[name]:.3f}" for name in names if name in scores)


if __name__ == "__main__":
    _door.run(main)
