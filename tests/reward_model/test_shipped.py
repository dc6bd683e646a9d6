"""What is shipped understands what was asked of it, on phrases that it never learnt."""

import json
from pathlib import Path

import jax
import numpy as np
import pytest

import skill_zoo
from anyskill_brax.clip.towers import POSE_FEATURES
from anyskill_brax.evaluate.alignment import KINEMATIC, asked_texts
from anyskill_brax.evaluate.instructions import meaning
from anyskill_brax.motion.synthesis import builtin_motions
from anyskill_brax.reward_model import report
from anyskill_brax.reward_model.phrases import phrases_of
from anyskill_brax.reward_model.posecodes import attribute_names
from anyskill_brax.reward_model.windows import make_windows

PHRASES = Path(__file__).parent / "test_phrases.json"
KINDS = ["walk", "walk_backwards", "sit", "squats", "crouch", "kneel_both", "turn_around", "stand"]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["builtin-pose", "builtin-judge"])
def test_forward_from_backward_and_sitting_down_from_standing_up(character, name):
    model = skill_zoo.load(f"humanoid/{name}", skill_zoo.PACKAGED)
    config = model.config()
    motions = builtin_motions(character, seed=77, kinds=KINDS)
    windows = make_windows(character, POSE_FEATURES[config["input"]], motions, model.window, 400, 400, 0.1, seed=77)
    names, own = attribute_names(character), phrases_of(config["phrases_part"])
    given = report.test_phrases(json.loads(PHRASES.read_text())["entries"], names)
    unseen = {text: means for text, means in given.items() if text not in own}
    features = np.asarray(jax.jit(model.embed_window)(windows.features))
    scores = report.time_scores(names, model, features, windows.degrees > 0.5, unseen)
    assert scores["forward_backward"] >= 0.9 and scores["sit_stand"] >= 0.9


def test_training_never_reads_the_test_phrases():
    root = Path(__file__).parents[2]
    sources = [*(root / "anyskill_brax").rglob("*.py"), *(root / "configs").rglob("*.py")]
    assert not [str(path) for path in sources if "test_phrases.json" in path.read_text()]


def test_the_study_asks_enough_and_only_what_geometry_can_decide():
    assert len(asked_texts()) >= 100 and len(KINEMATIC) == len(set(KINEMATIC)) == 30
    assert all(meaning(text) for text in KINEMATIC)
