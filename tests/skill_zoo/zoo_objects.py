"""Small but real objects: the networks of the library, a few units wide, on the packaged humanoid."""

from pathlib import Path

import jax
import jax.numpy as jnp

from anyskill_brax.character.humanoid import load_character
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


def tree(root: Path) -> dict[str, bytes]:
    """Every file below `root`, but for the private ones of writers."""
    found = {str(path.relative_to(root)): path for path in sorted(root.rglob("*")) if path.is_file()}
    return {name: path.read_bytes() for name, path in found.items() if not name.startswith(".tmp")}
