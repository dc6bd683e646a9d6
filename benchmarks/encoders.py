"""Images per second of the encoders, and what one latent step of 256 worlds is made of.

    python benchmarks/encoders.py clip      # ViT-B/32 of random weights: this project against torch, if there is one
    python benchmarks/encoders.py builtin   # the packaged image tower
    python benchmarks/encoders.py step      # physics + picture + feature + policy against the sum of its parts

Rounds alternate, so that whatever else the machine does hits all alike; medians of wall and of CPU seconds.
"""

import argparse
import time
from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp
import numpy as np

from anyskill_brax.clip.hf_clip import HfClip
from anyskill_brax.clip.model import ClipConfig, TowerConfig, VisionTower
from anyskill_brax.envs.latent_env import LatentEnv, per_instruction
from anyskill_brax.high_level import run
from anyskill_brax.high_level.eyes import Eyes
from anyskill_brax.high_level.settings import HighLevelSettings
from anyskill_brax.high_level.train import make_learning
from anyskill_brax.policies import HighLevelPolicy
from configs.high_level import get_config
from skill_zoo import load
from skill_zoo.search import find_reward_model
from skill_zoo.zoo import load_entry

VIT_B_32 = TowerConfig(width=768, layers=12, heads=12, mlp_width=3072, activation="quick_gelu", norm_epsilon=1e-5)
WORLDS = 256


def alternate(works: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, tuple[float, float]]:
    """Median wall and CPU seconds of each; a first round, which compiles, is left out."""
    seconds: dict[str, list[tuple[float, float]]] = {name: [] for name in works}
    for number in range(rounds + 1):
        for name, work in works.items():
            wall, cpu = time.perf_counter(), time.process_time()
            jax.block_until_ready(work())
            if number:
                seconds[name].append((time.perf_counter() - wall, time.process_time() - cpu))
    return {
        name: (float(np.median([w for w, _ in s])), float(np.median([c for _, c in s]))) for name, s in seconds.items()
    }


def random_clip() -> HfClip:
    """ViT-B/32's image tower with random weights: nothing is understood, everything is paid for."""
    shapes = {"vocab_size": 8, "context": 8, "eos_token_id": 7, "image_size": 224, "patch_size": 32, "dim": 512}
    looks = {"image_mean": (0.5,) * 3, "image_std": (0.25,) * 3, "resample": "cubic"}
    config = ClipConfig(family="clip", text=VIT_B_32, vision=VIT_B_32, **shapes, **looks)  # pyright: ignore[reportArgumentType]
    vision = VisionTower(config).init(jax.random.PRNGKey(0), jnp.zeros((1, 224, 224, 3)))["params"]
    return HfClip({"vision": vision}, config, "random", "0" * 64, jnp.float32, 64)


def clip(rounds: int, images: int) -> None:
    import torch  # pyright: ignore[reportMissingImports]
    from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

    model = random_clip()
    config = CLIPVisionConfig(projection_dim=512, hidden_size=768, intermediate_size=3072, patch_size=32)
    other = CLIPVisionModelWithProjection(config).eval()
    pixels = np.random.default_rng(0).uniform(size=(images, 224, 224, 3)).astype(np.float32)
    turned = torch.from_numpy(pixels.transpose(0, 3, 1, 2).copy())
    embed = jax.jit(lambda model, pixels: model.embed_images(pixels))

    def torchs() -> None:
        with torch.inference_mode():
            other(pixel_values=turned)

    found = alternate({"jax": lambda: embed(model, pixels), "torch": torchs}, rounds)
    for name, (wall, cpu) in found.items():
        print(f"{name:6s} {images / wall:7.1f} images/s, {images / cpu:7.1f} per CPU second")
    wall, cpu = (found["torch"][k] / found["jax"][k] for k in (0, 1))
    print(f"jax is {wall:.2f} times as fast by wall, {cpu:.2f} by CPU")


def builtin(rounds: int, images: int) -> None:
    model = load_entry(find_reward_model("image_reward", None), [])
    pixels = jax.random.uniform(jax.random.PRNGKey(0), (images, model.image_size, model.image_size, 3))
    embed = jax.jit(model.embed_images)
    wall, cpu = alternate({"image": lambda: embed(pixels)}, rounds)["image"]
    print(f"{model.name}: {images / wall:.0f} images/s, {images / cpu:.0f} per CPU second")


def step(rounds: int) -> None:
    config, low_level = get_config().to_dict(), load("humanoid/low-level")
    model = load_entry(find_reward_model("image_reward", None), [])
    env, views = run.make_world(config, low_level, model)
    worlds, eyes = LatentEnv(env, low_level, 0, "map"), Eyes.create(model, views, "map")
    learning = make_learning(HighLevelSettings.from_config(config), low_level)
    policy: HighLevelPolicy = learning.policy(learning.init(jax.random.PRNGKey(0)).actor)
    key = jax.random.PRNGKey(1)
    state = jax.jit(per_instruction(worlds.begin, "map"))(worlds.blank(1, WORLDS), key[None])

    def act(state):
        return policy.act((), worlds.observe(state))[0]

    def whole(state):
        after, outcome = worlds.step(state, act(state))
        return after, eyes.embed_state(outcome.bodies)

    bodies, (render,) = state.world.bodies, views
    flat = jax.tree.map(lambda x: x[0], bodies)
    pictures, latent = jax.jit(render)(flat), jax.jit(act)(state)
    everything, policy_, physics = jax.jit(whole), jax.jit(act), jax.jit(worlds.step)
    picture, feature = jax.jit(render), jax.jit(model.embed_images)
    works = {
        "whole": lambda: everything(state),
        "policy": lambda: policy_(state),
        "physics and controller": lambda: physics(state, latent),
        "picture": lambda: picture(flat),
        "feature": lambda: feature(pictures),
    }
    found = alternate(works, rounds)
    for name, (wall, cpu) in found.items():
        print(f"{name:24s} {1e3 * wall:8.1f} ms, CPU {1e3 * cpu:8.1f} ms")
    walls, cpus = (sum(found[name][k] for name in works if name != "whole") for k in (0, 1))
    print(f"hidden gap: {found['whole'][0] / walls - 1:+.1%} by wall, {found['whole'][1] / cpus - 1:+.1%} by CPU")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("clip", "builtin", "step"))
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--images", type=int, help="per call; default: 16 for clip, 512 for builtin")
    options = parser.parse_args()
    if options.what == "step":
        step(options.rounds)
    elif options.what == "clip":
        clip(options.rounds, options.images or 16)
    else:
        builtin(options.rounds, options.images or 512)


if __name__ == "__main__":
    main()
