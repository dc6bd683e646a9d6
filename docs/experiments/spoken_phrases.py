"""What a reward model makes of phrases and sentences that a writer wrote who had not seen its vocabulary.

python docs/experiments/spoken_phrases.py humanoid/builtin-pose-v4 humanoid/builtin-judge-v4
python docs/experiments/spoken_phrases.py runs/reward_model/pose       # or a folder

Windows of a second and a third of the seed that the temporal towers are tested on (built-in motions and random paths).
`singles`: retrieval by phrases of one posecode, as in the models' reports, and the share of confidence above one half.
`composed`: sentences that ask for two or three. rank: Spearman's correlation of the score with what a window deserves,
(weakest + mean) / 2 of the asked degrees; top: what the ten best windows deserve, of what the ten most deserving do;
met: the share of what is asked that the ten best windows show on average.
"""

import json
import sys
from pathlib import Path

import jax
import numpy as np
from scipy.stats import spearmanr

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "configs")]

import reward_model as numbers  # noqa: E402

import skill_zoo  # noqa: E402
from anyskill_brax.character.humanoid import load_character  # noqa: E402
from anyskill_brax.clip.builtin import BuiltinPose, load_builtin  # noqa: E402
from anyskill_brax.motion.synthesis import builtin_motions  # noqa: E402
from anyskill_brax.reward_model import report  # noqa: E402
from anyskill_brax.reward_model.posecodes import attribute_names  # noqa: E402
from anyskill_brax.reward_model.poses import in_chunks  # noqa: E402
from anyskill_brax.reward_model.temporal import TemporalSettings, windows_of  # noqa: E402

SEED, BEST = 10_000, 10
OTHER = {"left": "right", "right": "left"}


def sided(text: str, side: str) -> str:
    return text.replace("<side>", side).replace("<other>", OTHER[side])


def singles(phrases: dict[str, list[str]]) -> dict[str, tuple[str, ...]]:
    """Phrase -> the posecodes that it may mean."""
    out: dict[str, tuple[str, ...]] = {}
    for kind, texts in phrases.items():
        for text in texts:
            if "<side>" not in kind:
                out[text] = (kind,)
            elif "<" in text:
                out |= {sided(text, side): (sided(kind, side),) for side in OTHER}
            else:
                out[text] = tuple(sided(kind, side) for side in OTHER)
    return out


def confident(model: BuiltinPose, texts: list[str]) -> float:
    return float((model.text_confidence(texts) > 0.5).mean())


def composed_scores(model: BuiltinPose, names: tuple[str, ...], features: np.ndarray, degrees: np.ndarray, entries):
    rank, top, met = [], [], []
    texts = [entry["text"] for entry in entries]
    for entry, goal in zip(entries, model.embed_text(texts), strict=True):
        asked = [[names.index(name) for name in kind.split("|")] for kind in entry["kinds"]]
        shown = np.stack([degrees[:, columns].max(axis=1) for columns in asked], axis=1)
        deserved, score = 0.5 * (shown.min(axis=1) + shown.mean(axis=1)), features @ goal
        best = np.argsort(-score)[:BEST]
        rank.append(spearmanr(score, deserved).statistic)
        top.append(deserved[best].mean() / np.sort(deserved)[-BEST:].mean())
        met.append((shown[best].mean(axis=0) > 0.5).mean())
    found = {"rank": np.mean(rank), "top": np.mean(top), "met": np.mean(met)}
    return {key: round(float(value), 3) for key, value in found.items()} | {"confident": confident(model, texts)}


def main() -> None:
    character, entries = load_character(), json.loads((ROOT / "tests/reward_model/blind_phrases.json").read_text())
    names, seen = attribute_names(character), {}
    settings = TemporalSettings(**numbers.get_config().temporal)
    motions = builtin_motions(character, SEED, settings.motion_variants)
    for name in sys.argv[1:]:
        model = load_builtin(Path(name)) if Path(name).is_dir() else skill_zoo.load(name)
        which = model.config()["input"]
        seen.setdefault(which, windows_of(character, settings, which, motions, SEED))
        features, degrees = in_chunks(jax.jit(model.embed_window), seen[which].features), seen[which].degrees
        own = set(model.config()["phrases"])
        texts = {text: means for text, means in singles(entries["phrases"]).items() if text not in own}
        scores = report.phrase_scores(names, model, features, degrees > 0.5, texts)
        scores["confident"] = confident(model, list(texts))
        found = composed_scores(model, names, features, degrees, entries["composed"])
        print(json.dumps({"model": name, "singles": scores, "composed": found}), flush=True)


if __name__ == "__main__":
    main()
