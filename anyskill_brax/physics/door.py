"""The one door to physics: pick a backend, get `step_batch(state, ctrl) -> state`."""

from typing import Protocol

import jax
import mujoco

from anyskill_brax.physics.state import Disturbance, PhysicsState
from anyskill_brax.types import UserError


class StepBatch(Protocol):
    """`ctrl [..., nu]` [rad]; a `Disturbance` is understood by the native backend alone, others raise `UserError`."""

    def __call__(
        self, state: PhysicsState, ctrl: jax.Array, disturbance: Disturbance | None = None
    ) -> PhysicsState: ...


BACKENDS = ("native", "mjx", "warp")


def make_step_batch(model: mujoco.MjModel, substeps: int, backend: str = "native") -> StepBatch:
    """`step_batch` advances any leading axes of worlds by `substeps` simulation steps under `ctrl [..., nu]` [rad]."""
    if backend == "native":
        from anyskill_brax.physics import native

        return native.make_step_batch(model, substeps)
    if backend in ("mjx", "warp"):
        from anyskill_brax.physics import mjx

        return mjx.make_step_batch(model, substeps, warp=backend == "warp")
    raise UserError(f"no physics backend {backend!r}; choose one of {', '.join(BACKENDS)}")
