"""Getting up from falls: what is paid, what helps, who is helped."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from anyskill_brax.low_level import getting_up, rollout, worlds
from anyskill_brax.low_level import train as trainer
from anyskill_brax.low_level.devices import ALONE
from anyskill_brax.low_level.getting_up import Way, rising, rising_rows
from anyskill_brax.low_level.objectives import chances, reward_terms
from anyskill_brax.low_level.reference import Reference
from anyskill_brax.low_level.stage import Stage
from anyskill_brax.motion.io import motion_from_qpos
from anyskill_brax.motion.library import MotionLibrary


@pytest.fixture(scope="module")
def recovering(quick_ase):
    """The tiny run, most of whose worlds begin on the floor and are pulled up."""
    setup, settings = quick_ase.setup, quick_ase.setup.settings
    weights = settings.reward.weights.copy({"rising": 0.5})
    start = dataclasses.replace(settings.start, fall_share=0.6, lift=0.5, lift_fade=(0.0, 1.0), recovery_sigma=3.0)
    reward = dataclasses.replace(settings.reward, weights=weights, follow_share=(0.3, 0.0))
    settings = dataclasses.replace(settings, start=start, reward=reward)
    init, _ = trainer.make_train(settings, setup.env, setup.reference)
    state = jax.jit(init)(jax.random.PRNGKey(0))
    stage = Stage.create(settings, setup.env, setup.reference, ALONE)
    _, steps = jax.jit(lambda s: rollout.rollout(stage, s, jax.random.PRNGKey(1)))(state)
    return stage, state, steps


def test_who_recovers_is_paid_for_rising_alone_and_nobody_else_is(recovering):
    stage, state, steps = recovering
    terms = {name: np.asarray(term) for name, term in reward_terms(stage, state, steps).items()}
    recovers = np.asarray(steps.recovers)
    assert 0 < recovers.mean() < 1
    for name in ("style", "discovery", "tracking"):
        assert not terms[name][recovers].any()
    np.testing.assert_allclose(terms["rising"][recovers], 0.5 * np.asarray(steps.rising)[recovers], rtol=1e-6)
    assert not terms["rising"][~recovers].any()


def test_who_recovers_tries_more_boldly(recovering):
    stage, _, steps = recovering
    sigma = stage.settings.learner.sigma
    np.testing.assert_allclose(steps.sigma, np.where(steps.recovers, 3.0 * sigma, sigma), rtol=1e-6)


def test_the_pull_carries_its_share_of_the_weight_while_the_head_is_low(quick_ase, recovering):
    env, state = quick_ase.setup.env, recovering[1]
    character = env.character
    lying = jax.tree.map(lambda x: x[:4], state.fall_states)
    standing = env.place_default((4,))

    def forces(humanoid, grace):
        world = jax.tree.map(lambda x: x[:4], state.worlds).replace(
            humanoid=humanoid, grace=jnp.full(4, grace), lift=jnp.array([0.0, 0.5, 0.9, 0.9])
        )
        return np.asarray(getting_up.pull(character, world))

    pulled = forces(lying, 10)
    weight = 9.81 * float(character.model.body_mass.sum())
    np.testing.assert_allclose(pulled[:, character.body("torso"), 2], weight * np.array([0, 0.5, 0.9, 0.9]), rtol=1e-4)
    assert np.count_nonzero(pulled) == 3  # one body, one direction
    np.testing.assert_allclose(forces(standing, 10), 0.0, atol=0.1)
    assert not forces(lying, 0).any()


@pytest.fixture(scope="module")
def up_and_down(character):
    """A clip that sinks to the floor within a second and rises in the next, and one that stays down."""
    qpos = np.tile(character.default_qpos, (60, 1))
    sinking = np.concatenate([np.linspace(0.0, 0.7, 30), np.linspace(0.7, 0.0, 30)])
    up, down = qpos.copy(), qpos.copy()
    up[:, 2] -= sinking
    down[:, 2] -= 0.7
    clips = [motion_from_qpos(character, name, 30.0, q) for name, q in (("up", up), ("down", down))]
    return Reference.create(character, MotionLibrary.create(clips)), 1.35 - sinking


def test_starts_on_the_way_up_are_low_and_soon_high(character, up_and_down):
    reference, head = up_and_down
    rows = rising_rows(character, reference)
    assert rows.max() < 60
    assert head[rows].max() < 0.75 * 1.35 and np.median(head[rows]) < 0.85  # the deepest are drawn most


def test_the_way_leads_from_the_floor_to_the_feet_and_to_standing(character, up_and_down, quick_ase):
    reference, head = up_and_down
    way, env = Way.create(character, reference), quick_ase.setup.env
    progress = np.asarray(way.progress)
    assert progress[0] == 0.0 and progress[-1] == progress[-2] == 1.0
    first, last = np.flatnonzero(head < 0.75 * 1.35)[0], 29 + np.flatnonzero(head[29:] > 0.9 * 1.35)[0]
    assert 0 <= last - len(progress) + 2 - first < 15  # from about where it came down to where it is up
    rows = np.arange(last - len(progress) + 2, last + 1)
    bodies = env.place(reference.qpos[rows].at[:, :2].add(3.0), reference.qvel[rows]).bodies
    np.testing.assert_array_less(progress[:-1] - 1e-3, way.along(bodies))  # wherever it stands
    assert float(way.along(env.place_default().bodies)) == pytest.approx(1.0, abs=1e-3)


def test_without_a_motion_that_gets_up_standing_is_the_way(character, quick_ase):
    way = Way.create(character, quick_ase.setup.reference)
    np.testing.assert_array_equal(way.progress, [1.0])
    assert {*rising_rows(character, quick_ase.setup.reference)} == {0}


def test_some_recoveries_begin_on_the_way_up(quick_ase, recovering):
    stage, state = recovering[:2]
    reference, rows = quick_ase.setup.reference, jnp.array([3, 5])
    begin = dataclasses.replace(stage.settings.start, fall_share=1.0, rising_share=0.5)
    chance = worlds.Chances(follows=jnp.zeros(()), lift=jnp.asarray(0.5))
    begun = worlds.start(jax.random.PRNGKey(4), stage.env, reference, state.fall_states, rows, begin, chance, 8, 400)
    assert (np.asarray(begun.grace) == begin.recovery_steps).all()
    qpos = np.asarray(begun.humanoid.physics.qpos)
    on_the_way = (qpos[:, None] == np.asarray(reference.qpos)[[3, 5]]).all(-1).any(-1)
    assert on_the_way.mean() == pytest.approx(0.5, abs=0.1)
    assert float(begun.lift.min()) >= 0.3 - 1e-6 and float(begun.lift.max()) <= 0.5


def test_help_fades_with_the_samples(recovering):
    stage, state, _ = recovering
    now = lambda updates: chances(stage, state.replace(updates=jnp.asarray(updates)))  # noqa: E731
    half = round(0.5e6 / stage.samples_per_update)
    assert [float(now(n).lift) for n in (0, half, 2 * half + 1)] == pytest.approx([0.5, 0.25, 0.0], abs=1e-3)


def test_rising_is_one_in_standing_and_little_on_the_floor(quick_ase, recovering):
    env, (stage, state) = quick_ase.setup.env, recovering[:2]
    assert float(rising(env.character, stage.way, env.place_default().bodies)) == pytest.approx(1.0, abs=1e-3)
    assert float(rising(env.character, stage.way, state.fall_states.bodies).max()) < 0.25
