"""Which actor is kept: episodes without noise, in which a fall ends what is earned."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from stand_ins import NUM_FRAMES

from anyskill_brax.envs.humanoid_env import HumanoidEnv
from anyskill_brax.high_level import run
from anyskill_brax.high_level.eyes import Eyes
from anyskill_brax.high_level.instructions import Instruction
from anyskill_brax.high_level.reward import until_fallen
from anyskill_brax.high_level.settings import HighLevelSettings, ValidationSettings
from anyskill_brax.high_level.train import Frozen, compiled
from anyskill_brax.types import UserError
from configs.high_level import get_config

LINES = tuple(Instruction(slug, f"hand {slug}") for slug in ("up", "left"))


def settings(**reward) -> HighLevelSettings:
    config = get_config("quicktest").unlock()
    config.reward.update(reward)
    return HighLevelSettings.from_config(config)


def test_from_a_fall_on_every_step_earns_what_a_fall_does():
    given = settings(weights={**dict(settings().reward.weights), "fall": 7.0}).reward
    fallen = jnp.zeros((3, 2), bool).at[1, 0].set(True)
    earned = until_fallen(jnp.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]), fallen, given)
    np.testing.assert_array_equal(earned, [[1.0, 2.0], [-7.0, 4.0], [-7.0, 6.0]])


@pytest.mark.parametrize("numbers", [{"every": 0}, {"num_envs": 0}, {"length": -1}])
def test_a_validation_of_nothing_is_refused(numbers):
    with pytest.raises(UserError, match="expected 1 or more each"):
        ValidationSettings(**{"every": 1, "num_envs": 1, "length": 1} | numbers)


@pytest.fixture(scope="module")
def begun(env, controller, compass):
    """Training that has begun, its program that tries actors, and what that needs."""
    numbers = settings()
    init, _, keep_best = compiled(env, numbers)
    frozen = Frozen(controller, Eyes.create(compass, (), "map"))
    goals = run.goals(compass, [line.text for line in LINES], numbers.reward)
    keys = jnp.stack([line.key(0) for line in LINES])
    return init(frozen, jax.random.PRNGKey(0), keys, goals, None)[0], keep_best, frozen


def actor_that_holds(state, latents):
    """The first actors, but for what they hold whatever they see, `latents [I, L]`."""
    actor = jax.tree.map(jnp.zeros_like, state.learner.actor)
    actor["params"]["mean"]["bias"] = latents
    return state.replace(learner=state.learner.replace(actor=actor))


@pytest.mark.slow
def test_the_actor_that_earned_most_is_kept_line_by_line(begun):
    first, keep_best, frozen = begun
    latents = jax.random.normal(jax.random.PRNGKey(3), (4, len(LINES), frozen.low_level.latent_dim))
    state, rewards = first, []
    for number, held in enumerate(latents):
        state, tried = keep_best(frozen, actor_that_holds(state, held).replace(update=jnp.int32(number)))
        rewards.append(np.asarray(tried["tried_reward"]))
        np.testing.assert_array_equal(state.best_reward, np.max(rewards, axis=0))
    best = np.argmax(rewards, axis=0)
    assert len({row.tobytes() for row in np.stack(rewards)}) == len(latents), "they can be told apart"
    np.testing.assert_array_equal(state.best_update, best)
    np.testing.assert_array_equal(state.best["params"]["mean"]["bias"], latents[best, np.arange(len(LINES))])
    again, tried = keep_best(frozen, actor_that_holds(state, latents[0]))
    np.testing.assert_array_equal(tried["tried_reward"], rewards[0]), "the starts are always the same"
    jax.tree.map(np.testing.assert_array_equal, again.best, state.best)


@pytest.mark.slow
def test_who_falls_is_counted_and_earns_nothing_but_that(begun, character):
    state, _, frozen = begun
    numbers = dataclasses.replace(settings(), seed=5)
    everyone_falls = HumanoidEnv(character, num_frames=NUM_FRAMES, fall_height=9.0)
    keep_best = compiled(everyone_falls, numbers)[2]
    _, tried = keep_best(frozen, state)
    np.testing.assert_array_equal(tried["tried_fell"], 1.0)
    np.testing.assert_allclose(tried["tried_reward"], -dict(numbers.reward.weights)["fall"])
