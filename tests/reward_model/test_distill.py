"""What the image model is taught: pictures of poses that random placement leaves alone, and poses asked for."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from anyskill_brax.character.kinematics import forward_kinematics, lowest_points
from anyskill_brax.clip.towers import still_features
from anyskill_brax.reward_model import distill
from anyskill_brax.reward_model.optimise import SearchSettings
from anyskill_brax.types import UserError
from configs.reward_model import get_config


@pytest.fixture(scope="module")
def settings() -> distill.DistillSettings:
    image = get_config("quicktest").image
    return distill.DistillSettings(**{**image, "search": SearchSettings(**image.search)})


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


def test_a_pose_elsewhere_is_the_same_pose(qpos, look):
    moved = distill._anywhere(jnp.asarray(qpos), jax.random.key(0))
    assert np.abs(moved[:, :2]).max() > 0.3 and np.ptp(np.asarray(moved[:, 6])) > 0.3
    np.testing.assert_allclose(look(moved), look(jnp.asarray(qpos)), atol=2e-5)


@pytest.mark.slow
def test_pictures_differ_from_camera_to_camera_and_repeat_themselves(character, settings, qpos):
    shoot = functools.partial(distill.make_camera(character, settings), jnp.asarray(qpos))
    one, again, other = (np.asarray(shoot(jax.random.key(seed))) for seed in (0, 0, 1))
    assert one.shape == (6, settings.image_size, settings.image_size, 3) and one.dtype == np.uint8
    np.testing.assert_array_equal(one, again)
    assert np.all(np.abs(one.astype(int) - other).mean(axis=(1, 2, 3)) > 1.0)


@pytest.mark.slow
def test_what_is_asked_for_comes_nearer_and_rests_on_the_floor(character, settings, look):
    """A reward for a low pelvis: what is tried stands on the floor, and lower than a standing figure."""
    settings = dataclasses.replace(settings, tries=16, search=SearchSettings(16, 4, 6, spread=0.3, stiffness=0.0))
    low = lambda bodies: -bodies.pos[..., 0, 2:]  # noqa: E731
    ask = functools.partial(distill.asked_poses, character, low, np.ones((2, 1)), settings)
    tried = ask(jax.random.key(0))
    assert tried.shape == (32, 35)
    bodies = forward_kinematics(character, jnp.asarray(tried), jnp.zeros((32, 34)))
    np.testing.assert_allclose(lowest_points(character, bodies).min(axis=-1), 0.0, atol=1e-4)
    assert tried[:, 2].mean() < character.default_qpos[2] - 0.05
    np.testing.assert_array_equal(tried, ask(jax.random.key(0)))
