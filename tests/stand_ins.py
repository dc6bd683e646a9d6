"""Stand-ins that train in seconds: a random low-level controller and a reward model that knows where hands are."""

import hashlib
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from anyskill_brax.character.humanoid import Character
from anyskill_brax.character.kinematics import BodyState
from anyskill_brax.envs import observations
from anyskill_brax.networks import Actor, Discriminator, Encoder, Normalizer, sample_latents
from anyskill_brax.policies import LowLevelController, StyleJudge

LATENT_DIM = 8
NUM_FRAMES = 2


def random_controller(character: Character, seed: int = 0, conditional: bool = False) -> LowLevelController:
    """Untrained, but its latents matter: the output layer is large enough to move the arms."""
    keys = jax.random.split(jax.random.PRNGKey(seed), 4)
    obs_dim, window = observations.obs_dim(character), NUM_FRAMES * observations.disc_frame_dim(character)
    actor, disc, encoder = Actor(character.action_dim, (32,)), Discriminator((16,)), Encoder(LATENT_DIM, (16,))
    layers = dict(actor.init(keys[0], jnp.zeros(obs_dim), jnp.zeros(LATENT_DIM))["params"])
    params = {"params": layers | {"mean": jax.tree.map(lambda x: 10.0 * x, layers["mean"])}}
    return LowLevelController(
        params=params,
        normalizer=Normalizer.create(obs_dim),
        style=StyleJudge(
            disc_params=disc.init(keys[1], jnp.zeros(window), jnp.zeros(LATENT_DIM if conditional else 0)),
            encoder_params=encoder.init(keys[2], jnp.zeros(window)),
            normalizer=Normalizer.create(window),
            disc_widths=(16,),
            encoder_widths=(16,),
            latent_dim=LATENT_DIM,
            num_frames=NUM_FRAMES,
            conditional=conditional,
        ),
        motion_latents=sample_latents(keys[3], (3,), LATENT_DIM),
        motion_names=("wave", "walk", "bow"),
        obs_dim=obs_dim,
        action_dim=character.action_dim,
        latent_dim=LATENT_DIM,
        widths=(32,),
        style_widths=(),
        character_sha256=character.sha256,
        name="random",
    )


WORDS = {"up": (0.0, 0.0, 1.0), "down": (0.0, 0.0, -1.0), "left": (0.0, 1.0, 0.0), "forward": (1.0, 0.0, 0.0)}


class Compass:
    """A reward model of poses: texts name a direction in space, states answer with where the right hand points."""

    name, dim, sha256, needs_images, image_size = "compass", 3, "0" * 64, False, 0

    def __init__(self, character: Character):
        self._hand, self._shoulder = character.body("right_hand"), character.body("right_upper_arm")

    def embed_text(self, texts: Sequence[str]) -> np.ndarray:
        rows = []
        for text in texts:
            known = [v for word, v in WORDS.items() if word in text]
            seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big")
            row = np.sum(known, axis=0) if known else np.random.default_rng(seed).normal(size=3)
            rows.append(row / np.linalg.norm(row))
        return np.array(rows, np.float32)

    def text_confidence(self, texts: Sequence[str]) -> np.ndarray:
        return np.ones(len(texts))

    def embed_images(self, images: jax.Array) -> jax.Array:
        raise NotImplementedError("looks at poses")

    def embed_poses(self, bodies: BodyState) -> jax.Array:
        local = observations.local_positions(bodies)
        arm = local[..., self._hand, :] - local[..., self._shoulder, :]
        return arm / jnp.linalg.norm(arm, axis=-1, keepdims=True)
