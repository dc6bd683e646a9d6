"""The temporal tower, small: the text side learns with it, faithful to what it said of poses; the pose tower rests."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from anyskill_brax.clip.builtin import FORMAT, BuiltinPose, tensors_of
from anyskill_brax.clip.towers import PoseTower, TextTower
from anyskill_brax.reward_model.phrases import phrases_of
from anyskill_brax.reward_model.temporal import TemporalSettings, add_temporal_tower

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
