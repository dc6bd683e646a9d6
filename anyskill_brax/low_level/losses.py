"""The objectives of ASE (Peng et al. 2022) and CALM (Tessler et al. 2023): discriminator, encoder, diversity.

Networks in, scalars out; with several devices, each one's part of a mean over all of them.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from anyskill_brax.low_level.devices import ALONE, Devices
from anyskill_brax.networks import sample_latents
from anyskill_brax.types import Metrics, Params, PRNGKey

Side = tuple[jax.Array, jax.Array]  # (norm windows [B, N], what is known beside them [B, C])
Logit = Callable[[Params, jax.Array, jax.Array], jax.Array]  # (params, *Side) -> [B]
Direction = Callable[[Params, jax.Array], jax.Array]  # (params, norm windows [B, N]) -> unit [B, L]
Mean = Callable[[Params, jax.Array, jax.Array], jax.Array]  # (params, norm obs, latent) -> [B, A]


def discriminator_loss(
    logit: Logit,
    params: Params,
    norm_demo: Side,
    norm_simulated: Side,
    grad_penalty: float,
    logit_regularization: float,
    negatives: float = 0.0,
    grad_penalty_simulated: float = 0.0,
    devices: Devices = ALONE,
) -> tuple[jax.Array, Metrics]:
    """Binary cross-entropy with gradient penalties: on demonstrations (ASE eq. 10; AMP eq. 8), on what is simulated.

    The regulariser keeps the last layer's weights small, as released. `negatives` is the share, of what is to be
    rejected, of real motions under the latent of another one: without them nothing but the policy's own mistakes tells
    a conditional discriminator to look at the latent.
    """
    demo, simulated = logit(params, *norm_demo), logit(params, *norm_simulated)
    rejected = jnp.mean(jax.nn.softplus(simulated))
    if negatives:
        mistaken = logit(params, norm_demo[0], devices.part(jnp.roll(devices.gather(norm_demo[1]), 1, axis=0)))
        rejected = (1.0 - negatives) * rejected + negatives * jnp.mean(jax.nn.softplus(mistaken))
    cross_entropy = 0.5 * (jnp.mean(jax.nn.softplus(-demo)) + rejected)
    penalty = mean_square_slope(logit, params, norm_demo)
    last_layer = params["params"]["logit"]["kernel"]
    loss = cross_entropy + grad_penalty * penalty + logit_regularization * jnp.sum(last_layer**2)
    both_sides = {}
    if grad_penalty_simulated:
        both_sides["disc_grad_penalty_simulated"] = mean_square_slope(logit, params, norm_simulated)
        loss += grad_penalty_simulated * both_sides["disc_grad_penalty_simulated"]
    return loss, both_sides | {
        "disc_loss": cross_entropy,
        "disc_grad_penalty": penalty,
        "disc_accuracy_demo": jnp.mean((demo > 0).astype(jnp.float32)),
        "disc_accuracy_simulated": jnp.mean((simulated < 0).astype(jnp.float32)),
    }


def mean_square_slope(logit: Logit, params: Params, side: Side) -> jax.Array:
    """E |dD/dx|^2, with respect to the window alone."""
    slope = jax.vmap(jax.grad(lambda x, known: logit(params, x[None], known[None])[0]))(*side)
    return jnp.mean(jnp.sum(slope**2, axis=-1))


def encoder_loss(
    direction: Direction,
    params: Params,
    norm_windows: jax.Array,
    latents: jax.Array,
    weight: jax.Array,
    devices: Devices = ALONE,
) -> tuple[jax.Array, Metrics]:
    """-E <E(x), z>, the von Mises-Fisher log-likelihood up to constants (ASE eq. 13), over rows with `weight` 1."""
    agreement = jnp.sum(direction(params, norm_windows) * latents, axis=-1)
    loss = -jnp.sum(agreement * weight) / jnp.maximum(devices.mean(jnp.sum(weight)), 1.0)
    return loss, {"encoder_agreement": -loss}


def alignment_uniformity(
    direction: Direction, params: Params, norm_windows: jax.Array, norm_neighbours: jax.Array
) -> tuple[jax.Array, Metrics]:
    """`spread` of the directions of windows and of their neighbours."""
    return spread(direction(params, norm_windows), direction(params, norm_neighbours))


def spread(a: jax.Array, b: jax.Array, devices: Devices = ALONE) -> tuple[jax.Array, Metrics]:
    """Neighbouring windows close, different ones apart: alignment + 0.5 uniformity (CALM eq. 7; Wang & Isola 2020).

    `a, b [B, L]` unit: latents of windows and of their neighbours. Uniformity is over the pairs of all devices.
    """
    alignment = jnp.mean(jnp.sum((a - b) ** 2, axis=-1))
    everyone = devices.gather(a)
    distance = 2.0 - 2.0 * a @ everyone.T
    own = devices.rank() * a.shape[0] + jnp.arange(a.shape[0])
    others = own[:, None] != jnp.arange(everyone.shape[0])
    closeness = devices.sum(jnp.sum(jnp.exp(-2.0 * distance), where=others))
    uniformity = jnp.log(closeness / (everyone.shape[0] * (everyone.shape[0] - 1)))
    return alignment + 0.5 * uniformity, {"alignment": alignment, "uniformity": uniformity}


def diversity_loss(
    mean: Mean,
    params: Params,
    norm_obs: jax.Array,
    latents: jax.Array,
    actions: jax.Array,
    key: PRNGKey,
    devices: Devices = ALONE,
) -> jax.Array:
    """(1 - D_pi / D_z)^2: another latent should change the action in proportion to its distance (ASE eq. 14, released).

    D_pi = mean squared difference of the (clipped) mean actions, D_z = 0.5 (1 - z1.z2).
    """
    rows, dim = latents.shape
    others = devices.part(sample_latents(key, (devices.count * rows,), dim))
    first = jnp.clip(actions, -1.0, 1.0)
    second = jnp.clip(mean(params, norm_obs, others), -1.0, 1.0)
    moved = jnp.mean((first - second) ** 2, axis=-1)
    apart = 0.5 * (1.0 - jnp.sum(latents * others, axis=-1))
    return jnp.mean((1.0 - moved / (apart + 1e-5)) ** 2)
