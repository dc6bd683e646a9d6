"""Does early termination matter? Every setting of it, with several seeds, trained in one batch and judged by geometry.

    tools/study_termination.py --out outputs/termination

An episode is given up when the similarity has fallen --reductions times running, with a probability, or when the head
is below a height. Writes termination.json, prints a table; docs/experiments/early-termination.md is what it said.
"""

import argparse
import itertools
import json
import time
from pathlib import Path
from typing import Any

import _door
from _config import add_config_arguments, load_config
from _models import load_reward_model

TEXTS = ("raise both arms above the head", "squat down")
FACTORS = ("probability", "max_reductions", "min_head_height")


def marginals(rows: list[dict[str, Any]]) -> str:
    """Per factor and level: mean and standard error over blocks, a block being a text with a seed."""
    import numpy as np

    lines = [
        "| factor | level | predicate held | collapsed | given up in training, of episode ends |",
        "|---|---|---|---|---|",
    ]
    for factor in FACTORS:
        for level in sorted({row[factor] for row in rows}):
            cells = []
            for column in ("held", "collapsed", "gave_up"):
                blocks: dict[tuple[str, int], list[float]] = {}
                for row in rows:
                    if row[factor] == level:
                        blocks.setdefault((row["text"], row["seed"]), []).append(row[column])
                means = np.array([np.mean(block) for block in blocks.values()])
                error = means.std(ddof=1) / np.sqrt(len(means)) if len(means) > 1 else np.nan
                cells.append(f"{means.mean():.3f} ± {error:.3f}")
            lines.append(f"| {factor.replace('_', ' ')} | {level:g} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_config_arguments(parser, "configs/high_level.py:termination")
    parser.add_argument("--texts", nargs="+", default=TEXTS)
    parser.add_argument("--probabilities", nargs="+", type=float, default=(0.0, 0.4, 0.8, 1.0))
    parser.add_argument("--reductions", nargs="+", type=int, default=(4, 8, 16))
    parser.add_argument("--heights", nargs="+", type=float, default=(0.15, 0.3), help="[m]")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--episodes", type=int, default=8, help="per policy, of six seconds")
    parser.add_argument("--low-level", default="humanoid/low-level", metavar="ID", help="the controller to stand on")
    parser.add_argument("--zoo", type=Path, help="where controller and reward model are; default: the search path")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    config = load_config(args).to_dict()

    import jax
    import jax.numpy as jnp
    import numpy as np

    from anyskill_brax.character.humanoid import CONTROL_DT
    from anyskill_brax.clip.reward import EarlyTermination
    from anyskill_brax.evaluate import Track, meaning, rollout_policy
    from anyskill_brax.high_level import run
    from anyskill_brax.high_level.eyes import Eyes
    from anyskill_brax.high_level.instructions import Instruction
    from anyskill_brax.high_level.settings import HighLevelSettings
    from anyskill_brax.high_level.train import Frozen, compiled, make_learning
    from anyskill_brax.types import UserError
    from skill_zoo import publish
    from skill_zoo.zoo import load_entry

    asked = {text: known for text in args.texts if (known := meaning(text))}
    for text in [text for text in args.texts if text not in asked]:
        raise UserError(f"no predicate decides {text!r}; try a sentence such as {TEXTS[0]!r}")
    settings = HighLevelSettings.from_config(config)
    low_level = load_entry(publish.find_entry(args.low_level, args.zoo), [])
    model = load_reward_model(None, args.zoo)
    env, _ = run.make_world(config, low_level, model)
    judged, _ = run.make_world({**config, "fall_height": 0.5}, low_level, model)
    cells = list(itertools.product(args.texts, range(args.seeds), args.probabilities, args.reductions, args.heights))
    rows: list[Any] = [dict(zip(("text", "seed", *FACTORS), cell, strict=True)) for cell in cells]
    frozen = Frozen(low_level, Eyes.create(model, (), settings.rollout.instruction_axis, settings.reward))
    goal = run.goals(model, args.texts, settings.reward)
    which = np.array([args.texts.index(row["text"]) for row in rows])
    init, update, keep_best = compiled(env, settings)
    keys = jnp.stack([Instruction("", row["text"]).key(row["seed"]) for row in rows])
    state: Any = init(frozen, jax.random.PRNGKey(settings.seed), keys, jax.tree.map(lambda x: x[which], goal), None)[0]
    probability, reductions, height = (jnp.array([row[factor] for row in rows]) for factor in FACTORS)
    state = state.replace(rules=EarlyTermination(reductions, probability, height))
    began, ended, metrics = time.monotonic(), [], {}
    for done in range(1, settings.updates + 1):
        state, metrics = update(frozen, state)
        state = keep_best(frozen, state)[0] if settings.tries(done) else state
        ended.append(np.stack([np.asarray(metrics[name]) for name in ("gave_up", "over")]))
        eta = (spent := time.monotonic() - began) / done * (settings.updates - done)
        print(f"{spent:6.0f} s  update {done}/{settings.updates}, ETA {eta:.0f} s", flush=True)
    gave_up, over = np.sum(ended, axis=0)
    learning = make_learning(settings, low_level)
    for k, row in enumerate(rows):
        policy = learning.policy(jax.tree.map(lambda x, k=k: x[k], state.best))
        key = jax.random.PRNGKey(1_000 + row["seed"])
        episodes = rollout_policy(judged, low_level, policy, key, args.episodes)
        holds = asked[row["text"]].holds(Track.of(env.character, np.asarray(episodes.qpos), 1.0 / CONTROL_DT))
        row |= {"held": float(np.mean(holds)), "collapsed": float(np.mean(episodes.fallen[-1]))}
        row |= {"gave_up": float(gave_up[k] / max(over[k], 1e-9)), "similarity": float(metrics["score"][k])}
    args.out.mkdir(parents=True, exist_ok=True)
    about = {"low_level": low_level.name, "reward": [model.name, model.sha256], "config": config}
    (args.out / "termination.json").write_text(json.dumps({**about, "rows": rows}, indent=1, default=list) + "\n")
    print(f"{len(rows)} policies of {args.episodes} episodes\n\n{marginals(rows)}\n\n{args.out / 'termination.json'}")
    return 0


if __name__ == "__main__":
    _door.run(main)
