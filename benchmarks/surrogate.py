"""What a surrogate saves: updates of training on pictures with it against updates without, side by side in one run.

    python benchmarks/surrogate.py                     # builtin-image
    python benchmarks/surrogate.py --random-clip       # a ViT-B/32 of random weights: what a real CLIP would cost

Both learners train the same instructions from the same seed on the packaged controller; rounds of one update each
alternate. Rounds in which the surrogate had fallen back to the encoder are told apart. Fidelity is in the deviations of
the warm-up's similarity.
"""

import argparse
import functools
import time

import jax
import jax.numpy as jnp
import numpy as np
from encoders import random_clip  # the neighbouring file

from anyskill_brax.high_level import run
from anyskill_brax.high_level.eyes import Eyes
from anyskill_brax.high_level.instructions import Instruction
from anyskill_brax.high_level.reward import Goal
from anyskill_brax.high_level.settings import HighLevelSettings
from anyskill_brax.high_level.train import Frozen, compiled
from anyskill_brax.networks import unit
from configs.high_level import get_config
from skill_zoo import load
from skill_zoo.search import find_reward_model
from skill_zoo.zoo import load_entry

TEXTS = ("raise both arms above the head", "bend forward", "stretch your arms out to the sides", "squat down")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--random-clip", action="store_true")
    parser.add_argument("--instructions", type=int, default=2)
    parser.add_argument("--worlds", type=int, default=64)
    parser.add_argument("--candidates", type=int, default=512, help="of the warm-up")
    parser.add_argument("--rounds", type=int, default=12)
    options = parser.parse_args()

    low_level = load("humanoid/low-level")
    model = random_clip() if options.random_clip else load_entry(find_reward_model("image_reward", None), [])
    lines = [Instruction(f"line-{k}", text) for k, text in enumerate(TEXTS[: options.instructions])]
    keys = jnp.stack([line.key(0) for line in lines])
    runs = {}
    for name in ("encoder", "surrogate"):
        config = get_config().unlock()
        config.rollout.num_envs = options.worlds
        config.probe.update(dict(num_random=options.candidates // 2, num_motion=options.candidates // 2))
        config.surrogate.enabled = name == "surrogate"
        settings = HighLevelSettings.from_config(config.to_dict())
        env, views = run.make_world(config.to_dict(), low_level, model)
        frozen = Frozen(low_level, Eyes.create(model, views, "map"))
        if options.random_clip:
            goals = Goal(*unit(jax.random.normal(jax.random.PRNGKey(1), (2, len(lines), model.dim))))
        else:
            goals = run.goals(model, TEXTS[: options.instructions], settings.reward)
        init, update, _ = compiled(env, settings)
        runs[name] = [init(frozen, jax.random.PRNGKey(0), keys, goals, None)[0], functools.partial(update, frozen)]

    trusted = np.zeros(1)
    seconds: dict[str, list[float]] = {"encoder": [], "surrogate": [], "fallen back": []}
    for number in range(options.rounds):
        for name, one in runs.items():
            wall = time.perf_counter()
            one[0], metrics = jax.block_until_ready(one[1](one[0]))
            wall = time.perf_counter() - wall
            if name == "surrogate":
                trusted = np.asarray(metrics["surrogate_trusted"])
                shown = {k: np.asarray(metrics[f"surrogate_{k}"]).round(2) for k in ("correlation", "rmse", "gap")}
                print(f"update {number + 1}: trusted {trusted}, {shown}, score {np.asarray(metrics['score']).round(3)}")
            if number:  # the first compiles
                seconds[name if name == "encoder" or trusted.all() else "fallen back"].append(wall)
    for name, walls in seconds.items():
        if walls:
            print(f"{name:12s} {np.median(walls):7.3f} s an update (median of {len(walls)})")
    if seconds["surrogate"]:
        print(f"ratio {np.median(seconds['encoder']) / np.median(seconds['surrogate']):.2f}")


if __name__ == "__main__":
    main()
