"""Publish trained reward models: `tools/publish_reward_model.py --from runs/reward_model --zoo ZOO`.

`pose` becomes the reward that `train_batch` uses, `judge` the one that grades, `image` the reward from pictures.
"""

import argparse
import json
from pathlib import Path

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
        report = json.loads((options.source / kind / "report.json").read_text())
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
            motions={"builtin": "made by this project, Apache-2.0"},
            files={"report.json": json.dumps(report, indent=1).encode(), "card.md": card(kind, model.name).encode()},
            command=_door.command(options.source / kind),
        )
        print(f"published {skill_id}, role {ROLES[kind]}")


def card(kind: str, name: str) -> str:
    sees = {
        "pose": "positions and velocities of the bodies",
        "judge": "joint rotations and their rates",
        "image": "one 64 px picture",
    }[kind]
    return f"""# {name}

A pose-language encoder trained by this project from geometry (docs/reward-model.md). It sees {sees}.
It is not CLIP: it understands the words of `anyskill_brax/reward_model/phrases.toml` and near relatives; a text outside
that vocabulary gets a low confidence. `report.json` holds everything that was measured.
"""


if __name__ == "__main__":
    _door.run(main)
