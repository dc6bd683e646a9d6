"""CLIP (Radford et al. 2021, arXiv 2103.00020) in flax: two transformers and a projection each.

Dense layers run in `dtype`; norms, softmax, residual stream and projection stay in float32, because the similarities of
different poses differ by 0.02-0.05 and bfloat16 throughout would cost 1e-3 of that.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

Dtype = Any


def quick_gelu(x: jax.Array) -> jax.Array:
    """x sigmoid(1.702 x): OpenAI's checkpoints were trained with it, LAION's with the exact form."""
    return x * jax.nn.sigmoid(1.702 * x)


ACTIVATIONS: dict[str, Callable[[jax.Array], jax.Array]] = {
    "quick_gelu": quick_gelu,
    "gelu": functools.partial(jax.nn.gelu, approximate=False),
    "gelu_pytorch_tanh": functools.partial(jax.nn.gelu, approximate=True),
}


@dataclass(frozen=True)
class TowerConfig:
    """One transformer."""

    width: int
    layers: int
    heads: int
    mlp_width: int
    activation: str  # a key of ACTIVATIONS
    norm_epsilon: float


@dataclass(frozen=True)
class ClipConfig:
    """A checkpoint's shapes, and how it wants its images and texts."""

    text: TowerConfig
    vision: TowerConfig
    dim: int  # D, of the shared space
    vocab_size: int
    context: int  # longest text, in tokens
    eos_token_id: int
    image_size: int  # [px]
    patch_size: int  # [px]
    image_mean: tuple[float, float, float]
    image_std: tuple[float, float, float]
    resample: str  # `jax.image.resize` method


def layer_norm(tower: TowerConfig, name: str) -> nn.LayerNorm:
    return nn.LayerNorm(epsilon=tower.norm_epsilon, use_fast_variance=False, name=name)


def project(dim: int) -> nn.Dense:
    return nn.Dense(dim, use_bias=False, precision="highest", name="projection")


class Block(nn.Module):
    """Pre-norm attention and MLP."""

    tower: TowerConfig
    causal: bool
    dtype: Dtype

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """`[B, S, width]` float32 -> the same."""
        tower = self.tower
        dense = functools.partial(nn.Dense, dtype=self.dtype)
        heads = (*x.shape[:-1], 3, tower.heads, tower.width // tower.heads)
        qkv = dense(3 * tower.width, name="qkv")(layer_norm(tower, "norm_1")(x)).reshape(heads)
        mixed = jax.nn.dot_product_attention(
            qkv[..., 0, :, :], qkv[..., 1, :, :], qkv[..., 2, :, :], is_causal=self.causal
        )
        x = x + dense(tower.width, name="out")(mixed.reshape(x.shape))
        hidden = ACTIVATIONS[tower.activation](dense(tower.mlp_width, name="up")(layer_norm(tower, "norm_2")(x)))
        return x + dense(tower.width, name="down")(hidden)


class TextTower(nn.Module):
    config: ClipConfig
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, ids: jax.Array, eos: jax.Array) -> jax.Array:
        """`ids [B, S]` and the position of each text's end, `eos [B]` -> `[B, D]`, not normalised.

        Attention is causal, so whatever follows the end token has no influence: any padding will do.
        """
        config, tower = self.config, self.config.text
        x = nn.Embed(config.vocab_size, tower.width, name="tokens")(ids)
        x = x + self.param("positions", nn.initializers.normal(0.01), (config.context, tower.width))[: ids.shape[1]]
        for layer in range(tower.layers):
            x = Block(tower, True, self.dtype, name=f"layer_{layer}")(x)
        x = jnp.take_along_axis(x, eos[:, None, None], axis=1)[:, 0]
        return project(config.dim)(layer_norm(tower, "norm")(x))


class VisionTower(nn.Module):
    config: ClipConfig
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, pixels: jax.Array) -> jax.Array:
        """`pixels [B, H, W, 3]`, normalised as the checkpoint asks -> `[B, D]`, not normalised."""
        config, tower = self.config, self.config.vision
        patch, grid = config.patch_size, config.image_size // config.patch_size
        x = pixels.reshape(-1, grid, patch, grid, patch, 3).swapaxes(2, 3).reshape(-1, grid * grid, patch * patch * 3)
        x = nn.Dense(tower.width, use_bias=False, dtype=self.dtype, name="patches")(x).astype(jnp.float32)
        summary = self.param("class", nn.initializers.normal(0.02), (tower.width,))
        x = jnp.concatenate([jnp.broadcast_to(summary, (x.shape[0], 1, tower.width)), x], axis=1)
        x = x + self.param("positions", nn.initializers.normal(0.02), (1 + grid * grid, tower.width))
        x = layer_norm(tower, "norm_in")(x)
        for layer in range(tower.layers):
            x = Block(tower, False, self.dtype, name=f"layer_{layer}")(x)
        return project(config.dim)(layer_norm(tower, "norm")(x[:, 0]))
