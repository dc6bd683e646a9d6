"""Options of the low-level trainer: schedules, the cost of energy, clips drawn by how badly they are covered."""

import dataclasses
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax.core import FrozenDict

from anyskill_brax.low_level import clips
from anyskill_brax.low_level.devices import ALONE
from anyskill_brax.low_level.objectives import reward_terms
from anyskill_brax.low_level.policy_learning import descend
from anyskill_brax.low_level.schedules import factor
from anyskill_brax.low_level.settings import LowLevelSettings, SamplingSettings, ScheduleSettings
from anyskill_brax.low_level.state import NAMES, Networks, init_params
from anyskill_brax.types import UserError

SAMPLING = SamplingSettings(share=0.5, until=1e9, floor=0.5, ceiling=4.0, prior=1.0, decay=0.5, windows=8)


@pytest.mark.parametrize(
    ("shape", "at", "value"),
    [
        ("constant", 50.0, 1.0),
        ("linear", 0.0, 1.0), ("linear", 10.0, 1.0), ("linear", 20.0, 0.6), ("linear", 30.0, 0.2), ("linear", 99, 0.2),
        ("cosine", 10.0, 1.0), ("cosine", 20.0, 0.6), ("cosine", 30.0, 0.2), ("cosine", 15.0, 0.2 + 0.8 * 0.85355),
    ],
)  # fmt: skip
def test_a_schedule_goes_from_one_to_its_last_factor(shape, at, value):
    schedule = ScheduleSettings(shape=shape, over=(10.0, 30.0), last=0.2)
    assert float(factor(schedule, jnp.asarray(at))) == pytest.approx(value, abs=1e-5)


def test_schedules_run_on_samples_of_all_updates(quick_conditional):
    """160 samples an update; both end at a thousand."""
    stage, state = quick_conditional.stage, quick_conditional.state
    at = lambda updates: state.replace(updates=jnp.asarray(updates))  # noqa: E731
    sigma = stage.settings.learner.sigma
    np.testing.assert_allclose([stage.sigma(at(n)) for n in (0, 100)], [sigma, sigma / 2], rtol=1e-5)
    np.testing.assert_allclose([stage.lr_factor(at(n)) for n in (0, 3, 100)], [1.0, 1.0 - 0.9 * 0.48, 0.1], rtol=1e-5)


def test_the_learning_rate_factor_scales_an_optimisers_step(quick_ase):
    stage = quick_ase.stage
    params = init_params(jax.random.PRNGKey(0), stage.settings, stage.env)
    opt = Networks(**{name: getattr(stage.optimizers, name).init(getattr(params, name)) for name in NAMES})
    moved = []
    for scale in (1.0, 0.25):
        after, _ = descend(stage, "critic", jax.tree.map(jnp.ones_like, params.critic), params, opt, jnp.asarray(scale))
        moved.append(jax.tree.map(lambda a, b: a - b, after.critic, params.critic))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(0.25 * a, b, rtol=1e-2, atol=1e-9), *moved)


def test_tracking_leads_and_fades_and_power_costs(quick_ase):
    """Two worlds, the first led; tracking fades between one and three million samples."""
    stage = quick_ase.stage
    weights = {"style": 1.0, "tracking": 2.0, "rising": 0.0, "energy": 0.5, "discovery": 0.0}
    reward = dataclasses.replace(stage.settings.reward, tracking_fade=(1.0, 3.0), weights=FrozenDict(weights))
    stage = dataclasses.replace(stage, settings=dataclasses.replace(stage.settings, reward=reward))
    ones, led = jnp.ones((1, 2)), jnp.array([[1.0, 0.0]])
    steps = SimpleNamespace(
        window=jnp.zeros((1, 2, 125 * stage.settings.networks.num_frames)),
        latent=jnp.full((1, 2, stage.settings.networks.latent_dim), 0.1),
        led=led, recovers=0.0 * ones, tracking=0.5 * ones, rising=ones, power=0.3 * ones,
    )  # fmt: skip

    def paid(millions: float) -> dict[str, list[float]]:
        state = quick_ase.state.replace(updates=jnp.asarray(1e6 * millions / stage.samples_per_update))
        return {name: np.asarray(term)[0].tolist() for name, term in reward_terms(stage, state, steps).items()}

    early, half, late = map(paid, (0.5, 2.0, 4.0))
    assert early["tracking"] == pytest.approx([1.0, 0.0]) and early["style"][0] == 0.0 < early["style"][1]
    assert half["tracking"] == pytest.approx([0.5, 0.0]) and half["style"][0] == pytest.approx(half["style"][1] / 2)
    assert late["tracking"] == [0.0, 0.0] and late["style"][0] == pytest.approx(late["style"][1])
    assert early["energy"] == late["energy"] == pytest.approx([-0.15, -0.15])


def stats(nearest, steps, failures) -> clips.ClipStats:
    return clips.ClipStats(*(jnp.asarray(x, jnp.float32) for x in (nearest, steps, failures)))


def test_a_clip_that_fails_or_is_never_seen_is_drawn_more_often_within_bounds():
    base = jnp.array([0.1, 0.2, 0.3, 0.4])
    known_nothing = clips.need(clips.ClipStats.create(4), base, SAMPLING)
    np.testing.assert_allclose(known_nothing, 1.0, atol=1e-6)
    fair = np.asarray(base) * 1000.0
    failing = clips.need(stats(fair, [100.0] * 4, [30.0, 10.0, 10.0, 10.0]), base, SAMPLING)
    assert failing[0] == pytest.approx((30.0 + 1.0) / (100.0 * 0.15 + 1.0)) and (failing[1:] <= 1.001).all()
    unseen = clips.need(stats([0.0, 200.0, 300.0, 500.0], [0.0] * 4, [0.0] * 4), base, SAMPLING)
    assert float(unseen[0]) == 4.0, "the ceiling"
    over = clips.need(stats([0.0, 0.0, 0.0, 1e6], [0.0, 0.0, 0.0, 1e6], [1.0, 1.0, 1.0, 0.0]), base, SAMPLING)
    assert float(over[3]) == 0.5, "the floor"


def test_no_clip_starves_or_swallows_the_rest():
    rng = np.random.default_rng(0)
    lowest = (0.5 + 0.5 * 0.5) / (0.5 + 0.5 * 4.0)
    for _ in range(50):
        base = jnp.asarray(rng.dirichlet(np.ones(12)), jnp.float32)
        wild = stats(*(rng.exponential(10.0 ** rng.uniform(-2, 4), 12) for _ in range(3)))
        drawn = np.asarray(clips.drawn_weights(wild, base, SAMPLING, jnp.asarray(1.0)))
        assert drawn.sum() == pytest.approx(1.0, abs=1e-5)
        assert (drawn / np.asarray(base) >= lowest - 1e-5).all()
        assert (drawn / np.asarray(base) <= 1.0 / lowest + 1e-4).all()
        calm = clips.drawn_weights(wild, base, SAMPLING, jnp.asarray(0.0))
        np.testing.assert_allclose(calm, base, atol=1e-6, err_msg="early means early")


def test_every_window_votes_for_its_own_clip_and_votes_fade(quick_ase):
    reference = quick_ase.setup.reference
    rows = clips.landmarks(reference)
    bank = reference.window(rows, 5).reshape(rows.size, -1)
    # The arms go up from the same pose: only a clip's later frames tell it from the other.
    late = reference.start + 30
    seen = clips.nearest_clip(reference, rows, bank, reference.window(late, 5).reshape(2, -1))
    np.testing.assert_array_equal(seen, [0, 1])
    before = stats([4.0, 8.0], [2.0, 2.0], [0.0, 2.0])
    one = jnp.array([1, 1, 0]), jnp.array([True, True, False])
    after = clips.count(before, 0.5, votes=one, steps=one, failures=one, devices=ALONE)
    np.testing.assert_array_equal(after.nearest, [2.0, 6.0])
    np.testing.assert_array_equal(after.failures, [0.0, 3.0])
    metrics = clips.coverage_metrics(stats([0.2, 3.0, 1.0], [0] * 3, [0] * 3), jnp.ones(3), jnp.ones(3))
    assert float(metrics["coverage"]) == pytest.approx(2 / 3)
    even = clips.coverage_metrics(stats([2.0, 2.0, 2.0], [0] * 3, [0] * 3), jnp.ones(3), jnp.ones(3))
    assert float(even["coverage_entropy"]) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"lr_schedule.shape": "step"}, "choose one of constant, linear, cosine"),
        ({"sampling.floor": 0.0}, "a floor in"),
    ],
)
def test_options_out_of_range_are_refused(quick_config, change, complaint):
    with pytest.raises(UserError, match=complaint):
        LowLevelSettings.from_config(quick_config("quicktest", change))
