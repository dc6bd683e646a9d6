"""Skills on the bench: reward, judge, predicate, retrieval and motion quality, beside the untrained policy.

    rollouts of each skill -> their tracks -> five answers each -> eval.json and a page with films

Reward and judge are encoders, so either may be fooled; the predicate is geometry, and decides where the table knows the
instruction. Retrieval asks the judge: of all instructions on the bench, is this episode's own among the nearest?
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import jax
import numpy as np

from anyskill_brax.character.humanoid import CONTROL_DT, Character
from anyskill_brax.clip.reward import RewardModel, embed_goals
from anyskill_brax.envs.humanoid_env import HumanoidEnv
from anyskill_brax.evaluate.instructions import meaning
from anyskill_brax.evaluate.intervals import Rate, standard_error
from anyskill_brax.evaluate.judge import Judge, grade, similarities
from anyskill_brax.evaluate.quality import Quality, quality
from anyskill_brax.evaluate.report import Page
from anyskill_brax.evaluate.rollouts import FALL_HEIGHT, Episodes, rollout_policy, untrained_policies
from anyskill_brax.evaluate.track import Track
from anyskill_brax.high_level.eyes import Render
from anyskill_brax.policies import LowLevelController
from anyskill_brax.types import LatentPolicy


@dataclass(frozen=True)
class Candidate:
    """What is put on the bench."""

    name: str
    instruction: str
    policy: LatentPolicy
    widths: tuple[int, ...]  # of its network, for an untrained one of the same shape
    low_level: LowLevelController


@dataclass(frozen=True)
class Score:
    """A mean over episodes with its standard error."""

    mean: float
    standard_error: float

    @classmethod
    def of(cls, scores: np.ndarray) -> "Score":
        return cls(float(scores.mean()), standard_error(scores))

    def __str__(self) -> str:
        return f"{self.mean:.3f} ± {self.standard_error:.3f}"


@dataclass(frozen=True)
class Result:
    """One candidate; `untrained_*` is a fresh random network per episode, from starts of the same kind."""

    name: str
    instruction: str
    reward: Score
    untrained_reward: Score
    judge: Score
    untrained_judge: Score
    passed: bool  # the judge's verdict, by which skills are published
    predicate: str  # what was asked of the track; empty when the table does not know the instruction
    success: Rate | None
    untrained_success: Rate | None
    retrieval_at_1: float
    retrieval_at_5: float
    quality: Quality
    untrained_quality: Quality
    masked_frames: int  # not finite, left out of predicate and quality

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Bench:
    """What all candidates are measured by."""

    character: Character
    env: HumanoidEnv
    reward: RewardModel
    judge: Judge
    goals: np.ndarray  # [K, D] of the reward model, in the order of `judge.texts`
    views: Sequence[Render]
    episodes: int
    latent_steps: int
    seed: int

    @classmethod
    def create(
        cls,
        character: Character,
        candidates: Sequence[Candidate],
        reward: RewardModel,
        judge: RewardModel,
        views: Sequence[Render] = (),
        *,
        episodes: int,
        latent_steps: int,
        seed: int,
    ) -> "Bench":
        texts = list(dict.fromkeys(c.instruction for c in candidates))
        frames = candidates[0].low_level.style.num_frames
        env = HumanoidEnv(character, num_frames=frames, fall_height=FALL_HEIGHT)
        goals = np.asarray(embed_goals(reward, texts))
        judged = Judge.create(judge, texts)
        return cls(character, env, reward, judged, goals, views, episodes, latent_steps, seed)

    def play(self, candidate: Candidate) -> Episodes:
        key = jax.random.split(jax.random.PRNGKey(self.seed))[1]
        return rollout_policy(self.env, candidate.low_level, candidate.policy, key, self.episodes, self.latent_steps)

    def play_untrained(self, low_level: LowLevelController, widths: tuple[int, ...]) -> Episodes:
        """A fresh random policy of that shape for every episode."""
        key = jax.random.split(jax.random.PRNGKey(self.seed))[0]
        fresh = untrained_policies(key, low_level, widths, self.episodes)
        return rollout_policy(self.env, low_level, fresh, key, self.episodes, self.latent_steps, one_each=True)

    def measure(self, candidate: Candidate, own: Episodes, fresh: Episodes) -> Result:
        """Every answer about one candidate."""
        text, column = candidate.instruction, self.judge.texts.index(candidate.instruction)
        judged = self.judge.similarities(own)
        rank = (judged > judged[:, [column]]).sum(axis=1)
        verdict = grade(self.judge, text, own, fresh)
        rewarded = [similarities(self.reward, self.goals[[column]], e, self.views)[:, 0] for e in (own, fresh)]
        tracks = [Track.of(self.character, np.asarray(e.qpos), 1.0 / CONTROL_DT) for e in (own, fresh)]
        asked = meaning(text)
        holds = [Rate.of(asked.holds(track)) for track in tracks] if asked else [None, None]
        return Result(
            name=candidate.name,
            instruction=text,
            reward=Score.of(rewarded[0]),
            untrained_reward=Score.of(rewarded[1]),
            judge=Score(verdict.mean, verdict.standard_error),
            untrained_judge=Score(verdict.untrained_mean, verdict.untrained_standard_error),
            passed=verdict.passed,
            predicate=str(asked) if asked else "",
            success=holds[0],
            untrained_success=holds[1],
            retrieval_at_1=float((rank < 1).mean()),
            retrieval_at_5=float((rank < 5).mean()),
            quality=quality(tracks[0]),
            untrained_quality=quality(tracks[1]),
            masked_frames=int(tracks[0].masked.sum()),
        )


def evaluate_skills(
    bench: Bench, candidates: Sequence[Candidate], page: Page, films: int, report: Callable[[Result], None]
) -> list[Result]:
    """Every candidate in turn; the page gets the table, and films of the first `films` of them."""
    results, reels, baselines = [], [], {}
    for candidate in candidates:
        shape = id(candidate.low_level), candidate.widths
        if shape not in baselines:
            baselines[shape] = bench.play_untrained(candidate.low_level, candidate.widths)
        own = bench.play(candidate)
        result = bench.measure(candidate, own, baselines[shape])
        if len(reels) < films:
            longest = int((~np.asarray(own.fallen)).sum(axis=0).argmax())
            reels.append((result, np.asarray(own.qpos[:, longest])))
        results.append(result)
        report(result)
    describe(page, bench, results)
    for result, qpos in reels:
        success = "no predicate" if result.success is None else f"predicate {result.success}"
        page.film(bench.character, qpos, f"{result.instruction}: judge {result.judge}, {success}")
    return results


COLUMNS = ("skill", "instruction", "reward", "judge", "predicate", "success", "retrieved first / in five", "falls")


def rows(results: Sequence[Result]) -> list[list[str]]:
    """For terminal and page: each cell is the skill, then the untrained policy."""
    return [
        [
            r.name,
            r.instruction,
            f"{r.reward} | {r.untrained_reward}",
            f"{r.judge} | {r.untrained_judge}",
            r.predicate or "-",
            f"{r.success} | {r.untrained_success}" if r.success else "-",
            f"{r.retrieval_at_1:.0%} / {r.retrieval_at_5:.0%}",
            f"{r.quality.fall_rate:.0%} | {r.untrained_quality.fall_rate:.0%}",
        ]
        for r in results
    ]


def summary(results: Sequence[Result]) -> dict[str, float]:
    """Over all skills on the bench."""
    known = [r for r in results if r.success and r.untrained_success]
    agree = [r.passed == (r.success.low > r.untrained_success.low) for r in known if r.success and r.untrained_success]
    return {
        "skills": len(results),
        "passed_by_the_judge": sum(r.passed for r in results),
        "with_a_predicate": len(known),
        "predicate_success": _mean([r.success.successes / r.success.episodes for r in known if r.success]),
        "untrained_predicate_success": _mean(
            [r.untrained_success.successes / r.untrained_success.episodes for r in known if r.untrained_success]
        ),
        "judge_and_predicate_agree": _mean(agree),
        "retrieval_at_1": _mean([r.retrieval_at_1 for r in results]),
        "retrieval_at_5": _mean([r.retrieval_at_5 for r in results]),
    }


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if values else float("nan")


def describe(page: Page, bench: Bench, results: Sequence[Result]) -> None:
    """The report's words and tables."""
    texts, seconds = len(bench.judge.texts), bench.latent_steps / 6
    page.text(
        f"{bench.episodes} episodes of {seconds:.1f} s each, from perturbed standing starts without resets. Reward: "
        f"{bench.reward.name}. Judge: {bench.judge.model.name}. Every cell shows the skill | untrained policies of the "
        f"same shape, means with standard errors or rates with 95 % Wilson intervals. Retrieval is among the {texts} "
        f"instructions here: chance is {1 / texts:.0%} for the first and {min(1.0, 5 / texts):.0%} for five."
    )
    page.table(("", ""), [[name.replace("_", " "), value] for name, value in summary(results).items()])
    page.heading("Skills")
    page.table(COLUMNS, rows(results))
    page.heading("Motion quality")
    names = list(results[0].quality.to_json())
    page.table(
        ("skill", *(n.replace("_", " ") for n in names)),
        [
            [r.name, *(f"{r.quality.to_json()[n]:.3g} | {r.untrained_quality.to_json()[n]:.3g}" for n in names)]
            for r in results
        ],
    )
    page.text("Jerk [m/s^3], foot slide [m/s], penetration [m]; frames after a fall are left out.")
    page.heading("Films")


def to_json(results: Sequence[Result], about: Mapping[str, Any]) -> dict[str, Any]:
    """What `eval.json` holds; a number that could not be measured is null."""
    whole = {**about, "summary": summary(results), "skills": [r.to_json() for r in results]}
    return json.loads(json.dumps(whole), parse_constant=lambda _: None)
