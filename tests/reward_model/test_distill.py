"""What the image model is taught: pictures of poses that random placement leaves alone, and poses asked for."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from anyskill_brax.character.kinematics import forward_kinematics, lowest_points
from anyskill_brax.clip.towers import still_features
from anyskill_brax.reward_model.lessons import Block, DistillSettings, Plan, Search
from anyskill_brax.reward_model.optimise import SearchSettings, asked_poses
from anyskill_brax.reward_model.pictures import anywhere, make_camera
from anyskill_brax.types import UserError
from configs.reward_model import get_config


@pytest.fixture(scope="module")
def settings() -> DistillSettings:
    image = get_config("quicktest").image
    return DistillSettings(**{**image, "search": SearchSettings(**image.search)})


@pytest.fixture(scope="module")
def look(character):
    """What a photograph shows of `qpos [N, 35]`."""
    at_rest = lambda qpos: forward_kinematics(character, qpos, jnp.zeros((*qpos.shape[:-1], 34)))  # noqa: E731
    return jax.jit(lambda qpos: still_features(character, at_rest(qpos)))


@pytest.fixture(scope="module")
def qpos(character) -> np.ndarray:
    rng, qpos = np.random.default_rng(0), np.tile(character.default_qpos, (6, 1)).astype(np.float32)
    qpos[:, 7:] = rng.uniform(character.joint_low, character.joint_high, (6, 28))
    return qpos


def test_blocks_that_batches_do_not_fill_are_refused(settings):
    with pytest.raises(UserError, match=r"image.block is 65; it must be a multiple of image.batch \(32\)"):
        dataclasses.replace(settings, block=65)


def test_more_searches_than_passes_are_refused(settings):
    with pytest.raises(UserError, match=r"image.searches is 3; it must be at least 1 and at most image.passes \(2\)"):
        dataclasses.replace(settings, searches=3)


def test_the_plan_counts_what_it_hands_out(settings):
    """Pieces and pictures add up; a block knows only poses that have been asked for by then; again is the same."""
    plan = Plan(dataclasses.replace(settings, passes=5, searches=3), num_poses=150, num_texts=1000)
    lessons, rounds = list(plan), settings.search.rounds
    assert plan.asked == 64 and plan.turns == [0, 1, 3] and plan.pools == [214, 278, 278, 342, 342]
    assert [lesson.turn for lesson in lessons if isinstance(lesson, Search)] == [0, 1, 3]
    pieces = [rounds if isinstance(lesson, Search) else 1 for lesson in lessons]
    assert [lesson.end for lesson in lessons] == list(np.cumsum(pieces))
    assert lessons[-1].pictured + settings.block == plan.pictures == 2 * rounds * 8 * 8 + (3 + 4 + 4 + 5 + 5) * 64
    blocks = [lesson for lesson in lessons if isinstance(lesson, Block)]
    for turn, pool in enumerate(plan.pools):
        rows = np.concatenate([block.poses for block in blocks if block.turn == turn])
        assert len(set(rows)) == len(rows) == pool // 64 * 64 and rows.max() < pool
    for block, again in zip(blocks, (lesson for lesson in plan if isinstance(lesson, Block)), strict=True):
        np.testing.assert_array_equal(block.batches, again.batches)
        assert sorted(block.batches.flat) == list(range(64))


def test_a_pose_elsewhere_is_the_same_pose(qpos, look):
    moved = anywhere(jnp.asarray(qpos), jax.random.key(0))
    assert np.abs(moved[:, :2]).max() > 0.3 and np.ptp(np.asarray(moved[:, 6])) > 0.3
    np.testing.assert_allclose(look(moved), look(jnp.asarray(qpos)), atol=2e-5)


@pytest.mark.slow
def test_pictures_differ_from_camera_to_camera_and_repeat_themselves(character, settings, qpos):
    shoot = functools.partial(make_camera(character, settings), jnp.asarray(qpos))
    one, again, other = (np.asarray(shoot(jax.random.key(seed))) for seed in (0, 0, 1))
    assert one.shape == (6, settings.image_size, settings.image_size, 3) and one.dtype == np.uint8
    np.testing.assert_array_equal(one, again)
    assert np.all(np.abs(one.astype(int) - other).mean(axis=(1, 2, 3)) > 1.0)


@pytest.mark.slow
def test_what_is_asked_for_comes_nearer_and_rests_on_the_floor(character, look):
    """A reward for a low pelvis: what is tried stands on the floor, and lower than a standing figure."""
    search = SearchSettings(16, 4, 6, spread=0.3, stiffness=0.0)
    low = lambda bodies: -bodies.pos[..., 0, 2:]  # noqa: E731
    ask = functools.partial(asked_poses, character, low, np.ones((2, 1)), search, 16)
    tried = ask(jax.random.key(0))
    assert tried.shape == (32, 35)
    bodies = forward_kinematics(character, jnp.asarray(tried), jnp.zeros((32, 34)))
    np.testing.assert_allclose(lowest_points(character, bodies).min(axis=-1), 0.0, atol=1e-4)
    assert tried[:, 2].mean() < character.default_qpos[2] - 0.05
    np.testing.assert_array_equal(tried, ask(jax.random.key(0)))
