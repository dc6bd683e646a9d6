"""Every question to a low-level controller, in order, with progress; the answers as values."""

import time
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import jax
import numpy as np

from anyskill_brax.character.humanoid import Character
from anyskill_brax.evaluate.controller import coverage, frechet, imitation, movement, posing, robustness, sphere
from anyskill_brax.evaluate.controller.answers import Answers
from anyskill_brax.evaluate.controller.clips import Clips
from anyskill_brax.evaluate.controller.stage import Stage, held
from anyskill_brax.motion.io import Motion
from anyskill_brax.networks import sample_latents
from anyskill_brax.policies import LowLevelController
from anyskill_brax.types import UserError


@dataclass(frozen=True)
class Sizes:
    """How much is asked; `configs/evaluate.py` writes the numbers and says what they are."""

    seed: int
    backend: str
    block: int
    stride: int
    clip_stride: int
    latents: int
    seconds: float
    candidates: int
    clip_seconds: float
    lost_at: float
    pose_seconds: float
    twice: int
    twice_seconds: float
    paths: int
    path_seconds: float
    switches: int
    switch_repeats: int
    switch_before: float
    switch_after: float
    falls: int
    recovery_seconds: float
    pushed: int
    push_speeds: tuple[float, ...]
    push_seconds: float
    films: int

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> "Sizes":
        """`UserError` for a size that asks nothing."""
        sizes = cls(**{f.name: config[f.name] for f in fields(cls)})
        least = {"latents": 2, "twice": 2, "switches": 2, "seed": 0, "films": 0, "lost_at": 1e-3}
        seconds = {
            "seconds": 2.0,
            "twice_seconds": 2.0,
            "clip_seconds": 0.2,
            "recovery_seconds": 0.5,
            "pose_seconds": 1.0,
        }
        for f in fields(cls):
            value, low = getattr(sizes, f.name), {**least, **seconds}.get(f.name, 1)
            if isinstance(value, int | float) and not value >= low and f.name not in ("switch_before", "switch_after"):
                raise UserError(f"{f.name} is {value}; expected at least {low:g}")
        return replace(sizes, push_speeds=tuple(sizes.push_speeds))


class Progress:
    """Of a known number of world-seconds: a line per question, with the time it will still take."""

    def __init__(self, total: float, report: Callable[[str], None]):
        self.total, self.done, self.report, self.began, self.asked = total, 0.0, report, time.monotonic(), ""

    def watch(self, world_seconds: float) -> None:
        self.done += world_seconds

    def ask(self, question: str) -> None:
        """To be called as each question begins."""
        spent = time.monotonic() - self.began
        left = f", about {spent * (self.total / self.done - 1) / 60:.1f} min to go" if self.done else ""
        self.report(f"[{self.done / self.total:4.0%}] {question} ({spent / 60:.1f} min{left})")


def planned(stage: Stage, sizes: Sizes, clips: Clips) -> float:
    """World-seconds that `examine` will play."""
    longest = -(-int(imitation.asked_frames(clips, sizes.clip_seconds).max()) // 5) / 6
    parts = [
        (sizes.latents, sizes.seconds),
        (sizes.latents, sizes.seconds),
        (len(clips), longest),
        (len(clips) * sizes.candidates, longest),
        (len(posing.asked(stage, clips)[0]), sizes.pose_seconds),
        (2 * sizes.twice, sizes.twice_seconds),
        (3 * sizes.paths, sizes.path_seconds + 2.0),
        (sizes.switches**2 * sizes.switch_repeats, sizes.switch_before + sizes.switch_after),
        (sizes.falls, sizes.recovery_seconds),
        (len(sizes.push_speeds) * sizes.pushed, robustness.PUSH_AT + sizes.push_seconds),
    ]
    return sum(stage.cost(*part) for part in parts)


def examine(
    character: Character,
    low_level: LowLevelController,
    motions: Sequence[Motion],
    sizes: Sizes,
    report: Callable[[str], None],
) -> Answers:
    """Ask everything. The same seed, sizes and motions give the same answers."""
    clips = Clips.create(character, motions, sizes.clip_stride)
    stage = Stage.create(character, low_level, sizes.backend, sizes.block)
    progress = Progress(planned(stage, sizes, clips), report)
    stage = replace(stage, watch=progress.watch)
    key = lambda name: jax.random.fold_in(jax.random.PRNGKey(sizes.seed), zlib.crc32(name.encode()))  # noqa: E731
    dice = lambda name: np.random.default_rng([sizes.seed, zlib.crc32(name.encode())])  # noqa: E731
    sphere_latents = lambda name, n: np.asarray(sample_latents(key(name), (n,), low_level.latent_dim))  # noqa: E731

    progress.ask(f"survival of {sizes.latents} random latents")
    wild = stage.play(
        stage.stand(key("starts"), sizes.latents), held(sphere_latents("random latents", sizes.latents), sizes.seconds)
    )
    progress.ask(f"survival of {sizes.latents} latents of the clips")
    tame = stage.play(
        stage.stand(key("starts of clips"), sizes.latents),
        held(clips.some_latents(low_level, dice("clips"), sizes.latents), sizes.seconds),
    )
    progress.ask("motion coverage")
    covered = coverage.coverage(wild, clips.atlas, sizes.stride, dice("coverage"))
    progress.ask("Frechet distance")
    distance = frechet.frechet(wild, clips.atlas, sizes.stride, dice("frechet"))
    progress.ask("jerk, sliding feet, penetration, power")
    moves = movement.movement(character, wild, clips)
    progress.ask(f"imitation of {len(clips)} clips")
    imitated, followers = imitation.imitation(
        stage, clips, sizes.candidates, sizes.clip_seconds, sizes.lost_at, sizes.clip_stride
    )
    progress.ask("poses held")
    posed = posing.posing(stage, clips, key("poses"), sizes.pose_seconds)
    progress.ask(f"consistency of {sizes.twice} latents")
    twice = sphere_latents("consistency", sizes.twice)
    consistent = sphere.consistency(stage, key("twice"), twice, sizes.twice_seconds, sizes.stride)
    progress.ask(f"interpolation along {sizes.paths} paths")
    begin, end = (clips.some_latents(low_level, dice(f"path {at}"), sizes.paths) for at in ("from", "to"))
    paths = sphere.interpolation(stage, key("paths"), begin, end, sizes.path_seconds)
    progress.ask(f"transitions between {sizes.switches} latents")
    names, switched = some_of_each(clips, low_level, dice("switches"), key("switches"), sizes.switches)
    switches = sphere.transitions(
        stage, key("switched"), switched, names, sizes.switch_repeats, sizes.switch_before, sizes.switch_after
    )
    progress.ask(f"recovery from {sizes.falls} falls")
    recovered, fallen = robustness.recovery(
        stage, key("falls"), sphere_latents("recovery", sizes.falls), sizes.recovery_seconds
    )
    progress.ask(f"{len(sizes.push_speeds)} pushes of {sizes.pushed} latents")
    pushed = robustness.pushes(
        stage, key("pushes"), sphere_latents("pushed", sizes.pushed), sizes.push_speeds, sizes.push_seconds
    )
    return Answers(
        survival=robustness.survival(wild),
        survival_of_clips=robustness.survival(tame),
        coverage=covered,
        frechet=distance,
        movement=moves,
        imitation=imitated,
        posing=posed,
        consistency=consistent,
        interpolation=paths,
        transitions=switches,
        recovery=recovered,
        pushes=pushed,
        broken_worlds=int(wild.broken.sum()),
        reels=tuple(_reels(clips, wild, covered, followers, imitated, fallen, sizes)),
    )


def some_of_each(
    clips: Clips, low_level: LowLevelController, dice: np.random.Generator, key: jax.Array, count: int
) -> tuple[tuple[str, ...], np.ndarray]:
    """Names and latents `[K, L]`: half of them of the middles of clips, the rest random."""
    half = min(count // 2, len(clips))
    chosen = dice.permutation(len(clips))[:half]
    of_clips = clips.latents(low_level, chosen, clips.frames[chosen] // 2)
    free = np.asarray(sample_latents(key, (count - half,), low_level.latent_dim))
    names = *(clips.names[clip] for clip in chosen), *(f"random {i}" for i in range(count - half))
    return names, np.concatenate([of_clips, free])


def _reels(clips, wild, covered, followers, imitated, fallen, sizes: Sizes):
    """Half of the films are random latents, the rest clips that are followed, well to badly, and one recovery."""
    free = (sizes.films + 1) // 2
    for world in range(min(free, len(covered.nearest))):
        name = clips.names[covered.nearest[world]] if covered.nearest[world] >= 0 else "nothing"
        yield f"random latent {world}, nearest to {name}", wild.qpos[:, world]
    if sizes.films > free and fallen.qpos.shape[1]:
        yield "from a fall, under a random latent", fallen.qpos[:, 0]
    order = np.argsort([clip.error for clip in imitated.clips])
    for place in np.linspace(0, len(order) - 1, max(0, sizes.films - free - 1)).astype(int):
        clip = int(order[place])
        frames = round(imitated.clips[clip].seconds * 30)
        yield f"following {clips.names[clip]}: {imitated.clips[clip].error:.2f} m", followers.qpos[:frames, clip]
