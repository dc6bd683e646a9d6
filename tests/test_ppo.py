"""PPO's arithmetic by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from anyskill_brax import ppo


def column(*values):
    return jnp.array(values, jnp.float32)[:, None]


def test_advantages_of_one_episode_are_discounted_sums():
    no = column(0, 0, 0)
    target, advantage = ppo.advantages(
        column(1, 2, 3), no, jnp.zeros(1), column(0, 0, 1), no, discount=0.5, gae_lambda=1.0
    )
    np.testing.assert_allclose(target[:, 0], [1 + 0.5 * 2 + 0.25 * 3, 2 + 0.5 * 3, 3], rtol=1e-6)
    np.testing.assert_allclose(advantage[:, 0], target[:, 0], rtol=1e-6)


def test_with_lambda_zero_targets_are_one_step_ahead():
    value, last, no = column(1, 4), jnp.array([10.0]), column(0, 0)
    target, _ = ppo.advantages(column(1, 1), value, last, no, no, discount=0.9, gae_lambda=0.0)
    np.testing.assert_allclose(target[:, 0], [1 + 0.9 * 4, 1 + 0.9 * 10], rtol=1e-6)


@pytest.mark.parametrize("flag", ["terminated", "truncated"])
def test_nothing_leaks_back_over_an_episode_boundary(flag):
    ends, no = column(0, 1, 0), column(0, 0, 0)
    flags = {"terminated": no, "truncated": no, flag: ends}

    def before(later):
        return ppo.advantages(
            column(1, 1, later), column(0, 0, 0), jnp.array([later]), discount=0.9, gae_lambda=0.95, **flags
        )

    for a, b in zip(before(0.0), before(100.0), strict=True):
        np.testing.assert_array_equal(a[:2], b[:2])


def test_truncation_is_not_punished():
    no, value = column(0, 0), column(5, 5)
    _, cut = ppo.advantages(column(0, 0), value, jnp.array([5.0]), no, column(0, 1), discount=1.0, gae_lambda=0.0)
    _, failed = ppo.advantages(column(0, 0), value, jnp.array([5.0]), column(0, 1), no, discount=1.0, gae_lambda=0.0)
    assert float(cut[1, 0]) == 0.0
    assert float(failed[1, 0]) == -5.0


def test_log_prob_is_the_normal_density():
    got = ppo.log_prob(jnp.array([0.3, -0.1]), jnp.array([0.0, 0.0]), 0.5)
    z = np.array([0.6, -0.2])
    assert float(got) == pytest.approx(float(np.sum(-0.5 * z * z - np.log(0.5) - 0.5 * np.log(2 * np.pi))), rel=1e-6)


def test_ratio_loss_clips_gains_and_not_losses():
    old = jnp.zeros(1)
    gain, metrics = ppo.ratio_loss(jnp.log(jnp.array([2.0])), old, jnp.ones(1), 0.2)
    loss, _ = ppo.ratio_loss(jnp.log(jnp.array([2.0])), old, -jnp.ones(1), 0.2)
    assert float(gain) == pytest.approx(-1.2)
    assert float(loss) == pytest.approx(2.0)
    assert float(metrics["ratio_clipped"]) == 1.0


def test_every_sample_is_seen_once_per_epoch():
    seen, _ = ppo.minibatch_epochs(
        jax.random.key(0), jnp.zeros(12), jnp.arange(12), lambda c, rows: (c.at[rows].add(1.0), {}), 3, 4
    )
    np.testing.assert_array_equal(seen, 3.0)
    with pytest.raises(ValueError, match="do not split"):
        ppo.minibatch_epochs(jax.random.key(0), 0, jnp.arange(10), lambda c, rows: (c, {}), 1, 4)


def test_policy_gradient_finds_the_better_action():
    """A one-step problem, reward -(a - 0.5)^2: the mean moves to 0.5."""
    sigma, mean = 0.2, jnp.zeros(1)

    @jax.jit
    def improve(mean, key):
        action = mean + sigma * jax.random.normal(key, (256, 1))
        reward = -((action[:, 0] - 0.5) ** 2)
        old = ppo.log_prob(action, mean, sigma)
        loss = lambda m: ppo.ratio_loss(ppo.log_prob(action, m, sigma), old, ppo.standardize(reward), 0.2)[0]  # noqa: E731
        return mean - 0.02 * jax.grad(loss)(mean)

    for key in jax.random.split(jax.random.key(1), 60):
        mean = improve(mean, key)
    assert float(mean[0]) == pytest.approx(0.5, abs=0.1)
