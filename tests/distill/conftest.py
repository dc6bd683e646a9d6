"""A random controller in the real world, and a text encoder whose words are known."""

import hashlib
from collections.abc import Sequence

import jax
import numpy as np
import pytest
from stand_ins import NUM_FRAMES, random_controller

from anyskill_brax.character.humanoid import Character
from anyskill_brax.envs.humanoid_env import HumanoidEnv
from anyskill_brax.policies import LowLevelController


class Words:
    """Texts are the sum of random vectors of their words: texts that share words are near."""

    name, dim, sha256, needs_images, image_size = "words", 16, "0" * 64, False, 0

    def embed_text(self, texts: Sequence[str]) -> np.ndarray:
        def word_vector(word: str) -> np.ndarray:
            seed = int.from_bytes(hashlib.sha256(word.encode()).digest()[:4], "big")
            return np.random.default_rng(seed).normal(size=self.dim)

        rows = np.array([np.sum([word_vector(w) for w in text.lower().split()], axis=0) for text in texts])
        return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)

    def text_confidence(self, texts: Sequence[str]) -> np.ndarray:
        return np.ones(len(texts))

    def embed_images(self, images: jax.Array) -> jax.Array:
        raise NotImplementedError

    def embed_poses(self, bodies) -> jax.Array:
        raise NotImplementedError


@pytest.fixture(scope="session")
def low_level(character: Character) -> LowLevelController:
    return random_controller(character)


@pytest.fixture(scope="session")
def env(character: Character) -> HumanoidEnv:
    return HumanoidEnv(character, num_frames=NUM_FRAMES, fall_height=0.15)


@pytest.fixture(scope="session")
def words() -> Words:
    return Words()
