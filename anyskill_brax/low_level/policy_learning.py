"""The policy's part of an update: advantages, then PPO for actor and critic and, under "conditional", the encoder."""

from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import struct

from anyskill_brax import ppo
from anyskill_brax.envs import observations
from anyskill_brax.low_level import losses
from anyskill_brax.low_level.devices import Devices
from anyskill_brax.low_level.rollout import Step, privileged
from anyskill_brax.low_level.stage import Stage
from anyskill_brax.low_level.state import Networks, TrainState
from anyskill_brax.types import Metrics, Params, PRNGKey


@struct.dataclass
class Batch:
    """What the policy learns from, `[B]` samples of this device."""

    ppo: ppo.PPOBatch
    source: jax.Array  # [B] int32, see `Step`
    sigma: jax.Array  # [B]


def learn_policy(
    stage: Stage, state: TrainState, steps: Step, total: jax.Array, key: PRNGKey
) -> tuple[TrainState, Metrics]:
    """`epochs` of clipped PPO over `steps`, whose reward is `total [T, W]`; `state.worlds` are those afterwards."""
    learner = stage.settings.learner
    batch, lr_factor = make_batch(stage, state, steps, total), stage.lr_factor(state)

    def minibatch(carry, rows: Any):
        params, opt, key = carry
        key, key_loss = jax.random.split(key)
        grads, metrics = policy_gradient(stage, state, params, rows, key_loss)
        for name, grad in grads.items():
            params, opt = descend(stage, name, grad, params, opt, lr_factor)
        return (params, opt, key), metrics

    key_epochs, key_loss = jax.random.split(key)
    num_minibatches = max(1, stage.samples_per_update // learner.minibatch)
    carry, metrics = ppo.minibatch_epochs(
        stage.devices.own(key_epochs), (state.params, state.opt, key_loss), batch, minibatch, learner.epochs,
        num_minibatches,
    )  # fmt: skip
    return state.replace(params=carry[0], opt=carry[1]), metrics


def make_batch(stage: Stage, state: TrainState, steps: Step, total: jax.Array) -> Batch:
    """Values, TD(lambda) targets and advantages, in one row per sample."""
    learner, critic = stage.settings.learner, stage.modules.critic
    norm_obs = state.obs_normalizer(steps.obs)
    values = critic.apply(state.params.critic, norm_obs, steps.privileged)
    last_obs = state.obs_normalizer(observations.observe(state.worlds.humanoid.bodies))
    last_value = critic.apply(state.params.critic, last_obs, privileged(stage, state.worlds))
    target, advantage = ppo.advantages(
        total, values, last_value, steps.terminated, steps.truncated, learner.discount, learner.gae_lambda
    )
    batch = Batch(
        ppo=ppo.PPOBatch(
            norm_obs=norm_obs,
            condition=steps.privileged,
            action=steps.action,
            log_prob=steps.log_prob,
            advantage=standardize_apart(advantage, (steps.led, steps.recovers), stage.devices),
            target=target,
        ),
        source=steps.source,
        sigma=steps.sigma,
    )
    return jax.tree.map(lambda x: x.reshape(stage.batch_size, *x.shape[2:]), batch)


def policy_gradient(
    stage: Stage, state: TrainState, params: Networks, rows: Batch, key: PRNGKey
) -> tuple[dict[str, Params], Metrics]:
    """By network, the gradient of `policy_loss` over the rows of all devices; and its metrics."""
    learns = ("actor", "critic", "encoder") if stage.settings.conditional else ("actor", "critic")

    def loss(learning: dict[str, Params]):
        return policy_loss(stage, state, params.replace(**learning), rows, key)

    return stage.devices.mean(jax.grad(loss, has_aux=True)({name: getattr(params, name) for name in learns}))


def policy_loss(
    stage: Stage, state: TrainState, params: Networks, rows: Batch, key: PRNGKey
) -> tuple[jax.Array, Metrics]:
    """Clipped surrogate + bounds + diversity (ASE eq. 14) + value error.

    Under "conditional" the latent is E of the motion window it came from, computed here, so that the encoder learns
    what helps the policy; it also keeps neighbours together and the rest apart (CALM eq. 7). The critic reads the
    latent as it was: its errors, far larger than the surrogate, do not shape the latent space.
    """
    learner, actor = stage.settings.learner, stage.modules.actor
    data = rows.ppo
    key_diversity, key_spread = jax.random.split(key)
    latent, spread, metrics = data.condition[..., : stage.settings.networks.latent_dim], jnp.zeros(()), {}
    if stage.settings.conditional:
        latent = stage.latents_of(params.encoder, state, rows.source)
        spread, metrics = spread_loss(stage, state, params.encoder, key_spread, learner.disc_batch // 2)
    mean = actor.apply(params.actor, data.norm_obs, latent)
    new_log_prob = ppo.log_prob(data.action, mean, rows.sigma[:, None])
    surrogate, ratio_metrics = ppo.ratio_loss(new_log_prob, data.log_prob, data.advantage, learner.ratio_epsilon)
    values = stage.modules.critic.apply(params.critic, data.norm_obs, data.condition)
    value, bounds, diversity = jnp.mean((values - data.target) ** 2), ppo.bounds_loss(mean), jnp.zeros(())
    if learner.diversity:
        few = slice(None, None, 8)  # an eighth tells as much, of all devices' rows together; the whole doubles the cost
        diversity = losses.diversity_loss(
            actor.apply, params.actor, data.norm_obs[few], latent[few], mean[few], key_diversity, stage.devices
        )
    loss = surrogate + learner.bounds * bounds + learner.diversity * diversity + value + learner.uniformity * spread
    return loss, metrics | ratio_metrics | {"value_loss": value, "bounds_loss": bounds, "diversity_loss": diversity}


def spread_loss(
    stage: Stage, state: TrainState, encoder: Any, key: PRNGKey, num_windows: int
) -> tuple[jax.Array, Metrics]:
    """The encoder's alignment + 0.5 uniformity over `num_windows` reference windows, drawn alike and split among the
    devices."""
    reference, settings = stage.drawn(state), stage.settings
    key_row, key_near = jax.random.split(key)
    row = reference.sample(key_row, (num_windows,))
    reach = settings.learner.neighbour_frames
    near = row + jax.random.randint(key_near, row.shape, -reach, reach + 1)
    near = jnp.clip(near, reference.first[row], reference.last[row])
    a, b = (stage.latents_of(encoder, state, stage.devices.part(rows)) for rows in (row, near))
    return losses.spread(a, b, stage.devices)


def descend(
    stage: Stage, name: str, grads: Any, params: Networks, opt: Networks, lr_factor: jax.Array
) -> tuple[Networks, Networks]:
    """One optimiser step of network `name`; Adam's step is linear in its rate, so the schedule may scale it here."""
    before = getattr(params, name)
    step, after = getattr(stage.optimizers, name).update(grads, getattr(opt, name), before)
    step = jax.tree.map(lambda x: lr_factor * x, step)
    return params.replace(**{name: optax.apply_updates(before, step)}), opt.replace(**{name: after})


def standardize_apart(advantage: jax.Array, groups: tuple[jax.Array, ...], devices: Devices) -> jax.Array:
    """Zero mean, unit variance among the worlds of each of `groups` (disjoint masks) and among the others: no reward
    drowns another."""

    def among(mask: jax.Array) -> jax.Array:
        count = jnp.maximum(devices.sum(jnp.sum(mask)), 1.0)
        mean = devices.sum(jnp.sum(advantage * mask)) / count
        std = jnp.sqrt(devices.sum(jnp.sum((advantage - mean) ** 2 * mask)) / count)
        return mask * (advantage - mean) / (std + 1e-5)

    masks = [group.astype(advantage.dtype) for group in groups]
    return sum(map(among, masks), among(1.0 - jnp.sum(jnp.stack(masks), axis=0)))
