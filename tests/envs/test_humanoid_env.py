"""HumanoidEnv: a Brax environment, deterministic, whose worlds cannot touch each other."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from brax.envs.base import Env

from anyskill_brax.envs import observations
from anyskill_brax.envs.humanoid_env import HumanoidEnv
from anyskill_brax.motion.io import motion_from_qpos
from anyskill_brax.motion.library import MotionLibrary

WORLDS = 8


@pytest.fixture(scope="module")
def motions(character) -> MotionLibrary:
    """One second of a figure that walks off along x with its arms rising."""
    qpos = np.tile(character.default_qpos, (30, 1))
    qpos[:, 0] = np.linspace(0.0, 1.0, 30)
    qpos[:, 7 + character.joint_names.index("left_shoulder_x")] = np.linspace(0.0, 1.5, 30)
    return MotionLibrary.create([motion_from_qpos(character, "rising", 30.0, qpos)])


@pytest.fixture(scope="module")
def env(character, motions) -> HumanoidEnv:
    return HumanoidEnv(character, motions, num_frames=4)


@pytest.fixture(scope="module")
def reset(env):
    return jax.jit(jax.vmap(env.reset))


@pytest.fixture(scope="module")
def step(env):
    return jax.jit(jax.vmap(env.step))


@pytest.fixture(scope="module")
def advance(env):
    return jax.jit(env.advance)


@pytest.fixture(scope="module")
def place(env):
    return jax.jit(env.place)


@pytest.fixture(scope="module")
def start(reset):
    return reset(jax.random.split(jax.random.PRNGKey(0), WORLDS))


@pytest.fixture(scope="module")
def actions():
    return jax.random.uniform(jax.random.PRNGKey(1), (WORLDS, 28), minval=-0.3, maxval=0.3)


def assert_rows_equal(a, b, rows) -> None:
    for left, right in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        np.testing.assert_array_equal(np.asarray(left)[rows], np.asarray(right)[rows])


def others(row: int) -> np.ndarray:
    return np.arange(WORLDS) != row


def test_it_is_a_brax_env(env, start):
    assert isinstance(env, Env)
    assert (env.observation_size, env.action_size, env.backend) == (223 + 5, 28, "native")
    assert start.obs.shape == (WORLDS, env.observation_size)
    assert np.isfinite(start.obs).all() and not start.done.any()


def test_half_the_starts_are_reference_frames(reset):
    keys = jax.random.split(jax.random.PRNGKey(2), 256).reshape(-1, WORLDS, 2)
    qpos = np.concatenate([reset(some).pipeline_state.physics.qpos for some in keys])
    standing = np.abs(np.median(np.abs(qpos[:, 7:]), axis=-1) - 0.034) < 0.03  # deviations of 0.05; the motion has none
    assert 0.38 < np.mean(standing) < 0.62  # 3.8 standard deviations about one half
    assert len(np.unique(qpos[standing, 7:], axis=0)) == standing.sum(), "no two stand alike"
    headings = 2 * np.arctan2(qpos[:, 6], qpos[:, 3])
    assert np.abs(np.exp(1j * headings).mean()) < 0.25  # all directions
    np.testing.assert_array_equal(qpos[:, :2], 0.0)


def test_the_same_key_and_actions_give_the_same_bits(reset, step, start, actions):
    again = reset(jax.random.split(jax.random.PRNGKey(0), WORLDS))
    assert_rows_equal(start, again, ...)
    assert_rows_equal(step(start, actions), step(again, actions), ...)


def test_one_changed_action_changes_one_row(step, start, actions):
    a, b = start, start
    for _ in range(3):
        a, b = step(a, actions), step(b, actions.at[3].add(0.2))
    assert_rows_equal(a, b, others(3))
    assert not np.array_equal(a.obs[3], b.obs[3])


@pytest.mark.parametrize("fault", ["position", "velocity", "action"])
def test_a_broken_world_is_frozen_flagged_and_alone(step, start, actions, fault):
    physics, broken_actions = start.pipeline_state.physics, actions
    if fault == "position":
        physics = physics.replace(qpos=physics.qpos.at[2, 9].set(jnp.nan))
    elif fault == "velocity":
        physics = physics.replace(qvel=physics.qvel.at[2, 9].set(1e9))
    else:
        broken_actions = actions.at[2, 5].set(jnp.nan)
    before = start.replace(pipeline_state=start.pipeline_state.replace(physics=physics))
    healthy, after = step(start, actions), step(before, broken_actions)
    assert after.done[2] == 1.0 and not healthy.done[2]
    assert_rows_equal(after.pipeline_state, before.pipeline_state, 2)
    assert np.isfinite(after.obs[2]).all() and np.isfinite(after.reward[2])
    assert_rows_equal(healthy, after, others(2))


def test_fallen_means_the_head_is_low(env, step, start, actions):
    physics = start.pipeline_state.physics
    lying = physics.replace(
        qpos=physics.qpos.at[1, 2:7].set(jnp.array([0.15, np.sqrt(0.5), 0.0, -np.sqrt(0.5), 0.0])),
        qvel=jnp.zeros_like(physics.qvel),
    )
    state = step(start.replace(pipeline_state=start.pipeline_state.replace(physics=lying)), 0 * actions)
    assert state.done[1] == 1.0 and state.done[others(1)].sum() == 0.0
    assert float(state.pipeline_state.bodies.pos[1, env.character.body("head"), 2]) < env.fall_height


def test_the_window_starts_as_placed_and_rolls(env, place, advance, motions):
    ids, t = jnp.zeros(WORLDS, int), jnp.linspace(0.3, 0.9, WORLDS)
    qpos, qvel = motions.window(ids, t, env.num_frames, 1 / 30)
    frames = place(qpos, qvel).window[..., -1, :]  # [W, N, 125] one frame per reference pose
    placed = place(qpos[:, -1], qvel[:, -1], frames)
    np.testing.assert_array_equal(placed.window, frames)
    after = advance(placed, jnp.zeros((WORLDS, 28)))
    np.testing.assert_array_equal(after.window[:, :-1], frames[:, 1:])
    newest = observations.disc_frame(env.character, after.bodies, after.physics.qvel[:, 6:])
    np.testing.assert_allclose(after.window[:, -1], newest, atol=1e-5)


def test_without_a_reference_window_the_present_is_repeated(env, start):
    window = np.asarray(start.pipeline_state.window)
    assert window.shape == (WORLDS, env.num_frames, 125)
    np.testing.assert_array_equal(window, np.broadcast_to(window[:, :1], window.shape))


def test_actions_are_clipped_to_one(advance, start):
    state = start.pipeline_state
    assert_rows_equal(advance(state, jnp.full((WORLDS, 28), 7.0)), advance(state, jnp.ones((WORLDS, 28))), ...)


@pytest.mark.slow
def test_stock_brax_ppo_trains_two_updates(character, motions):
    from brax.training.agents.ppo import networks, train

    _, (normalizer, policy, value), _ = train.train(
        environment=HumanoidEnv(character, motions, num_frames=1),
        num_timesteps=2 * 8 * 4,
        num_envs=8,
        episode_length=20,
        unroll_length=4,
        batch_size=8,
        num_minibatches=1,
        num_updates_per_batch=1,
        num_evals=1,
        run_evals=False,
        normalize_observations=True,
        network_factory=lambda obs, act, preprocess_observations_fn: networks.make_ppo_networks(
            obs, act, preprocess_observations_fn, policy_hidden_layer_sizes=(8,), value_hidden_layer_sizes=(8,)
        ),
        seed=0,
    )
    assert int(normalizer.count.lo) == 2 * 8 * 4  # samples of two updates
    for leaf in jax.tree.leaves((policy, value)):
        assert np.isfinite(leaf).all()
