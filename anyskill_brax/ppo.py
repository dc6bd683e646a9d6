"""PPO's arithmetic: advantages, losses, minibatch epochs. It knows no environment and no network."""

from collections.abc import Callable
from typing import TypeVar

import jax
import jax.numpy as jnp
from brax.training.agents.ppo.losses import compute_gae
from flax import struct

from anyskill_brax.types import Metrics, PRNGKey

Carry = TypeVar("Carry")


@struct.dataclass
class PPOBatch:
    """What one PPO loss reads; leading axes `[T, W]` after a rollout, `[B]` in a minibatch."""

    norm_obs: jax.Array  # [..., O]
    condition: jax.Array  # [..., C] latent, text embedding, or width 0
    action: jax.Array  # [..., A] as sampled, before the environment clips it
    log_prob: jax.Array  # [...] under the policy that acted
    advantage: jax.Array  # [...]
    target: jax.Array  # [...] TD(lambda) value


def advantages(
    rewards: jax.Array,
    values: jax.Array,
    last_value: jax.Array,
    terminated: jax.Array,
    truncated: jax.Array,
    discount: float,
    gae_lambda: float,
) -> tuple[jax.Array, jax.Array]:
    """TD(lambda) targets and GAE advantages, `[T, W]` each (Schulman et al. 2016, eq. 16).

    `terminated` stops the return at zero; `truncated` (out of time) cuts the trace without punishing it. Where a world
    was reset after step t, `values[t + 1]` belongs to the new episode and neither flag lets it leak backwards.
    """
    return compute_gae(
        truncation=truncated.astype(rewards.dtype),
        termination=terminated.astype(rewards.dtype) * (1.0 - truncated.astype(rewards.dtype)),
        rewards=rewards,
        values=values,
        bootstrap_value=last_value,
        lambda_=gae_lambda,
        discount=discount,
    )


def log_prob(action: jax.Array, mean: jax.Array, sigma: jax.Array | float) -> jax.Array:
    """Log density of a diagonal Gaussian with one `sigma`, summed over the last axis."""
    z = (action - mean) / sigma
    return jnp.sum(-0.5 * z * z - jnp.log(sigma) - 0.5 * jnp.log(2.0 * jnp.pi), axis=-1)


def ratio_loss(
    log_prob_new: jax.Array, log_prob_old: jax.Array, advantage: jax.Array, ratio_epsilon: float
) -> tuple[jax.Array, Metrics]:
    """The clipped surrogate (Schulman et al. 2017, eq. 7), as a loss, with the share of clipped samples."""
    ratio = jnp.exp(log_prob_new - log_prob_old)
    clipped = jnp.clip(ratio, 1.0 - ratio_epsilon, 1.0 + ratio_epsilon)
    loss = -jnp.mean(jnp.minimum(ratio * advantage, clipped * advantage))
    outside = jnp.mean((jnp.abs(ratio - 1.0) > ratio_epsilon).astype(jnp.float32))
    return loss, {"ratio_clipped": outside, "approx_kl": jnp.mean(log_prob_old - log_prob_new)}


def bounds_loss(mean: jax.Array) -> jax.Array:
    """Quadratic penalty on mean actions beyond [-1, 1], where the environment would clip them (ASE, released code)."""
    return jnp.mean(jnp.sum(jnp.maximum(jnp.abs(mean) - 1.0, 0.0) ** 2, axis=-1))


def standardize(advantage: jax.Array) -> jax.Array:
    return (advantage - advantage.mean()) / (advantage.std() + 1e-5)


def minibatch_epochs(
    key: PRNGKey,
    carry: Carry,
    data,
    step: Callable[[Carry, object], tuple[Carry, Metrics]],
    num_epochs: int,
    num_minibatches: int,
) -> tuple[Carry, Metrics]:
    """Run `step` over shuffled minibatches of `data [B, ...]`; the mean of its metrics. B must divide evenly."""
    size = jax.tree.leaves(data)[0].shape[0]
    if size % num_minibatches:
        raise ValueError(f"{size} samples do not split into {num_minibatches} minibatches")

    def epoch(carry: Carry, key: PRNGKey):
        order = jax.random.permutation(key, size).reshape(num_minibatches, -1)
        return jax.lax.scan(lambda c, rows: step(c, jax.tree.map(lambda x: x[rows], data)), carry, order)

    carry, metrics = jax.lax.scan(epoch, carry, jax.random.split(key, num_epochs))
    return carry, jax.tree.map(jnp.mean, metrics)
