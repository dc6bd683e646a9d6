"""The answers to every question, as values, and the targets they are held to."""

import json
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from anyskill_brax.evaluate.controller import coverage, frechet, imitation, movement, posing, robustness, sphere


@dataclass(frozen=True)
class Target:
    """What the controller should reach, and whether it does."""

    what: str
    wanted: str
    found: str
    met: bool


@dataclass(frozen=True)
class Answers:
    survival: robustness.Survival
    survival_of_clips: robustness.Survival
    coverage: coverage.Coverage
    frechet: frechet.Frechet
    movement: tuple[movement.Measure, ...]
    imitation: imitation.Imitation
    posing: posing.Posing
    consistency: sphere.Consistency
    interpolation: sphere.Interpolation
    transitions: sphere.Transitions
    recovery: robustness.Recovery
    pushes: robustness.Pushes
    broken_worlds: int  # of random latents' rollouts
    reels: tuple[tuple[str, np.ndarray], ...]  # caption, qpos [F, 35]

    @property
    def targets(self) -> tuple[Target, ...]:
        """Survival, coverage, entropy, recovery, jerk: what a controller worth standing on is asked for."""
        jerk = self.movement[0].ratio
        return (
            _at_least("survival of random latents", 0.95, self.survival.up.share),
            _at_least("clips covered", 0.60, self.coverage.share),
            _at_least("entropy of the votes / uniform", 0.75, self.coverage.entropy),
            _at_least("recovery from falls", 0.90, self.recovery.got_up.share),
            Target("median jerk / the clips'", "<= 2", f"{jerk:.2f}", jerk <= 2.0),
        )

    def to_json(self) -> dict[str, Any]:
        """A number that could not be measured is null."""
        plain: dict[str, Any] = asdict(replace(self, reels=()))
        del plain["reels"]
        plain["imitation"]["categories"] = {
            name: {k: v for k, v in asdict(found).items() if k != "clips"}
            for name, found in self.imitation.categories.items()
        }
        plain["targets"] = [asdict(target) for target in self.targets]
        return json.loads(json.dumps(plain), parse_constant=lambda _: None)


def _at_least(what: str, wanted: float, found: float) -> Target:
    return Target(what, f">= {wanted:.0%}", f"{found:.0%}", found >= wanted)
