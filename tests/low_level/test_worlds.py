"""What is worked out only for the worlds that need it; who has lost a motion, and what following it is paid."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from anyskill_brax.character.kinematics import forward_kinematics
from anyskill_brax.low_level import worlds
from anyskill_brax.low_level.reference import TRACKING_WEIGHTS, body_errors, tracking_error, tracking_terms


@pytest.mark.parametrize("number", [1, 7, 64, 100])
@pytest.mark.parametrize("share", [0.0, 0.1, 0.6, 1.0])
def test_for_those_is_select_on_few_rows(number, share):
    mask = jax.random.uniform(jax.random.PRNGKey(number), (number,)) < share
    old = {"one": jnp.arange(number), "rows": jnp.ones((number, 3))}

    def make(rows, done):
        assert rows.size <= max(1, number // worlds.FEW)
        return {"one": -rows, "rows": jnp.stack([2.0 * rows] * 3, axis=-1)}

    new = jax.jit(lambda: worlds.for_those(mask, old, make))()
    rows = jnp.arange(number)
    wanted = {"one": -rows, "rows": jnp.stack([2.0 * rows] * 3, axis=-1)}
    jax.tree.map(np.testing.assert_array_equal, new, worlds.select(mask, wanted, old))


def test_each_turn_of_for_those_knows_how_many_were_there_before():
    number = 4 * worlds.FEW
    done = jax.jit(
        lambda: worlds.for_those(jnp.ones(number, bool), jnp.zeros(number), lambda rows, done: done + 0.0 * rows)
    )()
    room = number // worlds.FEW
    np.testing.assert_array_equal(done, np.repeat(np.arange(0, number, room), room))


def bent(character, **hinges: float) -> jax.Array:
    """Standing, but for some hinges [rad]: `qpos [35]`."""
    qpos = np.array(character.default_qpos)
    for name, angle in hinges.items():
        qpos[7 + character.joint_names.index(name)] = angle
    return jnp.asarray(qpos)


LIFTED = {"right_hip_y": -0.8, "right_knee": 1.6}
"""A foot is off by 0.4 m, the mean body by 0.05."""


@pytest.mark.parametrize(
    ("rule", "patience", "lost"),
    [
        ({}, 0, False),
        ({"max_body_error": 0.3}, 0, True),
        ({"max_body_error": 0.6}, 0, False),
        ({"max_body_error": 0.3}, 2, False),
        ({"max_lift_error": 0.15}, 0, True),
        ({"max_lift_error": 0.4}, 0, False),
    ],
)
def test_one_foot_far_off_loses_a_motion_where_that_is_asked_for(quick_ase, character, rule, patience, lost):
    env, stage = quick_ase.setup.env, quick_ase.stage
    settings = dataclasses.replace(quick_ase.settings.start, **rule)
    begun = jax.tree.map(lambda x: x[:2], quick_ase.state.worlds).replace(
        follows=jnp.array([True, False]),
        row=jnp.zeros(2, jnp.int32),
        grace=jnp.zeros(2, jnp.int32),
        patience=jnp.full(2, patience),
    )
    qpos = jnp.stack([bent(character, **LIFTED)] * 2)

    @jax.jit
    def finish(begun):
        after, broken = env.place(qpos, jnp.zeros((2, 34))), jnp.zeros(2, bool)
        return worlds.finish_step(
            jax.random.PRNGKey(0), env, stage.reference, begun, after, broken, settings, stage.pays_rising
        )

    moved, outcome = finish(begun)
    assert np.asarray(outcome.terminated).tolist() == [lost, False], "who follows nothing loses nothing"
    assert 0.03 < float(moved.error[0]) < 0.1
    meant = stage.reference.bodies(character, moved.row, moved.moves)
    np.testing.assert_array_equal(moved.row, [1, 0])
    np.testing.assert_allclose(outcome.target.pos, meant.pos, atol=1e-6)


def test_feet_and_travel_are_what_standing_still_in_a_walk_loses_most(character):
    still = forward_kinematics(character, bent(character), jnp.zeros(34))
    walking = forward_kinematics(character, bent(character, **LIFTED), jnp.zeros(34).at[0].set(1.2))
    same = tracking_terms(character, walking, walking)
    assert all(float(term) == pytest.approx(1.0, abs=1e-4) for term in same.values())
    stood = {name: float(term) for name, term in tracking_terms(character, still, walking).items()}
    assert stood["ends"] < 0.1 and stood["travel"] < 0.05 and stood["position"] > 0.3
    assert sum(TRACKING_WEIGHTS.values()) == pytest.approx(1.0) and set(TRACKING_WEIGHTS) == set(stood)
    errors = body_errors(still, walking)
    assert float(errors.max()) > 0.3 and float(errors.mean()) == pytest.approx(float(tracking_error(still, walking)))


def test_a_foot_far_off_is_paid_for_coming_nearer(character):
    poses = [bent(character, right_hip_y=hip, right_knee=1.6) for hip in (-1.8, -0.5, -0.2)]
    target, nearer, far = (forward_kinematics(character, qpos, jnp.zeros(34)) for qpos in poses)
    gained = {
        name: float(term - tracking_terms(character, far, target)[name])
        for name, term in tracking_terms(character, nearer, target).items()
    }
    assert gained["feet"] > 0.005 > 10.0 * gained["ends"], "of squares as large as these nothing is left"


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_whoever_follows_may_begin_elsewhere_and_go_on_with_another_motion(quick_ase, share):
    """Transitions: from standing into a motion, and from one motion's end into the next, both with time to catch up."""
    env, stage, number = quick_ase.setup.env, quick_ase.stage, 64
    settings = dataclasses.replace(quick_ase.settings.start, transition_share=share, transition_steps=9)
    reference, state = stage.reference, quick_ase.state

    @jax.jit
    def begin_and_end(key):
        begun = worlds.start(
            key,
            env,
            reference,
            state.fall_states,
            stage.way,
            settings,
            jnp.ones(()),
            stage.settings.networks.latent_dim,
            number,
        )
        ending = begun.replace(
            row=reference.last[begun.row] - 1, hold=jnp.full(number, 3), patience=jnp.zeros_like(begun.row)
        )
        after, broken = begun.humanoid, jnp.zeros(number, bool)
        lenient = dataclasses.replace(settings, max_tracking_error=1e9)
        ended, outcome = worlds.finish_step(key, env, reference, ending, after, broken, lenient, stage.pays_rising)
        return begun, outcome, worlds.next_motion(key, reference, settings, ended)

    begun, outcome, going_on = begin_and_end(jax.random.PRNGKey(3))
    in_motion = np.asarray(jnp.abs(begun.humanoid.physics.qpos - reference.qpos[begun.row]).max(axis=-1) < 1e-5)
    if share:
        assert in_motion.mean() < 0.2 and (np.asarray(begun.patience) == 9).all()
        assert not np.asarray(outcome.truncated).any() and (np.asarray(going_on.patience) == 9).all()
        assert (np.asarray(going_on.hold) == 0).all(), "the latent is due at once"
        assert (np.asarray(going_on.row) < np.asarray(reference.last[going_on.row])).all()
    else:
        assert in_motion.all() and not np.asarray(begun.patience).any()
        assert np.asarray(outcome.truncated).all()


def test_whoever_arrives_keeps_one_latent_and_stays_in_its_pose(quick_ase):
    env, stage, number = quick_ase.setup.env, quick_ase.stage, 16
    settings = dataclasses.replace(quick_ase.settings.start, arrival_share=1.0, transition_share=0.0, hold_max=5)
    reference, state, nets = stage.reference, quick_ase.state, stage.settings.networks
    reference = reference.replace(arrivals=reference.start + 30, way=reference.first)  # from the first frame of a clip

    @jax.jit
    def live(key, goes_on):
        begun = worlds.start(
            key, env, reference, state.fall_states, stage.way, settings, jnp.ones(()), nets.latent_dim, number
        )

        def step(world, key):
            world = worlds.next_motion(key, reference, settings, world)
            world = worlds.renew_latents(
                key,
                reference,
                lambda rows: stage.latents_of(state.params.encoder, state, rows),
                settings,
                world,
                nets.encoder_frames,
            )
            seen = jnp.where(goes_on, world.row, begun.row)  # as if followed to the letter, or not at all
            target = env.place(reference.qpos[seen], reference.qvel[seen])
            broken = jnp.zeros(number, bool)
            after, outcome = worlds.finish_step(key, env, reference, world, target, broken, settings, stage.pays_rising)
            return after, (world.row, world.latent, world.moves, outcome.terminated | outcome.truncated)

        return begun, jax.lax.scan(step, begun, jax.random.split(key, 40))[1]

    begun, (row, latent, moves, over) = jax.tree.map(np.asarray, live(jax.random.PRNGKey(0), True))
    pose = np.asarray(begun.source)
    assert begun.arrives.all() and np.isin(pose, reference.arrivals).all() and len(set(begun.row)) > 4
    np.testing.assert_array_equal(row, np.minimum(begun.row + np.arange(40)[:, None], pose))
    np.testing.assert_array_equal(moves, row < pose)
    np.testing.assert_array_equal(latent, np.broadcast_to(latent[:1], latent.shape))
    meant = stage.latents_of(state.params.encoder, state, jnp.asarray(pose))
    np.testing.assert_allclose(latent[0], np.asarray(meant), atol=1e-6)
    assert not over.any(), "neither lost nor over: it stays as long as the episode lasts"

    begun, (row, *_) = jax.tree.map(np.asarray, live(jax.random.PRNGKey(0), False))
    far = pose - begun.row > 8
    waited = row[-1] - begun.row
    assert far.any() and (waited[far] < (pose - begun.row)[far]).all(), "the way waits for who stays behind"
    np.testing.assert_array_equal(row[-1], row[-5])
