import jax
import jax.numpy as jnp
import numpy as np
import pytest

from anyskill_brax.high_level.learner import Learning, aim
from anyskill_brax.high_level.settings import HighLevelSettings
from anyskill_brax.networks import Normalizer, sample_latents
from anyskill_brax.types import UserError
from configs.high_level import get_config

OBS, LATENT = 3, 4


@pytest.fixture(scope="module")
def learning() -> Learning:
    config = get_config("quicktest").unlock()
    config.learner.update(dict(actor_lr=1e-2, last_actor_lr=1e-2, critic_lr=1e-2, epochs=4))
    return Learning(HighLevelSettings.from_config(config).learner, Normalizer.create(OBS), OBS, LATENT, config.updates)


def test_aim_starts_the_policy_at_the_latent(learning):
    target = sample_latents(jax.random.PRNGKey(1), (), LATENT)
    learner = learning.init(jax.random.PRNGKey(0))
    policy = learning.policy(aim(learner.actor, target, 0.8))
    latent, _ = policy.act(policy.init(jax.random.PRNGKey(0)), jnp.zeros(OBS))
    np.testing.assert_allclose(latent, target, atol=0.02)
    untouched = learning.policy(learner.actor).act((), jnp.zeros(OBS))[0]
    assert jnp.abs(untouched - target).max() > 0.1


def test_aim_leaves_a_slope(learning):
    bias = aim(learning.init(jax.random.PRNGKey(0)).actor, jnp.array([1.0, 0, 0, 0]), 5.0)["params"]["mean"]["bias"]
    np.testing.assert_allclose(jnp.tanh(bias), [0.9, 0, 0, 0], atol=1e-6)


def test_actions_become_unit_latents_and_log_probs_are_of_the_sample(learning):
    learner = learning.init(jax.random.PRNGKey(0))
    latent, choice = learning.act(learner, jnp.ones((5, OBS)), jax.random.PRNGKey(1), jnp.asarray(0.5))
    np.testing.assert_allclose(jnp.linalg.norm(latent, axis=-1), 1.0, rtol=1e-5)
    clamped = jnp.clip(choice.action, -1, 1)
    np.testing.assert_allclose(latent, clamped / jnp.linalg.norm(clamped, axis=-1, keepdims=True), rtol=1e-5)
    assert choice.log_prob.shape == choice.value.shape == (5,)


def test_learns_to_point_where_the_reward_is(learning):
    """A bandit on the sphere: reward = cosine with a fixed direction that depends on the sign of the observation."""
    goal = sample_latents(jax.random.PRNGKey(7), (), LATENT)
    sigma = jnp.asarray(0.2)

    def cosines(learner, key):
        obs = jnp.sign(jax.random.normal(key, (16, 8, 1))) * jnp.ones(OBS)
        latent, choice = learning.act(learner, obs, key, sigma)
        return jnp.sign(obs[..., 0]) * (latent @ goal), choice

    @jax.jit
    def update(learner, key):
        reward, choice = cosines(learner, key)
        over = jnp.ones(reward.shape, bool)
        learner, metrics = learning.learn(
            learner, choice, reward, over, ~over, jnp.zeros((8, OBS)), sigma, jax.random.fold_in(key, 1)
        )
        return learner, reward.mean(), metrics

    learner, rewards = learning.init(jax.random.PRNGKey(0)), []
    for key in jax.random.split(jax.random.PRNGKey(2), 30):
        learner, reward, metrics = update(learner, key)
        rewards.append(float(reward))
    assert rewards[0] < 0.3
    assert np.mean(rewards[-5:]) > 0.8
    assert all(np.isfinite(value) for value in metrics.values())


@pytest.mark.parametrize(("first", "last"), [(0.0, 0.0), (1e-3, 0.0), (1e-4, 1e-3), (float("nan"), 1e-4)])
def test_learning_rates_that_cannot_be_are_refused(first, last):
    config = get_config("quicktest").unlock()
    config.learner.update(dict(actor_lr=first, last_actor_lr=last))
    with pytest.raises(UserError, match=r"learner\.last_actor_lr"):
        HighLevelSettings.from_config(config)


def test_the_actors_steps_get_smaller_until_the_last_update():
    config = get_config("quicktest").unlock()
    config.learner.update(dict(actor_lr=1e-2, last_actor_lr=1e-4, max_grad_norm=1e9))
    steps = config.learner.epochs * config.learner.minibatches
    learner = HighLevelSettings.from_config(config).learner
    learning = Learning(learner, Normalizer.create(OBS), OBS, LATENT, updates=3)
    params, opt, moved = {"w": jnp.zeros(())}, learning._actor_opt.init({"w": jnp.zeros(())}), []
    for _ in range(3 * steps + 2):
        change, opt = learning._actor_opt.update({"w": jnp.ones(())}, opt, params)
        moved.append(-float(change["w"]))
    assert moved[0] == pytest.approx(1e-2, rel=1e-2) and moved[2 * steps] > 1e-3
    assert moved[-2:] == pytest.approx([1e-4, 1e-4], rel=1e-2), "and goes on as small as that"
    assert (np.diff(moved) < 1e-7).all()
