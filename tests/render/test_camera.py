"""The follow camera: where it stands, what it keeps in the picture."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from anyskill_brax.character.kinematics import BodyState, forward_kinematics
from anyskill_brax.render.camera import follow_camera, look_at, orbit_camera, random_camera, side_by_side
from anyskill_brax.render.raycast import make_renderer


def standing(character, x: float = 0.0, yaw: float = 0.0) -> BodyState:
    qpos = jnp.asarray(character.default_qpos).at[0].set(x)
    qpos = qpos.at[3].set(np.cos(yaw / 2)).at[6].set(np.sin(yaw / 2))
    return forward_kinematics(character, qpos[None], jnp.zeros((1, 34)))


def test_axes_are_right_handed_and_orthonormal():
    camera = look_at(jnp.array([2.0, -1.0, 1.5]), jnp.array([0.0, 0.0, 1.0]), 0.7)
    axes = np.stack([camera.right, camera.up, camera.forward])
    np.testing.assert_allclose(axes @ axes.T, np.eye(3), atol=1e-6)
    np.testing.assert_allclose(np.cross(camera.right, camera.up), -camera.forward, atol=1e-6)


@pytest.mark.parametrize(("azimuth", "side"), [(0.0, (1.0, 0.0)), (np.pi / 2, (0.0, 1.0)), (np.pi, (-1.0, 0.0))])
def test_azimuth_is_front_left_behind(character, azimuth, side):
    camera = follow_camera(standing(character, x=5.0), azimuth, elevation=0.0)
    away = np.asarray(camera.pos[0, :2]) - (5.0, 0.0)
    np.testing.assert_allclose(away / np.linalg.norm(away), side, atol=1e-6)


def test_the_picture_does_not_change_when_the_character_turns_with_its_camera(character):
    """Seen from its own heading it looks the same whatever way it faces; a camera tied to the world sees it turn."""
    render = jax.jit(make_renderer(character, 32, 32, outputs=("segmentation",)))
    one, other = standing(character), standing(character, x=3.0, yaw=2.0)
    own = [np.asarray(render(b, follow_camera(b, 0.4)).segmentation) for b in (one, other)]
    assert np.mean(own[0] == own[1]) > 0.99
    tied = [np.asarray(render(b, follow_camera(b, 0.4, relative_to_heading=False)).segmentation) for b in (one, other)]
    assert np.mean(tied[0] == tied[1]) < 0.99


def test_the_standing_figure_fills_sixty_percent_of_the_height(character):
    bodies = standing(character)
    image = jax.jit(make_renderer(character, 64, 64, outputs=("segmentation",)))(bodies, follow_camera(bodies))
    rows = np.flatnonzero((np.asarray(image.segmentation[0]) >= 0).any(axis=1))
    assert 0.6 <= (rows[-1] - rows[0] + 1) / 64 <= 0.8
    assert rows[0] > 0 and rows[-1] < 63


def test_an_orbit_comes_round_in_its_period_and_does_not_turn_with_the_character(character):
    bodies = standing(character, yaw=1.0)
    start, quarter, round_ = (orbit_camera(bodies, t, period=4.0, start=0.0).pos[0] for t in (0.0, 1.0, 4.0))
    assert float(start[0]) > 3.0 and float(quarter[1]) > 3.0
    np.testing.assert_allclose(round_, start, atol=1e-5)


def test_random_cameras_stay_in_their_ranges_and_differ(character):
    """A hundred worlds: azimuths and elevations within the ranges, spread over them, another for each world."""
    bodies = jax.tree.map(lambda x: jnp.repeat(x, 100, axis=0), standing(character))
    camera = random_camera(jax.random.PRNGKey(0), bodies, azimuth=(-0.5, 1.0), elevation=(0.1, 0.4))
    azimuth, elevation = np.arctan2(camera.pos[:, 1], camera.pos[:, 0]), np.arcsin(-camera.forward[:, 2])
    assert azimuth.min() >= -0.5 and azimuth.max() <= 1.0 and np.ptp(azimuth) > 1.2
    assert elevation.min() >= 0.1 - 1e-5 and elevation.max() <= 0.4 + 1e-5 and np.ptp(elevation) > 0.2


def test_side_by_side_stacks_after_the_worlds(character):
    bodies = jax.tree.map(lambda x: jnp.repeat(x, 3, axis=0), standing(character))
    fixed = look_at(jnp.array([4.0, 0.0, 1.0]), jnp.array([0.0, 0.0, 1.0]), 0.5)
    both = side_by_side(follow_camera(bodies), fixed)
    assert both.pos.shape == (3, 2, 3) and both.fovy.shape == (3, 2)
    np.testing.assert_array_equal(both.pos[:, 1], np.tile([4.0, 0.0, 1.0], (3, 1)))
