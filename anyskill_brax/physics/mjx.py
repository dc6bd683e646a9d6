"""MuJoCo on JAX devices (MJX): the same physics compiled with the rest of the update, in JAX or in Warp's kernels.

For accelerators. On a CPU both compile for most of a minute, and native physics is nine times as fast as the one and
eighteen times as the other (docs/performance.md).
"""

from typing import cast

import jax
import jax.numpy as jnp
import mujoco
from mujoco import mjx

from anyskill_brax.physics.state import Disturbance, PhysicsState
from anyskill_brax.types import UserError

CONTACTS, ROWS = 32, 128
"""Room for every world's contacts and constraint rows, which Warp wants to know beforehand. Sixty bodies thrown about
under random drives had at most 10 and 40."""


def make_step_batch(model: mujoco.MjModel, substeps: int, warp: bool = False):
    """`step_batch(state, ctrl) -> state` over any leading axes, which become one batch of worlds.

    `warp`: by MJX-Warp (the package `warp-lang`; extra `gpu`). Not deterministic on a GPU.
    """
    impl = "warp" if warp else "jax"
    device_model = _warp_model(model) if warp else mjx.put_model(model, impl=impl)

    def step_batch(state: PhysicsState, ctrl: jax.Array, disturbance: Disturbance | None = None) -> PhysicsState:
        if disturbance is not None:
            raise UserError("thrown boxes and varied bodies are built for backend 'native' alone; MJX has none yet")
        lead = ctrl.shape[:-1]
        flat_state, flat_ctrl = jax.tree.map(lambda x: x.reshape(-1, x.shape[-1]), (state, jnp.asarray(ctrl)))
        contacts, rows = (CONTACTS * len(flat_ctrl), ROWS) if warp else (None, None)
        blank = mjx.make_data(model, impl=impl, naconmax=contacts, njmax=rows)

        def step_one(state: PhysicsState, ctrl: jax.Array) -> PhysicsState:
            data = blank.replace(qpos=state.qpos, qvel=state.qvel, qacc_warmstart=state.warmstart, ctrl=ctrl)
            data, _ = jax.lax.scan(lambda d, _: (mjx.step(device_model, d), None), data, length=substeps)
            return PhysicsState(qpos=data.qpos, qvel=data.qvel, warmstart=data.qacc_warmstart)

        flat_state = jax.vmap(step_one)(flat_state, flat_ctrl)
        return jax.tree.map(lambda x: x.reshape(*lead, x.shape[-1]), flat_state)

    return step_batch


def _warp_model(model: mujoco.MjModel) -> mjx.Model:
    """Without a line for every kernel that is loaded, and for every step that takes all of the solver's iterations."""
    try:
        import warp  # pyright: ignore[reportMissingImports]
        from mujoco.mjx.third_party.mujoco_warp import OverflowType
    except ImportError:
        raise UserError(
            "backend 'warp' needs the package warp-lang, which is not installed; pip install warp-lang (the extra "
            "`gpu` has it), or choose backend 'mjx' or 'native'"
        ) from None
    warp.config.log_level = warp.LOG_WARNING
    device_model = mjx.put_model(model, impl="warp")
    warned = device_model.opt._impl.warn_overflow & ~int(OverflowType.ITERATIONS)
    return cast(mjx.Model, device_model.tree_replace({"opt._impl.warn_overflow": warned}))
