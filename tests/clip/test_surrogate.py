"""The surrogate alone: sums by hand, a toy that it learns, one that it cannot, and one where the world changes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from anyskill_brax.clip.surrogate import (
    Audit,
    Surrogate,
    SurrogateLearning,
    SurrogateSettings,
    fidelity,
    rank_correlation,
    remember,
)

SETTINGS = SurrogateSettings(
    enabled=True,
    nets=3,
    widths=(32,),
    pessimism=1.0,
    capacity=512,
    random_share=0.2,
    top_share=0.1,
    learn_steps=60,
    batch=64,
    learning_rate=3e-3,
    max_gap=0.25,
    min_correlation=0.8,
)
STATES, FEATURES = 160, 6


@pytest.fixture(scope="module")
def learning() -> SurrogateLearning:
    return SurrogateLearning(SETTINGS)


@pytest.fixture(scope="module")
def update(learning):
    """An update against a truth that is a function of the pose (kind 0), is not (1), or is the opposite one (2)."""

    def truth(kind: jax.Array, poses: jax.Array, key: jax.Array) -> jax.Array:
        smooth = 2.0 * jnp.tanh(poses[:, 0] + 0.5 * poses[:, 1])
        return jnp.select([kind == 0, kind == 1], [smooth, jax.random.normal(key, smooth.shape)], -smooth)

    @jax.jit
    def update(surrogate: Surrogate, kind: jax.Array, key: jax.Array):
        key_pose, key_truth, key_rows, key_learn = jax.random.split(key, 4)
        poses = jax.random.normal(key_pose, (STATES, FEATURES))
        predicted = learning.predict(surrogate.predictor, poses)
        at_random, at_top = learning.choose(key_rows, predicted)
        known = jnp.zeros(STATES, bool).at[at_random].set(True).at[at_top].set(True) | ~surrogate.trusted
        scores = jnp.where(known, truth(kind, poses, key_truth), jnp.nan)  # whoever reads more than is known breaks
        return learning.update(surrogate, Audit(poses, predicted, scores, known, at_random, at_top), key_learn)

    return update


def run(learning, update, kinds: list[int]):
    poses = jax.random.normal(jax.random.PRNGKey(9), (64, FEATURES))
    surrogate = learning.init(jax.random.PRNGKey(0), poses, jnp.zeros(64))
    rows = []
    for k, kind in enumerate(kinds):
        surrogate, metrics = update(surrogate, jnp.int32(kind), jax.random.PRNGKey(k + 1))
        rows.append({name: float(value) for name, value in metrics.items()})
    return surrogate, rows


def test_learns_what_is_a_function_of_the_pose_and_is_then_trusted(learning, update):
    surrogate, rows = run(learning, update, [0] * 20)
    assert rows[0]["surrogate_trusted"] == 0.0 and rows[-1]["surrogate_trusted"] == 1.0
    assert rows[-1]["surrogate_correlation"] > 0.9 > rows[0]["surrogate_correlation"]
    assert rows[-1]["surrogate_rmse"] < 0.5 * rows[0]["surrogate_rmse"]
    assert np.isfinite(np.asarray(surrogate.scores)).all()


def test_is_never_trusted_with_what_a_pose_does_not_tell(learning, update):
    surrogate, rows = run(learning, update, [1] * 12)
    assert not any(row["surrogate_trusted"] for row in rows) and not bool(surrogate.trusted)


def test_loses_trust_in_the_update_that_finds_it_wrong(learning, update):
    """From update 20 the truth is the opposite: trusted in the update that finds out, not in the next."""
    _, rows = run(learning, update, [0] * 20 + [2] * 3)
    assert [row["surrogate_trusted"] for row in rows[19:]] == [1.0, 1.0, 0.0, 0.0]
    assert rows[20]["surrogate_correlation"] < -0.8 and rows[20]["surrogate_gap"] > 1.0


def test_the_same_key_gives_the_same_surrogate_bit_for_bit(learning, update):
    jax.tree.map(np.testing.assert_array_equal, run(learning, update, [0, 0])[0], run(learning, update, [0, 0])[0])


def test_the_prediction_is_the_mean_less_the_doubt(learning):
    poses = jax.random.normal(jax.random.PRNGKey(1), (40, FEATURES))
    predictor = learning.init(jax.random.PRNGKey(0), poses, poses[:, 0]).predictor
    singles = [
        learning.predict(predictor.replace(nets=jax.tree.map(lambda x, k=k: x[k : k + 1], predictor.nets)), poses)
        for k in range(3)
    ]
    wanted = np.mean(singles, axis=0) - np.std(singles, axis=0)
    np.testing.assert_allclose(learning.predict(predictor, poses), wanted, atol=1e-5)


def test_audited_are_some_at_random_and_the_best_predicted(learning):
    predicted = jax.random.permutation(jax.random.PRNGKey(3), jnp.arange(160.0))
    at_random, at_top = learning.choose(jax.random.PRNGKey(0), predicted)
    assert len(set(at_random.tolist())) == 32
    assert sorted(predicted[at_top].tolist()) == list(range(144, 160))
    assert SETTINGS.counts(10) == (4, 4) and SETTINGS.counts(3) == (3, 3)


def test_fidelity_by_hand():
    audit = Audit(
        poses=jnp.zeros((5, 1)),
        predicted=jnp.array([1.0, 2.0, 3.0, 4.0, 9.0]),
        truth=jnp.array([1.0, 4.0, 3.0, jnp.nan, 5.0]),
        known=jnp.array([True, True, True, False, True]),
        at_random=jnp.array([0, 1, 2]),
        at_top=jnp.array([4, 2]),
    )
    found = fidelity(audit)
    assert found["surrogate_rmse"] == pytest.approx(np.sqrt(4 / 3))
    assert found["surrogate_correlation"] == pytest.approx(0.5)
    assert found["surrogate_gap"] == pytest.approx(2.0)


@pytest.mark.parametrize(
    ("a", "b", "rho"),
    [
        ([1, 2, 3, 4], [10, 20, 30, 4000], 1.0),
        ([1, 2, 3, 4], [4, 3, 2, 1], -1.0),
        ([1, 2, 3], [7, 7, 7], 0.0),
        ([1, 1, 2], [5, 6, 7], np.sqrt(0.75)),  # ranks .5 .5 2 against 0 1 2
    ],
)
def test_rank_correlation_by_hand(a, b, rho):
    assert rank_correlation(jnp.array(a, float), jnp.array(b, float)) == pytest.approx(rho, abs=1e-6)


def test_memory_keeps_what_is_known_over_what_is_oldest(learning):
    start = learning.init(jax.random.PRNGKey(0), jnp.zeros((2, 1)), jnp.array([-1.0, -2.0]))
    small = start.replace(poses=start.poses[:4], scores=jnp.array([-1.0, -2.0, 0.0, 0.0]))
    known = jnp.array([True, False, True, True])
    after = remember(small, jnp.arange(4.0)[:, None], jnp.array([10.0, 11.0, 12.0, 13.0]), known)
    np.testing.assert_array_equal(after.scores, [13.0, -2.0, 10.0, 12.0])
    np.testing.assert_array_equal(after.poses[:, 0], [3.0, 0.0, 0.0, 2.0])
    assert int(after.seen) == 5
