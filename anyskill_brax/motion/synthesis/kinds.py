"""The register of built-in kinds: each a name, captions and a function that writes one score."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from anyskill_brax.character.humanoid import Character
from anyskill_brax.motion.synthesis.score import Pose, Score

Compose = Callable[["Cast"], Score]


@dataclass(frozen=True)
class Cast:
    """Who moves, and this variant's dice."""

    character: Character
    rng: np.random.Generator

    def about(self, value: float, spread: float = 0.1) -> float:
        """A number within `spread` (a part) of `value`."""
        return float(value * self.rng.uniform(1 - spread, 1 + spread))


@dataclass(frozen=True)
class Kind:
    """One kind of movement. A sided kind is composed for the right; its mirror image is the left's."""

    name: str
    category: str
    captions: tuple[str, ...]  # with {side} and {other} where sided
    sided: bool
    compose: Compose


KINDS: dict[str, Kind] = {}


def kind(name: str, category: str, *captions: str) -> Callable[[Compose], Compose]:
    """Register a composer under `name`; captions that say {side} make it sided."""

    def register(compose: Compose) -> Compose:
        if name in KINDS:
            raise ValueError(f"kind {name!r} is registered twice")
        KINDS[name] = Kind(name, category, captions, any("{side}" in c for c in captions), compose)
        return compose

    return register


def hold(cast: Cast, *poses: Pose, rise: float = 0.9, stay: float = 2.0, **channels: float) -> Score:
    """Stand, move into a pose, stay there, and come back."""
    start, rise, stay = cast.about(0.5), cast.about(rise), cast.about(stay)
    back = start + rise + stay
    score = Score(back + rise + 0.4)
    score.move(start, start + rise, *poses, **channels)
    score.relax(back, back + rise)
    return score


def beat(score: Score, start: float, period: float, count: int, first: Pose, second: Pose) -> float:
    """Swing between two poses, `count` times there and back from `first`; returns when it ends [s]."""
    for i in range(count):
        t = start + i * period
        score.move(t, t + 0.5 * period, second)
        score.move(t + 0.5 * period, t + period, first)
    return start + count * period
