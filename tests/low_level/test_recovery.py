"""Getting up from falls: the way that leads there, what is paid for on it, the lessons in it."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from anyskill_brax.envs import observations
from anyskill_brax.low_level import getting_up, lessons, rollout, routines, worlds
from anyskill_brax.low_level import train as trainer
from anyskill_brax.low_level.devices import ALONE
from anyskill_brax.low_level.falls import drop_fall_states
from anyskill_brax.low_level.getting_up import Way, rising
from anyskill_brax.low_level.objectives import reward_terms
from anyskill_brax.low_level.pauses import Pauses
from anyskill_brax.low_level.settings import LowLevelSettings
from anyskill_brax.low_level.stage import Stage
from anyskill_brax.low_level.team import Team
from anyskill_brax.types import UserError
from anyskill_brax.workdir import Workdir


@pytest.fixture(scope="module")
def recovering(quick_ase):
    """The tiny run, most of whose worlds begin on the floor."""
    setup, settings = quick_ase.setup, quick_ase.setup.settings
    weights = settings.reward.weights.copy({"rising": 0.5})
    start = dataclasses.replace(settings.start, fall_share=0.6, recovery_sigma=3.0)
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


def test_who_is_asked_for_something_low_is_not_paid_for_rising(recovering):
    stage, state, _ = recovering
    free = jnp.arange(stage.num_worlds) % 2 == 0
    fallen = state.worlds.replace(grace=jnp.full(stage.num_worlds, 9), free=free)
    for height, paid in ((0.5, free), (1.4, jnp.ones_like(free))):
        reference = stage.reference.replace(head=jnp.full_like(stage.reference.head, height))
        np.testing.assert_array_equal(dataclasses.replace(stage, reference=reference).rises(fallen), paid)
    assert not stage.rises(fallen.replace(grace=jnp.zeros_like(fallen.grace))).any()
    assert not dataclasses.replace(stage, way=None).rises(fallen).any()


def test_who_recovers_tries_more_boldly(recovering):
    stage, _, steps = recovering
    sigma = stage.settings.learner.sigma
    np.testing.assert_allclose(steps.sigma, np.where(steps.recovers, 3.0 * sigma, sigma), rtol=1e-6)


@pytest.mark.parametrize("routine", [routines.BACK, routines.FRONT])
def test_routines_are_alike_on_both_sides_within_reach_and_end_standing(character, routine):
    targets = np.asarray(routines.routines(character)[routine])
    assert (targets >= character.joint_low - 1e-6).all() and (targets <= character.joint_high + 1e-6).all()
    np.testing.assert_allclose(targets[-1], 0.0, atol=1e-6)
    column = {name: targets[:, i] for i, name in enumerate(character.joint_names)}
    for hinge in ("shoulder_x", "hip_z"):
        np.testing.assert_allclose(column[f"left_{hinge}"], -column[f"right_{hinge}"], atol=1e-6)
    np.testing.assert_array_equal(column["left_knee"], column["right_knee"])


def test_a_routine_begins_from_lying_straight_and_still(character, quick_ase):
    env = quick_ase.setup.env
    back, front = ([np.cos(a), 0.0, np.sin(a), 0.0] for a in (-np.pi / 4, np.pi / 4))  # about y, to the left
    lying = np.tile(character.default_qpos, (4, 1))
    lying[:, 3:7] = [back, front, back, front]
    lying[2, 7 + character.joint_names.index("left_knee")] = 1.0
    qvel = np.zeros((4, 34))
    qvel[3, 3] = 2.0
    begins, which = jax.jit(lambda q, v: routines.may_begin(character, env.place(env.grounded(q), v)))(lying, qvel)
    np.testing.assert_array_equal(begins, [True, True, False, False])
    np.testing.assert_array_equal(which[:2], [routines.BACK, routines.FRONT])
    assert not routines.may_begin(character, env.place_default())[0]


def test_the_way_leads_from_the_floor_to_standing(character, quick_ase, recovering):
    env, way = quick_ase.setup.env, recovering[0].way
    place = jax.jit(lambda qpos, qvel: observations.observe(env.place(qpos, qvel).bodies))
    obs = place(way.qpos.at[:, :2].add(3.0), way.qvel)  # wherever it lies
    high, progress = np.asarray(getting_up.head_part(character, obs)), np.asarray(way.progress)
    assert progress.min() > 0.0 and progress.max() < 1.0 and high.max() <= getting_up.STANDING
    assert high[progress < 0.5].max() < 0.6 and np.median(high[progress > 0.97]) > 0.7
    few = slice(None, None, getting_up.SPARSE)
    mine = getting_up.feature(character, obs)
    np.testing.assert_array_less(progress[few] - 1e-3, way.along(mine[few]))
    np.testing.assert_allclose(way.action(mine[:64]), way.actions[:64], atol=1e-6)


@pytest.mark.slow
def test_doing_as_the_nearest_moment_shows_gets_up_from_falls(character, quick_ase, recovering):
    """From about half of other falls, with the moments of no more than sixteen."""
    env, way = quick_ase.setup.env, recovering[0].way

    def step(state, _):
        obs = observations.observe(state.bodies)
        return env.advance(state, way.action(getting_up.feature(character, obs))), getting_up.head_part(character, obs)

    @jax.jit
    def play(key):
        return jax.lax.scan(step, drop_fall_states(key, env, 64), length=150)[1]

    head = np.asarray(play(jax.random.PRNGKey(2)))
    assert head[0].max() < 0.6
    assert (head > getting_up.STANDING).any(axis=0).mean() > 0.25


def test_without_a_fall_that_was_got_up_from_there_is_no_way(recovering, monkeypatch):
    monkeypatch.setattr(getting_up, "STANDING", 2.0)
    stage = recovering[0]
    with pytest.raises(UserError, match="none of 16 falls"):
        Way.record(jax.random.PRNGKey(0), stage.env, stage.settings.rising.falls, 16)


def test_some_recoveries_begin_on_the_way_up(quick_ase, recovering):
    stage, state = recovering[:2]
    begin = dataclasses.replace(stage.settings.start, fall_share=1.0, rising_share=0.5)

    @jax.jit
    def start(key):
        reference, nobody = quick_ase.setup.reference, jnp.zeros(())
        return worlds.start(key, stage.env, reference, state.fall_states, stage.way, begin, nobody, 8, 400)

    begun = start(jax.random.PRNGKey(4))
    assert (np.asarray(begun.grace) == begin.recovery_steps).all()
    qpos = np.asarray(begun.humanoid.physics.qpos)
    on_the_way = (qpos[:, None] == np.asarray(stage.way.qpos)).all(-1).any(-1)
    assert on_the_way.mean() == pytest.approx(0.5, abs=0.1)


def test_rising_is_one_in_standing_and_little_on_the_floor(quick_ase, recovering):
    env, (stage, state) = quick_ase.setup.env, recovering[:2]
    assert float(rising(env.character, stage.way, env.place_default().bodies)) == pytest.approx(1.0, abs=1e-3)
    assert float(rising(env.character, stage.way, state.fall_states.bodies).max()) < 0.35


def test_lessons_show_the_way_to_who_is_down_and_to_all_others_what_they_do(character, recovering):
    stage, state, steps = recovering
    shown = lessons.show(lessons.Rising(stage), state, steps)
    usual = stage.modules.actor.apply(state.params.actor, state.obs_normalizer(steps.obs), steps.latent)
    down = np.asarray(steps.recovers & (getting_up.head_part(character, steps.obs) < getting_up.STANDING))
    assert 0 < down.mean() < 1
    np.testing.assert_allclose(np.asarray(shown.action)[~down], np.asarray(usual)[~down], rtol=1e-5, atol=1e-6)
    lying = getting_up.feature(character, steps.obs[0])
    np.testing.assert_allclose(np.asarray(shown.action)[0][down[0]], np.asarray(stage.way.action(lying))[down[0]])


@pytest.fixture(scope="module")
def learn(recovering):
    """`learn(resume, pause)`: always the same four rounds."""
    stage, state = recovering[:2]
    settings = dataclasses.replace(stage.settings, rising=dataclasses.replace(stage.settings.rising, rounds=4))
    course = lessons.Rising(dataclasses.replace(stage, settings=settings))
    return lambda *pausing: lessons.learn(jax.random.PRNGKey(0), course, state, lambda *line: None, *pausing)


@pytest.mark.slow
def test_lessons_killed_after_a_save_end_in_the_same_bits(learn, recovering, tmp_path):
    folder = Workdir(tmp_path / "run", {})
    open_pauses = lambda: Pauses(folder, "lessons", 0.0, lambda: False, lambda line: None, Team.of_one())  # noqa: E731
    pauses = open_pauses()
    straight = learn(pauses.resume, lambda progress: int(progress.done) == 2 and pauses.pause(progress))
    pauses.close()
    pauses = open_pauses()
    begun = []
    resumed = learn(pauses.resume, lambda progress: begun.append(int(progress.done)))
    pauses.close()
    folder.close()
    assert begun == [2, 3, 4]
    jax.tree.map(np.testing.assert_array_equal, resumed, straight)
    before = recovering[1].params.actor
    assert any(np.abs(a - b).max() > 1e-4 for a, b in zip(*map(jax.tree.leaves, (before, resumed)), strict=True))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rising.rounds": 2}, "teach nobody"),
        ({"start.rising_share": 0.5}, "rising_share"),
        ({"start.transition_share": 1.5}, "transition_share"),
        ({"start.arrival_share": -0.5}, "arrival_share"),
        ({"holding.pose_share": 1.5}, "holding.pose_share"),
        ({"rising.falls": 0}, "at least 1"),
        ({"rising.moments": 0}, "at least 1"),
    ],
)
def test_lessons_for_nobody_and_ways_that_lead_nowhere_are_refused(quick_config, changes, message):
    with pytest.raises(UserError, match=message):
        LowLevelSettings.from_config(quick_config("quicktest", changes))


@pytest.mark.parametrize("paid", [True, False])
def test_a_recovery_that_is_paid_for_is_soon_over_once_the_world_stands(quick_ase, recovering, paid):
    env, (stage, state) = quick_ase.setup.env, recovering[:2]
    begun = jax.tree.map(lambda x: x[:2], state.worlds).replace(
        grace=jnp.array([200, 200]), follows=jnp.zeros(2, bool), hold=jnp.ones(2, jnp.int32)
    )
    lying = jax.tree.map(lambda x: x[:1], state.fall_states)
    after = jax.tree.map(lambda x, y: jnp.concatenate([x, y]), lying, env.place_default((1,)))

    @jax.jit
    def finish(begun, after):
        broken = jnp.zeros(2, bool)
        return worlds.finish_step(
            jax.random.PRNGKey(0), env, stage.reference, begun, after, broken, stage.settings.start, paid
        )

    moved, outcome = finish(begun, after)
    np.testing.assert_array_equal(moved.grace, [199, worlds.SOON - 1 if paid else 199])
    assert not np.asarray(outcome.terminated).any()
