"""Forward kinematics against MuJoCo's own, geom heights against brute force."""

import jax
import mujoco
import numpy as np
import pytest

from anyskill_brax import rotations
from anyskill_brax.character import kinematics

POSES = 16


@pytest.fixture(scope="module")
def poses(character):
    """Random `qpos [POSES, 35]` within (and a little beyond) the joint limits, `qvel [POSES, 34]`."""
    rng = np.random.default_rng(0)
    root_rot = rng.normal(size=(POSES, 4))
    root_rot /= np.linalg.norm(root_rot, axis=-1, keepdims=True)
    hinges = rng.uniform(1.1 * character.joint_low, 1.1 * character.joint_high, (POSES, 28))
    qpos = np.concatenate([rng.normal(size=(POSES, 3)), root_rot, hinges], axis=-1)
    return qpos.astype(np.float32), rng.normal(size=(POSES, 34)).astype(np.float32)


@pytest.fixture(scope="module")
def forward(character):
    return jax.jit(lambda qpos, qvel: kinematics.forward_kinematics(character, qpos, qvel))


@pytest.fixture(scope="module")
def simulated(character, poses):
    """MuJoCo's positions, rotation matrices, linear and angular velocities of every body, and its MjData."""
    results = []
    for qpos, qvel in zip(*poses):
        data = mujoco.MjData(character.model)
        data.qpos, data.qvel = qpos, qvel
        mujoco.mj_forward(character.model, data)
        velocity = np.zeros((character.num_bodies, 6))
        for body in range(character.num_bodies):
            mujoco.mj_objectVelocity(
                character.model, data, mujoco.mjtObj.mjOBJ_XBODY, body + 1, velocity[body], flg_local=False
            )
        results.append((data.xpos[1:], data.xquat[1:], velocity[:, 3:], velocity[:, :3], data))
    return results


def test_poses_and_velocities_equal_mujocos(poses, forward, simulated):
    bodies = forward(*poses)
    for i, (pos, rot, linvel, angvel, _) in enumerate(simulated):
        np.testing.assert_allclose(bodies.pos[i], pos, atol=2e-6)
        np.testing.assert_allclose(np.abs(np.sum(bodies.rot[i] * rot, axis=-1)), 1.0, atol=2e-6)
        np.testing.assert_allclose(bodies.linvel[i], linvel, atol=3e-5)
        np.testing.assert_allclose(bodies.angvel[i], angvel, atol=3e-5)


def test_joint_rotations_are_relative_to_the_parent(character, poses, forward):
    bodies = forward(*poses)
    parent = bodies.rot[:, character.parents[1:]]
    rebuilt = rotations.quat_mul(parent, bodies.joint_rot[:, 1:])
    assert rotations.angle_between(rebuilt, bodies.rot[:, 1:]).max() < 2e-3
    hand = character.body("left_hand")
    np.testing.assert_allclose(bodies.joint_rot[:, hand], np.tile([1.0, 0, 0, 0], (POSES, 1)), atol=1e-6)


def test_leading_axes_are_free(poses, forward):
    qpos, qvel = poses
    flat, folded = forward(qpos, qvel), forward(qpos.reshape(2, 8, -1), qvel.reshape(2, 8, -1))
    for one, other in zip(jax.tree.leaves(flat), jax.tree.leaves(folded)):
        assert other.shape[:3] == (2, 8, 15)
        np.testing.assert_allclose(other.reshape(one.shape), one, atol=1e-6)


def test_lowest_points_equal_brute_force(character, poses, forward, simulated):
    """Against a dense cover of every geom's surface: the minimum over samples is never lower, and close."""
    rng = np.random.default_rng(3)
    sphere = rng.normal(size=(20000, 3))
    sphere /= np.linalg.norm(sphere, axis=-1, keepdims=True)
    heights = np.asarray(kinematics.lowest_points(character, forward(*poses)))
    model = character.model
    geoms = [g for g in range(model.ngeom) if model.geom_bodyid[g] > 0]
    assert heights.shape == (POSES, len(geoms))
    for i, (*_, data) in enumerate(simulated[:6]):
        for column, geom in enumerate(geoms):
            size, kind = model.geom_size[geom], model.geom_type[geom]
            if kind == mujoco.mjtGeom.mjGEOM_BOX:
                surface = np.array(np.meshgrid([-1, 1], [-1, 1], [-1, 1])).reshape(3, 8).T * size
            elif kind == mujoco.mjtGeom.mjGEOM_CAPSULE:
                surface = sphere * size[0] + np.sign(sphere[:, 2:]) * (0, 0, size[1])
            else:
                surface = sphere * size[0]
            lowest = (surface @ data.geom_xmat[geom].reshape(3, 3).T)[:, 2].min() + data.geom_xpos[geom, 2]
            assert heights[i, column] - 2e-6 <= lowest <= heights[i, column] + 5e-4


def test_standing_feet_touch_and_a_raised_or_fast_one_does_not(character, forward):
    qpos, qvel = character.default_qpos.copy(), np.zeros(34, np.float32)
    soles = 0.89 - 0.421546 - 0.40987 - 0.05
    qpos[2] -= soles
    standing = forward(qpos, qvel)
    heights = kinematics.lowest_points(character, standing)
    assert float(heights.min()) == pytest.approx(0.0, abs=1e-6)
    assert kinematics.foot_contacts(character, standing).tolist() == [True, True]
    raised = qpos.copy()
    raised[7 + character.joint_names.index("left_knee")] = 1.0
    assert kinematics.foot_contacts(character, forward(raised, qvel)).tolist() == [True, False]
    sliding = qvel.copy()
    sliding[0] = 1.0
    assert kinematics.foot_contacts(character, forward(qpos, sliding)).tolist() == [False, False]
