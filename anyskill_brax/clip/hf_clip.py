"""A Hugging Face CLIP or SigLIP folder as a reward model: the real thing, given as `--clip PATH`."""

from collections.abc import Sequence
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from anyskill_brax.character.kinematics import BodyState
from anyskill_brax.clip.model import ClipConfig, Dtype, TextTower, VisionTower
from anyskill_brax.clip.text import encode, encode_siglip
from anyskill_brax.clip.weights import folder_sha256, load_clip_folder
from anyskill_brax.networks import unit
from anyskill_brax.types import Params

TEXTS_PER_BATCH = 64


@struct.dataclass
class HfClip:
    """`clip.reward.RewardModel` on a CLIP checkpoint.

    A pytree: pass it to a jitted function as an argument. In a closure its weights would be constants of the program.
    """

    params: Params  # {"text": ..., "vision": ...}
    config: ClipConfig = struct.field(pytree_node=False)
    folder: str = struct.field(pytree_node=False)
    sha256: str = struct.field(pytree_node=False)
    dtype: Dtype = struct.field(pytree_node=False)  # of the dense layers; bfloat16 pays on accelerators only
    images_per_batch: int = struct.field(pytree_node=False)  # bounds the memory of `embed_images`

    @classmethod
    def load(cls, path: str | Path, dtype: Dtype = jnp.float32, images_per_batch: int = 256) -> "HfClip":
        """Errors: `ClipFolderError` for a folder that is not a whole CLIP checkpoint."""
        config, params = load_clip_folder(path)
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
        """`[W, H, W, 3]` in 0..1, of any square size -> `[W, D]` unit rows."""
        if len(images) <= self.images_per_batch:
            return unit(self._image_features(images))
        return unit(
            jax.lax.map(lambda image: self._image_features(image[None])[0], images, batch_size=self.images_per_batch)
        )

    def embed_poses(self, bodies: BodyState) -> jax.Array:
        raise TypeError("CLIP sees images: render the bodies and call embed_images")

    def _image_features(self, images: jax.Array) -> jax.Array:
        pixels = prepare_images(self.config, images)
        return jnp.asarray(VisionTower(self.config, self.dtype).apply({"params": self.params["vision"]}, pixels))


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
