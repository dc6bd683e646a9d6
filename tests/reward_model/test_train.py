"""Training as a whole, small: it learns, it repeats itself, and what it reports is arithmetic."""

import dataclasses
import json
import sys
from pathlib import Path

import jax
import numpy as np
import pytest
from clip.make_golden_sentence import GOLDEN

from anyskill_brax.clip import sentence
from anyskill_brax.clip.builtin import load_builtin, save_builtin
from anyskill_brax.clip.hashed_text import PhraseIndex, TextError
from anyskill_brax.reward_model import report
from anyskill_brax.reward_model.captions import Captions
from anyskill_brax.reward_model.phrases import phrases_of
from anyskill_brax.reward_model.posecodes import attribute_names
from anyskill_brax.reward_model.poses import in_chunks
from anyskill_brax.reward_model.train import (
    TrainSettings,
    fit_confidence,
    make_poses,
    neutral_words,
    pose_features,
    single_meanings,
    train_pose_model,
)
from anyskill_brax.types import UserError

SMALL = TrainSettings(
    seed=3,
    num_poses=1000,
    num_motion_poses=0,
    num_captions=1500,
    updates=4,
    batch=64,
    num_mined=64,
    mining_rounds=1,
    mining_steps=3,
    mining_rate=0.05,
    mining_stiffness=0.001,
    learning_rate=5e-3,
    weight_decay=1e-4,
    max_grams=64,
    gram_dropout=0.1,
    sum_weight=1.0,
    feature_noise=0.05,
    dim=32,
    num_buckets=4096,
    text_width=16,
    text_heads=2,
    text_hidden=64,
    pose_widths=(96,),
)


@pytest.fixture(scope="module")
def data(character):
    return make_poses(character, SMALL, [])


def _train(character, data, settings: TrainSettings):
    return train_pose_model(character, settings, data, "reward", "positions", "toy", lambda line: None)


def test_equal_seeds_give_equal_weights(character, data):
    one, again = (_train(character, data, SMALL) for _ in range(2))
    assert one.sha256 == again.sha256


def test_a_text_side_on_sentence_vectors(character, data, tmp_path, monkeypatch):
    """Its weights are a small net's, not the encoder's; it loads with the encoder's folder, given or named, or not."""
    monkeypatch.setattr(sentence, "_loaded", {})
    monkeypatch.delenv(sentence.VARIABLE, raising=False)
    encoder = sentence.load_encoder(GOLDEN)
    small = dataclasses.replace(SMALL, num_mined=0, mining_rounds=0, num_captions=200)
    model = train_pose_model(character, small, data, "reward", "positions", "toy", lambda line: None, encoder)
    assert model.config()["text"] == {"encoder_sha256": encoder.sha256, "hidden": 64}
    assert {name: value.shape for name, value in model.to_tensors().items() if name.startswith("text/")} == {
        "text/hidden/kernel": (16, 64), "text/hidden/bias": (64,), "text/out/kernel": (64, 32), "text/out/bias": (32,)
    }  # fmt: skip
    save_builtin(model, tmp_path / "model")
    sentence._loaded.clear()
    with pytest.raises(UserError, match=f"'toy' .* {encoder.sha256}"):
        load_builtin(tmp_path / "model")
    given = load_builtin(tmp_path / "model", GOLDEN)
    np.testing.assert_array_equal(given.embed_text(["raise two arms"]), model.embed_text(["raise two arms"]))
    assert np.abs(np.diff(given.embed_text(["raise two arms", "kick the ball"]), axis=0)).max() > 1e-3
    with pytest.raises(TextError):
        given.embed_text(["..."])
    sentence._loaded.clear()
    monkeypatch.setenv(sentence.VARIABLE, str(GOLDEN))
    assert load_builtin(tmp_path / "model").sha256 == model.sha256


@pytest.mark.slow
def test_it_learns(character, data):
    """800 updates on a thousand poses: trained phrases and the unseen half order poses far better than chance."""
    model = _train(character, data, dataclasses.replace(SMALL, updates=800))
    features = in_chunks(jax.jit(model.embed_features), pose_features(character, data, "positions"))
    names, shown = attribute_names(character), data.degrees > 0.5
    for phrases in (phrases_of("reward"), report.unseen_phrases("reward")):
        some = {text: phrases[text] for text in list(phrases)[::25]}
        assert report.phrase_scores(names, model, features, shown, some)["auc"] > 0.75


def test_auc_by_hand():
    """Positives 3, 1 against negatives 2, 0: of four pairs, three are in order; a tie counts half."""
    positive = np.array([True, False, True, False])
    assert report.auc(np.array([3.0, 2.0, 1.0, 0.0]), positive) == 0.75
    assert report.auc(np.zeros(4), positive) == 0.5
    assert np.isnan(report.auc(np.zeros(4), np.ones(4, bool)))


def test_confidence_separates_known_words_from_others():
    index = PhraseIndex(["raise the arm", "walk on"])
    fitted = fit_confidence(index, ["raise one arm", "walk"], ["bake bread", "file taxes"])
    known, alien = (np.dot(fitted["weights"], evidence) + fitted["bias"] for evidence in ([0.9, 1.0], [0.0, 0.0]))
    assert known > 0 > alien


@pytest.mark.slow
@pytest.mark.optimised
def test_one_command_trains_reward_judge_and_image(tmp_path, monkeypatch):
    sys.path.insert(0, str(Path(__file__).parents[2] / "tools"))
    import train_reward_model as tool

    command = ["train_reward_model", "--config", "configs/reward_model.py:quicktest", "--out", str(tmp_path), "--image"]
    monkeypatch.setattr(sys, "argv", command)
    tool.main()
    for name in ("pose", "judge", "image"):
        assert (
            load_builtin(tmp_path / name).sha256 == json.loads((tmp_path / name / "report.json").read_text())["sha256"]
        )
    pose, judge, image = (load_builtin(tmp_path / name).config() for name in ("pose", "judge", "image"))
    for name in ("pose", "judge"):
        assert load_builtin(tmp_path / name).window == 8
        assert (
            0 <= json.loads((tmp_path / name / "temporal.json").read_text())["temporal"]["unseen_phrases"]["auc"] <= 1
        )
    assert pose["phrases_part"] != judge["phrases_part"] and pose["input"] != judge["input"]
    for name in ("pose", "judge"):
        assert json.loads((tmp_path / name / "report.json").read_text())["unseen_phrases"]["auc"] > 0.8
    assert image["teacher_sha256"] == load_builtin(tmp_path / "pose").sha256


def test_what_single_phrases_mean():
    """Attributes 0 and 1 are mirror images, 2 its own, 3 absent. One caption says "either, and 2", one "0"."""
    attributes = np.array([[[1, 0], [2, 2], [3, 3]], [[0, 0], [3, 3], [3, 3]]])
    mirrored = np.array([[[0, 1], [2, 2], [3, 3]], [[1, 1], [3, 3], [3, 3]]])
    captions = Captions(
        ("either and squat", "left up"), ("either and squat", "right up"), attributes, mirrored, np.zeros(2)
    )
    singles, means, mirrored_means = single_meanings(captions, absent=3)
    assert singles[:, 0].tolist() == [[0, 0], [0, 1], [1, 1], [2, 2]] and (singles[:, 1:] == 3).all()
    assert means.tolist() == [[1, 3, -1], [0, -1, -1]] and mirrored_means.tolist() == [[1, 3, -1], [2, -1, -1]]
    assert neutral_words(captions, ["left up", "squat", "either"]) == ["and"]
