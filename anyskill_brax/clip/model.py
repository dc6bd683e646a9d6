"""CLIP (Radford et al. 2021, arXiv 2103.00020) and SigLIP (Zhai et al. 2023, arXiv 2303.15343) in flax.

Two transformers each. CLIP reads an image out at a class token and a text, causally masked, at its end, and projects
both. SigLIP has no class token and no mask: a learned probe attends to the patches, a text is read at its last position
(padding, mostly) and alone is projected.

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

    family: str  # "clip" or "siglip"
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


def project(dim: int, use_bias: bool = False) -> nn.Dense:
    return nn.Dense(dim, use_bias=use_bias, precision="highest", name="projection")


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


class AttentionPool(nn.Module):
    """SigLIP's head: one learned query over all patches, then a residual MLP."""

    tower: TowerConfig
    dtype: Dtype

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """`[B, S, width]` -> `[B, width]`."""
        tower = self.tower
        dense = functools.partial(nn.Dense, dtype=self.dtype)
        per_head = tower.heads, tower.width // tower.heads
        probe = self.param("probe", nn.initializers.normal(0.02), (tower.width,))
        query = dense(tower.width, name="query")(jnp.broadcast_to(probe, (len(x), 1, tower.width)))
        key_value = dense(2 * tower.width, name="key_value")(x).reshape(*x.shape[:-1], 2, *per_head)
        mixed = jax.nn.dot_product_attention(
            query.reshape(len(x), 1, *per_head), key_value[..., 0, :, :], key_value[..., 1, :, :]
        )
        x = dense(tower.width, name="out")(mixed.reshape(len(x), tower.width)).astype(jnp.float32)
        hidden = ACTIVATIONS[tower.activation](dense(tower.mlp_width, name="up")(layer_norm(tower, "norm")(x)))
        return x + dense(tower.width, name="down")(hidden)


class TextTower(nn.Module):
    config: ClipConfig
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, ids: jax.Array, eos: jax.Array) -> jax.Array:
        """`ids [B, S]` and where each text is read out, `eos [B]` -> `[B, D]`, not normalised.

        CLIP's attention is causal, so whatever follows the end token has no influence: any padding will do. SigLIP's is
        not: S is the whole context, padded as in training.
        """
        config, tower = self.config, self.config.text
        siglip = config.family == "siglip"
        x = nn.Embed(config.vocab_size, tower.width, name="tokens")(ids)
        x = x + self.param("positions", nn.initializers.normal(0.01), (config.context, tower.width))[: ids.shape[1]]
        for layer in range(tower.layers):
            x = Block(tower, not siglip, self.dtype, name=f"layer_{layer}")(x)
        x = jnp.take_along_axis(x, eos[:, None, None], axis=1)[:, 0]
        return project(config.dim, use_bias=siglip)(layer_norm(tower, "norm")(x))


class VisionTower(nn.Module):
    config: ClipConfig
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, pixels: jax.Array) -> jax.Array:
        """`pixels [B, H, W, 3]`, normalised as the checkpoint asks -> `[B, D]`, not normalised."""
        config, tower = self.config, self.config.vision
        siglip = config.family == "siglip"
        patch, grid = config.patch_size, config.image_size // config.patch_size
        pixels = pixels[:, : grid * patch, : grid * patch]  # SigLIP so400m: 384 pixels, patches of 14
        x = pixels.reshape(-1, grid, patch, grid, patch, 3).swapaxes(2, 3).reshape(-1, grid * grid, patch * patch * 3)
        x = nn.Dense(tower.width, use_bias=siglip, dtype=self.dtype, name="patches")(x).astype(jnp.float32)
        if not siglip:
            summary = self.param("class", nn.initializers.normal(0.02), (tower.width,))
            x = jnp.concatenate([jnp.broadcast_to(summary, (x.shape[0], 1, tower.width)), x], axis=1)
        x = x + self.param("positions", nn.initializers.normal(0.02), (x.shape[1], tower.width))
        x = x if siglip else layer_norm(tower, "norm_in")(x)
        for layer in range(tower.layers):
            x = Block(tower, False, self.dtype, name=f"layer_{layer}")(x)
        if siglip:
            return AttentionPool(tower, self.dtype, name="pool")(layer_norm(tower, "norm")(x))
        return project(config.dim)(layer_norm(tower, "norm")(x[:, 0]))
