"""The character against the published table: every mass, offset, limit and gain."""

import jax
import jax.numpy as jnp
import mujoco
import numpy as np
import pytest

# body: parent, offset in the parent [m], mass [kg]
BODIES = {
    "pelvis": (None, (0, 0, 0.89), 9.996),
    "torso": ("pelvis", (0, 0, 0.236151), 12.011),
    "head": ("torso", (0, 0, 0.223894), 3.882),
    "right_upper_arm": ("torso", (-0.02405, -0.18311, 0.2435), 1.499),
    "left_upper_arm": ("torso", (-0.02405, 0.18311, 0.2435), 1.499),
    "right_lower_arm": ("right_upper_arm", (0, 0, -0.274788), 1.0),
    "left_lower_arm": ("left_upper_arm", (0, 0, -0.274788), 1.0),
    "right_hand": ("right_lower_arm", (0, 0, -0.258947), 0.5),
    "left_hand": ("left_lower_arm", (0, 0, -0.258947), 0.5),
    "right_thigh": ("pelvis", (0, -0.084887, 0), 4.502),
    "left_thigh": ("pelvis", (0, 0.084887, 0), 4.502),
    "right_shin": ("right_thigh", (0, 0, -0.421546), 3.0),
    "left_shin": ("left_thigh", (0, 0, -0.421546), 3.0),
    "right_foot": ("right_shin", (0, 0, -0.40987), 1.0),
    "left_foot": ("left_shin", (0, 0, -0.40987), 1.0),
}

# joint: kp [Nm/rad], kd [Nm s/rad], torque limit [Nm], armature, limits of x, y, z [deg] on the right side
JOINTS = {
    "abdomen": (1000, 100, 200, 0.02, {"x": (-60, 60), "y": (-60, 90), "z": (-50, 50)}),
    "neck": (100, 10, 50, 0.01, {"x": (-50, 50), "y": (-40, 60), "z": (-45, 45)}),
    "shoulder": (400, 40, 100, 0.02, {"x": (-180, 45), "y": (-180, 60), "z": (-90, 90)}),
    "elbow": (300, 30, 70, 0.01, {"": (-160, 0)}),
    "hip": (500, 50, 200, 0.02, {"x": (-60, 15), "y": (-140, 60), "z": (-60, 35)}),
    "knee": (500, 50, 150, 0.02, {"": (0, 160)}),
    "ankle": (400, 40, 90, 0.01, {"x": (-30, 30), "y": (-55, 55), "z": (-40, 40)}),
}
MIRRORED = {"shoulder": "x", "hip": "xz", "ankle": ""}  # axes whose limits change sign on the left

# body: its geoms as (type, radius or half sizes, half length, centre) in the body's frame [m]
GEOMS = {
    "pelvis": [("sphere", 0.09, None, (0, 0, 0.07)), ("sphere", 0.07, None, (0, 0, 0.205))],
    "head": [("sphere", 0.095, None, (0, 0, 0.175))],
    "upper_arm": [("capsule", 0.045, 0.09, (0, 0, -0.14))],
    "lower_arm": [("capsule", 0.04, 0.0675, (0, 0, -0.12))],
    "hand": [("sphere", 0.04, None, (0, 0, 0))],
    "thigh": [("capsule", 0.055, 0.15, (0, 0, -0.21))],
    "shin": [("capsule", 0.05, 0.155, (0, 0, -0.2))],
    "foot": [("box", (0.0885, 0.045, 0.0275), None, (0.045, 0, -0.0225))],
}


@pytest.mark.parametrize("name", BODIES)
def test_body(character, name):
    parent, offset, mass = BODIES[name]
    body = character.model.body(name)
    np.testing.assert_allclose(body.pos, offset, atol=1e-9)
    np.testing.assert_allclose(body.mass, mass, atol=1e-6)
    index = character.body(name)
    assert character.parents[index] == (character.body(parent) if parent else -1)


def expected_joints():
    for joint, (kp, kd, torque, armature, limits) in JOINTS.items():
        for side in ("",) if joint in ("abdomen", "neck") else ("right_", "left_"):
            for axis, (low, high) in limits.items():
                if side == "left_" and axis and axis in MIRRORED[joint]:
                    low, high = -high, -low
                yield side + joint + (f"_{axis}" if axis else ""), (kp, kd, torque, armature, low, high)


@pytest.mark.parametrize(("name", "expected"), expected_joints())
def test_joint(character, name, expected):
    model, (kp, kd, torque, armature, low, high) = character.model, expected
    joint, actuator, index = model.joint(name), model.actuator(name), character.joint_names.index(name)
    np.testing.assert_allclose(np.rad2deg(joint.range), (low, high), atol=1e-6)
    assert (joint.damping[0], joint.armature[0], joint.stiffness[0]) == (kd, armature, 0)
    assert (actuator.gainprm[0], actuator.biasprm[1]) == (kp, -kp)
    assert tuple(actuator.forcerange) == (-torque, torque)
    assert actuator.trnid[0] == joint.id
    np.testing.assert_array_equal(joint.axis, np.eye(3)["xyz".index(name[-1])] if name[-2] == "_" else (0, 1, 0))
    table = (character.kp[index], character.kd[index], character.torque_limit[index])
    assert table == (kp, kd, torque)
    np.testing.assert_allclose(
        np.rad2deg([character.joint_low[index], character.joint_high[index]]), (low, high), atol=1e-4
    )


@pytest.mark.parametrize("name", sorted(set(BODIES) - {"torso"}))
def test_geoms(character, name):
    model = character.model
    body = model.body(name)
    geoms = [model.geom(g) for g in range(body.geomadr[0], body.geomadr[0] + body.geomnum[0])]
    expected = GEOMS[name.removeprefix("right_").removeprefix("left_")]
    assert len(geoms) == len(expected)
    for geom, (kind, radius, half_length, centre) in zip(geoms, expected):
        assert geom.type[0] == getattr(mujoco.mjtGeom, f"mjGEOM_{kind.upper()}")
        np.testing.assert_allclose(geom.pos, centre, atol=1e-9)
        size = radius if kind == "box" else (radius,) if half_length is None else (radius, half_length)
        np.testing.assert_allclose(geom.size[: len(size)], size, atol=1e-9)


def test_the_whole(character):
    model = character.model
    assert (model.nq, model.nv, model.nu, character.num_bodies, character.action_dim) == (35, 34, 28, 15, 28)
    assert model.body_mass.sum() == pytest.approx(48.9, abs=0.02)
    assert set(character.body_names) == set(BODIES)
    assert set(character.joint_names) == {name for name, _ in expected_joints()}
    data = mujoco.MjData(model)
    mujoco.mj_kinematics(model, data)
    head = data.geom("head")
    feet = data.geom("right_foot")
    height = head.xpos[2] + model.geom("head").size[0] - (feet.xpos[2] - model.geom("right_foot").size[2])
    assert height == pytest.approx(1.62, abs=0.01)
    assert data.body("left_hand").xpos[1] > 0 > data.body("right_hand").xpos[1]  # y is left


def test_solver_is_the_stable_one(character):
    option = character.model.opt
    assert (option.solver, option.iterations, option.ls_iterations) == (mujoco.mjtSolver.mjSOL_NEWTON, 4, 8)
    assert option.timestep == pytest.approx(1 / 120)


def test_action_zero_unit_and_back(character):
    """Three-hinge joints: +-min(1.2 max|limit|, pi); single hinges: mid-range +- 0.7 range."""
    target = character.pd_target(np.ones(28, np.float32))
    named = dict(zip(character.joint_names, np.rad2deg(target)))
    assert named["abdomen_y"] == pytest.approx(1.2 * 90, abs=1e-3)
    assert named["right_shoulder_x"] == pytest.approx(180, abs=1e-3)
    assert named["right_knee"] == pytest.approx(80 + 0.7 * 160, abs=1e-3)
    rest = dict(zip(character.joint_names, np.rad2deg(character.pd_target(np.zeros(28, np.float32)))))
    assert (rest["left_hip_z"], rest["left_elbow"]) == (0, pytest.approx(-80, abs=1e-3))


def test_pd_map_inverts_and_clips(character):
    actions = jax.random.uniform(jax.random.PRNGKey(0), (5, 28), minval=-1.0, maxval=1.0)
    np.testing.assert_allclose(character.action_for(character.pd_target(actions)), actions, atol=1e-6)
    np.testing.assert_array_equal(character.pd_target(3.0 * jnp.ones(28)), character.pd_target(jnp.ones(28)))


def test_every_pose_within_limits_can_be_commanded(character):
    for limit in (character.joint_low, character.joint_high):
        assert np.abs(character.action_for(limit)).max() <= 1.0


def test_an_unknown_body_is_named_with_the_known_ones(character):
    with pytest.raises(KeyError, match=r"no body 'tail'.*pelvis"):
        character.body("tail")
