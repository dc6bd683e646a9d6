"""The native backend: the same numbers as plain MuJoCo, whatever the batch around a world."""

import functools

import jax
import jax.numpy as jnp
import mujoco
import numpy as np
import pytest

from anyskill_brax.character.humanoid import SUBSTEPS
from anyskill_brax.physics import native
from anyskill_brax.physics.door import make_step_batch
from anyskill_brax.physics.state import PhysicsState
from anyskill_brax.types import UserError

WORLDS = 8


@pytest.fixture(scope="module")
def step_batch(character):
    return jax.jit(make_step_batch(character.model, SUBSTEPS))


@functools.cache
def scattered() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """`qpos`, `qvel`, `ctrl` of WORLDS figures near the ground in all kinds of poses."""
    rng = np.random.default_rng(1)
    root_rot = rng.normal(size=(WORLDS, 4))
    qpos = np.concatenate(
        [
            rng.uniform(0.3, 0.8, (WORLDS, 3)),
            root_rot / np.linalg.norm(root_rot, axis=-1, keepdims=True),
            rng.uniform(-0.5, 0.5, (WORLDS, 28)),
        ],
        axis=-1,
    )
    qvel, ctrl = rng.normal(size=(WORLDS, 34)), rng.uniform(-1.0, 1.0, (WORLDS, 28))
    return qpos.astype(np.float32), qvel.astype(np.float32), ctrl.astype(np.float32)


def play(step_batch, qpos, qvel, ctrl, steps: int) -> PhysicsState:
    state = PhysicsState.create(jnp.asarray(qpos), jnp.asarray(qvel))
    for _ in range(steps):
        state = step_batch(state, jnp.asarray(ctrl))
    return state


def rows(state: PhysicsState, index) -> list[np.ndarray]:
    return [np.asarray(leaf)[index] for leaf in jax.tree.leaves(state)]


def test_one_control_step_is_four_mj_steps(character, step_batch):
    qpos, qvel, ctrl = scattered()
    state = play(step_batch, qpos, qvel, ctrl, 1)
    data = mujoco.MjData(character.model)
    for world in range(WORLDS):
        mujoco.mj_resetData(character.model, data)
        data.qpos, data.qvel, data.ctrl = qpos[world], qvel[world], ctrl[world]
        for _ in range(SUBSTEPS):
            mujoco.mj_step(character.model, data)
        np.testing.assert_array_equal(state.qpos[world], data.qpos.astype(np.float32))
        np.testing.assert_array_equal(state.qvel[world], data.qvel.astype(np.float32))


def test_one_changed_world_changes_no_other(step_batch):
    qpos, qvel, ctrl = scattered()
    other = ctrl.copy()
    other[5] = -ctrl[5]
    a, b = play(step_batch, qpos, qvel, ctrl, 5), play(step_batch, qpos, qvel, other, 5)
    rest = np.arange(WORLDS) != 5
    for left, right in zip(rows(a, rest), rows(b, rest)):
        np.testing.assert_array_equal(left, right)
    assert not np.array_equal(a.qpos[5], b.qpos[5])


@pytest.mark.parametrize("fault", ["qpos", "qvel", "ctrl"])
def test_a_diverged_world_stays_diverged_and_alone(step_batch, fault):
    """MuJoCo alone would put it back into the default pose, which looks like a healthy world."""
    clean = scattered()
    broken = {name: array.copy() for name, array in zip(("qpos", "qvel", "ctrl"), clean)}
    broken[fault][2, 8] = np.nan
    a, b = play(step_batch, *clean, 2), play(step_batch, **broken, steps=2)
    assert np.isnan(np.asarray(b.qvel[2])).any()
    rest = np.arange(WORLDS) != 2
    for left, right in zip(rows(a, rest), rows(b, rest)):
        np.testing.assert_array_equal(left, right)


def test_leading_axes_and_vmap_are_one_batch(character, step_batch):
    qpos, qvel, ctrl = scattered()
    flat = play(step_batch, qpos, qvel, ctrl, 1)
    shaped = play(step_batch, qpos.reshape(2, 4, -1), qvel.reshape(2, 4, -1), ctrl.reshape(2, 4, -1), 1)
    mapped = jax.jit(jax.vmap(make_step_batch(character.model, SUBSTEPS)))(
        PhysicsState.create(jnp.asarray(qpos), jnp.asarray(qvel)), jnp.asarray(ctrl)
    )
    np.testing.assert_array_equal(shaped.qpos.reshape(WORLDS, -1), flat.qpos)
    np.testing.assert_array_equal(mapped.qpos, flat.qpos)


def test_the_number_of_threads_changes_nothing(character, step_batch):
    qpos, qvel, ctrl = scattered()
    single = jax.jit(native.make_step_batch(character.model, SUBSTEPS, num_threads=1))
    for left, right in zip(
        rows(play(step_batch, qpos, qvel, ctrl, 3), ...), rows(play(single, qpos, qvel, ctrl, 3), ...)
    ):
        np.testing.assert_array_equal(left, right)


def test_the_models_owner_keeps_its_flags(character, step_batch):
    play(step_batch, *scattered(), 1)
    assert not character.model.opt.disableflags & mujoco.mjtDisableBit.mjDSBL_AUTORESET


def test_an_unknown_backend_is_named_with_the_known_ones(character):
    with pytest.raises(UserError, match=r"'bullet'.*native, mjx"):
        make_step_batch(character.model, SUBSTEPS, "bullet")
