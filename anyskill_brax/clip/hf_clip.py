"""A Hugging Face CLIP or SigLIP folder as a reward model: the real thing, given as `--clip PATH`."""

import os
from collections.abc import Sequence
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from anyskill_brax.character.kinematics import BodyState
from anyskill_brax.clip.model import ClipConfig, Dtype, TextTower, VisionTower
from anyskill_brax.clip.reward import known
from anyskill_brax.clip.text import encode, encode_siglip
from anyskill_brax.clip.weights import folder_sha256, load_clip_folder
from anyskill_brax.networks import unit
from anyskill_brax.types import Params

TEXTS_PER_BATCH = 64
SHARE = 0.25
"""Of a device's memory, for encoding pictures; the rest is for drawing them, and for training."""
MOST_ON_CPU = 256


@struct.dataclass
class HfClip:
    """`clip.reward.RewardModel` on a CLIP checkpoint.

    A pytree: pass it to a jitted function as an argument. In a closure its weights would be constants of the program.
    """

    params: Params  # {"text": ..., "vision": ...}
    config: ClipConfig = struct.field(pytree_node=False)
    folder: str = struct.field(pytree_node=False)
    sha256: str = struct.field(pytree_node=False)
    dtype: Dtype = struct.field(pytree_node=False)  # of the dense layers; norms, softmax, projection are float32
    images_per_batch: int = struct.field(pytree_node=False)  # bounds the memory of `embed_images`

    @classmethod
    def load(cls, path: str | Path, dtype: Dtype | None = None, images_per_batch: int | None = None) -> "HfClip":
        """Where nothing is said: bfloat16 on an accelerator, which alone gains from it, and as many images at a time as
        its memory allows.

        Errors: `ClipFolderError` for a folder that is not a whole CLIP checkpoint.
        """
        config, params = load_clip_folder(path)
        on_cpu = jax.default_backend() == "cpu"
        if dtype is None:
            dtype = jnp.float32 if on_cpu else jnp.bfloat16
        if images_per_batch is None:
            images_per_batch = min(images_in(memory(), config, dtype), MOST_ON_CPU if on_cpu else 1 << 20)
        params = jax.tree.map(jnp.asarray, params)
        return cls(params, config, str(path), folder_sha256(path), dtype, images_per_batch)

    @property
    def name(self) -> str:
        return f"hf_clip:{Path(self.folder).resolve().name}"

    @property
    def dim(self) -> int:
        return self.config.dim

    @property
    def needs_images(self) -> bool:
        return True

    @property
    def image_size(self) -> int:
        return self.config.image_size

    def embed_text(self, texts: Sequence[str]) -> np.ndarray:
        """K texts -> `[K, D]` unit rows."""
        if self.config.family == "siglip":
            tokens = encode_siglip(self.folder, texts, self.config.context)
        else:
            tokens = encode(self.folder, texts, self.config.context, self.config.eos_token_id)
        features = np.zeros((len(texts), self.dim), np.float32)
        for start in range(0, len(texts), TEXTS_PER_BATCH):
            chosen = slice(start, start + TEXTS_PER_BATCH)
            features[chosen] = text_features(self, tokens.ids[chosen], tokens.eos[chosen])
        return features

    def text_confidence(self, texts: Sequence[str]) -> np.ndarray:
        """Ones: CLIP's vocabulary is open."""
        return np.ones(len(texts), np.float32)

    def embed_images(self, images: jax.Array) -> jax.Array:
        """`[W, H, W, 3]` in 0..1, of any square size -> `[W, D]` unit rows; of an image that is not finite, zeros."""
        if len(images) <= self.images_per_batch:
            return known(unit(self._image_features(images)))
        rows = jax.lax.map(lambda image: self._image_features(image[None])[0], images, batch_size=self.images_per_batch)
        return known(unit(rows))

    def embed_poses(self, bodies: BodyState) -> jax.Array:
        raise TypeError("CLIP sees images: render the bodies and call embed_images")

    def _image_features(self, images: jax.Array) -> jax.Array:
        pixels = prepare_images(self.config, images)
        return jnp.asarray(VisionTower(self.config, self.dtype).apply({"params": self.params["vision"]}, pixels))


def bytes_per_image(config: ClipConfig, dtype: Dtype) -> int:
    """What one image takes in its tower: the residual stream and its norm, q, k, v and what they mix, the logits of
    attention and their softmax, both sides of the MLP's activation; and its pixels twice."""
    tower, size = config.vision, jnp.dtype(dtype).itemsize
    tokens = (config.image_size // config.patch_size) ** 2 + 1
    stream = tokens * (8 * tower.width + size * (4 * tower.width + 2 * tower.mlp_width))
    return stream + tower.heads * tokens**2 * 8 + 2 * 12 * config.image_size**2


def images_in(memory: int, config: ClipConfig, dtype: Dtype) -> int:
    """How many images are encoded at a time on a device of `memory` bytes: a power of two, at least one."""
    room = int(SHARE * memory) // bytes_per_image(config, dtype)
    return 1 << (max(room, 1).bit_length() - 1)


def memory() -> int:
    """Bytes that JAX may use of its first device, or that the host has.

    Not what is free at the moment: chunks of another size round differently, and a run that resumes is to go on to the
    same bits.
    """
    stats = jax.local_devices()[0].memory_stats() or {}
    return stats.get("bytes_limit") or os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def prepare_images(config: ClipConfig, images: jax.Array) -> jax.Array:
    """`[..., H, W, 3]` in 0..1 -> the checkpoint's size, mean and std. Resizing is antialiased, as PIL's is."""
    size = config.image_size
    if images.shape[-3] != images.shape[-2]:
        raise ValueError(f"expected square images, got {images.shape[-3]} x {images.shape[-2]}")
    if images.shape[-3] != size:
        images = jax.image.resize(images, (*images.shape[:-3], size, size, 3), config.resample)
        images = jnp.clip(images, 0.0, 1.0)  # the cubic filter overshoots at edges
    return (images - jnp.array(config.image_mean)) / jnp.array(config.image_std)


@jax.jit
def text_features(clip: HfClip, ids: jax.Array, eos: jax.Array) -> jax.Array:
    """`ids [B, S]`, `eos [B]` -> `[B, D]` unit rows."""
    features = TextTower(clip.config, clip.dtype).apply({"params": clip.params["text"]}, ids, eos)
    return unit(jnp.asarray(features))
