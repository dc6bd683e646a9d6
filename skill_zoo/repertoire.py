"""From skills to one multi-skill policy: who may teach, both sides under the judge, the student published."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import jax
from rich.markup import escape
from rich.table import Table

from anyskill_brax.clip.reward import RewardModel
from anyskill_brax.compose import common_controller
from anyskill_brax.envs.humanoid_env import HumanoidEnv
from anyskill_brax.evaluate import Judge, rollout_policy, standard_error
from anyskill_brax.policies import LowLevelController, MultiSkillPolicy
from anyskill_brax.skill import Skill
from anyskill_brax.types import LatentPolicy
from skill_zoo.curves import CURVES, write_curves
from skill_zoo.errors import InterfaceMismatch, SkillZooError
from skill_zoo.ids import SkillId
from skill_zoo.publish import find_entry
from skill_zoo.search import Entry, Folder, Id, controller_roots, find
from skill_zoo.zoo import list_skills, load_entry, save

DRAWN = {"update": "round", "loss": "loss", "mean_agreement": "agreement with the teachers", "fell": "share that fell"}
"""Training's metrics -> what the curves are called."""


def load_teachers(ids: Sequence[Id] | None, zoo: Folder | None = None) -> dict[SkillId, Skill]:
    """The skills named (None: all that the zoo lists), all on one controller, each with an instruction of its own."""
    found = list_skills(kind="skill", zoo=zoo) if ids is None else [find(id, zoo) for id in ids]
    named = {entry.id: entry for entry in found}
    if wrong := [f"{id} is a {entry.kind}" for id, entry in named.items() if entry.kind != "skill"]:
        raise SkillZooError(f"teachers are skills, but {', '.join(wrong)}")
    if len(named) < 2:
        raise SkillZooError(f"a repertoire takes at least 2 skills, got {', '.join(map(str, named)) or 'none'}")
    skills = {id: load_entry(entry, controller_roots(zoo)) for id, entry in named.items()}
    common_controller(list(skills.values()))
    owners: dict[str, SkillId] = {}
    for id, skill in skills.items():
        if owners.setdefault(skill.instruction, id) != id:
            raise SkillZooError(f"{owners[skill.instruction]} and {id} both say {skill.instruction!r}; leave one out")
    return skills


@dataclass(frozen=True)
class Comparison:
    """A teacher and the student on one instruction, from the same starts: the judge's mean, its standard error."""

    instruction: str
    teacher: float
    teacher_se: float
    teacher_fell: float  # share of episodes
    student: float
    student_se: float
    student_fell: float


def compare(
    env: HumanoidEnv,
    low_level: LowLevelController,
    teachers: Mapping[str, LatentPolicy],
    student: MultiSkillPolicy,
    judge: RewardModel,
    episodes: int,
    seed: int,
) -> list[Comparison]:
    """Both sides of every instruction under the judge, `episodes` each."""
    judged, rows = Judge.create(judge, list(teachers)), []
    for key, (text, teacher) in zip(jax.random.split(jax.random.PRNGKey(seed), len(teachers)), teachers.items()):
        grades = []
        for policy in (teacher, student.for_instruction(text)):
            played = rollout_policy(env, low_level, policy, key, episodes)
            scores = judged.score(played, text)
            grades += [float(scores.mean()), standard_error(scores), float(played.fallen[-1].mean())]
        rows.append(Comparison(text, *grades))
    return rows


def table(rows: Sequence[Comparison], episodes: int) -> Table:
    """Side by side, for the terminal."""
    columns = ("instruction", "teacher", "student", "teacher fell", "student fell")
    shown = Table(*columns, title=f"judge's score ± standard error, {episodes} episodes each")
    for row in rows:
        shown.add_row(
            escape(row.instruction[:60]),
            f"{row.teacher:.3f} ± {row.teacher_se:.3f}",
            f"{row.student:.3f} ± {row.student_se:.3f}",
            f"{row.teacher_fell:.0%}",
            f"{row.student_fell:.0%}",
        )
    return shown


def controller_of(teachers: Mapping[SkillId, Skill], zoo: Folder | None = None) -> Entry:
    """The controller under all teachers. Ask before training: a student is published on its id, so that must be it."""
    skill = common_controller(list(teachers.values()))
    entry = find_entry(skill.low_level_id, zoo)
    if entry.manifest.weights.sha256 != skill.low_level_sha256:
        what = f"the teachers' {skill.low_level_id} and the one in {entry.root}"
        raise InterfaceMismatch(what, skill.low_level_sha256, entry.manifest.weights.sha256)
    return entry


def publish_student(
    student: MultiSkillPolicy,
    name: str,
    *,
    teachers: Sequence[SkillId],
    controller: Entry,
    rows: Sequence[Comparison],
    judge: RewardModel,
    reward_model: RewardModel,
    config: Mapping[str, Any],
    zoo: Folder,
    training: Sequence[Mapping[str, Any]] = (),
    command: Sequence[str] = (),
) -> SkillId:
    """Save the student on its teachers' controller, with the comparison and the teachers' ids in its manifest."""
    return save(
        student,
        name,
        zoo=zoo,
        instruction="; ".join(student.instructions)[:1000],
        low_level=controller.id,
        metrics={"skills": [asdict(row) for row in rows], "judge": judge.name, "judge_sha256": judge.sha256},
        config={
            **config,
            "teachers": [str(id) for id in teachers],
            "reward_model": {"name": reward_model.name, "sha256": reward_model.sha256},
        },
        motions=controller.manifest.motions,
        files={CURVES: write_curves(training, "update", DRAWN)},
        command=command,
    )
