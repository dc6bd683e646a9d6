"""The judge's arithmetic, and what a rollout for grading promises."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from zoo_objects import make_controller, make_skill

from anyskill_brax import evaluate
from anyskill_brax.character.kinematics import lowest_points
from anyskill_brax.envs.humanoid_env import HumanoidEnv
from anyskill_brax.types import UserError

EPISODES, STEPS = 3, evaluate.SETTLE + 2


class HeightJudge:
    """Knows two texts; a pose is "high" as far as its pelvis is above 0.5 m, else "low"."""

    name, dim, sha256, needs_images, image_size = "height", 2, "", False, 0

    def embed_text(self, texts):
        return np.array([[1.0, 0.0] if "high" in text else [0.0, 1.0] for text in texts])

    def text_confidence(self, texts):
        return np.ones(len(texts))

    def embed_images(self, images):
        raise NotImplementedError

    def embed_poses(self, bodies):
        high = (bodies.pos[..., 0, 2] > 0.5).astype(jnp.float32)
        return jnp.stack([high, 1.0 - high], axis=-1)


@pytest.fixture(scope="module")
def world(character):
    low_level = make_controller(1)
    return HumanoidEnv(character, num_frames=low_level.style.num_frames), low_level


@pytest.fixture(scope="module")
def episodes(world):
    env, low_level = world
    policy = make_skill(low_level, "stand").policy
    return evaluate.rollout_policy(env, low_level, policy, jax.random.key(0), EPISODES, STEPS)


def test_starts_stand_on_the_floor_and_differ(world, character):
    @jax.jit
    def start(key):
        starts = world[0].standing(key, (8,))
        return starts, lowest_points(character, starts.bodies).min(axis=-1)

    starts, lowest = start(jax.random.key(2))
    np.testing.assert_allclose(lowest, 0.0, atol=1e-5)
    assert len(np.unique(np.asarray(starts.physics.qpos[:, 10]))) == 8


def test_rollout_shapes_unit_latents_and_determinism(world, episodes):
    env, low_level = world
    assert episodes.qpos.shape == (STEPS * 5, EPISODES, 35)
    assert episodes.bodies.pos.shape[:2] == (STEPS, EPISODES)
    np.testing.assert_allclose(jnp.linalg.norm(episodes.latents, axis=-1), 1.0, atol=1e-5)
    again = evaluate.rollout_policy(
        env, low_level, make_skill(low_level, "stand").policy, jax.random.key(0), EPISODES, STEPS
    )
    np.testing.assert_array_equal(episodes.qpos, again.qpos)
    assert not np.any(np.diff(np.asarray(episodes.fallen, int), axis=0) < 0), "a fall is not forgotten"


def test_untrained_policies_are_one_network_per_episode(world):
    env, low_level = world
    untrained = evaluate.untrained_policies(jax.random.key(1), low_level, (8,), EPISODES)
    done = evaluate.rollout_policy(env, low_level, untrained, jax.random.key(0), EPISODES, STEPS, one_each=True)
    first = np.asarray(done.latents[0])
    assert np.abs(first @ first.T - np.eye(EPISODES)).max() > 1e-3
    assert len(np.unique(first[:, 0])) == EPISODES


def height(episodes, metres):
    pos = episodes.bodies.pos.at[..., 0, 2].set(jnp.broadcast_to(metres, episodes.bodies.pos.shape[:2]))
    return episodes.replace(bodies=episodes.bodies.replace(pos=pos), fallen=jnp.zeros_like(episodes.fallen))


def test_scores_are_means_over_the_graded_steps(episodes):
    judge = evaluate.Judge.create(HeightJudge(), ["high", "low"])
    rising = jnp.where(jnp.arange(STEPS) >= evaluate.SETTLE + 1, 1.0, 0.0)[:, None]  # high in one of two graded steps
    np.testing.assert_allclose(judge.score(height(episodes, rising), "high"), 0.5)
    np.testing.assert_allclose(judge.similarities(height(episodes, 1.0)), [[1.0, 0.0]] * EPISODES)


def test_grade_passes_what_is_better_and_says_why_not(episodes):
    judge = evaluate.Judge.create(HeightJudge(), ["high", "low"])
    up, down = height(episodes, 1.0), height(episodes, 0.1)
    good = evaluate.grade(judge, "high", up, down)
    assert good.passed and good.retrieved == 1.0 and good.mean == 1.0 and good.untrained_mean == 0.0
    same = evaluate.grade(judge, "high", up, up)
    assert not same.passed and "standard errors" in same.reason
    fallen = up.replace(fallen=jnp.ones_like(up.fallen))
    assert "fell in 100%" in evaluate.grade(judge, "high", fallen, down).reason


def test_standard_error_by_hand():
    assert evaluate.standard_error(np.array([1.0, 3.0])) == pytest.approx(1.0)


def test_a_judge_of_images_and_a_short_episode_are_refused(episodes):
    blind = HeightJudge()
    blind.needs_images = True
    with pytest.raises(UserError, match="reads poses"):
        evaluate.Judge.create(blind, ["high"])
    short = jax.tree.map(lambda x: x[: evaluate.SETTLE], episodes)
    with pytest.raises(UserError, match="lasts more"):
        evaluate.Judge.create(HeightJudge(), ["high"]).similarities(short)
