"""How well each clip is covered by what the simulated worlds do; and, if wanted, more of those that are covered badly.

Coverage on-line: a few windows of each rollout vote for the clip that holds their nearest reference window, in the
fixed space of normalised discriminator windows. Worlds that follow a motion have no vote.
"""

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from anyskill_brax.low_level.devices import Devices
from anyskill_brax.low_level.reference import Reference
from anyskill_brax.low_level.settings import SamplingSettings
from anyskill_brax.types import Metrics

LANDMARKS_PER_CLIP = 8


@struct.dataclass
class ClipStats:
    """Per clip `[M]`, forgotten by `decay` with every update."""

    nearest: jax.Array  # windows whose nearest reference window is the clip's
    steps: jax.Array  # control steps of worlds whose latent is of the clip
    failures: jax.Array  # of those, the ones that ended an episode by failing

    @classmethod
    def create(cls, num_clips: int) -> "ClipStats":
        return cls(nearest=jnp.zeros(num_clips), steps=jnp.zeros(num_clips), failures=jnp.zeros(num_clips))


def landmarks(reference: Reference) -> jax.Array:
    """Rows `[K]` spread over every clip, its last frame among them."""
    start, length = np.asarray(reference.start), np.asarray(reference.length)
    parts = (np.arange(LANDMARKS_PER_CLIP) + 1.0) / LANDMARKS_PER_CLIP
    return jnp.asarray((start[:, None] + np.round(parts * (length[:, None] - 1))).astype(np.int32).ravel())


def nearest_clip(reference: Reference, rows: jax.Array, norm_bank: jax.Array, norm_windows: jax.Array) -> jax.Array:
    """`norm_windows [B, N * 125]` -> `[B]` int32, the clip of the nearest of `norm_bank [K, N * 125]` at `rows [K]`."""
    distance = jnp.sum(norm_bank**2, axis=-1) - 2.0 * norm_windows @ norm_bank.T
    return reference.clip[rows[jnp.argmin(distance, axis=-1)]]


def count(
    stats: ClipStats,
    decay: float,
    votes: tuple[jax.Array, jax.Array],
    steps: tuple[jax.Array, jax.Array],
    failures: tuple[jax.Array, jax.Array],
    devices: Devices,
) -> ClipStats:
    """Each pair: clips `[B]` and what each counts, `[B]`; summed over devices."""

    def folded(old: jax.Array, clips: jax.Array, weight: jax.Array) -> jax.Array:
        return decay * old + devices.sum(jnp.zeros_like(old).at[clips].add(weight.astype(old.dtype)))

    return ClipStats(
        nearest=folded(stats.nearest, *votes),
        steps=folded(stats.steps, *steps),
        failures=folded(stats.failures, *failures),
    )


def need(stats: ClipStats, base: jax.Array, settings: SamplingSettings) -> jax.Array:
    """How many times more often than `base [M]` (sums to 1) a clip should be drawn, `[M]` in [floor, ceiling].

    The larger of two ratios: expected votes to votes got, and its rate of failure to that of all clips. A clip of which
    little is known stays near 1.
    """
    expected = jnp.sum(stats.nearest) * base
    uncovered = (expected + settings.prior) / (stats.nearest + settings.prior)
    rate = jnp.sum(stats.failures) / jnp.maximum(jnp.sum(stats.steps), 1.0)
    failing = (stats.failures + settings.prior) / (stats.steps * rate + settings.prior)
    return jnp.clip(jnp.maximum(uncovered, failing), settings.floor, settings.ceiling)


def drawn_weights(stats: ClipStats, base: jax.Array, settings: SamplingSettings, active: jax.Array) -> jax.Array:
    """Sampling weights `[M]`, sum 1: `base` and, for a `share`, `base` times `need`; `base` alone when not `active`.

    No clip falls below (1 - share + share floor) / (1 - share + share ceiling) of its base weight.
    """
    share = settings.share * active
    weights = base * (1.0 - share + share * need(stats, base, settings))
    return weights / jnp.sum(weights)


def coverage_metrics(stats: ClipStats, drawn: jax.Array, base: jax.Array) -> Metrics:
    """Share of clips with votes that are not yet forgotten, entropy of votes (1: all clips alike), strongest factor."""
    votes = stats.nearest / jnp.maximum(jnp.sum(stats.nearest), 1e-6)
    entropy = -jnp.sum(votes * jnp.log(jnp.maximum(votes, 1e-12)))
    return {
        "coverage": jnp.mean((stats.nearest > 0.5).astype(jnp.float32)),
        "coverage_entropy": entropy / np.log(max(votes.size, 2)),
        "sampling_factor_max": jnp.max(drawn / jnp.maximum(base, 1e-9)),
    }
