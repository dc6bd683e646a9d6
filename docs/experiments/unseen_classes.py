"""What a pose model makes of postures that no caption names: classes of posecodes left out of its vocabulary, in turn.

python docs/experiments/unseen_classes.py outputs/unseen_classes.json

The static posecodes, left and right together, in five parts. Five models, each without a phrase of one part; a caption
never says these words for these postures, though random poses show them. A sixth learns everything. Each is asked, with
the test phrases and with phrases of the half that none has learnt, for the classes that it lacks and for the others.
Smaller than what ships: 2000 updates, nothing mined, no motions, no time.
"""

import json
import sys
from pathlib import Path

import jax
import numpy as np

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "configs")]

import reward_model as numbers  # noqa: E402

from anyskill_brax.character.humanoid import load_character  # noqa: E402
from anyskill_brax.reward_model import report, train  # noqa: E402
from anyskill_brax.reward_model.motioncodes import MOVEMENTS  # noqa: E402
from anyskill_brax.reward_model.phrases import phrases_of  # noqa: E402
from anyskill_brax.reward_model.posecodes import attribute_names  # noqa: E402
from anyskill_brax.reward_model.poses import in_chunks  # noqa: E402
from anyskill_brax.reward_model.run import test_poses  # noqa: E402

PARTS, PART = 5, "reward"


def side_free(name: str) -> str:
    return name.replace("left", "side").replace("right", "side")


def main(out: Path) -> None:
    character, config = load_character(), numbers.get_config()
    names = attribute_names(character)
    settings = train.TrainSettings(
        **{**config.encoder, "updates": 2000, "num_captions": 40_000, "num_mined": 0, "mining_rounds": 0}
    )
    data, test = train.make_poses(character, settings, []), test_poses(character, 0)
    features, shown = train.pose_features(character, test, "positions"), test.degrees > 0.5
    entries = json.loads((ROOT / "tests/reward_model/test_phrases.json").read_text())["entries"]
    asked = {"test_phrases": report.test_phrases(entries, names), "other_half": report.unseen_phrases(PART)}
    asked["other_half"] = dict(list(asked["other_half"].items())[::5])
    classes = sorted({side_free(name) for name in names if name not in MOVEMENTS})
    parts = np.array_split(np.random.default_rng(0).permutation(classes), PARTS)
    found = {"classes": len(classes), "parts": []}
    for lacking in [*parts, np.array([], str)]:
        lacks = lambda means, lacking=lacking: any(side_free(name) in lacking for name in means)  # noqa: E731
        train.phrases_of = lambda part, lacks=lacks: {t: m for t, m in phrases_of(part).items() if not lacks(m)}
        model = train.train_pose_model(character, settings, data, PART, "positions", "pose", lambda line: None)
        seen = in_chunks(jax.jit(model.embed_features), features)
        row: dict = {"lacks": [str(name) for name in lacking]}
        for group, phrases in asked.items():
            static = {text: means for text, means in phrases.items() if not {*means} & {*MOVEMENTS}}
            for kind, chosen in (("lacked", True), ("learnt", False)):
                some = {text: means for text, means in static.items() if lacks(means) == chosen}
                if some:
                    row[f"{group}_{kind}"] = report.phrase_scores(names, model, seen, shown, some)
                    row[f"{group}_{kind}_confident"] = float((model.text_confidence(list(some)) > 0.5).mean())
        row["each"] = {
            name: report.phrase_scores(
                names, model, seen, shown, {t: m for t, m in asked["other_half"].items() if side_free(m[0]) == name}
            ).get("auc")
            for name in row["lacks"]
        }
        found["parts"].append(row)
        print(json.dumps(row), flush=True)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
