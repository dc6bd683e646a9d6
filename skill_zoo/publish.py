"""From trained policies to zoo entries: grade each with the judge, publish what passes, say why the rest does not."""

import dataclasses
import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import jax
import numpy as np
from rich.markup import escape
from rich.table import Table

from anyskill_brax.character.humanoid import CONTROL_DT
from anyskill_brax.clip.reward import RewardModel
from anyskill_brax.envs.humanoid_env import HumanoidEnv
from anyskill_brax.evaluate import (
    Episodes,
    Grade,
    Judge,
    Rate,
    Track,
    grade,
    meaning,
    rollout_policy,
    untrained_policies,
)
from anyskill_brax.high_level.run import TrainedSkill
from anyskill_brax.policies import LowLevelController
from anyskill_brax.render.video import film
from anyskill_brax.skill import Skill
from anyskill_brax.workdir import write_atomically
from skill_zoo.admission import EPISODES, LATENT_STEPS, Admission, weigh
from skill_zoo.codecs import tensors_to_bytes
from skill_zoo.curves import CURVES, write_curves
from skill_zoo.ids import SkillId
from skill_zoo.reproduce import INSTRUCTIONS
from skill_zoo.search import Entry, Folder, Id, controller_roots, find
from skill_zoo.store import Store
from skill_zoo.zoo import save

GRADED_STEPS = 36
"""Six seconds, which the judge grades; the gate looks at all ten."""
PUBLISHED = "published.json"
DRAWN = {
    "update": "update",
    "reward": "reward per latent step",
    "score": "similarity with the instruction, reward model",
    "style": "style reward",
    "fell": "share of latent steps that end in a fall",
    "sigma": "noise of the latents",
}
"""Training's metrics -> what the curves of a skill are called."""


@dataclass(frozen=True)
class Recipe:
    """What all skills of one run are made of, and how; it stays with every one of them."""

    controller: Entry
    low_level: LowLevelController
    judge: RewardModel
    reward_model: Mapping[str, str]  # name and sha256
    config: Mapping[str, Any]
    command: Sequence[str] = ()
    listed: bytes = b""  # the list of instructions


@dataclass(frozen=True)
class Verdict:
    """What became of one instruction."""

    slug: str
    text: str
    grade: Grade
    id: str  # in the zoo; empty when not good enough
    remark: str = ""  # what the gate has against it; with an id it was published all the same, as unverified
    geometry: str = ""  # the predicate and how often it held

    def to_json(self) -> dict[str, Any]:
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Verdict":
        return cls(**{**data, "grade": Grade(**data["grade"])})


def find_entry(skill_id: Id, zoo: Folder | None) -> Entry:
    """Like `find`, but what is not in `zoo` may be in a folder of the search path: controllers, reward models."""
    wanted = SkillId.parse(skill_id)
    home = next((root for root in controller_roots(zoo) if Store(root).resolve(wanted)), None)
    return find(wanted, zoo if home is None else home)


def grade_and_publish(
    trained: Sequence[TrainedSkill],
    recipe: Recipe,
    *,
    env: HumanoidEnv,
    zoo: Folder,
    workdir: Path,
    seed: int,
    force: bool = False,
) -> list[Verdict]:
    """Every skill beside untrained policies of the same shape under the judge; those that pass are saved to `zoo`.

    One that the judge passes but that does not stay up for ten seconds is saved only by `force`: the reasons stand in
    its manifest, which says `unverified`. So is one that geometry contradicts, but only where
    `config["publish_against_predicate"]` asks for it: a judge that is alone with its opinion is a known failure
    (docs/evaluation.md).

    Verdicts are kept in the run's folder, so calling this again repeats no evaluation and adds no version.
    """
    file = workdir / PUBLISHED
    known = _read_verdicts(file)
    judged = Judge.create(recipe.judge, [skill.instruction.text for skill in trained])
    untrained: Episodes | None = None
    verdicts = []
    for skill in trained:
        verdict = known.get(skill.instruction.slug)
        lost = verdict and verdict.id and Store(Path(zoo)).resolve(SkillId.parse(verdict.id)) is None
        if verdict is None or lost or (force and not verdict.id and verdict.grade.passed):
            key_baseline, key_episodes = jax.random.split(jax.random.PRNGKey(seed))
            if untrained is None:
                policies = untrained_policies(key_baseline, recipe.low_level, skill.policy.widths, EPISODES)
                untrained = rollout_policy(
                    env, recipe.low_level, policies, key_baseline, EPISODES, LATENT_STEPS, one_each=True
                )
            episodes = rollout_policy(env, recipe.low_level, skill.policy, key_episodes, EPISODES, LATENT_STEPS)
            result = grade(judged, skill.instruction.text, _graded(episodes), _graded(untrained))
            geometry = decide(env, _graded(episodes), skill.instruction.text)
            gate, skill_id = weigh(result, episodes, recipe.judge), ""
            admission = with_geometry(gate, geometry)
            agreed = recipe.config["publish_against_predicate"] or not contradicted(geometry)
            if result.passed and agreed and (force or not gate.reasons):
                skill_id = _save(skill, recipe, result, geometry, admission, episodes, env, zoo)
            remark, seen = "; ".join(admission.reasons), str(geometry.get("predicate_held", ""))
            verdict = Verdict(skill.instruction.slug, skill.instruction.text, result, skill_id, remark, seen)
            known[verdict.slug] = verdict
            write_atomically(file, json.dumps({s: v.to_json() for s, v in known.items()}, indent=1).encode())
        verdicts.append(verdict)
    return verdicts


def _graded(episodes: Episodes) -> Episodes:
    """The first six seconds."""
    part = jax.tree.map(lambda x: x[:GRADED_STEPS], episodes.replace(qpos=episodes.fallen))
    return part.replace(qpos=episodes.qpos[: GRADED_STEPS * 5])


def decide(env: HumanoidEnv, episodes: Episodes, text: str) -> dict[str, Any]:
    """What geometry says of the episodes, for a manifest; nothing where the table does not know the instruction."""
    asked = meaning(text)
    if asked is None:
        return {}
    rate = Rate.of(asked.holds(Track.of(env.character, np.asarray(episodes.qpos), 1.0 / CONTROL_DT)))
    interval = {"predicate_low": rate.low, "predicate_high": rate.high}
    return {"predicate": str(asked), "predicate_held": f"{asked}: {rate}", "predicate_success": rate.share, **interval}


def contradicted(geometry: Mapping[str, Any]) -> bool:
    """The table knows the instruction, and its predicate held in under half of the episodes."""
    return bool(geometry) and geometry["predicate_success"] < 0.5


def with_geometry(admission: Admission, geometry: Mapping[str, Any]) -> Admission:
    """The gate's finding and that of `decide`."""
    if not contradicted(geometry):
        return admission
    return replace(
        admission, reasons=(*admission.reasons, f"the predicate held too seldom: {geometry['predicate_held']}")
    )


def _read_verdicts(file: Path) -> dict[str, Verdict]:
    if not file.exists():
        return {}
    return {slug: Verdict.from_json(data) for slug, data in json.loads(file.read_text()).items()}


def _save(
    trained: TrainedSkill,
    recipe: Recipe,
    result: Grade,
    geometry: Mapping[str, Any],
    admission: Admission,
    episodes: Episodes,
    env: HumanoidEnv,
    zoo: Folder,
) -> str:
    instruction = trained.instruction
    skill = Skill(
        policy=trained.policy,
        low_level=recipe.low_level,
        instruction=instruction.text,
        slug=instruction.slug,
        low_level_id=str(recipe.controller.id),
        low_level_sha256=recipe.controller.manifest.weights.sha256,
    )
    metrics = {
        **result.metrics(),
        **geometry,
        **fidelity(trained.metrics),
        "episodes": EPISODES,
        "judge": recipe.judge.name,
        "judge_sha256": recipe.judge.sha256,
        "reward_before": trained.reward_before,
        "reward_after": trained.reward_after,
        "similarity_after": trained.score_after,
    }
    best = int(np.asarray(episodes.fallen[-1]).argmin())  # a film of an episode on its feet
    with tempfile.TemporaryDirectory() as folder:
        preview = film(
            env.character,
            np.asarray(episodes.qpos[: GRADED_STEPS * 5, best]),
            Path(folder) / "preview.gif",
            width=160,
            height=160,
        ).read_bytes()
    skill_id = save(
        skill,
        instruction.slug,
        zoo=zoo,
        metrics=metrics,
        config={**recipe.config, "reward_model": dict(recipe.reward_model)},
        motions=recipe.controller.manifest.motions,
        files={
            "preview.gif": preview,
            "card.md": card(trained, recipe, result, geometry).encode(),
            CURVES: write_curves(trained.metrics, "update", DRAWN),
            INSTRUCTIONS: recipe.listed,
            "rollout.safetensors": tensors_to_bytes({"qpos": np.asarray(episodes.qpos[:, best])}),
        },
        command=recipe.command,
        admission=admission,
        force=True,
    )
    return str(skill_id)


def fidelity(rows: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Of a training whose reward a surrogate may have given: how often it did, and what its audits found.

    The share of the updates in which it was trusted; over those, the median RMSE and rank correlation and the largest
    gap, in the warm-up's deviations. Nothing where there was no surrogate; only the share where it was never trusted.
    """
    if not rows or "surrogate_trusted" not in rows[0]:
        return {}
    trusted = [row for row in rows if row["surrogate_trusted"]]
    found = {"surrogate_share": len(trusted) / len(rows)}
    if trusted:
        for name, summary in (("rmse", np.median), ("correlation", np.median), ("gap", np.max)):
            found[f"surrogate_{name}"] = float(summary([row[f"surrogate_{name}"] for row in trusted]))
    return found


def audited(rows: Sequence[Mapping[str, Any]]) -> str:
    """`fidelity` as a paragraph of the card; empty where there was no surrogate."""
    found = fidelity(rows)
    if not found:
        return ""
    share = f"\nA surrogate of the encoder gave the reward in {found['surrogate_share']:.0%} of the updates"
    if "surrogate_gap" not in found:
        return f"{share}.\n"
    return f"""{share}:
median rank correlation {found["surrogate_correlation"]:.2f} and RMSE {found["surrogate_rmse"]:.2f}, and at most \
{found["surrogate_gap"]:+.2f} too
kind to the states that it liked best, in standard deviations of random movement.
"""


def card(trained: TrainedSkill, recipe: Recipe, result: Grade, geometry: Mapping[str, Any]) -> str:
    """A page on the skill for people: what it is, how good, made of what."""
    held = geometry.get("predicate_held", "no predicate knows this instruction")
    seconds = GRADED_STEPS / 6
    return f"""# {trained.instruction.text}

A high-level policy (AnySkill) on the low-level controller `{recipe.controller.id}`.

| graded over {EPISODES} episodes of {seconds:.0f} s | this skill | untrained policies |
|---|---|---|
| similarity with the instruction, judge `{recipe.judge.name}` | {result.mean:.3f} ± {result.standard_error:.3f} | \
{result.untrained_mean:.3f} ± {result.untrained_standard_error:.3f} |

The difference is {result.margin:.1f} standard errors. It fell in {result.fell:.0%} of the episodes. In \
{result.retrieved:.0%} of them the judge found this instruction the nearest of those trained beside it.
By geometry, episodes in which the predicate held (95 % interval): {held}.

Rewarded by `{recipe.reward_model["name"]}` (sha256 {recipe.reward_model["sha256"][:12]}), which had no part in the \
grade; training took its mean reward per latent step
from {trained.reward_before:+.2f} to {trained.reward_after:+.2f}.
{audited(trained.metrics)}"""


def table(trained: Sequence[TrainedSkill], verdicts: Sequence[Verdict]) -> Table:
    """One line per instruction, for the terminal: those in the zoo by their ids."""
    rows = Table(title=f"{EPISODES} episodes each; the margin is in standard errors of the difference")
    for column in ("skill", "reward", "judge, untrained -> trained", "margin", "predicate held"):
        rows.add_column(column, no_wrap=column in ("reward", "judge, untrained -> trained"), overflow="fold")
    for skill, verdict in zip(trained, verdicts, strict=True):
        g = verdict.grade
        rows.add_row(
            escape(verdict.id or verdict.text[:60]),
            f"{skill.reward_before:+.2f} -> {skill.reward_after:+.2f}",
            f"{g.untrained_mean:.3f} -> {g.mean:.3f} ± {g.standard_error:.3f}",
            f"{g.margin:+.1f}",
            escape(verdict.geometry or "-"),
        )
    return rows


def remarks(verdicts: Sequence[Verdict]) -> list[str]:
    """Why what is not in the zoo is not good enough for it, and what stands against what is: a line each."""
    lines = []
    for verdict in verdicts:
        if verdict.id and verdict.remark:
            lines.append(f"unverified: {verdict.id}: {verdict.remark}")
        elif not verdict.id:
            lines.append(f"not good enough: {verdict.text[:60]!r}: {verdict.grade.reason or verdict.remark}")
    return lines
