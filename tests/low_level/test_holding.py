"""Lessons in holding: which poses are asked about, which are taught, to whom, and what comes of it."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from anyskill_brax.low_level import train as trainer
from anyskill_brax.low_level.balance import balancing_joints
from anyskill_brax.low_level.devices import ALONE
from anyskill_brax.low_level.holding import BETTER, EVERY, GOOD, Holding, half_taught, off, sparse, spread
from anyskill_brax.low_level.reference import Reference
from anyskill_brax.low_level.stage import Stage
from anyskill_brax.motion.library import MotionLibrary
from anyskill_brax.motion.synthesis import builtin_motions

NAMES = ("arms_v", "hands_on_hips", "knee_raise_left")


@pytest.fixture(scope="module")
def course(quick_ase, character):
    """The tiny run's settings with three built-in motions: raised arms, lowered ones, a raised knee."""
    setup, settings = quick_ase.setup, quick_ase.setup.settings
    motions = {motion.name: motion for motion in builtin_motions(character)}
    reference = Reference.create(character, MotionLibrary.create([motions[name] for name in NAMES]))
    start = dataclasses.replace(settings.start, max_body_error=0.25, max_lift_error=0.15)
    learner = dataclasses.replace(settings.learner, num_worlds=64)
    holding = dataclasses.replace(settings.holding, rounds=6, teacher_decay=0.5, arrival_share=0.5)
    settings = dataclasses.replace(settings, start=start, learner=learner, holding=holding)
    init, _ = trainer.make_train(settings, setup.env, reference)
    state = jax.jit(init)(jax.random.PRNGKey(0))
    return Holding(Stage.create(settings, setup.env, reference, ALONE), state), state


@pytest.fixture(scope="module")
def practise(course):
    return jax.jit(course[0].practise)


def test_one_frame_of_five_answers_for_its_neighbours(course):
    reference = course[0].stage.reference
    rows = np.array([3, 4, 5, 6, 7, 8, 9, 10, 11, 20, 21])
    asked = sparse(reference, rows)
    assert asked.tolist() == [3, 5, 10, 20] and EVERY == 5
    assert spread(rows, asked, np.array([True, False, False, True])).tolist() == [3, 4, 20, 21]
    assert half_taught(np.arange(10), np.array([2, 4])).tolist() == sorted([2, 4] * 4 + [0, 1, 3, 5, 6, 7, 8, 9])
    assert half_taught(np.arange(3), np.array([], int)).tolist() == [0, 1, 2]


def test_the_teacher_holds_raised_arms_and_a_raised_knee_and_a_fresh_actor_neither(course):
    holding, _ = course
    count, clip = holding.still.size, np.asarray(holding.stage.reference.clip)
    teacher, actor = np.asarray(holding.by_teacher), np.asarray(holding.by_actor)
    for name, poses, errors in (
        ("arms_v", holding.still, teacher[:count]),
        ("knee_raise_left", holding.arrivals, teacher[count:]),
    ):
        assert np.median(errors[clip[poses] == NAMES.index(name)]) < 0.05, name
    assert np.median(actor) > 0.2
    np.testing.assert_array_equal(holding.better, (teacher < GOOD) & (teacher + BETTER < actor))
    taught = np.asarray(holding.taught)
    assert set(clip[taught]) == {0, 1, 2} and "to arrive at" in holding.plan()
    limp = off(holding.stage, lambda humanoid, row, *_: jnp.ones((row.size, 28)), jnp.asarray(holding.still), False)
    assert (np.asarray(limp) > 0.3).all()


def test_it_speaks_to_who_holds_a_taught_pose_or_arrives_at_one(course, practise):
    holding, state = course
    worlds, steps = practise(state, jax.random.PRNGKey(1), jnp.asarray(0))
    action, joints = map(np.asarray, holding.shown(state, steps))
    due = joints.any(axis=-1)
    follows, poses = np.asarray(steps.follows), np.asarray(steps.poses)
    assert due[poses].any() and due[follows].any() and not due[~follows & ~poses].any()
    assert not due[follows & ~np.isin(np.asarray(steps.source), np.flatnonzero(np.asarray(holding.taught)))].any()
    legs = balancing_joints(holding.stage.env.character)
    assert joints[due & follows].all(), "who arrives is taught all of it"
    assert joints[due & poses][:, ~legs].all() and not joints[due & poses][:, legs].any(), "who stays, with its arms"
    np.testing.assert_array_equal(np.asarray(steps.advice.taken), due)
    apart = np.abs(np.asarray(steps.action) - action)
    assert apart[joints].max() < 6 * holding.settings.noise < apart[~joints].max()
    arriving = np.asarray(worlds.arrives)
    assert 0.05 < arriving.mean() < 0.5 and (np.asarray(worlds.row) <= np.asarray(worlds.source))[arriving].all()
    _, later = practise(state, jax.random.PRNGKey(1), jnp.asarray(30))
    assert not np.asarray(later.advice.taken).any() and np.asarray(later.advice.due).any()
