"""The objectives of ASE (Peng et al. 2022): discriminator, encoder, diversity. Networks in, scalars out."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from anyskill_brax.networks import sample_latents
from anyskill_brax.types import Metrics, Params, PRNGKey

Logit = Callable[[Params, jax.Array], jax.Array]  # (params, norm windows [B, N]) -> [B]
Direction = Callable[[Params, jax.Array], jax.Array]  # (params, norm windows [B, N]) -> unit [B, L]
Mean = Callable[[Params, jax.Array, jax.Array], jax.Array]  # (params, norm obs, latent) -> [B, A]


def discriminator_loss(
    logit: Logit,
    params: Params,
    norm_demo: jax.Array,
    norm_simulated: jax.Array,
    grad_penalty: float,
    logit_regularization: float,
) -> tuple[jax.Array, Metrics]:
    """Binary cross-entropy with a gradient penalty on demonstrations (ASE eq. 10; AMP eq. 8).

    `norm_demo`, `norm_simulated [B, N * 125]`. The regulariser keeps the last layer's weights small, as released.
    """
    demo, simulated = logit(params, norm_demo), logit(params, norm_simulated)
    cross_entropy = 0.5 * (jnp.mean(jax.nn.softplus(-demo)) + jnp.mean(jax.nn.softplus(simulated)))
    slope = jax.vmap(jax.grad(lambda x: logit(params, x[None])[0]))(norm_demo)
    penalty = jnp.mean(jnp.sum(slope**2, axis=-1))
    last_layer = params["params"]["logit"]["kernel"]
    loss = cross_entropy + grad_penalty * penalty + logit_regularization * jnp.sum(last_layer**2)
    return loss, {
        "disc_loss": cross_entropy,
        "disc_grad_penalty": penalty,
        "disc_accuracy_demo": jnp.mean((demo > 0).astype(jnp.float32)),
        "disc_accuracy_simulated": jnp.mean((simulated < 0).astype(jnp.float32)),
    }


def encoder_loss(
    direction: Direction, params: Params, norm_windows: jax.Array, latents: jax.Array, weight: jax.Array
) -> tuple[jax.Array, Metrics]:
    """-E <E(x), z>, the von Mises-Fisher log-likelihood up to constants (ASE eq. 13), over rows with `weight` 1."""
    agreement = jnp.sum(direction(params, norm_windows) * latents, axis=-1)
    loss = -jnp.sum(agreement * weight) / jnp.maximum(jnp.sum(weight), 1.0)
    return loss, {"encoder_agreement": -loss}


def alignment_uniformity(
    direction: Direction, params: Params, norm_windows: jax.Array, norm_neighbours: jax.Array
) -> tuple[jax.Array, Metrics]:
    """Neighbouring windows close, different ones spread: alignment + 0.5 uniformity (CALM eq. 7; Wang & Isola 2020)."""
    a, b = direction(params, norm_windows), direction(params, norm_neighbours)
    alignment = jnp.mean(jnp.sum((a - b) ** 2, axis=-1))
    distance = 2.0 - 2.0 * a @ a.T
    off_diagonal = ~jnp.eye(a.shape[0], dtype=bool)
    uniformity = jnp.log(jnp.sum(jnp.exp(-2.0 * distance), where=off_diagonal) / jnp.sum(off_diagonal))
    return alignment + 0.5 * uniformity, {"alignment": alignment, "uniformity": uniformity}


def diversity_loss(
    mean: Mean, params: Params, norm_obs: jax.Array, latents: jax.Array, actions: jax.Array, key: PRNGKey
) -> jax.Array:
    """(1 - D_pi / D_z)^2: another latent should change the action in proportion to its distance (ASE eq. 14, released).

    D_pi = mean squared difference of the (clipped) mean actions, D_z = 0.5 (1 - z1.z2).
    """
    others = sample_latents(key, latents.shape[:-1], latents.shape[-1])
    first = jnp.clip(actions, -1.0, 1.0)
    second = jnp.clip(mean(params, norm_obs, others), -1.0, 1.0)
    moved = jnp.mean((first - second) ** 2, axis=-1)
    apart = 0.5 * (1.0 - jnp.sum(latents * others, axis=-1))
    return jnp.mean((1.0 - moved / (apart + 1e-5)) ** 2)
