"""The balance feedback: nothing when nothing deviates, the right joints and signs when something does."""

import jax.numpy as jnp
import numpy as np
import pytest

from anyskill_brax.character.kinematics import forward_kinematics
from anyskill_brax.low_level.balance import balancing_joints, correction, posture, within_support


@pytest.fixture(scope="module")
def standing(character):
    return forward_kinematics(character, jnp.asarray(character.default_qpos), jnp.zeros(34))


@pytest.fixture(scope="module")
def drifting(character):
    """The same pose, its whole body moving forward at 0.5 m/s."""
    return forward_kinematics(character, jnp.asarray(character.default_qpos), jnp.zeros(34).at[0].set(0.5))


def test_posture_of_plain_standing(character, standing, drifting):
    still = np.asarray(posture(character, standing))
    np.testing.assert_allclose(still[1], 0.0, atol=1e-5, err_msg="standing is symmetric")
    np.testing.assert_allclose(still[0, 1:], 0.0, atol=1e-5, err_msg="upright and at rest")
    assert abs(still[0, 0]) < 0.05, "the centre of mass is near the ankles"
    moving = np.asarray(posture(character, drifting)) - still
    np.testing.assert_allclose(moving, [[0.0, 0.5, 0.0, 0.0], [0.0] * 4], atol=1e-5)


def test_no_deviation_no_correction(character, standing):
    gains = jnp.asarray(np.random.default_rng(0).normal(size=(2, 4, 4)), jnp.float32)
    np.testing.assert_array_equal(correction(character, gains, standing, standing), 0.0)


def test_drifting_forward_moves_the_ankles_it_should(character, standing, drifting):
    gains = jnp.zeros((2, 4, 4)).at[0, 0, 1].set(0.2)  # ankles, sagittal, per m/s
    shift = np.asarray(correction(character, gains, drifting, standing))
    moved = {name: value for name, value in zip(character.joint_names, shift, strict=True) if abs(value) > 1e-6}
    assert moved.keys() == {"right_ankle_y", "left_ankle_y"}
    np.testing.assert_allclose(list(moved.values()), 0.1, atol=1e-5)


def test_a_leg_in_the_air_places_its_hip_and_spares_its_ankle(character, drifting):
    qpos = jnp.asarray(character.default_qpos).at[7 + character.joint_names.index("left_hip_y")].add(-0.6)
    qpos = qpos.at[7 + character.joint_names.index("left_knee")].add(1.2)
    reference = forward_kinematics(character, qpos, jnp.zeros(34))
    simulated = forward_kinematics(character, qpos, jnp.zeros(34).at[0].set(0.5))
    gains = jnp.zeros((2, 4, 4)).at[0, :, 1].set(jnp.array([0.2, 0.4, 0.8, 0.0]))
    shift = dict(
        zip(character.joint_names, np.asarray(correction(character, gains, simulated, reference)), strict=True)
    )
    assert shift["right_ankle_y"] == pytest.approx(0.1, abs=1e-4) and shift["left_ankle_y"] == pytest.approx(
        0, abs=1e-4
    )
    assert shift["right_hip_y"] == pytest.approx(0.2, abs=1e-4) and shift["left_hip_y"] == pytest.approx(0.4, abs=1e-4)


def test_a_pose_that_leans_off_its_soles_is_not_wanted(character):
    """Leaning forward from the ankles by 0.3 rad, the centre of mass is 27 cm ahead of them."""
    qpos = np.array(character.default_qpos)
    qpos[3:7] = [np.cos(0.15), 0.0, np.sin(0.15), 0.0]
    leaning = forward_kinematics(character, jnp.asarray(qpos), jnp.zeros(34))
    ahead = posture(character, leaning)
    assert float(ahead[0, 0]) > 0.2
    wanted = np.asarray(within_support(character, leaning, ahead))
    assert 0.05 < wanted[0, 0] < 0.2 and wanted[1, 0] == pytest.approx(0.0, abs=1e-4)
    np.testing.assert_array_equal(wanted[:, 1:], np.asarray(ahead)[:, 1:])


def test_legs_and_waist_balance(character):
    chosen = {name for name, yes in zip(character.joint_names, balancing_joints(character), strict=True) if yes}
    assert len(chosen) == 3 + 2 * 7
    assert not any("shoulder" in name or "elbow" in name or "neck" in name for name in chosen)
