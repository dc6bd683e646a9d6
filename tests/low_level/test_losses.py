"""ASE's losses against hand-worked sums and laws."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from anyskill_brax.low_level import losses
from anyskill_brax.policies import style_reward_from_logit


def linear_logit(params, x, known):
    return x @ params["params"]["logit"]["kernel"][:, 0]


def test_discriminator_loss_of_a_linear_logit():
    weights = jnp.array([[1.0], [2.0]])
    params = {"params": {"logit": {"kernel": weights}}}
    nothing = jnp.zeros((1, 0))
    demo, simulated = (jnp.array([[1.0, 0.0]]), nothing), (jnp.array([[0.0, 1.0]]), nothing)
    loss, metrics = losses.discriminator_loss(
        linear_logit, params, demo, simulated, grad_penalty=5.0, logit_regularization=0.01
    )
    cross_entropy = 0.5 * (np.log1p(np.exp(-1.0)) + np.log1p(np.exp(2.0)))
    # The slope of the logit is the weight vector, so the penalty is |(1, 2)|^2 = 5, as is the regulariser.
    assert float(loss) == pytest.approx(cross_entropy + 5.0 * 5.0 + 0.01 * 5.0, rel=1e-6)
    assert float(metrics["disc_grad_penalty"]) == pytest.approx(5.0)
    assert float(metrics["disc_accuracy_demo"]) == 1.0
    assert float(metrics["disc_accuracy_simulated"]) == 0.0


def test_gradient_penalties_of_both_sides_are_the_slopes_there():
    """D(x) = a x^2 / 2 has slope a x: 2 at the demonstration x = 1, -6 at the simulated x = -3."""

    def logit(params, x, known):
        return 0.5 * params["params"]["logit"]["kernel"][0, 0] * x[:, 0] ** 2

    params = {"params": {"logit": {"kernel": jnp.array([[2.0]])}}}
    demo, simulated = (jnp.array([[1.0]]), jnp.zeros((1, 0))), (jnp.array([[-3.0]]), jnp.zeros((1, 0)))
    bare, _ = losses.discriminator_loss(logit, params, demo, simulated, 0.0, 0.0)
    loss, metrics = losses.discriminator_loss(logit, params, demo, simulated, 5.0, 0.0, grad_penalty_simulated=0.5)
    assert float(loss - bare) == pytest.approx(5.0 * 4.0 + 0.5 * 36.0, rel=1e-5)
    assert float(metrics["disc_grad_penalty"]) == pytest.approx(4.0)
    assert float(metrics["disc_grad_penalty_simulated"]) == pytest.approx(36.0)


@pytest.mark.parametrize(("logit", "reward"), [(0.0, 2 * np.log(2.0)), (-50.0, 0.0), (50.0, -2 * np.log(1e-4))])
def test_style_reward_at_known_logits(logit, reward):
    assert float(style_reward_from_logit(jnp.asarray(logit))) == pytest.approx(reward, abs=1e-5)


def test_encoder_loss_counts_only_weighted_rows():
    direction = lambda params, x: x  # noqa: E731
    windows = jnp.array([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]])
    latents = jnp.array([[1.0, 0.0], [1.0, 0.0], [1.0, 0.0]])
    loss, _ = losses.encoder_loss(direction, {}, windows, latents, jnp.array([1.0, 1.0, 0.0]))
    assert float(loss) == pytest.approx(-0.5)
    none, _ = losses.encoder_loss(direction, {}, windows, latents, jnp.zeros(3))
    assert float(none) == 0.0


def test_uniformity_prefers_spread_and_alignment_prefers_neighbours():
    direction = lambda params, x: x / jnp.linalg.norm(x, axis=-1, keepdims=True)  # noqa: E731
    together = jnp.ones((4, 2)) + 0.01 * jnp.arange(8).reshape(4, 2)
    spread = jnp.array([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [0.0, -1.0]])
    _, near = losses.alignment_uniformity(direction, {}, together, together)
    _, far = losses.alignment_uniformity(direction, {}, spread, spread)
    assert far["uniformity"] < near["uniformity"]
    assert float(far["alignment"]) == 0.0
    # Four points of a square: off-diagonal squared distances 2, 2, 4.
    expected = np.log((2 * np.exp(-4.0) + np.exp(-8.0)) / 3)
    assert float(far["uniformity"]) == pytest.approx(expected, rel=1e-4)


def test_diversity_loss_is_zero_when_actions_move_in_proportion():
    latents = jnp.array([[1.0, 0.0]])
    others = losses.sample_latents(jax.random.key(3), (1,), 2)
    apart = 0.5 * (1.0 - float(latents[0] @ others[0]))
    step = float(np.sqrt(apart))

    def mean(params, obs, z):
        return jnp.broadcast_to(jnp.where(jnp.allclose(z, others), step, 0.0), (1, 1))

    loss = losses.diversity_loss(mean, {}, jnp.zeros((1, 3)), latents, jnp.zeros((1, 1)), jax.random.key(3))
    assert float(loss) == pytest.approx(0.0, abs=1e-4)
    ignored = losses.diversity_loss(
        lambda p, o, z: jnp.zeros((1, 1)), {}, jnp.zeros((1, 3)), latents, jnp.zeros((1, 1)), jax.random.key(3)
    )
    assert float(ignored) == pytest.approx(1.0)
