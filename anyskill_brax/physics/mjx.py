"""MuJoCo in JAX (MJX): the same physics on any JAX device, compiled with the rest of the update.

For accelerators. On a CPU it compiles for a minute and steps ten times slower than the native backend.
"""

import jax
import jax.numpy as jnp
import mujoco
from mujoco import mjx

from anyskill_brax.physics.state import Disturbance, PhysicsState
from anyskill_brax.types import UserError


def make_step_batch(model: mujoco.MjModel, substeps: int):
    """`step_batch(state, ctrl) -> state` over any leading axes, which become one batch of worlds."""
    device_model = mjx.put_model(model, impl="jax")
    blank = mjx.make_data(model, impl="jax")

    def step_one(state: PhysicsState, ctrl: jax.Array) -> PhysicsState:
        data = blank.replace(qpos=state.qpos, qvel=state.qvel, qacc_warmstart=state.warmstart, ctrl=ctrl)
        data, _ = jax.lax.scan(lambda d, _: (mjx.step(device_model, d), None), data, length=substeps)
        return PhysicsState(qpos=data.qpos, qvel=data.qvel, warmstart=data.qacc_warmstart)

    def step_batch(state: PhysicsState, ctrl: jax.Array, disturbance: Disturbance | None = None) -> PhysicsState:
        if disturbance is not None:
            raise UserError("thrown boxes and varied bodies are built for backend 'native' alone; 'mjx' has none yet")
        lead = ctrl.shape[:-1]
        flat_state, flat_ctrl = jax.tree.map(lambda x: x.reshape(-1, x.shape[-1]), (state, jnp.asarray(ctrl)))
        flat_state = jax.vmap(step_one)(flat_state, flat_ctrl)
        return jax.tree.map(lambda x: x.reshape(*lead, x.shape[-1]), flat_state)

    return step_batch
