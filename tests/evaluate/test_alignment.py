"""The study of reward, judge and predicates: its search climbs, its scores are sums that a hand can check."""

import jax
import jax.numpy as jnp
import numpy as np
from stand_ins import Compass

from anyskill_brax.character.kinematics import forward_kinematics
from anyskill_brax.clip.reward import embed_goals
from anyskill_brax.evaluate.alignment import STEPS, film_scores, held_by_geometry, search_poses, still
from anyskill_brax.high_level.eyes import Eyes
from anyskill_brax.reward_model.optimise import SearchSettings

SETTINGS = SearchSettings(population=24, elites=4, rounds=12, spread=0.3, stiffness=0.001)


def test_the_search_does_what_a_reward_asks_for_and_a_predicate_confirms_it(character):
    """A reward that wants the right hand above its shoulder gets it; the pose is on the floor and within its limits."""
    compass = Compass(character)
    goals = np.asarray(embed_goals(compass, ["up", "forward"]))
    qpos, cosine = search_poses(character, Eyes.create(compass, (), "vmap"), goals, SETTINGS, jax.random.key(0))
    assert (cosine > 0.95).all()
    assert (qpos[:, 7:] >= character.joint_low - 1e-5).all() and (qpos[:, 7:] <= character.joint_high + 1e-5).all()
    bodies = forward_kinematics(character, jnp.asarray(qpos), jnp.zeros((2, 34)))
    hand, shoulder = (bodies.pos[:, character.body(name)] for name in ("right_hand", "right_upper_arm"))
    assert hand[0, 2] > shoulder[0, 2] + 0.3 and abs(hand[1, 2] - shoulder[1, 2]) < 0.2
    assert held_by_geometry(character, "stand upright", still(np.asarray(character.default_qpos)))


def test_a_film_scores_by_the_third_of_its_steps_that_score_best(character):
    """A hand that hangs for two thirds of the film and is up in the last: the score is that of the hand that is up."""
    compass = Compass(character)
    goals = np.asarray(embed_goals(compass, ["up"]))
    up, _ = search_poses(character, Eyes.create(compass, (), "vmap"), goals, SETTINGS, jax.random.key(0))
    hanging = np.asarray(character.default_qpos)
    frames = STEPS * 5
    half = np.concatenate([still(hanging, frames * 2 / 3 / 30), still(up[0], frames / 3 / 30)])
    films = [still(hanging, frames / 30), still(up[0], frames / 30), half]
    low, high, mixed = film_scores(character, compass, (), films, goals)[:, 0]
    assert high > 0.95 > 0.0 > low and np.isclose(mixed, high, atol=1e-5)
