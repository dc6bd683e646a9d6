"""Inverse dynamics as target shifts: weights that a scale would show, and poses that sag less."""

import jax
import jax.numpy as jnp
import mujoco
import numpy as np
import pytest

from anyskill_brax.character.inverse_dynamics import accelerations, support_shift
from anyskill_brax.character.kinematics import forward_kinematics, lowest_points
from anyskill_brax.envs.humanoid_env import HumanoidEnv


def standing(character, **joints):
    qpos = np.array(character.default_qpos)
    for name, value in joints.items():
        qpos[7 + character.joint_names.index(name)] = value
    return qpos


def shift_of(character, qpos) -> dict[str, float]:
    still = np.zeros((1, 34))
    return dict(zip(character.joint_names, support_shift(character, qpos[None], still, still)[0], strict=True))


def test_an_outstretched_arm_is_carried_by_its_weight(character):
    """The moment about the shoulder is what masses and levers say."""
    qpos = standing(character, right_shoulder_y=-np.pi / 2)
    data = mujoco.MjData(character.model)
    data.qpos = qpos
    mujoco.mj_forward(character.model, data)
    arm = [character.model.body(name).id for name in ("right_upper_arm", "right_lower_arm", "right_hand")]
    lever = np.linalg.norm((data.xipos[arm] - data.xpos[arm[0]])[:, :2], axis=1)
    moment = 9.81 * np.sum(character.model.body_mass[arm] * lever)
    kp = character.kp[character.joint_names.index("right_shoulder_y")]
    assert abs(shift_of(character, qpos)["right_shoulder_y"]) * kp == pytest.approx(moment, rel=0.02)


def test_both_knees_carry_a_crouch_and_nothing_in_the_air(character):
    bent = {f"{side}_{joint}": value for side in ("right", "left") for joint, value in
            (("hip_y", -0.8), ("knee", 1.6), ("ankle_y", -0.8))}  # fmt: skip
    high = standing(character, **bent)
    qpos = high.copy()
    qpos[2] -= float(lowest_points(character, forward_kinematics(character, jnp.asarray(high), jnp.zeros(34))).min())
    shift = shift_of(character, qpos)
    assert shift["right_knee"] == pytest.approx(shift["left_knee"], abs=1e-3) and abs(shift["right_knee"]) > 0.03
    high[2] += 1.0
    assert abs(shift_of(character, high)["right_knee"]) < 0.3 * abs(shift["right_knee"])


def test_a_carried_pose_sags_less(character):
    """Both arms forward, held for half a second: the joints end nearer to the pose with the shift than without."""
    env, qpos = HumanoidEnv(character), standing(character, right_shoulder_y=-1.2, left_shoulder_y=-1.2)
    still = np.zeros((1, 34))
    shift = support_shift(character, qpos[None], still, still)[0]

    @jax.jit
    def hold(target):
        start = env.place(jnp.asarray(qpos)[None], jnp.zeros((1, 34)))
        action = jnp.asarray(character.action_for(target))[None]
        return jax.lax.fori_loop(0, 15, lambda _, s: env.advance(s, action), start).physics.qpos[0, 7:]

    sag, carried = (np.abs(np.asarray(hold(qpos[7:] + extra)) - qpos[7:]) for extra in (0.0 * shift, shift))
    assert carried.max() < 0.7 * sag.max()


def test_accelerations_stop_at_the_end_of_a_clip():
    qvel = np.concatenate([np.arange(12.0), np.full(12, 50.0)])[:, None] * np.ones(34)
    qacc = accelerations(qvel, np.repeat([0, 1], 12))
    np.testing.assert_allclose(qacc[12:], 0.0, atol=1e-9, err_msg="the second clip does not move faster and faster")
    np.testing.assert_allclose(qacc[6], 30.0, rtol=0.02)
