"""The temporal tower, small: the text side learns with it, faithful to what it said of poses; the pose tower rests."""

import dataclasses

import jax
import numpy as np
import pytest

from anyskill_brax.reward_model.poses import in_chunks
from anyskill_brax.reward_model.temporal import TemporalSettings, add_temporal_tower
from anyskill_brax.reward_model.train import TrainSettings, make_poses, pose_features, train_pose_model
from configs.reward_model import get_config

SMALL = TrainSettings(**{**get_config("quicktest").encoder, "num_poses": 1000, "num_captions": 1500, "updates": 4})

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


@pytest.mark.slow
def test_the_text_side_learns_and_can_be_held_to_what_it_said_of_poses(character):
    data = make_poses(character, SMALL, [])
    model = train_pose_model(character, SMALL, data, "reward", "positions", "small", lambda line: None)
    texts = list(model.config()["phrases"])[:200]
    before = model.embed_text(texts)
    poses = in_chunks(jax.jit(model.embed_features), pose_features(character, data, "positions"))

    def changed(**numbers: float) -> float:
        """Root mean square of how the cosines of poses and texts change."""
        settings = dataclasses.replace(TINY, **numbers)  # pyright: ignore[reportArgumentType]
        after = add_temporal_tower(character, model, settings, [], lambda line: None)
        old, new = model.to_tensors(), after.to_tensors()
        assert after.window == 8 and after.sha256 != model.sha256
        assert all(np.array_equal(new[name], old[name]) for name in old if not name.startswith("text/"))
        return float(np.sqrt(np.mean((poses @ (after.embed_text(texts) - before).T) ** 2)))

    assert 0.0 < changed(faith=100.0) < 0.5 * changed()
