"""What policies and discriminators see: sizes, invariance, and one function for every source of poses."""

import jax
import jax.numpy as jnp
import mujoco
import numpy as np
import pytest

from anyskill_brax import rotations
from anyskill_brax.character.kinematics import BodyState, forward_kinematics
from anyskill_brax.envs import observations

WORLDS = 8


@pytest.fixture(scope="module")
def states(character):
    """`qpos [W, 35]`, `qvel [W, 34]` of tumbling figures."""
    rng = np.random.default_rng(0)
    root_rot = rng.normal(size=(WORLDS, 4))
    root_rot /= np.linalg.norm(root_rot, axis=-1, keepdims=True)
    hinges = rng.uniform(character.joint_low, character.joint_high, (WORLDS, 28))
    qpos = np.concatenate([rng.normal(size=(WORLDS, 3)), root_rot, hinges], axis=-1)
    return qpos.astype(np.float32), rng.normal(size=(WORLDS, 34)).astype(np.float32)


@pytest.fixture(scope="module")
def features(character):
    """`(qpos, qvel) -> (obs [..., 223], frame [..., 125])`."""

    @jax.jit
    def compute(qpos, qvel):
        bodies = forward_kinematics(character, qpos, qvel)
        return observations.observe(bodies), observations.disc_frame(character, bodies, qvel[..., 6:])

    return compute


def turned(qpos, qvel, yaw: float, shift: tuple[float, float]):
    """The same figure elsewhere on the floor, facing elsewhere."""
    turn = rotations.yaw_quat(jnp.full(len(qpos), yaw))
    position = rotations.rotate(turn, qpos[:, :3]) + jnp.array([*shift, 0.0])
    return (
        jnp.concatenate([position, rotations.quat_mul(turn, qpos[:, 3:7]), qpos[:, 7:]], axis=-1),
        jnp.concatenate([rotations.rotate(turn, qvel[:, :3]), qvel[:, 3:]], axis=-1),
    )


def test_sizes_are_the_published_ones(character, states, features):
    obs, frame = features(*states)
    assert obs.shape == (WORLDS, 223) and frame.shape == (WORLDS, 125)
    assert (observations.obs_dim(character), observations.disc_frame_dim(character)) == (223, 125)
    assert list(observations.obs_layout(character).values()) == [1, 42, 90, 45, 45]


@pytest.mark.parametrize(("yaw", "shift"), [(0.0, (5.0, -3.0)), (np.pi / 2, (0.0, 0.0)), (-2.5, (10.0, 4.0))])
def test_features_do_not_see_where_the_figure_stands_or_faces(states, features, yaw, shift):
    for here, there in zip(features(*states), features(*turned(*states, yaw, shift))):
        np.testing.assert_allclose(there, here, atol=2e-5)


def test_features_see_height(states, features):
    (qpos, qvel), lift = states, 0.1
    obs, frame = features(qpos, qvel)
    raised_obs, raised_frame = features(qpos + np.eye(35, dtype=np.float32)[2] * lift, qvel)
    for here, there in ((obs, raised_obs), (frame, raised_frame)):
        np.testing.assert_allclose(there[:, 0] - here[:, 0], lift, atol=1e-5)
        np.testing.assert_allclose(there[:, 1:], here[:, 1:], atol=1e-5)


def test_a_standing_figure_by_hand(character, features):
    """Facing left (+y) at 1 m/s: in the heading frame it stands straight and moves forward."""
    qpos, qvel = character.default_qpos.copy(), np.zeros(34, np.float32)
    qpos[3:7] = [np.sqrt(0.5), 0, 0, np.sqrt(0.5)]
    qvel[1] = 1.0
    obs, frame = features(qpos, qvel)
    assert obs[0] == pytest.approx(0.89)
    torso = 1 + 3 * (character.body("torso") - 1)
    np.testing.assert_allclose(obs[torso : torso + 3], [0, 0, 0.236151], atol=1e-6)
    np.testing.assert_allclose(obs[43:49], [1, 0, 0, 0, 0, 1], atol=1e-6)
    np.testing.assert_allclose(obs[133:178].reshape(15, 3), np.tile([1.0, 0, 0], (15, 1)), atol=1e-6)
    np.testing.assert_allclose(obs[178:], 0.0, atol=1e-6)
    np.testing.assert_allclose(frame[1:13], [1, 0, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0], atol=1e-6)
    np.testing.assert_allclose(frame[13:85].reshape(12, 6), np.tile([1.0, 0, 0, 0, 0, 1], (12, 1)), atol=1e-6)


def test_a_simulated_and_a_reference_state_give_one_frame(character, states, features):
    """Poses read from a running simulation, where a discriminator could find a formatting difference to win by."""
    model = character.model
    compare = jax.jit(lambda b, vel: (observations.observe(b), observations.disc_frame(character, b, vel)))
    for qpos, qvel in zip(*states):
        data = mujoco.MjData(model)
        data.qpos, data.qvel = qpos, qvel
        mujoco.mj_forward(model, data)
        velocity = np.zeros((15, 6))
        for body in range(15):
            mujoco.mj_objectVelocity(model, data, mujoco.mjtObj.mjOBJ_XBODY, body + 1, velocity[body], flg_local=False)
        rot = jnp.asarray(data.xquat[1:], jnp.float32)
        parent = jnp.concatenate([rot[:1], rot[character.parents[1:]]])
        bodies = BodyState(
            pos=jnp.asarray(data.xpos[1:], jnp.float32),
            rot=rot,
            linvel=jnp.asarray(velocity[:, 3:], jnp.float32),
            angvel=jnp.asarray(velocity[:, :3], jnp.float32),
            joint_rot=rotations.quat_mul(rotations.quat_conj(parent), rot),
        )
        for simulated, reference in zip(compare(bodies, jnp.asarray(qvel[6:])), features(qpos, qvel)):
            np.testing.assert_allclose(simulated, reference, atol=3e-5)
