"""Publishing a low-level controller: measured, with its curves, an honest card, and what continues its training."""

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from anyskill_brax.character.humanoid import load_character
from anyskill_brax.envs.humanoid_env import HumanoidEnv
from anyskill_brax.evaluate import FALL_HEIGHT, survival
from anyskill_brax.low_level.run import TrainedController
from anyskill_brax.low_level.run import load as load_run
from anyskill_brax.motion.sources import provenance
from anyskill_brax.networks import sample_latents
from anyskill_brax.types import UserError
from skill_zoo.codecs import tensors_from_bytes, tensors_to_bytes, weights_sha256
from skill_zoo.curves import CURVES, write_curves
from skill_zoo.ids import SkillId
from skill_zoo.lineage import ALONE, Lineage, practice, warmed, whole
from skill_zoo.reproduce import commands
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
    code: str = "",
    before: Lineage = ALONE,
    evaluation: Mapping[str, Any] | None = None,
) -> SkillId:
    """Measure the controller and save it as `humanoid/<name>-vN`.

    Where its motions come from, and their terms, is what the clips say themselves; `licences` adds to that or says it
    better. `code` is the commit that trained it, `before` what it began with, `evaluation` its `eval.json`. `UserError`
    for motions without terms and for an evaluation of another controller.
    """
    terms = provenance(trained.library.sources, trained.library.licences) | dict(licences)
    if unknown := [source for source, stated in terms.items() if not stated]:
        raise UserError(f"no licence is known of {', '.join(unknown)}; say it: --licence '{unknown[0]}=THEIR TERMS'")
    exam = {} if evaluation is None else headlines(evaluation, trained)
    metrics = measure(trained) | {
        "practice_samples": practice(trained.config, warmed(trained.config, before)),
        "lineage_samples": whole(trained.samples, trained.config, before),
        "lineage": " ".join(before.entries),
        "training_seconds": training_seconds(trained.metrics),
        **exam,
    }
    return save(
        trained.controller.replace(name=name),
        name,
        zoo=zoo,
        metrics=metrics,
        config=trained.config,
        motions=terms,
        files={
            "training.safetensors": tensors_to_bytes(trained.tensors),
            CURVES: write_curves(trained.metrics, "samples", DRAWN, scale=1e-6),
            "card.md": write_card(trained, name, metrics, terms, note, command, code).encode(),
        },
        command=command,
        code=code,
    )


def training_seconds(rows: Sequence[Mapping[str, Any]]) -> float:
    """Wall time of training, by its `metrics.jsonl`: where the clock begins anew, another process went on."""
    seconds = [float(row["seconds"]) for row in rows if "seconds" in row]
    return sum(now for now, then in zip(seconds, [*seconds, 0.0][1:], strict=True) if then < now)


def headlines(evaluation: Mapping[str, Any], trained: TrainedController) -> dict[str, float]:
    """The numbers of an `eval.json` that its targets are about. `UserError` unless it is of this very controller."""
    try:
        sha256 = evaluation["about"]["weights_sha256"]
        survival, recovery = (evaluation[of][rate] for of, rate in (("survival", "up"), ("recovery", "got_up")))
        found = {
            "exam_survival_random_latents": survival["successes"] / survival["episodes"],
            "exam_coverage": evaluation["coverage"]["share"],
            "exam_entropy": evaluation["coverage"]["entropy"],
            "exam_recovery": recovery["successes"] / recovery["episodes"],
            "exam_jerk_ratio": evaluation["movement"][0]["ratio"],
        }
    except (KeyError, IndexError, TypeError, ZeroDivisionError) as error:
        raise UserError(
            f"the evaluation lacks {error}; expected the eval.json that tools/evaluate.py low_level RUN writes"
        ) from None
    ours = weights_sha256(trained.controller)
    if sha256 != ours:
        raise UserError(
            f"the evaluation is of weights {sha256!s:.12}, the run's newest checkpoint has {ours:.12}; "
            "examine the run again: tools/evaluate.py low_level RUN"
        )
    return {name: float(value) for name, value in found.items() if value is not None}


def read_training(source: str) -> dict[str, np.ndarray]:
    """What training continues from: a published controller's second file, or a run's newest checkpoint."""
    if (Path(source) / "config.json").is_file():
        return load_run(source).tensors
    return tensors_from_bytes(read_file(source, "training.safetensors"))


OBJECTIVES = {
    "ase": "adversarial imitation with skill discovery (ASE, arXiv 2205.01906)",
    "conditional": "adversarial imitation conditional on the latents of motions (CALM, arXiv 2305.02195)",
}
"""The config's objective -> how the card calls it."""


def write_card(
    trained: TrainedController,
    name: str,
    metrics: Mapping[str, Any],
    terms: Mapping[str, str],
    note: str,
    command: Sequence[str],
    code: str,
) -> str:
    objective = trained.config.get("objective", "ase")
    faded = trained.samples >= 1e6 * trained.config["reward"]["tracking_fade"][1]
    reward = "that alone" if faded else "led by a tracking reward in the worlds that follow a motion"
    sources = "\n".join(f"- {source}: {stated}" for source, stated in terms.items())
    before = ", ".join(metrics["lineage"].split()) or "nothing"
    made_by = "\n".join(f"    {shlex.join(words)}" for words in commands(command))
    exam = "\n".join(f"- {key}: {value:.3g}" for key, value in metrics.items() if key.startswith("exam_"))
    return f"""# {name}

A latent low-level controller: (observation, unit latent) -> action at 30 Hz, trained by {OBJECTIVES[objective]}
from {len(trained.library.names)} motions.

- samples of this run: {_millions(trained.samples)} control steps of PPO in {trained.updates} updates; before the first
  {_millions(metrics["practice_samples"])} of practice (the warm start and lessons)
- continued from: {before}; with all of it at least {_millions(metrics["lineage_samples"])}, as far as manifests say
- wall time of this run: {metrics["training_seconds"] / 3600:.2f} h by its log
- objective at the end of this run: {reward}
- networks: {trained.config["networks"]}
- held random latents from standing starts, 10 s: {metrics["survival_random_latents_10s"]:.0%} still up,
  {metrics["seconds_up_random_latents"]:.1f} s up on average
- held latents of training motions, 10 s: {metrics["survival_motion_latents_10s"]:.0%} still up,
  {metrics["seconds_up_motion_latents"]:.1f} s up on average
{exam}

{note}

## What made it

{made_by or "    not recorded"}

Code: {code or "its commit is not recorded"}.

## Motions and their terms

{sources}

`training.safetensors` holds actor, critic, discriminator, encoder and the normalisers of observations, of the
discriminator's windows and of the encoder's; docs/pretraining.md says how to continue from it.
"""


def _millions(samples: float) -> str:
    return f"{samples / 1e6:.2f} million"
