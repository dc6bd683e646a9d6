import jax
import jax.numpy as jnp
import numpy as np
import pytest
from stand_ins import LATENT_DIM, NUM_FRAMES, random_controller

from anyskill_brax.envs.humanoid_env import HumanoidEnv
from anyskill_brax.envs.latent_env import LatentEnv, per_instruction
from anyskill_brax.networks import sample_latents
from anyskill_brax.types import UserError

LINES, ENVS = 2, 3


@pytest.fixture(scope="module")
def controller(character):
    return random_controller(character)


@pytest.fixture(scope="module")
def env(character) -> HumanoidEnv:
    return HumanoidEnv(character, num_frames=NUM_FRAMES, fall_height=0.15)


@pytest.fixture(scope="module")
def latent_env(env, controller) -> LatentEnv:
    return LatentEnv(env, controller, episode_length=2)


@pytest.fixture(scope="module")
def begun(latent_env):
    keys = jax.random.split(jax.random.PRNGKey(0), LINES)
    return jax.jit(per_instruction(latent_env.begin, "map"))(latent_env.blank(LINES, ENVS), keys)


@pytest.fixture(scope="module")
def step(latent_env):
    return jax.jit(latent_env.step)


def test_a_latent_step_is_five_control_steps_of_the_controllers_mean_action(latent_env, env, controller, begun, step):
    latent = sample_latents(jax.random.PRNGKey(1), (LINES, ENVS), LATENT_DIM)
    after, outcome = step(begun, latent)
    world = begun.world
    advance = jax.jit(lambda w: env.advance(w, controller.act(latent_env.observe(begun.replace(world=w)), latent)))
    for _ in range(5):
        world = advance(world)
    np.testing.assert_allclose(after.world.physics.qpos, world.physics.qpos, atol=2e-4)
    np.testing.assert_allclose(after.world.window, world.window, atol=2e-2)
    style = controller.style.style_reward(after.world.window.reshape(LINES, ENVS, -1))
    np.testing.assert_allclose(outcome.style, style, atol=1e-4)
    assert float(jnp.abs(world.physics.qpos - begun.world.physics.qpos).max()) > 0.01


def test_episodes_run_out_of_time_and_begin_anew(latent_env, begun, step):
    latent = sample_latents(jax.random.PRNGKey(1), (LINES, ENVS), LATENT_DIM)
    state, first = step(begun, latent)
    assert not first.out_of_time.any() and not state.done.any()
    state, second = step(state, latent)
    assert second.out_of_time.all() and state.done.all() and not second.fallen.any()
    over = state.replace(done=state.done.at[0, 1].set(False))
    fresh = jax.jit(per_instruction(latent_env.begin, "map"))(over, jax.random.split(jax.random.PRNGKey(3), LINES))
    assert fresh.elapsed.tolist() == [[0, 2, 0], [0, 0, 0]] and not fresh.done.any()
    np.testing.assert_array_equal(fresh.world.physics.qpos[0, 1], state.world.physics.qpos[0, 1])
    assert float(fresh.world.bodies.pos[1, 2, 0, 2]) == pytest.approx(0.89, abs=0.02)


def test_a_world_that_diverges_is_over_and_harms_no_other(begun, step):
    latent = sample_latents(jax.random.PRNGKey(1), (LINES, ENVS), LATENT_DIM)
    healthy, _ = step(begun, latent)
    physics = begun.world.physics
    sick = physics.replace(qvel=physics.qvel.at[1, 0].set(1e6))
    state, outcome = step(begun.replace(world=begun.world.replace(physics=sick)), latent)
    assert outcome.fallen.tolist() == [[False, False, False], [True, False, False]]
    np.testing.assert_array_equal(outcome.broken, outcome.fallen)
    assert state.done[1, 0]
    assert jnp.isfinite(state.world.physics.qpos).all()
    np.testing.assert_array_equal(state.world.physics.qpos[0], healthy.world.physics.qpos[0])
    np.testing.assert_array_equal(state.world.physics.qpos[1, 1:], healthy.world.physics.qpos[1, 1:])


def test_windows_must_fit_the_controllers_discriminator(character, controller):
    with pytest.raises(UserError, match="frames"):
        LatentEnv(HumanoidEnv(character, num_frames=NUM_FRAMES + 1), controller, episode_length=2)


@pytest.mark.parametrize("count", [1, 2, 5])
def test_per_instruction_is_a_loop_over_rows(count):
    x = jax.random.normal(jax.random.PRNGKey(0), (count, 7, 4))
    y = jnp.arange(count)

    def fn(x, y):
        return {"sum": x.sum(axis=0) + y, "row": x[0].astype(jnp.float16)}

    for axis in ("map", "vmap"):
        result = jax.jit(per_instruction(fn, axis))(x, y)
        np.testing.assert_allclose(result["sum"], x.sum(axis=1) + y[:, None], rtol=1e-5, atol=1e-6)
        assert result["row"].shape == (count, 4) and result["row"].dtype == jnp.float16
    with pytest.raises(UserError, match="map, vmap"):
        per_instruction(fn, "scan")


def test_a_conditional_discriminator_is_told_the_latent(env, character, begun):
    """The style of a window is judged as a performance of the latent that was asked for."""
    controller = random_controller(character, conditional=True)
    latent = sample_latents(jax.random.PRNGKey(1), (LINES, ENVS), LATENT_DIM)
    after, outcome = jax.jit(LatentEnv(env, controller, episode_length=2).step)(begun, latent)
    window = after.world.window.reshape(LINES, ENVS, -1)
    np.testing.assert_allclose(outcome.style, controller.style.style_reward(window, latent), atol=1e-4)
    assert not np.allclose(outcome.style, controller.style.style_reward(window, -latent), atol=1e-3)
