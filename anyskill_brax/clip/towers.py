"""The towers of the built-in reward model (flax linen): texts, poses and small images into one unit sphere `[D]`."""

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from anyskill_brax import rotations
from anyskill_brax.character.humanoid import Character
from anyskill_brax.character.kinematics import BodyState
from anyskill_brax.networks import unit


def position_features(character: Character, bodies: BodyState) -> jax.Array:
    """What the reward sees: positions and velocities in the heading frame at the pelvis, `[..., 95]`.

    `still_features`, every body's velocity and the yaw rate [m/s, rad/s].
    """
    turn = rotations.yaw_quat(-rotations.heading(bodies.rot[..., 0, :]))
    vel = rotations.rotate(turn[..., None, :], bodies.linvel)
    vel = vel.reshape(*vel.shape[:-2], -1)
    return jnp.concatenate([still_features(character, bodies), vel, bodies.angvel[..., 0, 2:]], axis=-1)


def still_features(character: Character, bodies: BodyState) -> jax.Array:
    """What a photograph shows, `[..., 49]`: height and up-vector of the pelvis, gaze, every other body's position [m].

    In the heading frame at the pelvis: nothing depends on where the character stands or which way it faces.
    """
    turn = rotations.yaw_quat(-rotations.heading(bodies.rot[..., 0, :]))
    pos = rotations.rotate(turn[..., None, :], bodies.pos - bodies.pos[..., :1, :])[..., 1:, :]
    root, head = (rotations.quat_mul(turn, bodies.rot[..., i, :]) for i in (0, character.body("head")))
    up = rotations.rotate(root, jnp.array([0.0, 0.0, 1.0]))
    gaze = rotations.rotate(head, jnp.array([1.0, 0.0, 0.0]))
    return jnp.concatenate([bodies.pos[..., :1, 2], up, gaze, pos.reshape(*pos.shape[:-2], -1)], axis=-1)


def rotation_features(character: Character, bodies: BodyState) -> jax.Array:
    """What the judge sees: joint rotations and their rates, never a position, `[..., 139]`.

    Height of the pelvis, its up-vector, 6-D joint rotations, angular velocities in the heading frame and the pelvis'
    velocity [m, rad/s, m/s].
    """
    turn = rotations.yaw_quat(-rotations.heading(bodies.rot[..., 0, :]))
    joints = rotations.to_6d(bodies.joint_rot[..., 1:, :])
    joints = joints.reshape(*joints.shape[:-2], -1)
    rates = rotations.rotate(turn[..., None, :], bodies.angvel)
    rates = rates.reshape(*rates.shape[:-2], -1)
    up = rotations.rotate(rotations.quat_mul(turn, bodies.rot[..., 0, :]), jnp.array([0.0, 0.0, 1.0]))
    root_vel = rotations.rotate(turn, bodies.linvel[..., 0, :])
    return jnp.concatenate([bodies.pos[..., :1, 2], up, joints, rates, root_vel], axis=-1)


POSE_FEATURES = {"positions": position_features, "rotations": rotation_features}


class TextTower(nn.Module):
    """Hashed n-grams -> unit vector: attention-pooled embeddings, then two layers.

    A bucket holds an embedding and, per head, how much it matters: softmax pooling lets "left" outweigh "put".
    """

    num_buckets: int
    width: int
    heads: int
    hidden: int
    dim: int

    @nn.compact
    def __call__(self, ids: jax.Array, keep: jax.Array | None = None) -> jax.Array:
        """`ids [K, N]` int (0 pads), `keep [K, N]` bool for n-gram dropout -> `[K, D]`."""
        value = self.param("value", nn.initializers.normal(0.3), (self.num_buckets, self.width))[ids]
        score = self.param("score", nn.initializers.zeros, (self.num_buckets, self.heads))[ids]
        present = ids > 0 if keep is None else (ids > 0) & keep
        weight = jnp.where(present[..., None], jnp.exp(jnp.clip(score, -12.0, 6.0)), 0.0)
        pooled = jnp.einsum("knh,knw->khw", weight, value) / (weight.sum(axis=1)[..., None] + 1e-6)
        x = nn.Dense(self.hidden, name="hidden")(pooled.reshape(len(ids), -1))
        return unit(nn.Dense(self.dim, name="out")(nn.gelu(x)))


class SentenceTower(nn.Module):
    """Frozen sentence vectors -> unit vector, by two layers."""

    hidden: int
    dim: int

    @nn.compact
    def __call__(self, vectors: jax.Array, keep: jax.Array | None = None) -> jax.Array:
        """`vectors [K, V]`, `keep [K, V]` bool for dropout -> `[K, D]`."""
        if keep is not None:
            vectors = jnp.where(keep, vectors, 0.0) / jnp.maximum(keep.mean(axis=-1, keepdims=True), 1e-3)
        return unit(nn.Dense(self.dim, name="out")(nn.gelu(nn.Dense(self.hidden, name="hidden")(vectors))))


TextSide = TextTower | SentenceTower


def text_side(shape: Mapping[str, Any], dim: int) -> TextSide:
    """The tower that a model's `config["text"]` describes: n-grams, or with "encoder_sha256" sentence vectors."""
    return SentenceTower(shape["hidden"], dim) if "encoder_sha256" in shape else TextTower(dim=dim, **shape)


class PoseTower(nn.Module):
    """Normalised pose features -> unit vector."""

    widths: Sequence[int]
    dim: int

    @nn.compact
    def __call__(self, norm_features: jax.Array) -> jax.Array:
        x = norm_features
        for i, width in enumerate(self.widths):
            x = nn.gelu(nn.LayerNorm(name=f"norm_{i}")(nn.Dense(width, name=f"layer_{i}")(x)))
        return unit(nn.Dense(self.dim, name="out")(x))


class WindowTower(nn.Module):
    """N frames of normalised pose features, oldest first -> unit vector."""

    frame_width: int
    widths: Sequence[int]
    dim: int

    @nn.compact
    def __call__(self, norm_features: jax.Array) -> jax.Array:
        """`[..., N, F] -> [..., D]`."""
        x = nn.gelu(nn.Dense(self.frame_width, name="frame")(norm_features))
        x = x.reshape(*x.shape[:-2], -1)
        for i, width in enumerate(self.widths):
            x = nn.gelu(nn.LayerNorm(name=f"norm_{i}")(nn.Dense(width, name=f"layer_{i}")(x)))
        return unit(nn.Dense(self.dim, name="out")(x))


class ImageTower(nn.Module):
    """Convolutions that halve the picture, then layers over all that is left -> unit vector.

    Where a hand is, to a pixel, is what counts: so nothing is averaged over the picture.
    """

    convs: Sequence[int]
    widths: Sequence[int]
    dim: int
    num_hints: int = 0  # in training alone: how many numbers of the pose are read off as well

    @nn.compact
    def __call__(self, images: jax.Array):
        """`images [W, H, H, 3]` in 0..1 -> `[W, D]`, or that and the hints `[W, num_hints]`."""
        x = images * 2.0 - 1.0
        for i, width in enumerate(self.convs):
            x = nn.Conv(width, (3, 3), (2, 2), name=f"conv_{i}")(x)
            x = nn.gelu(nn.LayerNorm(name=f"conv_norm_{i}")(x))
        x = x.reshape(len(x), -1)
        for i, width in enumerate(self.widths):
            x = nn.gelu(nn.LayerNorm(name=f"norm_{i}")(nn.Dense(width, name=f"layer_{i}")(x)))
        feature = unit(nn.Dense(self.dim, name="out")(x))
        return (feature, nn.Dense(self.num_hints, name="hints")(x)) if self.num_hints else feature


class PatchTower(nn.Module):
    """A small ViT: patches, learned positions, pre-norm blocks, mean of the patches -> unit vector.

    What `builtin-image-v1` is; kept so that it loads.
    """

    patch: int
    width: int
    depth: int
    heads: int
    dim: int

    @nn.compact
    def __call__(self, images: jax.Array) -> jax.Array:
        """`images [W, H, H, 3]` in 0..1 -> `[W, D]`."""
        count, size = images.shape[0], images.shape[1] // self.patch
        x = images.reshape(count, size, self.patch, size, self.patch, 3).transpose(0, 1, 3, 2, 4, 5)
        x = nn.Dense(self.width, name="patches")(x.reshape(count, size * size, -1) * 2.0 - 1.0)
        x = x + self.param("positions", nn.initializers.normal(0.02), (size * size, self.width))
        for i in range(self.depth):
            y = nn.LayerNorm(name=f"norm_a{i}")(x)
            x = x + nn.MultiHeadDotProductAttention(num_heads=self.heads, name=f"attention_{i}")(y, y)
            y = nn.Dense(4 * self.width, name=f"up_{i}")(nn.LayerNorm(name=f"norm_b{i}")(x))
            x = x + nn.Dense(self.width, name=f"down_{i}")(nn.gelu(y))
        x = nn.LayerNorm(name="norm")(x).mean(axis=1)
        return unit(nn.Dense(self.dim, name="out")(x))
