"""Publishing a low-level controller: measured, with its curves, an honest card, and what continues its training."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from anyskill_brax.character.humanoid import load_character
from anyskill_brax.envs.humanoid_env import HumanoidEnv
from anyskill_brax.evaluate import FALL_HEIGHT, survival
from anyskill_brax.low_level.run import TrainedController
from anyskill_brax.low_level.run import load as load_run
from anyskill_brax.networks import sample_latents
from skill_zoo.codecs import tensors_from_bytes, tensors_to_bytes
from skill_zoo.curves import CURVES, write_curves
from skill_zoo.ids import SkillId
from skill_zoo.search import Folder
from skill_zoo.zoo import read_file, save

DRAWN = {
    "samples": "million samples",
    "seconds_to_fail_following": "s until a followed motion is lost",
    "seconds_to_fail_free": "s until a fall, free latents",
    "tracking_quality": "tracking quality",
    "reward_style": "style reward",
    "encoder_agreement": "encoder agreement <E(x), z>",
    "disc_accuracy_simulated": "discriminator accuracy, simulated",
}
"""Training's metrics -> what the curves are called."""


def measure(trained: TrainedController, episodes: int = 128, seconds: float = 10.0) -> dict[str, float]:
    """Survival of held latents from standing starts: uniform on the sphere, and those of the training motions."""
    low_level = trained.controller
    env = HumanoidEnv(load_character(), num_frames=low_level.style.num_frames, fall_height=FALL_HEIGHT)
    key_sphere, key_motion, key_a, key_b = jax.random.split(jax.random.PRNGKey(0), 4)
    sphere = sample_latents(key_sphere, (episodes,), low_level.latent_dim)
    rows = jax.random.randint(key_motion, (episodes,), 0, low_level.motion_latents.shape[0])
    kept_random, time_random = survival(env, low_level, sphere, key_a, seconds)
    kept_motion, time_motion = survival(env, low_level, low_level.motion_latents[jnp.asarray(rows)], key_b, seconds)
    last = trained.metrics[-1] if trained.metrics else {}
    return {
        "survival_random_latents_10s": kept_random,
        "seconds_up_random_latents": time_random,
        "survival_motion_latents_10s": kept_motion,
        "seconds_up_motion_latents": time_motion,
        **{f"last_{name}": float(last[name]) for name in DRAWN if name in last and name != "samples"},
        "samples": float(trained.samples),
    }


def publish_controller(
    trained: TrainedController,
    zoo: Folder,
    name: str,
    licences: Mapping[str, str],
    note: str = "",
    command: Sequence[str] = (),
) -> SkillId:
    """Measure the controller and save it as `humanoid/<name>-vN`; `licences` maps motion sources to their terms."""
    metrics = measure(trained)
    return save(
        trained.controller.replace(name=name),
        name,
        zoo=zoo,
        metrics=metrics,
        config=trained.config,
        motions=dict(licences),
        files={
            "training.safetensors": tensors_to_bytes(trained.tensors),
            CURVES: write_curves(trained.metrics, "samples", DRAWN, scale=1e-6),
            "card.md": write_card(trained, name, metrics, licences, note).encode(),
        },
        command=command,
    )


def read_training(source: str) -> dict[str, np.ndarray]:
    """What training continues from: a published controller's second file, or a run's newest checkpoint."""
    if (Path(source) / "config.json").is_file():
        return load_run(source).tensors
    return tensors_from_bytes(read_file(source, "training.safetensors"))


def write_card(
    trained: TrainedController, name: str, metrics: Mapping[str, float], licences: Mapping[str, str], note: str
) -> str:
    reward = trained.config["reward"]
    fade = reward["tracking_fade"]
    millions = trained.samples / 1e6
    tracking = "led by a tracking reward in the worlds that follow a motion" if millions < fade[1] else "ASE's alone"
    sources = "\n".join(f"- {source}: {terms}" for source, terms in licences.items())
    return f"""# {name}

A latent low-level controller: (observation, unit latent) -> action at 30 Hz, trained by adversarial imitation
(ASE, arXiv 2205.01906) from {len(trained.library.names)} motions.

- samples: {millions:.2f} million control steps, {trained.updates} updates
- objective at the end of this run: {tracking}
- networks: {trained.config["networks"]}
- held random latents from standing starts, 10 s: {metrics["survival_random_latents_10s"]:.0%} still up,
  {metrics["seconds_up_random_latents"]:.1f} s up on average
- held latents of training motions, 10 s: {metrics["survival_motion_latents_10s"]:.0%} still up,
  {metrics["seconds_up_motion_latents"]:.1f} s up on average

{note}

## Motions and their terms

{sources}

`training.safetensors` holds actor, critic, discriminator, encoder and the observation normaliser; docs/pretraining.md
says how to continue from it.
"""
