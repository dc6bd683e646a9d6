"""Uncertainty of what a few episodes show."""

from dataclasses import dataclass

import numpy as np


def standard_error(scores: np.ndarray) -> float:
    """Of the mean, with the sample standard deviation; infinite for a single score."""
    return float(np.std(scores, ddof=1) / np.sqrt(scores.size)) if scores.size > 1 else float("inf")


def wilson(successes: int, trials: int, z: float = 1.96) -> tuple[float, float]:
    """The score interval of a rate (Wilson 1927): (p + z^2/2n +- z sqrt(p(1-p)/n + z^2/4n^2)) / (1 + z^2/n).

    Unlike p +- z sqrt(p(1-p)/n) it stays inside [0, 1] and is not empty at 0 or n successes. z = 1.96 is 95 %.
    """
    if not 0 <= successes <= trials or trials == 0:
        raise ValueError(f"{successes} successes in {trials} trials")
    p, n = successes / trials, trials
    middle, half = p + z * z / (2 * n), z * np.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return max(0.0, float((middle - half) / (1 + z * z / n))), min(1.0, float((middle + half) / (1 + z * z / n)))


@dataclass(frozen=True)
class Rate:
    """Successes among episodes, with the 95 % Wilson interval."""

    successes: int
    episodes: int
    low: float
    high: float

    @classmethod
    def of(cls, holds: np.ndarray) -> "Rate":
        if not holds.size:
            return cls(0, 0, 0.0, 1.0)
        return cls(int(holds.sum()), holds.size, *wilson(int(holds.sum()), holds.size))

    @property
    def share(self) -> float:
        """nan where there was no episode."""
        return self.successes / self.episodes if self.episodes else float("nan")

    def __str__(self) -> str:
        return f"{self.successes}/{self.episodes} ({self.low:.2f} to {self.high:.2f})"


@dataclass(frozen=True)
class Mean:
    """A mean with its standard error and how many trials it is of; numbers that are not finite are left out."""

    mean: float
    standard_error: float
    trials: int

    @classmethod
    def of(cls, values: np.ndarray) -> "Mean":
        values = np.asarray(values, np.float64).reshape(-1)
        values = values[np.isfinite(values)]
        if not values.size:
            return cls(float("nan"), float("nan"), 0)
        return cls(float(values.mean()), standard_error(values), values.size)

    def __str__(self) -> str:
        return f"{self.mean:.3g} ± {self.standard_error:.2g}"
