"""One command's worth of work: poses, reward, judge, images, and a report of what they understand."""

import contextlib
import json
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np

from anyskill_brax.character.humanoid import Character, load_character
from anyskill_brax.clip.builtin import BuiltinImage, BuiltinModel, BuiltinPose, load_builtin, save_builtin
from anyskill_brax.clip.sentence import SentenceEncoder, load_encoder
from anyskill_brax.clip.towers import POSE_FEATURES
from anyskill_brax.motion.io import Motion, load_motion_folder
from anyskill_brax.motion.sources import held_out
from anyskill_brax.motion.synthesis import builtin_motions
from anyskill_brax.reward_model import report
from anyskill_brax.reward_model.clip_captions import CaptionedClips, caption_recall, clip_windows
from anyskill_brax.reward_model.distill import distil_image_model, identity
from anyskill_brax.reward_model.lessons import DistillSettings
from anyskill_brax.reward_model.motioncodes import MOVEMENTS
from anyskill_brax.reward_model.optimise import SearchSettings
from anyskill_brax.reward_model.pauses import Pauses, Stopped
from anyskill_brax.reward_model.phrases import phrases_of
from anyskill_brax.reward_model.pictures import render_poses
from anyskill_brax.reward_model.posecodes import attribute_names
from anyskill_brax.reward_model.poses import in_chunks, motion_poses, pose_degrees, random_poses
from anyskill_brax.reward_model.temporal import TemporalSettings, add_temporal_tower, windows_of
from anyskill_brax.reward_model.train import PoseData, TrainSettings, make_poses, pose_features, train_pose_model
from anyskill_brax.workdir import Workdir

Log = Callable[[str], None]
Model = TypeVar("Model", bound=BuiltinModel)
MODELS = {
    "pose": ("reward", "positions", "builtin-pose"),
    "judge": ("judge", "rotations", "builtin-judge"),
}
"""Folder -> half of the phrases, input of the pose tower, name."""
NUM_TEST_POSES = 4000
RUN = "image_run"
"""Where an image model that is still learning is kept; gone when it and its report are written."""


def test_poses(character: Character, seed: int) -> PoseData:
    """Random poses of a seed that no training uses."""
    qpos, qvel = random_poses(character, NUM_TEST_POSES, seed + 10_000)
    return PoseData(qpos, qvel, pose_degrees(character, qpos, qvel))


def _every_fifth(phrases: Mapping[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
    return {text: phrases[text] for text in list(phrases)[::5]}


def evaluate_model(
    character: Character,
    model: BuiltinModel,
    data: PoseData,
    features: np.ndarray,
    entries: Sequence[Mapping[str, Any]],
) -> dict[str, Any]:
    """Everything that `report.py` measures, for features `[N, D]` of the poses in `data`."""
    names, part, shown = attribute_names(character), model.config()["phrases_part"], data.degrees > 0.5
    out: dict[str, Any] = {
        "trained_phrases": report.phrase_scores(names, model, features, shown, _every_fifth(phrases_of(part))),
        "unseen_phrases": report.phrase_scores(
            names, model, features, shown, _every_fifth(report.unseen_phrases(part))
        ),
        "confidence": report.confidence_scores(model, part),
    }
    if entries:
        given, own = report.test_phrases(entries, names), set(model.config()["phrases"])
        unseen = {text: means for text, means in given.items() if text not in own}
        out["test_phrases"] = report.phrase_scores(names, model, features, shown, unseen)
        out["test_phrases"]["left_out_as_trained"] = len(given) - len(unseen)
    if isinstance(model, BuiltinPose):
        out["optimised_poses"] = report.optimisation_check(character, model)
    return out


def _train_image(
    character: Character,
    config: Any,
    out: Path,
    motions: Sequence[Motion],
    test: PoseData,
    log: Log,
    should_stop: Callable[[], bool],
) -> tuple[BuiltinImage, PoseData, np.ndarray, float]:
    """The image model, the test poses at rest, its features of their pictures `[N, D]`, and the seconds that earlier
    processes had spent. `Stopped` where someone asks for it, the run saved."""
    settings = DistillSettings(**{**config.image, "search": SearchSettings(**config.image.search)})
    teacher = load_builtin(out / "pose")
    assert isinstance(teacher, BuiltinPose)
    qpos = random_poses(character, settings.num_poses, settings.seed + 1)[0]
    if motions:
        moving, rng = motion_poses(character, motions)[0], np.random.default_rng(settings.seed)
        qpos = np.concatenate([qpos, moving[rng.permutation(len(moving))[: settings.num_motion_poses]]])
    folder = Workdir(out / RUN, identity(settings, teacher, qpos))
    say = lambda line: log(f"image model: {line}")  # noqa: E731
    pauses = Pauses(folder, float(config.save_every_seconds), should_stop, say)
    try:
        model = distil_image_model(character, settings, teacher, qpos, say, pauses)
    finally:
        folder.close()
    rest = np.zeros_like(test.qvel)
    pictures = render_poses(character, settings, test.qpos, jax.random.key(settings.seed + 1))
    features = in_chunks(jax.jit(lambda x: model.embed_images(x.astype(jnp.float32) / 255.0)), pictures)
    return model, PoseData(test.qpos, rest, pose_degrees(character, test.qpos, rest)), features, pauses.earlier


def _train_pose(
    character: Character,
    config: Any,
    name: str,
    motions: Sequence[Motion],
    test: PoseData,
    log: Log,
    encoder: SentenceEncoder | None,
) -> tuple[BuiltinPose, PoseData, np.ndarray]:
    """The reward or the judge, the test poses, and its features of them `[N, D]`."""
    part, which, title = MODELS[name]
    seed = config.encoder.seed + list(MODELS).index(name)
    settings = TrainSettings(**{**config.encoder, "seed": seed})
    log(f"{title}: making poses")
    poses = make_poses(character, settings, motions)
    model = train_pose_model(character, settings, poses, part, which, title, log, encoder)
    return model, test, in_chunks(jax.jit(model.embed_features), pose_features(character, test, which))


def _train_temporal(
    character: Character,
    config: Any,
    out: Path,
    motion_folder: Path | None,
    test_poses: PoseData,
    entries: Sequence[Mapping[str, Any]],
    log: Log,
) -> dict[str, Any]:
    """Give every pose model in `out` its temporal tower; what the towers understand of windows of another seed.

    Its text side is another one then: what the model understands of poses is measured anew.
    """
    settings = TemporalSettings(**config.temporal)
    seeds = (settings.seed, settings.seed + 10_000)
    motions, others = ([*_motions(character, seed, settings.motion_variants)] for seed in seeds)
    clips, test_clips = ([], []) if motion_folder is None else split_folder(motion_folder, settings.clip_hold_out)
    motions, others = motions + clips, others + test_clips
    names, reports = attribute_names(character), {}
    for name in [name for name in MODELS if (out / name / "config.json").is_file()]:
        model = load_builtin(out / name)
        assert isinstance(model, BuiltinPose)
        own_seed = replace(settings, seed=settings.seed + list(MODELS).index(name))
        model = with_sources(add_temporal_tower(character, model, own_seed, motions, log, clips), clips)
        save_builtin(model, out / name)
        seen = in_chunks(jax.jit(model.embed_features), pose_features(character, test_poses, model.config()["input"]))
        understood = evaluate_model(character, model, test_poses, seen, entries)
        _write_report(out / name, json.loads((out / name / "report.json").read_text()) | _about(model) | understood)
        test = windows_of(character, settings, model.config()["input"], others, seeds[1])
        shown, part, own = test.degrees > 0.5, model.config()["phrases_part"], set(model.config()["phrases"])
        given = report.test_phrases(entries, names) if entries else {}
        groups = {
            "unseen_phrases": report.unseen_phrases(part),
            "test_phrases": {text: means for text, means in given.items() if text not in own},
        }
        reports[name] = {"motions": len(motions), "test_windows": len(test.degrees)}
        towers = {
            "mixed": model.embed_window,
            "temporal": model.embed_time,
            "pose_of_the_last_frame": lambda x, m=model: m.embed_features(x[:, -1]),
        }
        for tower, embed in towers.items():
            features = in_chunks(jax.jit(embed), test.features)
            reports[name][tower] = {
                group: {
                    **report.phrase_scores(names, model, features, shown, _moving(phrases)),
                    **report.time_scores(names, model, features, shown, phrases),
                }
                for group, phrases in groups.items()
                if phrases
            }
        if found := _recall(character, model, settings, test_clips, seeds[1]):
            reports[name]["clip_captions"] = found
        (out / name / "temporal.json").write_text(json.dumps(reports[name], indent=1) + "\n")
        log(f"{name}, windows: {json.dumps(reports[name])}")
    return reports


def split_folder(folder: Path, share: float) -> tuple[list[Motion], list[Motion]]:
    """A folder's clips for training and for the test; where it names none of split "test", `share` of those it has."""
    clips = load_motion_folder(folder)
    if any(clip.split == "test" for clip in clips):
        return [c for c in clips if c.split == "train"], [c for c in clips if c.split == "test"]
    train = [c for c in clips if c.split == "train"]
    return [c for c in train if not held_out(c.name, share)], [c for c in train if held_out(c.name, share)]


def with_sources(model: Model, clips: Sequence[Motion]) -> Model:
    """`model`, its config naming where these clips come from and under which licence; the same without clips."""
    if not clips:
        return model
    terms: dict[str, set[str]] = {}
    for clip in clips:
        terms.setdefault(clip.source.partition(" ")[0] or "unknown", set()).add(clip.licence or "unknown")
    sources = {source: ", ".join(sorted(licences)) for source, licences in terms.items()}
    return type(model)(
        {**model.config(), "motions": {**model.config().get("motions", {}), **sources}}, model.to_tensors()
    )


def _recall(
    character: Character, model: BuiltinPose, settings: TemporalSettings, clips: Sequence[Motion], seed: int
) -> dict[str, float]:
    """How well windows of clips find their captions; empty where no clip has any."""
    spoken = CaptionedClips.create(character, clips, settings.frames)
    if not spoken.motions:
        return {}
    features = POSE_FEATURES[model.config()["input"]]
    numbers = (settings.frames, settings.num_clip, settings.starting_share, seed)
    windows, clip = clip_windows(character, features, spoken, *numbers)
    seen = in_chunks(jax.jit(model.embed_window), windows[0])
    return caption_recall(model.embed_text, spoken, seen, clip, model.config()["phrases"])


def _about(model: BuiltinModel) -> dict[str, Any]:
    """Which weights a report is about."""
    megabytes = round(sum(tensor.nbytes for tensor in model.to_tensors().values()) / 1e6, 2)
    return {"sha256": model.sha256, "megabytes": megabytes}


def _write_report(folder: Path, report: Mapping[str, Any]) -> None:
    (folder / "report.json").write_text(json.dumps(report, indent=1) + "\n")


def _moving(phrases: Mapping[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
    """Those about movement."""
    return {text: means for text, means in phrases.items() if set(means) <= set(MOVEMENTS)}


def _motions(character: Character, seed: int, variants: int) -> list[Motion]:
    return builtin_motions(character, seed, variants) if variants else []


_NEVER = contextlib.nullcontext(lambda: False)


def train_reward_model(
    config: Any,
    out: Path,
    motion_folder: Path | None,
    models: Sequence[str],
    entries: Sequence[Mapping[str, Any]],
    log: Log,
    stops: contextlib.AbstractContextManager[Callable[[], bool]] = _NEVER,
    text_encoder: Path | None = None,
) -> dict[str, Any]:
    """Train `models` ("pose", "judge", "temporal", "image") into `out/<model>/`, each with its report.json.

    "temporal" adds a tower to the pose models in `out`, and temporal.json; "image" learns from the one in `out/pose`,
    resumes what an earlier process left in `out/image_run`, and is open to `stops` meanwhile. Reports of what got
    ready, in order. `entries` are test phrases; training never sees them. `text_encoder`: the folder of a BERT whose
    sentence vectors the text side reads instead of n-grams.
    """
    character, seed = load_character(), config.encoder.seed
    encoder = None if text_encoder is None else load_encoder(text_encoder)
    motions = _motions(character, seed, config.motion_variants)
    given = [] if motion_folder is None else load_motion_folder(motion_folder, split="train")
    motions += given
    reports: dict[str, Any] = {}
    test = test_poses(character, seed)
    for name in models:
        began, earlier = time.monotonic(), 0.0
        if name == "temporal":
            reports[name] = _train_temporal(character, config, out, motion_folder, test, entries, log)
            for done in reports.keys() & MODELS.keys():
                reports[done] = json.loads((out / done / "report.json").read_text())
                log(f"{done}: {json.dumps(reports[done])}")
            continue
        if name == "image":
            try:
                with stops as should_stop:
                    model, data, features, earlier = _train_image(
                        character, config, out, motions, test, log, should_stop
                    )
            except Stopped:
                break
        else:
            model, data, features = _train_pose(character, config, name, motions, test, log, encoder)
        model = with_sources(model, given)
        save_builtin(model, out / name)
        reports[name] = {
            "seconds_to_train": round(earlier + time.monotonic() - began, 1),
            **_about(model),
            "motions": len(motions),
        }
        if name == "image" or "temporal" not in models:  # else the text side is not ready yet
            reports[name] |= evaluate_model(character, model, data, features, entries)
            log(f"{name}: {json.dumps(reports[name])}")
        _write_report(out / name, reports[name])
        if name == "image":
            shutil.rmtree(out / RUN)
    return reports
