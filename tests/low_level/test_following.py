"""Lessons in following: whom the teacher is compared with, what is shown and to whom, what comes of it."""

import copy
import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from anyskill_brax.low_level import lessons
from anyskill_brax.low_level import train as trainer
from anyskill_brax.low_level.devices import ALONE
from anyskill_brax.low_level.following import BETTER, GOOD, STARTS, Following, kept
from anyskill_brax.low_level.stage import Stage


@pytest.fixture(scope="module")
def course(quick_ase):
    """The tiny run's course, and its state; transitions and a rule for lost motions on."""
    setup, settings = quick_ase.setup, quick_ase.setup.settings
    start = dataclasses.replace(settings.start, transition_share=0.3, max_body_error=0.25, max_lift_error=0.15)
    following = dataclasses.replace(settings.following, rounds=6, teacher_decay=0.5, steps=20)
    settings = dataclasses.replace(settings, start=start, following=following)
    init, _ = trainer.make_train(settings, setup.env, setup.reference)
    state = jax.jit(init)(jax.random.PRNGKey(0))
    return Following(Stage.create(settings, setup.env, setup.reference, ALONE), state), state


@pytest.fixture(scope="module")
def practise(course):
    return jax.jit(course[0].practise)


def test_motions_are_kept_by_who_is_put_back_on_them_and_by_nobody_who_lies_down(course, quick_ase):
    stage, reference = course[0].stage, quick_ase.setup.reference
    half = len(reference.start)
    back = jnp.asarray(stage.env.character.action_for(reference.qpos[:, 7:]))
    assert half == 2 and STARTS > 1
    limp = kept(jax.random.PRNGKey(0), stage, lambda humanoid, row, *_: jnp.ones((row.size, back.shape[-1])))
    pose = kept(jax.random.PRNGKey(0), stage, lambda humanoid, row, *_: back[row])
    assert (np.asarray(limp) < 0.5).all() and (np.asarray(pose) > np.asarray(limp) + 0.3).all()
    assert course[0].by_teacher.shape == limp.shape and (np.asarray(course[0].by_teacher) > 0.9).all()


def test_the_teacher_is_learnt_from_where_it_keeps_a_motion_longer(course):
    following, _ = course
    better = (np.asarray(following.by_teacher) > GOOD) & (following.by_teacher - following.by_actor > BETTER)
    np.testing.assert_array_equal(following.taught, better)
    assert better.all(), "a fresh actor keeps neither motion"
    assert "2 of 2 motions" in following.plan()
    falls = copy.copy(following)
    falls.by_teacher = jnp.array([GOOD - 0.1, 1.0])
    assert np.asarray(falls.taught).tolist() == [False, True], "from a teacher that falls nothing is learnt"
    falls.by_actor = jnp.array([0.0, 1.0])
    assert not np.asarray(falls.taught).any() and "no motion" in falls.plan()


def test_it_drives_at_first_and_says_what_it_would_do_to_who_follows(course, practise):
    following, state = course
    _, steps = practise(state, jax.random.PRNGKey(1), jnp.asarray(0))
    action, joints = map(np.asarray, following.shown(state, steps))
    due = joints.any(axis=-1)
    assert joints.all(axis=-1).sum() == due.sum(), "the whole body is taught"
    assert 0 < due.mean() < 1 and not due[~np.asarray(steps.follows)].any()
    np.testing.assert_array_equal(np.asarray(steps.advice.taken), due)
    off = np.abs(np.asarray(steps.action) - action).max(axis=-1)
    assert off[due].max() < 6 * following.settings.noise < off[~due].max()
    lesson = lessons.show(following, state, steps)
    usual = following.stage.modules.actor.apply(state.params.actor, state.obs_normalizer(steps.obs), steps.latent)
    np.testing.assert_array_equal(np.asarray(lesson.action)[due], action[due])
    np.testing.assert_allclose(np.asarray(lesson.action)[~due], np.asarray(usual)[~due], rtol=1e-5, atol=1e-6)
    _, later = practise(state, jax.random.PRNGKey(1), jnp.asarray(30))
    assert not np.asarray(later.advice.taken).any() and np.asarray(later.advice.due).any()


@pytest.mark.slow
def test_lessons_bring_the_actor_nearer_to_its_teacher(course, practise):
    following, state = course
    said = []
    log = lambda name, done, metrics: said.append((done, {k: float(v) for k, v in metrics.items()}))  # noqa: E731
    taught = lessons.learn(jax.random.PRNGKey(0), following, state, log)
    assert [done for done, _ in said] == [6]
    assert set(said[0][1]) == {"clone_rmse_rad", "seconds_taught", "seconds_others", "share_taught"}
    _, steps = practise(state, jax.random.PRNGKey(2), jnp.asarray(0))
    lesson = lessons.show(following, state, steps)

    def error(actor):
        said = following.stage.modules.actor.apply(actor, lesson.norm_obs, lesson.latent)
        return float(jnp.square(said - lesson.action)[np.asarray(steps.advice.due)].mean())

    assert error(taught) < 0.8 * error(state.params.actor)
