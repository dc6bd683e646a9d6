"""Posecodes by hand-made poses, and the laws that every attribute obeys."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from anyskill_brax import rotations
from anyskill_brax.character.kinematics import forward_kinematics, lowest_points
from anyskill_brax.reward_model.posecodes import attribute_names, degrees, mirror_name, ramp
from anyskill_brax.reward_model.poses import mirror, random_poses


@functools.cache
def _measured(character):
    """Compiled degrees of `qpos [..., 35]`, `qvel [..., 34]`."""
    return jax.jit(lambda qpos, qvel: degrees(character, forward_kinematics(character, qpos, qvel)))


def _shown(
    character, height: float | None = None, pitch: float = 0.0, velocity=(0.0,) * 6, **hinges: float
) -> set[str]:
    """Attributes that hold when the named hinges [deg] are turned; the root at `height` [m], pitched [deg]."""
    qpos = np.array(character.default_qpos)
    for name, angle in hinges.items():
        qpos[7 + character.joint_names.index(name)] = np.radians(angle)
    qpos[3:7] = [np.cos(np.radians(pitch) / 2), 0.0, np.sin(np.radians(pitch) / 2), 0.0]
    qpos[2] = qpos[2] if height is None else height
    qvel = np.zeros(34)
    qvel[:6] = velocity
    held = _measured(character)(qpos, qvel) > 0.5
    return {name for name, holds in zip(attribute_names(character), np.asarray(held), strict=True) if holds}


@pytest.fixture(scope="module")
def poses(character):
    return random_poses(character, 300, seed=5)


def test_standing(character):
    assert _shown(character) == {"arms_down", "arms_straight", "feet_together", "legs_straight", "still", "upright"}


def test_arms(character):
    left_up = _shown(character, left_shoulder_x=170)
    assert "left_arm_up" in left_up and not {"right_arm_up", "both_arms_up", "arms_down"} & left_up
    up = _shown(character, left_shoulder_x=170, right_shoulder_x=-170)
    assert "both_arms_up" in up and not {"left_arm_up", "right_arm_up"} & up
    folded = _shown(character, left_shoulder_x=150, right_shoulder_x=-150, left_elbow=-130, right_elbow=-130)
    assert "elbows_bent" in folded and "both_arms_up" not in folded, "hands behind the head are not raised arms"
    assert "arms_out" in _shown(character, left_shoulder_x=90, right_shoulder_x=-90)
    assert "arms_forward" in _shown(character, left_shoulder_y=-90, right_shoulder_y=-90)
    assert "right_arm_back" in _shown(character, right_shoulder_y=55)
    assert {"elbows_bent"} <= _shown(character, left_elbow=-120, right_elbow=-120)


def test_legs_and_trunk(character):
    assert "left_knee_up" in _shown(character, left_hip_y=-95, left_knee=95)
    assert {"right_leg_out", "right_foot_up"} <= _shown(character, right_hip_x=-55)
    assert "left_leg_forward" in _shown(character, left_hip_y=-80)
    assert "right_leg_back" in _shown(character, right_hip_y=50)
    assert "feet_wide" in _shown(character, height=0.82, left_hip_x=25, right_hip_x=-25)
    assert "bow" in _shown(character, abdomen_y=70)
    assert "lean_back" in _shown(character, abdomen_y=-40)
    assert "lean_left" in _shown(character, abdomen_x=-40) and "twist_left" in _shown(character, abdomen_z=45)
    assert "head_turn_left" in _shown(character, neck_z=45) and "head_turn_right" in _shown(character, neck_z=-45)
    assert "look_down" in _shown(character, neck_y=50) and "look_up" in _shown(character, neck_y=-40)


def test_whole_body(character):
    sat = _shown(character, height=0.08, left_hip_y=-90, right_hip_y=-90)
    assert {"sit", "sit_legs_out"} <= sat and not {"upright", "squat", "kneel"} & sat
    knelt = _shown(character, height=0.48, left_knee=90, right_knee=90)
    assert "kneel" in knelt and not {"left_knee_down", "right_knee_down"} & knelt
    assert "left_knee_down" in _shown(character, height=0.48, left_knee=90, right_hip_y=-90, right_knee=90)
    assert "lie_back" in _shown(character, height=0.1, pitch=-90) and "lie_front" in _shown(
        character, height=0.1, pitch=90
    )
    squat = dict(left_hip_y=-110, right_hip_y=-110, left_knee=130, right_knee=130, left_ankle_y=-20, right_ankle_y=-20)
    assert "squat" in _shown(character, height=0.3, **squat)


@pytest.mark.parametrize(
    ("velocity", "name"),
    [
        ((1.2, 0, 0, 0, 0, 0), "walk_forward"),
        ((3.0, 0, 0, 0, 0, 0), "run"),
        ((-0.6, 0, 0, 0, 0, 0), "walk_backward"),
        ((0, 0.6, 0, 0, 0, 0), "sidestep_left"),
        ((0, -0.6, 0, 0, 0, 0), "sidestep_right"),
        ((0, 0, 0, 0, 0, 1.5), "turn_left"),
        ((0, 0, 0, 0, 0, -1.5), "turn_right"),
        ((0, 0, 0, 0, 0, 4.0), "spin"),
        ((0, 0, 1.5, 0, 0, 0), "jump"),
    ],
)
def test_movement(character, velocity, name):
    moving = _shown(character, velocity=velocity)
    assert name in moving and "still" not in moving
    assert name not in _shown(character)


def test_the_mirror_image_shows_the_mirrored_attributes(character, poses):
    one, other = (np.asarray(_measured(character)(*states)) for states in (poses, mirror(character, *poses)))
    names = attribute_names(character)
    mirrored = other[:, [names.index(mirror_name(name)) for name in names]]
    wrong = np.abs(one - mirrored).max(axis=0) > 2e-3
    assert not [name for name, bad in zip(names, wrong, strict=True) if bad]


def test_mirroring_twice_is_nothing(character, poses):
    np.testing.assert_allclose(mirror(character, *mirror(character, *poses))[0], poses[0], atol=1e-6)


def test_place_and_heading_do_not_matter(character, poses):
    qpos, qvel = poses
    yaw = rotations.yaw_quat(jnp.linspace(-3.0, 3.0, len(qpos)))
    moved = jnp.asarray(qpos).at[:, :2].add(5.0).at[:, 3:7].set(rotations.quat_mul(yaw, jnp.asarray(qpos[:, 3:7])))
    turned = jnp.asarray(qvel).at[:, :3].set(rotations.rotate(yaw, jnp.asarray(qvel[:, :3])))
    measured = _measured(character)
    np.testing.assert_allclose(measured(qpos, qvel), measured(moved, turned), atol=5e-3)


def test_random_poses_stay_within_the_limits_and_on_or_above_the_floor(character, poses):
    qpos, qvel = poses
    assert qpos.dtype == qvel.dtype == np.float32
    assert (qpos[:, 7:] >= character.joint_low - 1e-5).all() and (qpos[:, 7:] <= character.joint_high + 1e-5).all()
    lowest = np.asarray(jax.jit(lambda p, v: lowest_points(character, forward_kinematics(character, p, v)))(qpos, qvel))
    height = lowest.min(axis=-1)
    assert (np.abs(height) < 1e-4).mean() > 0.85 and (height > -1e-4).all() and height.max() < 0.51


def test_ramp():
    assert [float(ramp(jnp.asarray(x), 1.0, 3.0)) for x in (0.0, 2.0, 9.0)] == [0.0, 0.5, 1.0]
    assert float(ramp(jnp.asarray(0.25), 1.0, 0.0)) == 0.75
