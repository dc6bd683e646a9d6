"""The door of the high-level stage: instructions and a folder in, a trained policy for each out; resumable."""

import functools
import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from anyskill_brax.character.humanoid import Character, load_character
from anyskill_brax.clip.reward import RewardModel, embed_goals, prompt_variants
from anyskill_brax.envs.humanoid_env import HumanoidEnv
from anyskill_brax.high_level.eyes import Eyes, Render, camera_views
from anyskill_brax.high_level.instructions import Instruction
from anyskill_brax.high_level.probe import Findings, motion_rows
from anyskill_brax.high_level.repertoire import Repertoire
from anyskill_brax.high_level.reward import Goal
from anyskill_brax.high_level.settings import HighLevelSettings, ProbeSettings, RewardSettings, older
from anyskill_brax.high_level.train import Frozen, KeepBest, TrainState, audition, compiled, make_learning
from anyskill_brax.motion.io import Motion, load_motion_folder
from anyskill_brax.motion.library import MotionLibrary
from anyskill_brax.motion.synthesis import builtin_motions
from anyskill_brax.policies import HighLevelPolicy, LowLevelController
from anyskill_brax.types import Metrics, UserError
from anyskill_brax.workdir import Workdir, read_metrics


@dataclass(frozen=True)
class TrainedSkill:
    """What training leaves for one instruction; publishing is for those above."""

    instruction: Instruction
    policy: HighLevelPolicy
    reward_before: float  # mean reward of the first update
    reward_after: float  # and of the last tenth
    score_after: float  # mean similarity of the last tenth
    metrics: Sequence[Mapping[str, Any]]  # what was logged of it, a row per update


def make_world(
    config: Mapping[str, Any], low_level: LowLevelController, model: RewardModel
) -> tuple[HumanoidEnv, tuple[Render, ...]]:
    """The environment and the cameras that a config asks for."""
    character = load_character()
    if low_level.character_sha256 != character.sha256:
        raise UserError(
            f"the controller {low_level.name or 'given'} was trained for character {low_level.character_sha256[:12]}, "
            f"this is {character.sha256[:12]}"
        )
    motions = [m for source in config["motions"] for m in _motions(character, source)]
    env = HumanoidEnv(
        character,
        MotionLibrary.create(motions) if motions else None,
        num_frames=low_level.style.num_frames,
        backend=config["backend"],
        reference_start_prob=config["reference_start_prob"],
        fall_height=config["fall_height"],
    )
    views = camera_views(character, model.image_size, config["num_views"]) if model.needs_images else ()
    return env, views


def _motions(character: Character, source: str) -> list[Motion]:
    return builtin_motions(character) if source == "builtin" else load_motion_folder(Path(source), split="train")


Report = Callable[[int, Mapping[str, np.ndarray]], None]
"""`report(updates done, metrics [I])`, after every update."""


def train(
    config: Mapping[str, Any],
    workdir: str | Path,
    *,
    env: HumanoidEnv,
    low_level: LowLevelController,
    model: RewardModel,
    instructions: Sequence[Instruction],
    views: Sequence[Render] = (),
    report: Report = lambda update, metrics: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> list[TrainedSkill] | None:
    """Train every instruction; resume where `workdir` stands. None when `should_stop` ended it early, state saved."""
    settings = HighLevelSettings.from_config(config)
    if model.needs_images:
        settings = settings.for_pictures()
    if settings.surrogate.enabled and not model.needs_images:
        raise UserError(
            f"the reward model {model.name} reads poses, which costs nothing that a surrogate could save; leave "
            "surrogate.enabled False, or take the reward from images"
        )
    identity = {
        "instructions": {i.slug: i.text for i in instructions},
        "low_level": {"name": low_level.name, "sha256": digest(low_level)},
        "reward_model": {"name": model.name, "sha256": model.sha256, "views": len(views)},
    }
    # Bad texts and motions leave no folder.
    goal = goals(model, [i.text for i in instructions], settings.reward)
    sources = config["probe"]["repertoire"] if settings.probe.init_from_probe else ()
    motions = [motion for source in sources for motion in _motions(env.character, source)]
    folder = Workdir(workdir, {**config, **identity}, older=older)
    try:
        frozen = Frozen(low_level, Eyes.create(model, views, settings.rollout.instruction_axis, settings.reward))
        known = Repertoire.create(env.character, low_level, model, frozen.eyes, motions)
        init, update, keep_best = compiled(env, settings)
        start = (
            frozen,
            jax.random.PRNGKey(settings.seed),
            jnp.stack([i.key(settings.seed) for i in instructions]),
            goal,
            known,
        )
        restored = folder.restore(jax.eval_shape(init, *start)[0])
        if restored is None:
            state, findings, candidates = init(*start)
            state, which = audition(state, candidates, functools.partial(keep_best, frozen))
            state, tried = keep_best(frozen, state)
            folder.save(0, state)
            described = _describe(findings, which, low_level, known, instructions, settings.probe)
            folder.log(0, described | _row(tried, instructions))
        else:
            state = restored[1]
        state = _run(
            state,
            functools.partial(update, frozen),
            functools.partial(keep_best, frozen),
            folder,
            instructions,
            settings,
            float(config["checkpoint_seconds"]),
            report,
            should_stop,
        )
        if int(state.update) < settings.updates:
            return None
        return _harvest(state, folder, instructions, settings, low_level)
    finally:
        folder.close()


def _run(
    state: TrainState,
    update: Callable[[TrainState], tuple[TrainState, Metrics]],
    keep_best: KeepBest,
    folder: Workdir,
    instructions: Sequence[Instruction],
    settings: HighLevelSettings,
    checkpoint_seconds: float,
    report: Report,
    should_stop: Callable[[], bool],
) -> TrainState:
    saved = time.monotonic()
    for done in range(int(state.update) + 1, settings.updates + 1):
        state, metrics = update(state)
        if settings.tries(done):
            state, tried = keep_best(state)
            metrics |= tried
        folder.log(done, _row(metrics, instructions))
        report(done, {name: np.asarray(value) for name, value in metrics.items()})
        stop = should_stop()
        if stop or done == settings.updates or time.monotonic() - saved > checkpoint_seconds:
            folder.save(done, state)
            saved = time.monotonic()
        if stop:
            break
    return state


def _describe(
    findings: Findings,
    which: jax.Array,
    low_level: LowLevelController,
    known: Repertoire | None,
    instructions: Sequence[Instruction],
    settings: ProbeSettings,
) -> dict[str, Any]:
    """What training begins with, for the log: the best candidate's name, the motion that promises more (or an empty
    name) with the control steps by which its latents are ahead, and the spread of the candidates' values."""
    names = [low_level.motion_names[row] for row in motion_rows(len(low_level.motion_names), settings.num_motion)]
    row: dict[str, Any] = {}
    for k, instruction in enumerate(instructions):
        values = np.asarray(findings.values[k])
        best = int(values.argmax())
        row[f"probe_best/{instruction.slug}"] = names[best] if best < len(names) else f"random {best - len(names)}"
        motion = int(findings.motion[k])
        row[f"begins_with/{instruction.slug}"] = known.names[motion] if known and motion >= 0 else ""
        if known and motion >= 0:
            row[f"begins_ahead/{instruction.slug}"] = settings.imitate_leads[int(which[k])]
        row[f"probe_value/{instruction.slug}"] = float(values[best])
        row[f"probe_mean/{instruction.slug}"] = float(values.mean())
    return row


def _harvest(
    state: TrainState,
    folder: Workdir,
    instructions: Sequence[Instruction],
    settings: HighLevelSettings,
    low_level: LowLevelController,
) -> list[TrainedSkill]:
    learning = make_learning(settings, low_level)
    rows = [row for row in read_metrics(folder.path) if row["update"] > 0]
    tail = rows[-max(len(rows) // 10, 1) :]
    return [
        TrainedSkill(
            instruction=instruction,
            policy=learning.policy(jax.tree.map(lambda x, k=k: jnp.asarray(x[k]), state.best)),
            reward_before=rows[0][f"reward/{instruction.slug}"],
            reward_after=float(np.mean([row[f"reward/{instruction.slug}"] for row in tail])),
            score_after=float(np.mean([row[f"score/{instruction.slug}"] for row in tail])),
            metrics=[_own(row, instruction.slug) for row in rows],
        )
        for k, instruction in enumerate(instructions)
    ]


def _row(metrics: Metrics, instructions: Sequence[Instruction]) -> dict[str, float]:
    """Metrics `[I]` as a row of the log."""
    values = {name: np.asarray(value) for name, value in metrics.items()}
    return {f"{name}/{i.slug}": float(value[k]) for name, value in values.items() for k, i in enumerate(instructions)}


def _own(row: Mapping[str, Any], slug: str) -> dict[str, Any]:
    """One instruction's part of a row."""
    own = {name.removesuffix(f"/{slug}"): value for name, value in row.items() if name.endswith(f"/{slug}")}
    return {"update": row["update"], **own}


def goals(model: RewardModel, texts: Sequence[str], reward: RewardSettings) -> Goal:
    """Every instruction's goal `[I, D]`, with the baseline beside it. Each text is embedded alone (decision 0006).

    Prompts one by one, and the bank of the contrast, only where the settings ask for them. The bank holds the texts of
    `contrast_bank`, the same whatever else the run is about; with `contrast_run` also the run's instructions, and then
    what a line learns hangs on its company. No instruction is contrasted with itself.
    """
    rows = [embed_goals(model, [text])[0] for text in (*texts, reward.baseline_text)]
    text = jnp.asarray(np.stack(rows[:-1]), jnp.float32)
    goal = Goal(text=text, baseline=jnp.broadcast_to(jnp.asarray(rows[-1], jnp.float32), text.shape))
    if reward.ensemble_pessimism > 0.0:
        prompts = np.stack([model.embed_text(prompt_variants(text)) for text in texts])
        goal = goal.replace(prompts=jnp.asarray(prompts, jnp.float32))
    if reward.pays("contrast"):
        others = list(dict.fromkeys((*reward.contrast_bank, *(texts if reward.contrast_run else ()))))
        bank = np.stack([embed_goals(model, [other])[0] for other in others])
        mixed = np.array([[_plain(other) != _plain(text) for other in others] for text in texts])
        if not mixed.any(axis=1).all():
            raise UserError(
                f"nothing to contrast {texts[int(mixed.any(axis=1).argmin())]!r} with; add texts to "
                "reward.contrast_bank, or set reward.weights.contrast to 0"
            )
        goal = goal.replace(bank=jnp.asarray(bank * mixed[..., None], jnp.float32))
    return goal


def _plain(text: str) -> str:
    return " ".join(text.casefold().split()).rstrip(".")


def digest(low_level: LowLevelController) -> str:
    """sha256 over the controller's weights, names in order."""
    total = hashlib.sha256()
    for name, value in sorted(low_level.to_tensors().items()):
        total.update(name.encode() + value.tobytes())
    return total.hexdigest()
