"""Small but real objects: the networks of the library, a few units wide, on the packaged humanoid."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from anyskill_brax.character.humanoid import load_character
from anyskill_brax.character.kinematics import BodyState
from anyskill_brax.clip.builtin import FORMAT, BuiltinPose, tensors_of
from anyskill_brax.clip.towers import PoseTower, TextTower, position_features
from anyskill_brax.envs.observations import obs_dim
from anyskill_brax.networks import Actor, Discriminator, Encoder, LatentHead, Normalizer
from anyskill_brax.policies import HighLevelPolicy, LowLevelController, MultiSkillPolicy, StyleJudge
from anyskill_brax.skill import Skill

LATENT, TEXT = 4, 3
WINDOW = 10
WIDTHS = (6,)


def make_controller(seed: int) -> LowLevelController:
    character = load_character()
    keys = jax.random.split(jax.random.key(seed), 3)
    obs, window, latent = jnp.zeros(obs_dim(character)), jnp.zeros(WINDOW), jnp.zeros(LATENT)
    style = StyleJudge(
        disc_params=Discriminator(WIDTHS).init(keys[0], window),
        encoder_params=Encoder(LATENT, WIDTHS).init(keys[1], window),
        normalizer=Normalizer.create(WINDOW),
        disc_widths=WIDTHS,
        encoder_widths=WIDTHS,
        latent_dim=LATENT,
        num_frames=1,
    )
    return LowLevelController(
        params=Actor(character.action_dim, WIDTHS, (5,)).init(keys[2], obs, latent),
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
    params = LatentHead(latent_dim, WIDTHS).init(jax.random.key(len(instruction)), obs, jnp.zeros(0))
    policy = HighLevelPolicy(params, Normalizer.create(controller.obs_dim), latent_dim, WIDTHS)
    return Skill(policy, controller, instruction, "a-slug")


def make_multi_skill(controller: LowLevelController) -> MultiSkillPolicy:
    params = LatentHead(LATENT, WIDTHS).init(jax.random.key(0), jnp.zeros(controller.obs_dim), jnp.zeros(TEXT))
    normalizer = Normalizer.create(controller.obs_dim)
    return MultiSkillPolicy(params, normalizer, jnp.eye(2, TEXT), ("wave", "walk"), LATENT, WIDTHS)


def make_reward_model() -> BuiltinPose:
    character = load_character()
    text = {"num_buckets": 8, "width": 2, "heads": 1, "hidden": 3}
    keys = jax.random.split(jax.random.key(0), 2)
    size = jax.eval_shape(lambda: position_features(character, some_bodies())).shape[-1]
    tensors = tensors_of(
        text=TextTower(dim=TEXT, **text).init(keys[0], jnp.ones((1, 2), int))["params"],
        pose=PoseTower(dim=TEXT, widths=WIDTHS).init(keys[1], jnp.zeros(size))["params"],
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
        "confidence": {"weights": [1.0, 1.0], "bias": 0.0},
    }
    return BuiltinPose(config, tensors)


def some_bodies() -> BodyState:
    """Bodies at random places, upright."""
    count = load_character().num_bodies
    pos, linvel, angvel = jax.random.normal(jax.random.key(3), (3, count, 3))
    upright = jnp.tile(jnp.array([1.0, 0.0, 0.0, 0.0]), (count, 1))
    return BodyState(pos, upright, linvel, angvel, upright)


def tree(root: Path) -> dict[str, bytes]:
    """Every file below `root`, but for the private ones of writers."""
    found = {str(path.relative_to(root)): path for path in sorted(root.rglob("*")) if path.is_file()}
    return {name: path.read_bytes() for name, path in found.items() if not name.startswith(".tmp")}
