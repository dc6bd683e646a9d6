"""Small but real objects: the networks of the library, a few units wide, on the packaged humanoid."""

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from anyskill_brax.character.humanoid import load_character
from anyskill_brax.character.kinematics import BodyState
from anyskill_brax.clip.builtin import FORMAT, BuiltinPose, tensors_of
from anyskill_brax.clip.towers import PoseTower, TextTower, position_features
from anyskill_brax.envs.observations import obs_dim
from anyskill_brax.networks import Actor, Discriminator, Encoder, LatentHead, Normalizer
from anyskill_brax.policies import HighLevelPolicy, LowLevelController, MultiSkillPolicy, StyleJudge
from anyskill_brax.skill import Skill

LATENT, TEXT = 4, 3
WINDOW = 125  # one frame of the discriminator's
WIDTHS = (6,)


def parameters(module: nn.Module, seed: int, *inputs: Any) -> Any:
    """Random parameters of the right shapes; flax's own `init` would compile for seconds."""
    rng = np.random.default_rng(seed)
    shapes = jax.eval_shape(module.init, jax.random.key(0), *inputs)
    return jax.tree.map(lambda leaf: jnp.asarray(rng.normal(0, 0.3, leaf.shape), jnp.float32), shapes)


def make_controller(seed: int) -> LowLevelController:
    character = load_character()
    obs, window, latent = jnp.zeros(obs_dim(character)), jnp.zeros(WINDOW), jnp.zeros(LATENT)
    style = StyleJudge(
        disc_params=parameters(Discriminator(WIDTHS), seed, window),
        encoder_params=parameters(Encoder(LATENT, WIDTHS), seed, window),
        normalizer=Normalizer.create(WINDOW),
        disc_widths=WIDTHS,
        encoder_widths=WIDTHS,
        latent_dim=LATENT,
        num_frames=1,
    )
    return LowLevelController(
        params=parameters(Actor(character.action_dim, WIDTHS, (5,)), seed, obs, latent),
        normalizer=Normalizer.create(obs.size),
        style=style,
        motion_latents=jnp.eye(2, LATENT),
        motion_names=("walk", "wave"),
        obs_dim=obs.size,
        action_dim=character.action_dim,
        latent_dim=LATENT,
        widths=WIDTHS,
        style_widths=(5,),
        character_sha256=character.sha256,
        name=f"seed-{seed}",
    )


def make_skill(controller: LowLevelController, instruction: str, latent_dim: int = LATENT) -> Skill:
    obs = jnp.zeros(controller.obs_dim)
    params = parameters(LatentHead(latent_dim, WIDTHS), len(instruction), obs, jnp.zeros(0))
    policy = HighLevelPolicy(params, Normalizer.create(controller.obs_dim), latent_dim, WIDTHS)
    return Skill(policy, controller, instruction, "a-slug")


def make_multi_skill(controller: LowLevelController) -> MultiSkillPolicy:
    params = parameters(LatentHead(LATENT, WIDTHS), 0, jnp.zeros(controller.obs_dim), jnp.zeros(TEXT))
    normalizer = Normalizer.create(controller.obs_dim)
    return MultiSkillPolicy(params, normalizer, jnp.eye(2, TEXT), ("wave", "walk"), LATENT, WIDTHS)


def make_reward_model() -> BuiltinPose:
    character = load_character()
    text = {"num_buckets": 8, "width": 2, "heads": 1, "hidden": 3}
    size = jax.eval_shape(lambda: position_features(character, some_bodies())).shape[-1]
    tensors = tensors_of(
        text=parameters(TextTower(dim=TEXT, **text), 0, jnp.ones((1, 2), int))["params"],
        pose=parameters(PoseTower(dim=TEXT, widths=WIDTHS), 1, jnp.zeros(size))["params"],
        normalizer={"mean": np.zeros(size), "std": np.ones(size)},
    )
    config = {
        "format": FORMAT,
        "kind": "pose",
        "name": "tiny",
        "input": "positions",
        "dim": TEXT,
        "text": text,
        "pose": {"widths": list(WIDTHS)},
        "character_sha256": character.sha256,
        "phrases": ["wave", "sit down"],
        "confidence": {"weights": [1.0, 1.0], "bias": -0.5},
    }
    return BuiltinPose(config, tensors)


def some_bodies() -> BodyState:
    """Bodies at random places, upright."""
    count = load_character().num_bodies
    pos, linvel, angvel = np.random.default_rng(3).normal(size=(3, count, 3)).astype(np.float32)
    upright = np.tile(np.array([1, 0, 0, 0], np.float32), (count, 1))
    return BodyState(*map(jnp.asarray, (pos, upright, linvel, angvel, upright)))


def tree(root: Path) -> dict[str, bytes]:
    """Every file below `root`, but for the private ones of writers."""
    found = {str(path.relative_to(root)): path for path in sorted(root.rglob("*")) if path.is_file()}
    return {name: path.read_bytes() for name, path in found.items() if not name.startswith(".tmp")}
