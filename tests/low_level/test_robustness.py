"""Pushes, boxes, other bodies and floors, and worlds that break: each against mechanics, then all in one update."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from anyskill_brax import rotations
from anyskill_brax.envs.humanoid_env import HumanoidEnv
from anyskill_brax.low_level import disturbances
from anyskill_brax.low_level.settings import DisturbanceSettings
from anyskill_brax.physics.door import make_step_batch
from anyskill_brax.physics.state import Disturbance
from anyskill_brax.types import UserError

OFF = DisturbanceSettings(
    push_rate=0.0, push_speed=1.5, box_rate=0.0, box_mass=1.6, box_speed=(30.0, 40.0),
    friction=(1.0, 1.0), mass=(1.0, 1.0), gains=(1.0, 1.0), redraw=1,
)  # fmt: skip


def centre_velocity(character, bodies) -> np.ndarray:
    """Of the centre of mass [..., 3] [m/s]."""
    mass = jnp.asarray(character.model.body_mass[1:], jnp.float32)
    arm = rotations.rotate(bodies.rot, jnp.asarray(character.model.body_ipos[1:], jnp.float32))
    velocity = bodies.linvel + rotations.cross(bodies.angvel, arm)
    return np.asarray(jnp.einsum("...bi,b->...i", velocity, mass / mass.sum()))


@pytest.fixture(scope="module")
def env(character) -> HumanoidEnv:
    return HumanoidEnv(character, num_frames=2)


@pytest.fixture(scope="module")
def advance(env):
    return jax.jit(env.advance)


@pytest.fixture(scope="module")
def afloat(env):
    """Four characters three metres up, about to fall."""
    lifted = env.place_default((4,)).physics
    return env.place(lifted.qpos.at[:, 2].add(3.0), lifted.qvel)


@pytest.fixture(scope="module")
def hold(character):
    return jnp.asarray(np.tile(character.action_for(character.default_qpos[7:]), (4, 1)), jnp.float32)


def disturbed(env, wrench=None, variation=None) -> Disturbance:
    return Disturbance(
        wrench=jnp.zeros((4, env.character.num_bodies, 6)) if wrench is None else jnp.asarray(wrench),
        variation=jnp.ones((4, 3)) if variation is None else jnp.asarray(variation, jnp.float32),
    )


def test_an_idle_disturbance_changes_nothing(env, advance, afloat, hold):
    plain, idle = advance(afloat, hold), advance(afloat, hold, disturbed(env))
    np.testing.assert_allclose(idle.physics.qpos, plain.physics.qpos, atol=1e-6)


def test_force_is_mass_times_acceleration_whatever_the_body_it_acts_on(env, advance, afloat, hold):
    """60 N on one body of the 48.9 kg for 1/30 s: 0.0409 m/s; half of it on one of twice the mass."""
    wrench = np.zeros((4, 15, 6), np.float32)
    for world, name in enumerate(("pelvis", "head", "left_foot", "pelvis")):
        wrench[world, env.character.body(name), 0] = 60.0
    variation = np.ones((4, 3))
    variation[3, 1] = 2.0
    after = advance(afloat, hold, disturbed(env, wrench, variation))
    moved = centre_velocity(env.character, after.bodies)[:, 0]
    each = 60.0 / env.character.model.body_mass.sum() / 30.0
    np.testing.assert_allclose(moved, [each, each, each, each / 2], rtol=0.02)


def test_a_box_hands_over_its_momentum(character):
    settings = OFF.__class__(**{**vars(OFF), "box_rate": 30.0})  # every control step
    wrench = np.asarray(disturbances.thrown_boxes(jax.random.PRNGKey(0), settings, character, (200,)))
    momentum = np.linalg.norm(wrench[..., :3], axis=-1) / 30.0
    assert (np.count_nonzero(momentum, axis=-1) == 1).all(), "one body is hit"
    assert len(set(momentum.argmax(-1))) == 15, "any body"
    assert momentum.max() <= 1.6 * 40.0 + 1e-3 and momentum.sum(-1).min() >= 1.6 * 30.0 - 1e-3
    force, torque = wrench[..., :3].sum(1), wrench[..., 3:].sum(1)
    np.testing.assert_allclose(np.sum(force * torque, -1), 0.0, atol=1.0, err_msg="a force at a point")
    assert (np.linalg.norm(torque, axis=-1) <= np.sqrt(3) * 0.1 * np.linalg.norm(force, axis=-1)).all()
    seldom = OFF.__class__(**{**vars(OFF), "box_rate": 0.3})
    hits = disturbances.thrown_boxes(jax.random.PRNGKey(1), seldom, character, (4000,))
    assert np.abs(np.asarray(hits)).sum((1, 2)).astype(bool).mean() == pytest.approx(0.01, abs=0.006)


def test_pushes_are_horizontal_and_as_frequent_and_strong_as_configured(env):
    worlds = env.place_default((6000,))
    assert disturbances.pushed(jax.random.PRNGKey(0), OFF, worlds) is worlds
    settings = OFF.__class__(**{**vars(OFF), "push_rate": 3.0})
    after = disturbances.pushed(jax.random.PRNGKey(0), settings, worlds)
    change = np.asarray(after.physics.qvel - worlds.physics.qvel)
    assert not change[:, 2:].any()
    speed = np.linalg.norm(change[:, :2], axis=-1)
    assert (speed > 0).mean() == pytest.approx(0.1, abs=0.02) and 1.4 < speed.max() <= 1.5
    np.testing.assert_allclose(change[:, :2].mean(0), 0.0, atol=0.02)


def test_drives_follow_by_their_gains_and_a_slippery_floor_lets_slide(env, advance, hold):
    character = env.character
    standing = env.place_default((4,))
    physics = standing.physics.replace(qvel=standing.physics.qvel.at[:, 0].set(1.0))
    variation = np.ones((4, 3))
    variation[0, 0], variation[1, 0] = 0.05, 2.0  # friction
    variation[2, 2], variation[3, 2] = 0.0, 1.0  # gains
    state = env.place(physics.qpos, physics.qvel)
    for _ in range(4):
        state = advance(state, hold, disturbed(env, variation=variation))
    foot = np.asarray(state.bodies.pos[:, character.feet, 0]).mean(-1)
    assert foot[0] > foot[1] + 0.03, "feet slide forward where nothing holds them"
    target = character.default_qpos[7:].copy()
    elbow = character.joint_names.index("right_elbow")
    target[elbow] -= 0.5
    bent = advance(
        standing, jnp.tile(jnp.asarray(character.action_for(target)), (4, 1)), disturbed(env, None, variation)
    )
    moved = -np.asarray(bent.physics.qpos)[:, 7 + elbow]
    assert moved[3] > 0.05 > 0.02 > abs(moved[2]), "a drive without gain does not follow"


def test_factors_stay_in_their_ranges(character):
    settings = OFF.__class__(**{**vars(OFF), "mass": (0.8, 1.2), "friction": (0.5, 0.6)})
    drawn = np.asarray(disturbances.variations(jax.random.PRNGKey(0), settings, 500))
    np.testing.assert_allclose(drawn.min(0), [0.5, 0.8, 1.0], atol=0.01)
    np.testing.assert_allclose(drawn.max(0), [0.6, 1.2, 1.0], atol=0.01)
    assert not disturbances.varies(OFF) and disturbances.varies(settings)
    with pytest.raises(UserError, match="backend 'native' alone"):
        step = make_step_batch(character.model, 4, "mjx")
        step(None, None, Disturbance(wrench=jnp.zeros((1, 15, 6)), variation=jnp.ones((1, 3))))


@pytest.mark.slow
def test_training_survives_worlds_that_break_and_counts_them(quick_conditional, monkeypatch):
    """One world's state is not a number, another's physics diverges at every step; every option is on."""
    import mujoco.batch

    quick, state = quick_conditional, quick_conditional.state
    physics = state.worlds.humanoid.physics
    poisoned = jax.tree.map(lambda x: x.at[3].set(jnp.nan), state.worlds.humanoid.replace(physics=physics))
    state = state.replace(worlds=state.worlds.replace(humanoid=poisoned), updates=jnp.asarray(1))
    step = mujoco.batch.Batch.step

    def diverge(batch, **kwargs):
        step(batch, **kwargs)
        batch.qvel[min(5, batch.nsim - 1)] = np.nan

    monkeypatch.setattr(mujoco.batch.Batch, "step", diverge)
    after, metrics = quick.jitted_update(state)
    assert float(metrics["broken_worlds"]) == 1 + quick.settings.learner.horizon
    assert all(np.isfinite(float(value)) for value in metrics.values()), metrics
    monkeypatch.undo()
    after, metrics = quick.jitted_update(after)
    assert float(metrics["broken_worlds"]) == 0.0
    for leaf in jax.tree.leaves((after.params, after.opt, after.worlds, after.replay, after.fall_states)):
        assert np.isfinite(np.asarray(leaf)).all()
    assert (after.fall_states.physics.qpos != state.fall_states.physics.qpos).any(), "other characters were dropped"
