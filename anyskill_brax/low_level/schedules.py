"""Values that change with the samples seen so far."""

import jax
import jax.numpy as jnp

from anyskill_brax.low_level.settings import ScheduleSettings


def ramp(millions: jax.Array, begin: float, end: float) -> jax.Array:
    """0 before `begin` million samples, 1 after `end`, linear between."""
    return jnp.clip((millions - begin) / jnp.maximum(end - begin, 1e-6), 0.0, 1.0)


def factor(schedule: ScheduleSettings, millions: jax.Array) -> jax.Array:
    """What the scheduled value is multiplied with: 1 at first, `last` in the end, on a line or half a cosine."""
    if schedule.shape == "constant":
        return jnp.ones(())
    part = ramp(millions, *schedule.over)
    if schedule.shape == "cosine":
        part = 0.5 - 0.5 * jnp.cos(jnp.pi * part)
    return 1.0 + (schedule.last - 1.0) * part
