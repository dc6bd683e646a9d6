"""Network shapes (flax linen) and the running statistics that feed them. No losses here."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from flax import linen as nn
from flax import struct


@struct.dataclass
class Normalizer:
    """Running mean and variance of a vector (Welford, in parallel batches); `count` grows with every update."""

    mean: jax.Array  # [N]
    var: jax.Array  # [N]
    count: jax.Array  # []

    @classmethod
    def create(cls, size: int) -> "Normalizer":
        return cls(mean=jnp.zeros(size), var=jnp.ones(size), count=jnp.asarray(1e-4))

    def update(self, batch: jax.Array) -> "Normalizer":
        """Fold in `batch [..., N]`."""
        batch = batch.reshape(-1, batch.shape[-1])
        size = batch.shape[0]
        mean = batch.mean(axis=0)
        var = ((batch - mean) ** 2).mean(axis=0)
        total = self.count + size
        delta = mean - self.mean
        m2 = self.var * self.count + var * size + delta**2 * (self.count * size / total)
        # The count saturates, so statistics keep following the policy instead of freezing early behaviour in.
        return Normalizer(mean=self.mean + delta * (size / total), var=m2 / total, count=jnp.minimum(total, 1e7))

    def __call__(self, x: jax.Array) -> jax.Array:
        return jnp.clip((x - self.mean) * jax.lax.rsqrt(self.var + 1e-5), -5.0, 5.0)


class MLP(nn.Module):
    """ReLU layers of the given widths; every layer is followed by the activation."""

    widths: Sequence[int]

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        for i, width in enumerate(self.widths):
            x = nn.relu(nn.Dense(width, kernel_init=nn.initializers.lecun_uniform(), name=f"layer_{i}")(x))
        return x


class StyleMLP(nn.Module):
    """ASE's latent embedding z -> 512 -> 256 -> L, tanh at the end, before it meets the observation."""

    widths: Sequence[int]

    @nn.compact
    def __call__(self, latent: jax.Array) -> jax.Array:
        x = MLP(self.widths[:-1], name="trunk")(latent)
        return nn.tanh(nn.Dense(self.widths[-1], name="out")(x))


class Actor(nn.Module):
    """(norm_obs, z) -> mean action, linear output. An empty `style_widths` feeds z as it is."""

    action_dim: int
    widths: Sequence[int]
    style_widths: Sequence[int] = ()

    @nn.compact
    def __call__(self, norm_obs: jax.Array, latent: jax.Array) -> jax.Array:
        style = StyleMLP(self.style_widths, name="style")(latent) if self.style_widths else latent
        x = MLP(self.widths, name="trunk")(jnp.concatenate([norm_obs, style], axis=-1))
        return nn.Dense(self.action_dim, kernel_init=nn.initializers.uniform(0.01), name="mean")(x)


class Critic(nn.Module):
    """(norm_obs, condition) -> value `[...]`."""

    widths: Sequence[int]

    @nn.compact
    def __call__(self, norm_obs: jax.Array, condition: jax.Array) -> jax.Array:
        x = MLP(self.widths, name="trunk")(jnp.concatenate([norm_obs, condition], axis=-1))
        return nn.Dense(1, name="value")(x)[..., 0]


class Discriminator(nn.Module):
    """(norm_disc_obs, z) -> logit `[...]`: positive for reference motion, and under z for the motion that z means.

    ASE's knows no latent: None, or one of width 0. An empty `style_widths` feeds z as it is.
    """

    widths: Sequence[int]
    style_widths: Sequence[int] = ()

    @nn.compact
    def __call__(self, norm_disc_obs: jax.Array, latent: jax.Array | None = None) -> jax.Array:
        x = norm_disc_obs
        if latent is not None and latent.shape[-1]:
            style = StyleMLP(self.style_widths, name="style")(latent) if self.style_widths else latent
            x = jnp.concatenate([x, style], axis=-1)
        x = MLP(self.widths, name="trunk")(x)
        return nn.Dense(1, kernel_init=nn.initializers.uniform(1.0), name="logit")(x)[..., 0]


class Encoder(nn.Module):
    """norm_disc_obs -> unit vector on the latent sphere: the mean direction of q(z | x), von Mises-Fisher."""

    latent_dim: int
    widths: Sequence[int]

    @nn.compact
    def __call__(self, norm_disc_obs: jax.Array) -> jax.Array:
        x = MLP(self.widths, name="trunk")(norm_disc_obs)
        x = nn.Dense(self.latent_dim, kernel_init=nn.initializers.uniform(0.1), name="direction")(x)
        return unit(x)


class LatentHead(nn.Module):
    """(norm_obs, condition) -> the mean of the unnormalised latent, tanh-bounded (AnySkill's high-level actor)."""

    latent_dim: int
    widths: Sequence[int]

    @nn.compact
    def __call__(self, norm_obs: jax.Array, condition: jax.Array) -> jax.Array:
        x = MLP(self.widths, name="trunk")(jnp.concatenate([norm_obs, condition], axis=-1))
        return nn.tanh(nn.Dense(self.latent_dim, kernel_init=nn.initializers.uniform(0.01), name="mean")(x))


def unit(x: jax.Array) -> jax.Array:
    """Project onto the unit sphere (last axis)."""
    return x * jax.lax.rsqrt(jnp.sum(x * x, axis=-1, keepdims=True) + 1e-12)


def sample_latents(key: jax.Array, shape: Sequence[int], latent_dim: int) -> jax.Array:
    """Uniform on the sphere, `[*shape, L]`: z = n / |n|, n ~ N(0, I) (ASE section 5)."""
    return unit(jax.random.normal(key, (*shape, latent_dim)))
