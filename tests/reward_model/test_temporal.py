"""The temporal tower, small: the text side learns with it, faithful to what it said of poses; the pose tower rests."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from clip.make_golden_sentence import GOLDEN
from reward_model.test_clip_captions import two_clips

from anyskill_brax.clip import sentence
from anyskill_brax.clip.builtin import FORMAT, BuiltinPose, tensors_of
from anyskill_brax.clip.towers import POSE_FEATURES, PoseTower, SentenceTower, TextTower
from anyskill_brax.reward_model.clip_captions import CaptionedClips, caption_recall, captions_of, clip_windows
from anyskill_brax.reward_model.phrases import phrases_of
from anyskill_brax.reward_model.run import with_sources
from anyskill_brax.reward_model.temporal import TemporalSettings, add_temporal_tower, clip_lesson

TINY = TemporalSettings(
    seed=0,
    frames=8,
    motion_variants=0,
    num_motion=0,
    num_random=64,
    starting_share=0.1,
    num_captions=100,
    updates=40,
    batch=32,
    learning_rate=3e-3,
    weight_decay=1e-3,
    feature_noise=0.05,
    frame_width=16,
    widths=(32,),
    weight=0.8,
    text_rate=1.0,
    faith=0.0,
    clip_captions=0.0,
    num_clip=40,
    clip_hold_out=0.0,
)
TEXT = {"num_buckets": 1024, "width": 8, "heads": 2, "hidden": 32}
FEATURES = 95


@pytest.fixture(scope="module")
def model(character) -> BuiltinPose:
    """An encoder of poses that has learnt nothing yet."""
    towers = {
        "text": TextTower(dim=16, **TEXT).init(jax.random.key(0), jnp.ones((1, 4), int))["params"],
        "pose": PoseTower(widths=(16,), dim=16).init(jax.random.key(1), jnp.zeros((1, FEATURES)))["params"],
        "normalizer": {"mean": np.zeros(FEATURES), "std": np.ones(FEATURES)},
    }
    config = {
        "format": FORMAT,
        "kind": "pose",
        "name": "tiny",
        "input": "positions",
        "dim": 16,
        "text": TEXT,
        "pose": {"widths": [16]},
        "character_sha256": character.sha256,
        "phrases_part": "reward",
        "phrases": list(phrases_of("reward")),
        "training": {"num_buckets": TEXT["num_buckets"], "max_grams": 64, "gram_dropout": 0.1},
    }
    return BuiltinPose(config, tensors_of(**towers))


@pytest.mark.slow
def test_the_text_side_learns_and_can_be_held_to_what_it_said_of_poses(character, model):
    texts = list(phrases_of("reward"))[:200]
    before = model.embed_text(texts)
    poses = np.asarray(model.embed_features(jax.random.normal(jax.random.key(2), (300, FEATURES))))

    def changed(faith: float) -> float:
        """Root mean square of how the cosines of poses and texts change."""
        after = add_temporal_tower(character, model, dataclasses.replace(TINY, faith=faith), [], lambda line: None)
        old, new = model.to_tensors(), after.to_tensors()
        assert after.window == 8 and after.sha256 != model.sha256
        assert all(np.array_equal(new[name], old[name]) for name in old if not name.startswith("text/"))
        return float(np.sqrt(np.mean((poses @ (after.embed_text(texts) - before).T) ** 2)))

    assert 0.0 < changed(100.0) < 0.5 * changed(0.0)


def test_without_the_weight_captions_are_not_read(character, model):
    stats, clips = {"mean": np.zeros(FEATURES), "std": np.ones(FEATURES)}, two_clips(character)
    assert clip_lesson(character, model, TINY, stats, clips) is None
    assert clip_lesson(character, model, dataclasses.replace(TINY, clip_captions=1.0), stats, []) is None


@pytest.mark.slow
def test_clips_are_told_apart_by_captions_that_it_had_no_words_for(character, model):
    clips, settings = two_clips(character), dataclasses.replace(TINY, clip_captions=3.0, updates=150)
    after = add_temporal_tower(character, model, settings, [], lambda line: None, clips)
    said = [text for clip in clips for text in captions_of(clip, "reward")]
    assert {*said} <= {*after.config()["phrases"]} and not {*said} & {*model.config()["phrases"]}
    assert after.text_confidence(said).min() > 0.9 > 0.1 > after.text_confidence(["fry an omelette"])[0]
    spoken = CaptionedClips.create(character, clips, 8, "reward")
    windows, whose = clip_windows(character, POSE_FEATURES["positions"], spoken, 8, 40, 0.0, seed=5)
    found = caption_recall(after.embed_text, spoken, np.asarray(after.embed_time(windows[0])), whose, said)
    assert found["first"] > 0.9 > found["first_by_chance"]


@pytest.mark.slow
def test_a_text_side_on_sentence_vectors_learns_movement_and_captions_as_well(character, model, monkeypatch):
    monkeypatch.setattr(sentence, "_loaded", {})
    encoder = sentence.load_encoder(GOLDEN)
    shape = {"encoder_sha256": encoder.sha256, "hidden": 8}
    text = SentenceTower(8, 16).init(jax.random.key(3), jnp.zeros((1, encoder.width)))["params"]
    tensors = {name: value for name, value in model.to_tensors().items() if not name.startswith("text/")}
    other = BuiltinPose({**model.config(), "text": shape}, {**tensors, **tensors_of(text=text)})
    settings = dataclasses.replace(TINY, clip_captions=1.0, updates=5)
    after = add_temporal_tower(character, other, settings, [], lambda line: None, two_clips(character))
    assert after.window == 8 and after.config()["text"] == shape
    assert np.abs(after.embed_text(["kick the ball"]) - other.embed_text(["kick the ball"])).max() > 1e-5
    assert {name for name in after.to_tensors() if name.startswith("text/")} == {
        name for name in other.to_tensors() if name.startswith("text/")
    }


def test_the_config_names_where_clips_come_from(character, model):
    clips = two_clips(character)
    assert with_sources(model, []) is model
    mixed = [*clips, dataclasses.replace(clips[0], licence="MIT")]
    assert with_sources(model, mixed).config()["motions"] == {"some/repo": "CMU, MIT"}
