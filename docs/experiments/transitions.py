"""Every skill of a zoo for three seconds, then each other one for five: how many fall in the second? transitions.md

python docs/experiments/transitions.py --zoo outputs/demo/zoo --each 6
"""

import argparse

import jax
import jax.numpy as jnp
import numpy as np

import skill_zoo
from anyskill_brax import evaluate
from anyskill_brax.character.humanoid import load_character
from anyskill_brax.compose import Sequenced, common_controller, for_seconds, latent_steps, standing
from anyskill_brax.envs.humanoid_env import HumanoidEnv

CASES = {"fade 0.5 s": (0.5, 0.0), "fade 1 s": (1.0, 0.0), "stand 0.67 s": (0.5, 0.67)}
"""Name -> seconds of fading and of standing in between."""

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--zoo")
parser.add_argument("--each", type=int, default=2, help="episodes of a pair")
args = parser.parse_args()

skills = [skill_zoo.load(entry.id, args.zoo) for entry in skill_zoo.list_skills(kind="skill", zoo=args.zoo)]
low_level = common_controller(skills).low_level
env = HumanoidEnv(load_character(), num_frames=low_level.style.num_frames, fall_height=evaluate.FALL_HEIGHT)
policies = jax.tree.map(lambda *leaves: jnp.stack(leaves), *(skill.policy for skill in skills))
first, second = (np.repeat(rows, args.each) for rows in np.nonzero(~np.eye(len(skills), dtype=bool)))

for name, (fade, rest) in CASES.items():
    parts = [
        for_seconds(jax.tree.map(lambda x, rows=rows: x[rows], policies), s)
        for rows, s in ((first, 3.0), (second, 5.0))
    ]
    if rest:
        everywhere = jax.tree.map(lambda x: jnp.tile(x, (len(first), 1)), standing(low_level))
        parts.insert(1, for_seconds(everywhere, rest))
    policy = Sequenced(tuple(parts), latent_dim=low_level.latent_dim, fade=latent_steps(fade))
    steps = sum(part.steps for part in parts)
    key = jax.random.PRNGKey(0)
    fallen = np.asarray(evaluate.rollout_policy(env, low_level, policy, key, len(first), steps, one_each=True).fallen)
    before = fallen[parts[0].steps - 1]
    after = fallen[-1] & ~before
    worst = np.bincount(first[after], minlength=len(skills)).argsort()[-3:][::-1]
    print(
        f"{name}: {after.sum()} of {(~before).sum()} fell; most out of {', '.join(skills[k].slug for k in worst)}",
        flush=True,
    )
