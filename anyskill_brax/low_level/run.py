"""The door of the low-level stage: a config and a folder in, a trained `LowLevelController` out; resumable."""

import dataclasses
import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from anyskill_brax.character.humanoid import Character, load_character
from anyskill_brax.envs import observations
from anyskill_brax.envs.humanoid_env import HumanoidEnv
from anyskill_brax.low_level import curves
from anyskill_brax.low_level import train as trainer
from anyskill_brax.low_level.beginning import BEFORE_TRAINING, begin
from anyskill_brax.low_level.pauses import Pauses, restore
from anyskill_brax.low_level.reference import Reference
from anyskill_brax.low_level.settings import LowLevelSettings
from anyskill_brax.low_level.state import NAMES
from anyskill_brax.low_level.team import NoWorkdir, Team
from anyskill_brax.motion.io import Motion, resample_motion
from anyskill_brax.motion.library import MotionLibrary
from anyskill_brax.motion.sources import held_out, load_source
from anyskill_brax.networks import Normalizer
from anyskill_brax.policies import LowLevelController, StyleJudge, flatten_tensors, unflatten_tensors
from anyskill_brax.types import UserError
from anyskill_brax.workdir import Workdir, read_metrics

Report = Callable[[str], None]
MAY_DIFFER = ("backend", "total_samples", "save_every_seconds")
"""Settings that a run may be resumed with others of. Physics has the same state in every backend, so worlds go on;
devices are no settings."""
NORMALIZERS = ("obs_normalizer", "disc_normalizer", "encoder_normalizer")


@dataclasses.dataclass(frozen=True)
class TrainedController:
    """What a run has produced so far."""

    controller: LowLevelController
    tensors: dict[str, np.ndarray]  # `training_tensors`: what `--init-from` continues from
    library: MotionLibrary
    config: dict[str, Any]
    metrics: list[dict[str, Any]]  # rows of metrics.jsonl
    updates: int
    samples: int


@dataclasses.dataclass(frozen=True)
class _Setup:
    """A config brought to life."""

    settings: LowLevelSettings
    env: HumanoidEnv
    library: MotionLibrary
    reference: Reference

    @classmethod
    def create(cls, config: Any) -> "_Setup":
        settings = LowLevelSettings.from_config(config)
        character = load_character()
        library = load_library(character, config)
        env = HumanoidEnv(
            character,
            num_frames=settings.networks.num_frames,
            backend=config["backend"],
            fall_height=config["fall_height"],
            may_touch=tuple(config["may_touch"]),
        )
        return cls(settings, env, library, Reference.create(character, library))

    @property
    def batch(self) -> int:
        """Samples per update."""
        return self.settings.learner.num_worlds * self.settings.learner.horizon

    def total_updates(self, config: Any) -> int:
        return max(1, int(config["total_samples"]) // self.batch)

    def result(
        self, state: trainer.TrainState, metrics: list[dict[str, Any]], config: Mapping[str, Any]
    ) -> TrainedController:
        state, updates = jax.tree.map(jnp.asarray, state), int(state.updates)
        return TrainedController(
            controller=controller_from_state(self, state),
            tensors=training_tensors(state),
            library=self.library,
            config=dict(config),
            metrics=metrics,
            updates=updates,
            samples=updates * self.batch,
        )


def load_library(character: Character, config: Any) -> MotionLibrary:
    """The motions a config names, weighted: each source has its share, each category its factor; without those that
    its `hold_out` leaves out."""
    motions: list[Motion] = []
    share_out = float(config.get("hold_out", 0.0))  # runs from before it could be asked for
    if not 0.0 <= share_out < 1.0:
        raise UserError(f"hold_out is {share_out:g}; expected a share of the clips, at least 0 and less than 1")
    if len(config["motions"]) != len(config["motion_shares"]):
        raise UserError(f"motions names {len(config['motions'])} sources, motion_shares {len(config['motion_shares'])}")
    for source, share in zip(config["motions"], config["motion_shares"], strict=True):
        found = [m for m in load_source(character, source, "train") if not held_out(m.name, share_out)]
        if not found:
            raise UserError(f"hold_out {share_out:g} leaves no clip of {source} to train on; make it smaller")
        factors = [config["category_weights"].get(m.category, 1.0) * m.weight for m in found]
        total = sum(factors)
        for motion, factor in zip(found, factors, strict=True):
            motion = resample_motion(character, motion, 30.0)
            motions.append(dataclasses.replace(motion, weight=share * factor / total))
    return MotionLibrary.create([m for m in motions if m.num_frames > 8])


def train(
    config: ConfigDict,
    workdir: str | Path,
    init_from: Mapping[str, np.ndarray] | None = None,
    report: Report = print,
    should_stop: Callable[[], bool] = lambda: False,
    team: Team | None = None,
    note: Callable[[Path], None] = lambda folder: None,
) -> TrainedController | None:
    """Train (or resume) until `config.total_samples`; checkpoints, curves and the exact state live in `workdir`.

    `init_from`: tensors of `training_tensors`, to continue from a published controller's networks; the warm start is
    then skipped unless the config's `warm_start_always` asks for it. `team`: the devices that share the work, by
    default one; a run may go on with another number of them, and with other settings of `MAY_DIFFER`. `note` is shown
    the folder before the first step.
    None when `should_stop` ended it early, state saved.
    """
    setup = _Setup.create(config)
    team = Team.of_one() if team is None else team
    team.check(setup.settings)
    folder = Workdir(workdir, config.to_dict(), may_differ=MAY_DIFFER) if team.leads else NoWorkdir()
    init, update = team.together(*trainer.make_train(setup.settings, setup.env, setup.reference, team.devices))
    key_init, key_begin = jax.random.split(jax.random.PRNGKey(setup.settings.seed))

    found = restore(folder, jax.eval_shape(init, key_init), team)
    if found is not None and found[0] > setup.total_updates(config):
        raise UserError(
            f"{workdir} holds {found[0] * setup.batch} samples already, more than total_samples "
            f"({config.total_samples}) asks for; give it a larger number, or leave it as it was"
        )
    if isinstance(folder, Workdir) and folder.changed:
        folder.adopt()
        for name, (was, now) in folder.changed.items():
            report(f"resumed with {name} {now}, was {was}")
    if found is None:
        every: Any = config.save_every_seconds
        make_pauses = lambda name: Pauses(folder, name, every, should_stop, report, team)  # noqa: E731
        state = team.to_host(init(key_init))
        if init_from is not None:
            params, normalizers = read_training_tensors(init_from, state.params)
            state = state.replace(params=params, **normalizers)
        if isinstance(folder, Workdir):
            note(folder.path)
        warm: Any = init_from is None or config.warm_start_always
        state = begin(setup.settings, setup.env, setup.reference, state, key_begin, warm, report, make_pauses)
        if state is None:
            report("stopped before the first update; the same command resumes")
            folder.close()
            return None
        done, state = 0, state.replace(params=team.as_leader(state.params))
        folder.save(0, state)
    else:
        done, state = found
        if isinstance(folder, Workdir):
            note(folder.path)
        report(f"resumed at update {done}")
    if isinstance(folder, Workdir):
        for name in BEFORE_TRAINING:
            folder.forget(name)
    done, state = go_on(setup, config, team.to_devices(state), done, update, folder, report, should_stop, team)
    state = team.to_host(state)
    folder.close()
    if done < setup.total_updates(config):
        report(f"stopped at update {done}; the same command resumes")
        return None
    return setup.result(state, read_metrics(folder.path) if folder.path else [], config.to_dict())


def go_on(
    setup: _Setup,
    config: ConfigDict,
    state: trainer.TrainState,
    done: int,
    update: trainer.Update,
    folder: Workdir | NoWorkdir,
    report: Report,
    should_stop: Callable[[], bool],
    team: Team,
) -> tuple[int, trainer.TrainState]:
    """Update after update, from the `done`th, until all are done or someone wants to stop; logged and saved."""
    plain: dict[str, Any] = config.to_dict()
    total, first, saved = setup.total_updates(config), done, done
    began = saved_at = time.monotonic()
    while done < total:
        stop, due = team.agree(should_stop(), time.monotonic() - saved_at > plain["save_every_seconds"])
        if due and done > saved:
            folder.save(done, team.to_host(state))
            curves.keep(folder.path, at_least_old=60.0)
            saved, saved_at = done, time.monotonic()
        if stop:
            break
        state, metrics = update(state)
        done += 1
        if done % plain["log_every_updates"] == 0 or done == total:
            row = {k: float(v) for k, v in team.to_host(metrics).items()}
            rate = (done - first) * setup.batch / (time.monotonic() - began)
            folder.log(done, row | {"samples": done * setup.batch, "samples_per_second": rate})
            report(_line(done, total, setup.batch, rate, row))
    if done > saved:
        folder.save(done, team.to_host(state))
        curves.keep(folder.path)
    return done, state


def load(workdir: str | Path) -> TrainedController:
    """The newest checkpoint of a run, finished or not. `UserError` where there is none."""
    file = Path(workdir) / "config.json"
    if not file.is_file():
        raise UserError(f"no run in {workdir}: it has no config.json; tools/train_low_level.py --workdir makes one")
    config = json.loads(file.read_text())
    if not {"motions", "warm_start"} <= config.keys():
        raise UserError(f"the run in {workdir} trains no low-level controller; tools/train_low_level.py begins one")
    setup = _Setup.create(config)
    folder = Workdir(workdir, config)
    init, _ = trainer.make_train(setup.settings, setup.env, setup.reference)
    found = folder.restore(jax.eval_shape(init, jax.random.PRNGKey(0), None))
    folder.close()
    if found is None:
        raise UserError(f"the run in {workdir} has no checkpoint yet; the first comes at its first save interval")
    return setup.result(found[1], read_metrics(folder.path), config)


def _line(done: int, total: int, batch: int, rate: float, row: Mapping[str, float]) -> str:
    eta = (total - done) * batch / max(rate, 1.0)
    return (
        f"update {done}/{total}  {done * batch / 1e6:.2f} M samples  {rate:.0f}/s  ETA {eta / 60:.0f} min  "
        f"track {row['tracking_quality']:.3f}  pose {row['pose_quality']:.3f}  "
        f"lost after {row['seconds_to_fail_following']:.2f} s  "
        f"fell after {row['seconds_to_fail_free']:.2f} s  style {row['reward_style']:.3f}  "
        f"discovery {row.get('reward_discovery', 0.0):.3f}  "
        f"disc {row['disc_accuracy_demo']:.2f}/{row['disc_accuracy_simulated']:.2f}"
    )


def controller_from_state(setup: _Setup, state: trainer.TrainState) -> LowLevelController:
    """Freeze what inference needs: actor, normalisers, discriminator, encoder, and the latents of the motions."""
    settings, character = setup.settings, setup.env.character
    nets, conditional = settings.networks, settings.conditional
    style = StyleJudge(
        disc_params=state.params.disc,
        encoder_params=state.params.encoder,
        normalizer=state.disc_normalizer,
        disc_widths=nets.discriminator,
        encoder_widths=nets.encoder,
        latent_dim=nets.latent_dim,
        num_frames=nets.num_frames,
        conditional=conditional,
        disc_style_widths=nets.disc_style if conditional else (),
        encoder_normalizer=state.encoder_normalizer if conditional else None,
    )
    names, rows = latent_rows(setup.library)
    windows = setup.reference.window(jnp.asarray(rows), nets.encoder_frames)
    return LowLevelController(
        params=state.params.actor,
        normalizer=state.obs_normalizer,
        style=style,
        motion_latents=style.encode(windows.reshape(len(rows), -1)),
        motion_names=names,
        obs_dim=observations.obs_dim(character),
        action_dim=character.action_dim,
        latent_dim=nets.latent_dim,
        widths=nets.actor,
        style_widths=nets.style,
        character_sha256=character.sha256,
    )


def latent_rows(library: MotionLibrary, per_motion: int = 4) -> tuple[tuple[str, ...], np.ndarray]:
    """Frames spread over every clip whose latents a controller remembers, named `clip@seconds`."""
    names, rows = [], []
    for m, name in enumerate(library.names):
        start, length = int(library.start[m]), int(library.length[m])
        for part in (np.arange(per_motion) + 1.0) / (per_motion + 1.0):
            frame = int(part * (length - 1))
            names.append(f"{name}@{frame / library.fps:.2f}")
            rows.append(start + frame)
    return tuple(names), np.array(rows)


def training_tensors(state: trainer.TrainState) -> dict[str, np.ndarray]:
    """What continues training elsewhere: all four networks and both normalisers, without which they mean nothing."""
    tree: dict[str, Any] = {name: getattr(state.params, name) for name in NAMES}
    for name in NORMALIZERS:
        n = getattr(state, name)
        tree[name] = {"mean": n.mean, "var": n.var, "count": n.count}
    return flatten_tensors(tree)


def read_training_tensors(
    tensors: Mapping[str, np.ndarray], like: trainer.Networks
) -> tuple[trainer.Networks, dict[str, Normalizer]]:
    """The inverse of `training_tensors`: networks, whose shapes must be those of `like`, and normalisers by name."""
    tree = unflatten_tensors(tensors)
    if "disc_normalizer" in tree:  # before there was an encoder with a longer window, one normaliser served both
        tree.setdefault("encoder_normalizer", jax.tree.map(jnp.array, tree["disc_normalizer"]))
    missing = [name for name in (*NAMES, *NORMALIZERS) if name not in tree]
    if missing:
        raise UserError(f"the tensors to continue from lack {', '.join(missing)}; they hold {', '.join(sorted(tree))}")
    normalizers = {name: Normalizer(**tree.pop(name)) for name in NORMALIZERS}
    params = trainer.Networks(**tree)
    ours, theirs = (jax.tree.map(jnp.shape, t) for t in (like, params))
    if ours != theirs:
        raise UserError(
            "the published networks have other sizes than the config asks for; use the config that the artifact was "
            "trained with (its manifest holds it)"
        )
    return params, normalizers
