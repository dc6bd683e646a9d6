"""The gate of the zoo: a skill is published if it stays up for ten seconds from 16 starts and a judge sees it work.

That its weights are finite and its interface fits the controller is checked on every save, forced or not.
"""

from dataclasses import dataclass, field
from typing import Any

import jax
import numpy as np

from anyskill_brax.character.humanoid import load_character
from anyskill_brax.clip.reward import RewardModel
from anyskill_brax.envs.humanoid_env import HumanoidEnv
from anyskill_brax.evaluate import FALL_HEIGHT, Episodes, Grade, Judge, grade, rollout_policy, untrained_policies
from anyskill_brax.skill import Skill
from skill_zoo.errors import NotAdmitted

EPISODES = 16
LATENT_STEPS = 60
"""Ten seconds."""
MARGIN = 2.0
"""Standard errors between the skill and the untrained policy under the judge."""


@dataclass(frozen=True)
class Admission:
    """What the gate found: nothing against a skill, or the reasons, in words; and what it measured."""

    reasons: tuple[str, ...]
    measured: dict[str, Any] = field(default_factory=dict)

    def to_json(self, force: bool, what: object) -> dict[str, Any]:
        """The field of the manifest. `NotAdmitted` if there are reasons against and nobody forces it."""
        if self.reasons and not force:
            raise NotAdmitted(what, self.reasons)
        status = "unverified" if self.reasons else "admitted"
        return {"status": status, "reasons": list(self.reasons), "measured": dict(self.measured)}


FORCED = Admission(("published by force, without asking the gate",))


def weigh(result: Grade, episodes: Episodes, judge: RewardModel) -> Admission:
    """The gate's decision on a graded skill and episodes `[T, E]` of at least ten seconds."""
    fallen = np.asarray(episodes.fallen)
    fell, count = int(fallen[-1].sum()), fallen.shape[1]
    reasons = []
    if fell:
        reasons.append(f"it fell in {fell} of {count} episodes of {fallen.shape[0] / 6:.0f} s")
    if not result.margin > MARGIN:
        seen = f"{result.margin:+.1f} standard errors over the untrained policy"
        reasons.append(f"the judge {judge.name} sees {seen}, {MARGIN:g} are needed")
    measured = {
        "episodes": count,
        "fell": fell / count,
        "margin": result.margin,
        "seconds_up": float((~fallen).sum(axis=0).mean() / 6.0),
        "judge": judge.name,
        "judge_sha256": judge.sha256,
    }
    return Admission(tuple(reasons), measured)


def examine(skill: Skill, judge: RewardModel, seed: int = 0) -> Admission:
    """Roll a skill and untrained policies of its shape out (about half a minute on a CPU), and weigh what is seen."""
    low_level = skill.low_level
    env = HumanoidEnv(load_character(), num_frames=low_level.style.num_frames, fall_height=FALL_HEIGHT)
    policy: Any = skill.policy
    widths = policy.multi.widths if hasattr(policy, "multi") else policy.widths
    key_baseline, key_episodes = jax.random.split(jax.random.PRNGKey(seed))
    strangers = untrained_policies(key_baseline, low_level, widths, EPISODES)
    untrained = rollout_policy(env, low_level, strangers, key_baseline, EPISODES, LATENT_STEPS, one_each=True)
    episodes = rollout_policy(env, low_level, policy, key_episodes, EPISODES, LATENT_STEPS)
    judged = Judge.create(judge, [skill.instruction])
    return weigh(grade(judged, skill.instruction, episodes, untrained, MARGIN), episodes, judge)
