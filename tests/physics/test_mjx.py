"""The same two seconds from every engine."""

import importlib.util

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from anyskill_brax.character.humanoid import SUBSTEPS, Character
from anyskill_brax.physics.door import make_step_batch
from anyskill_brax.physics.state import PhysicsState
from anyskill_brax.types import UserError

STEPS = 60


def arm_swings(character: Character) -> np.ndarray:
    """PD targets `[T, 3, 28]` [rad] of figures that stand: still, arms in step, every upper joint at random."""
    names = character.joint_names
    amplitude = np.zeros((3, len(names)))
    for joint, size in {
        "right_shoulder_x": -0.5,
        "left_shoulder_x": 0.5,
        "right_elbow": -0.6,
        "abdomen_z": 0.2,
    }.items():
        amplitude[1, names.index(joint)] = size
    upper = [j for j, name in enumerate(names) if any(part in name for part in ("shoulder", "elbow", "neck"))]
    amplitude[2, upper] = np.random.default_rng(0).uniform(-0.3, 0.3, len(upper))
    time = np.arange(STEPS)[:, None, None] / 30.0
    ctrl = amplitude * np.sin(2 * np.pi * 0.7 * time)
    ctrl[..., [names.index("right_ankle_y"), names.index("left_ankle_y")]] -= 0.02  # weight over the middle of the feet
    return ctrl.astype(np.float32)


def rollout(character: Character, backend: str, start: PhysicsState, ctrl: np.ndarray) -> PhysicsState:
    """The states after each control step, `[T, W, ...]`."""
    step_batch = make_step_batch(character.model, SUBSTEPS, backend)

    def step(state, target):
        state = step_batch(state, target)
        return state, state

    states = jax.jit(lambda state, ctrl: jax.lax.scan(step, state, ctrl)[1])(start, jnp.asarray(ctrl))
    return jax.tree.map(np.asarray, states)


@pytest.mark.slow
@pytest.mark.parametrize("backend", ("mjx", "warp"))
def test_two_seconds_agree_with_native(character, backend):
    """Tolerances are about twice what was measured.

    Both start from the figure at rest on its feet. From its first touch-down, or from a fall, two seconds agree to
    centimetres only: both stop after four solver iterations, at an impact not at the same point.
    """
    if backend == "warp":
        pytest.importorskip("warp", reason="warp-lang is not installed (extra `gpu`)")
    ctrl = arm_swings(character)
    qpos = jnp.tile(character.default_qpos, (ctrl.shape[1], 1))
    standing = PhysicsState.create(qpos, jnp.zeros((ctrl.shape[1], character.model.nv)))
    settled = rollout(character, "native", standing, np.repeat(ctrl[:1], 60, axis=0))
    start = jax.tree.map(lambda x: jnp.asarray(x[-1]), settled)

    native, mjx = (rollout(character, which, start, ctrl) for which in ("native", backend))

    assert native.qpos[:, :, 2].min() > 0.85  # they stand throughout
    moved = np.ptp(native.qpos[:, :, 7:], axis=0).max(-1)
    assert moved[1] > 0.5 and moved[2] > 0.3  # and move [rad]
    gap = np.abs(native.qpos - mjx.qpos)
    assert gap[..., :3].max() < 1.2e-4  # root position [m], measured 5.7e-5
    assert gap[..., 3:7].max() < 7e-5  # root rotation, measured 3.3e-5
    assert gap[..., 7:].max() < 1.2e-4  # hinges [rad], measured 5.5e-5
    assert np.abs(native.qvel - mjx.qvel).max() < 1.4e-3  # measured 6.7e-4


def test_a_backend_that_cannot_be_is_refused(character):
    with pytest.raises(UserError, match="no physics backend 'bullet'; choose one of native, mjx, warp"):
        make_step_batch(character.model, SUBSTEPS, "bullet")


@pytest.mark.skipif(importlib.util.find_spec("warp") is not None, reason="warp-lang is installed")
def test_warp_says_what_it_lacks(character):
    with pytest.raises(UserError, match=r"needs the package warp-lang.*pip install warp-lang"):
        make_step_batch(character.model, SUBSTEPS, "warp")
