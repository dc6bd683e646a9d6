"""The reward forms by hand-worked sums, and early termination by the paper's sentence."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from anyskill_brax.clip import reward
from anyskill_brax.clip.reward import EarlyTermination, FeatureWindow, ScoreNormalizer
from anyskill_brax.networks import unit

X, Y, Z = jnp.eye(3)
HALFWAY = (X + Y) / jnp.sqrt(2.0)


class Dictionary:
    """Text -> a fixed direction; every word of the text that is known adds one."""

    def embed_text(self, texts):
        rows = [X * ("arms" in text) + Y * ("image" in text) + 1e-9 * Z for text in texts]
        return np.asarray(unit(jnp.stack(rows)))


def test_prompts_are_distinct_and_keep_the_instruction():
    variants = reward.prompt_variants("raise  two arms. ")
    assert len(set(variants)) == len(variants) >= 3
    assert variants[0] == "raise two arms"
    assert all("raise two arms" in variant for variant in variants)


def test_goal_is_the_renormalised_mean_over_prompts():
    goal = reward.embed_goals(Dictionary(), ["raise two arms", "image"])  # pyright: ignore[reportArgumentType]
    with_image = sum("image" in prompt for prompt in reward.PROMPTS)
    mean = (len(reward.PROMPTS) - with_image) * X + with_image * HALFWAY
    np.testing.assert_allclose(goal[0], mean / jnp.linalg.norm(mean), atol=1e-6)
    np.testing.assert_allclose(goal[1], Y, atol=1e-6)


def test_mean_feature_weighs_directions_not_lengths():
    np.testing.assert_allclose(reward.mean_feature(jnp.stack([5.0 * X, Y])), HALFWAY, atol=1e-6)


def test_cosine_broadcasts_instructions_over_environments():
    images, goals = jnp.stack([jnp.stack([X, Y]), jnp.stack([X, HALFWAY])]), jnp.stack([X, Y])[:, None]
    np.testing.assert_allclose(reward.cosine(images, goals), [[1.0, 0.0], [0.0, 2**-0.5]], atol=1e-6)


def test_goal_baseline():
    # z = (1, 0, 0), g = (0, 1, 0), b = (0, 0, 1): d = (0, 1, -1), z - g = (1, -1, 0), along d (0, -1/2, 1/2).
    assert reward.goal_baseline(X, Y, Z, 0.0) == pytest.approx(float(reward.cosine(X, Y)), abs=1e-6)
    assert reward.goal_baseline(X, Y, Z, 1.0) == pytest.approx(1.0 - 0.5 * 0.5, abs=1e-6)
    # alpha = 1/2: (1/2, -3/4, 1/4), squared length 14/16.
    assert reward.goal_baseline(X, Y, Z, 0.5) == pytest.approx(1.0 - 7.0 / 16.0, abs=1e-6)
    assert reward.goal_baseline(Y, Y, Z, 0.5) == pytest.approx(1.0, abs=1e-6)
    assert jnp.isfinite(reward.goal_baseline(X, Y, Y, 0.5)), "a baseline that says the same as the goal"


def test_contrast():
    bank = jnp.stack([X, Y])
    image = 0.6 * X + 0.8 * Y
    scores = reward.contrast(jnp.stack([image, image]), bank, jnp.array([0, 1]), 0.1)
    np.testing.assert_allclose(scores, [-np.log1p(np.exp(2.0)), -np.log1p(np.exp(-2.0))], atol=1e-5)


def test_a_row_of_zeros_takes_no_share():
    bank = jnp.stack([X, Y, jnp.zeros(3)])
    plain = reward.contrast(HALFWAY, bank[:2], jnp.array(0), 0.1)
    assert reward.contrast(HALFWAY, bank, jnp.array(0), 0.1) == pytest.approx(float(plain), abs=1e-6)


def test_contrast_is_blind_to_what_all_texts_share():
    bank, shared = jnp.stack([X, Y]), 3.0 * Z
    plain = reward.contrast(HALFWAY + Z, bank, jnp.array(0), 0.1)
    assert reward.contrast(HALFWAY + Z, bank + shared, jnp.array(0), 0.1) == pytest.approx(float(plain), abs=1e-4)


def test_delta_sums_to_the_ends_of_the_path():
    scores = jnp.array([0.2, 0.5, 0.1, 0.7])
    steps = reward.delta(scores[:-1], scores[1:], 0.9)
    discounts = 0.9 ** jnp.arange(3)
    assert jnp.sum(discounts * steps) == pytest.approx(0.9**3 * 0.7 - 0.2, abs=1e-6)


def test_ensemble():
    assert reward.ensemble(jnp.array([1.0, 3.0]), 0.5) == pytest.approx(2.0 - 0.5)


def test_window_keeps_the_last_frames_of_this_episode():
    window = FeatureWindow.create(2, 3, 3)
    no, second = jnp.array([False, False]), jnp.array([False, True])
    for image in (X, Y, Z):
        window = window.push(jnp.stack([image, image]), no)
    window = window.push(jnp.stack([X, X]), second)
    np.testing.assert_array_equal(window.features[0], jnp.stack([Y, Z, X]))
    np.testing.assert_array_equal(window.features[1], jnp.stack([X, X, X]))
    np.testing.assert_array_equal(window.count, [3, 1])


def test_a_frozen_pose_does_not_score_on_a_movement():
    still = FeatureWindow(jnp.stack([X, X])[None], jnp.array([2]))
    moving = FeatureWindow(jnp.stack([X, Y])[None], jnp.array([2]))
    begun = FeatureWindow(jnp.stack([X, X])[None], jnp.array([1]))
    assert reward.temporal(still, X, 0.0, 0.1)[0] == pytest.approx(1.0)
    assert reward.temporal(still, X, 0.4, 0.1)[0] == pytest.approx(0.6)
    assert reward.temporal(moving, X, 0.4, 0.1)[0] == pytest.approx(2**-0.5)  # spread 1/2: no penalty
    assert reward.temporal(moving, X, 0.4, 1.0)[0] == pytest.approx(2**-0.5 - 0.4 * 0.5)
    np.testing.assert_allclose([reward.stillness(window, 1.0)[0] for window in (still, moving, begun)], [1.0, 0.5, 0.0])
    assert reward.temporal(begun, X, 0.4, 0.1)[0] == pytest.approx(1.0), "one frame cannot show that nothing moves"


def test_normalizer_is_fitted_per_instruction():
    scores = jnp.array([[[0.2, 0.4], [5.0, 5.0]], [[0.2, 0.4], [5.0, 5.0]]])  # [T, I, E]
    normalizer = ScoreNormalizer.fit(scores, min_std=0.01)
    np.testing.assert_allclose(normalizer.apply(scores)[0], [[-1.0, 1.0], [0.0, 0.0]], atol=1e-5)
    np.testing.assert_allclose(normalizer.apply(jnp.array([[0.5], [5.02]])), [[2.0], [2.0]], atol=1e-4)
    by_instruction = jax.vmap(ScoreNormalizer.apply)(normalizer, scores[0])
    np.testing.assert_array_equal(by_instruction, normalizer.apply(scores[0]))


def run(rule: EarlyTermination, scores: list[list[float]], heads: float = 1.0, seed: int = 0) -> np.ndarray:
    """Scores [T, W] -> terminate [T, W]."""
    keys = jax.random.split(jax.random.PRNGKey(seed), len(scores))

    def step(trend, inputs):
        score, key = inputs
        return rule.update(trend, score, jnp.full(score.shape, heads), key)

    _, terminated = jax.lax.scan(step, rule.init(len(scores[0])), (jnp.array(scores), keys))
    return np.asarray(terminated)


ALWAYS = EarlyTermination(max_reductions=8, probability=1.0, min_head_height=0.15)


def test_eight_successive_reductions_end_an_episode():
    falling = run(ALWAYS, [[-0.1 * t] for t in range(20)])[:, 0]
    # Nine scores make eight reductions; a terminated world starts afresh and needs nine more.
    assert np.flatnonzero(falling).tolist() == [8, 17]


def test_a_rise_clears_the_count():
    scores = [-0.1 * t for t in range(8)] + [-0.65] + [-0.7 - 0.1 * t for t in range(7)]  # 7 down, 1 up, 7 down
    assert not run(ALWAYS, [[score] for score in scores]).any()
    assert run(ALWAYS, [[score] for score in [*scores, -2.0]])[-1, 0], "the eighth reduction after the rise"


def test_a_score_that_stays_is_not_a_reduction():
    assert not run(ALWAYS, [[0.5]] * 30).any()


def test_the_coin_is_tossed_once_per_event():
    rule = EarlyTermination(max_reductions=8, probability=0.8, min_head_height=0.15)
    worlds = 4000
    terminated = run(rule, [[-0.1 * t] * worlds for t in range(17)])
    assert set(np.flatnonzero(terminated.any(axis=1))) == {8, 16}
    assert terminated[8].mean() == pytest.approx(0.8, abs=0.02)
    # Who was spared counts to eight again (step 16); who was reset needs nine scores (step 17).
    spared = ~terminated[8]
    assert terminated[16][spared].mean() == pytest.approx(0.8, abs=0.05)
    assert not terminated[16][~spared].any()


def test_a_low_head_always_ends_an_episode():
    rule = EarlyTermination(max_reductions=8, probability=0.0, min_head_height=0.15)
    assert run(rule, [[0.0]], heads=0.14).all()
    assert not run(rule, [[0.0]], heads=0.16).any()


def test_a_world_that_ended_otherwise_forgets():
    trend = ALWAYS.init(2)
    key, head = jax.random.PRNGKey(0), jnp.ones(2)
    for step in range(8):
        trend, _ = ALWAYS.update(trend, jnp.full(2, -float(step)), head, key)
    trend = ALWAYS.clear(trend, jnp.array([True, False]))
    _, terminated = ALWAYS.update(trend, jnp.full(2, -9.0), head, key)
    assert terminated.tolist() == [False, True]
