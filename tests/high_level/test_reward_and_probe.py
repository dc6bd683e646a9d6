import jax
import jax.numpy as jnp
import numpy as np
import pytest

import skill_zoo
from anyskill_brax.clip.reward import PROMPTS, ScoreNormalizer, embed_goals
from anyskill_brax.high_level import run
from anyskill_brax.high_level.probe import Probe, candidates, grade, motion_rows
from anyskill_brax.high_level.reward import Goal, feature_terms, reward_terms, similarity, weigh
from anyskill_brax.high_level.settings import ABSENT, TERMS, HighLevelSettings, older
from anyskill_brax.types import UserError
from anyskill_brax.workdir import Workdir
from configs.high_level import get_config


def settings(**reward) -> HighLevelSettings:
    config = get_config("quicktest").unlock()
    config.reward.update(reward)
    return HighLevelSettings.from_config(config)


def weights(**given: float) -> dict[str, float]:
    return {name: given.get(name, 0.0) for name in TERMS}


def terms_of(settings: HighLevelSettings) -> dict:
    """Two worlds, warm-up mean 0.2 and deviation 0.1; the second has fallen in the first step of its episode."""
    return reward_terms(
        score=jnp.array([0.4, 0.1]),
        previous=jnp.array([0.3, -jnp.inf]),
        style=jnp.array([1.0, 2.0]),
        fallen=jnp.array([False, True]),
        hinge_rates=jnp.array([[1.0, 3.0], [0.0, 0.0]]),
        of_features={},
        normalizer=ScoreNormalizer(jnp.full((1, 1), 0.2), jnp.full((1, 1), 0.1)),
        settings=settings.reward,
        discount=0.9,
    )


def test_terms_by_hand():
    given = settings(weights=weights(similarity=1.0, style=0.5, alive=0.25, fall=3.0, delta=2.0, energy=0.1))
    terms = terms_of(given)
    assert set(terms) == set(TERMS) - {"contrast", "stillness"}, "nobody asked for those"
    np.testing.assert_allclose(terms["similarity"], [2.0, -1.0], rtol=1e-5)
    np.testing.assert_allclose(terms["alive"], [1.0, 0.0])
    np.testing.assert_allclose(terms["fall"], [0.0, -1.0])
    np.testing.assert_allclose(terms["delta"], [0.9 * 2 - 1, 0.9 * -1 + 1], rtol=1e-5)
    np.testing.assert_allclose(terms["energy"], [-5.0, 0.0])
    np.testing.assert_allclose(weigh(terms, given.reward), [2 + 0.5 + 0.25 + 1.6 - 0.5, -1 + 1 - 3 + 0.2], rtol=1e-5)


def test_without_normalising_the_similarity_is_the_similarity():
    terms = terms_of(settings(normalise=False))
    np.testing.assert_allclose(terms["similarity"], [0.4, 0.1], rtol=1e-6)
    np.testing.assert_allclose(terms["delta"], [0.9 * 0.4 - 0.3, 0.9 * 0.1 - 0.1], rtol=1e-4, atol=1e-7)


def test_the_language_terms_fade_and_no_other():
    """Half way to a quarter, five eighths are left."""
    given = settings(weights=weights(similarity=1.0, style=0.5), fade_to=0.25).reward
    terms = terms_of(settings())
    np.testing.assert_allclose(weigh(terms, given, 0.0), [2.5, 0.0], atol=1e-5)
    np.testing.assert_allclose(weigh(terms, given, 0.5), [2 * 0.625 + 0.5, -0.625 + 1.0], rtol=1e-5)


def test_every_term_has_a_weight_of_its_name():
    assert {name for name, _ in settings().reward.weights} == set(TERMS)
    with pytest.raises(UserError, match=r"reward\.weights has clip; expected a weight for each of similarity"):
        settings().reward.__class__(**{**vars(settings().reward), "weights": (("clip", 1.0),)})


def test_similarity_is_the_cosine_until_a_baseline_is_asked_for():
    goal = Goal(text=jnp.array([1.0, 0.0]), baseline=jnp.array([0.0, 1.0]))
    features = jnp.array([[0.6, 0.8], [1.0, 0.0]])
    np.testing.assert_allclose(similarity(features, goal, settings().reward), [0.6, 1.0], rtol=1e-6)
    assert similarity(features, goal, settings(baseline_alpha=1.0).reward)[1] == pytest.approx(1.0)


UP, LEFT = jnp.array([0.0, 0.0, 1.0]), jnp.array([0.0, 1.0, 0.0])


def contrasting(**reward) -> HighLevelSettings:
    return settings(weights=weights(similarity=1.0, contrast=2.0), contrast_tau=0.5, **reward)


def test_contrast_is_the_share_of_the_goal_among_the_bank_and_fades_with_the_language():
    numbers = contrasting(contrast_bank=("a", "b"), fade_to=0.5)
    given = numbers.reward
    goal = Goal(UP, UP, bank=jnp.stack([LEFT, jnp.zeros(3)]))  # the second would be the goal itself
    (term,) = feature_terms(jnp.stack([UP, LEFT]), None, goal, given).values()
    np.testing.assert_allclose(term, [-np.log1p(np.exp(-2.0)), -np.log1p(np.exp(2.0))], rtol=1e-5)
    terms = terms_of(numbers) | {"contrast": term}
    np.testing.assert_allclose(weigh(terms, given, 1.0), 0.5 * (terms["similarity"] + 2.0 * term), rtol=1e-5)


def test_a_bank_of_texts_is_the_same_in_any_company_and_one_of_the_run_is_not(compass):
    def bank(texts, **reward):
        made = run.goals(compass, texts, contrasting(**reward).reward).bank
        assert made is not None
        return np.asarray(made)

    alone, together = (
        bank(texts, contrast_bank=("hand Left", "down")) for texts in (["hand left"], ["hand left", "up"])
    )
    np.testing.assert_array_equal(together[0], alone[0])
    assert not alone[0, 0].any(), "never contrasted with itself"
    np.testing.assert_array_equal(together[1, 0], embed_goals(compass, ["hand Left"])[0])
    company = bank(["hand left", "up"], contrast_bank=("down",), contrast_run=True)
    assert company.any(axis=-1).tolist() == [[True, False, True], [True, True, False]]
    with pytest.raises(UserError, match="nothing to contrast 'up' with"):
        bank(["up"], contrast_run=True)


def test_a_pessimistic_similarity_is_the_mean_less_the_spread_over_views_and_prompts():
    given = settings(ensemble_pessimism=0.5).reward
    prompts = jnp.stack([UP, LEFT])
    two_views = jnp.concatenate([0.6 * UP + 0.8 * LEFT, UP])
    scores = np.array([0.6, 0.8, 1.0, 0.0])
    found = similarity(jnp.stack([two_views] * 2), Goal(UP, UP, prompts=prompts), given)
    np.testing.assert_allclose(found, 2 * [scores.mean() - 0.5 * scores.std()], rtol=1e-5)


def test_goals_hold_prompts_and_a_bank_only_where_they_are_asked_for(compass):
    plain = run.goals(compass, ["up", "left"], settings().reward)
    assert plain.prompts is None and plain.bank is None
    doubting = run.goals(compass, ["up", "left"], settings(ensemble_pessimism=1.0).reward)
    assert doubting.prompts is not None and doubting.prompts.shape == (2, len(PROMPTS), 3)
    np.testing.assert_array_equal(doubting.text, plain.text)


@pytest.mark.parametrize(
    ("numbers", "says"),
    [
        ({"weights": weights(contrast=1.0)}, "something to contrast with"),
        ({"contrast_tau": 0.0}, "expected two numbers above 0"),
        ({"ensemble_pessimism": -1.0}, "expected two numbers above 0"),
        ({"stillness_frames": 1}, "one frame shows no movement"),
    ],
)
def test_rewards_that_cannot_be_are_refused(numbers, says):
    with pytest.raises(UserError, match=says):
        settings(**numbers)


def test_a_surrogate_guesses_no_terms_of_features():
    config = get_config("quicktest").unlock()
    config.surrogate.enabled = True
    config.reward.weights.stillness = 1.0
    with pytest.raises(UserError, match="a surrogate guesses the similarity alone"):
        HighLevelSettings.from_config(config)


def test_configs_from_before_these_terms_are_read():
    config = skill_zoo.describe("humanoid/bow", skill_zoo.PACKAGED).config
    today = get_config("quicktest").to_dict()
    assert "contrast" not in config["reward"]["weights"] and "contrast_tau" not in config["reward"]
    read = HighLevelSettings.from_config(today | {"reward": config["reward"]}).reward
    assert not read.pays("contrast") and not read.pays("stillness") and read.ensemble_pessimism == 0.0


def test_a_run_from_before_these_terms_goes_on_unless_they_are_asked_for(tmp_path):
    config = get_config("quicktest").to_dict()
    kept = {name: value for name, value in config["reward"].items() if name not in ABSENT}
    kept["weights"] = {name: kept["weights"][name] for name in TERMS[:6]}
    Workdir(tmp_path, config | {"reward": kept}).close()
    Workdir(tmp_path, config, older=older).close()
    for asked in ({"ensemble_pessimism": 0.5}, {"weights": config["reward"]["weights"] | {"stillness": 1.0}}):
        with pytest.raises(UserError, match="another configuration"):
            Workdir(tmp_path, config | {"reward": config["reward"] | asked}, older=older)


def probe_of(scores: np.ndarray, fallen: np.ndarray) -> Probe:
    """A probe in the plane whose similarities with (1, 0) are `scores [P, N]`; one world per candidate."""
    features = jnp.stack([jnp.asarray(scores), jnp.sqrt(1.0 - jnp.asarray(scores) ** 2)], axis=-1)
    rates = jnp.zeros((*scores.shape, 28))
    return Probe(jnp.eye(scores.shape[1]), features, jnp.zeros(scores.shape), jnp.asarray(fallen), rates, rates)


def test_the_probe_finds_the_planted_candidate_and_forgets_the_first_steps():
    scores = np.array([[0.9, 0.1, 0.2], [0.0, 0.5, 0.4], [0.0, 0.6, 0.4]])
    found = grade(probe_of(scores, np.zeros((3, 3), bool)), Goal(jnp.array([1.0, 0.0]), jnp.zeros(2)), settings())
    np.testing.assert_array_equal(found.best, [0.0, 1.0, 0.0])
    assert found.normalizer.mean[0, 0] == pytest.approx(scores.mean())
    assert found.normalizer.std[0, 0] == pytest.approx(scores.std(), rel=1e-5)


def test_a_candidate_that_falls_loses_to_one_that_stands():
    fallen = np.zeros((3, 3), bool)
    fallen[2, 1] = True
    scores = np.array([[0.1, 0.1, 0.2], [0.0, 0.5, 0.4], [0.0, 0.6, 0.4]])
    found = grade(
        probe_of(scores, fallen),
        Goal(jnp.array([1.0, 0.0]), jnp.zeros(2)),
        settings(weights=weights(similarity=1.0, fall=10.0)),
    )
    np.testing.assert_array_equal(found.best, [0.0, 0.0, 1.0])


def test_candidates_are_known_motions_then_the_sphere():
    known = jnp.eye(5)[:3]
    rows = candidates(jax.random.PRNGKey(0), known, settings().probe)
    assert rows.shape == (2 + 6, 5)
    np.testing.assert_array_equal(rows[:2], known[np.array([0, 2])])
    np.testing.assert_allclose(jnp.linalg.norm(rows, axis=-1), 1.0, rtol=1e-5)


@pytest.mark.parametrize(
    ("known", "most", "rows"), [(3, 9, [0, 1, 2]), (9, 3, [0, 4, 8]), (0, 4, []), (4, 0, []), (1, 1, [0])]
)
def test_motion_rows_are_spread_evenly(known, most, rows):
    assert motion_rows(known, most).tolist() == rows


@pytest.mark.parametrize(("pictures", "motions"), [(18, 0), (21, 1), (10**6, 2), (0, 0)])
def test_a_warm_up_in_pictures_has_fewer_known_motions(pictures, motions):
    """Three steps of six random candidates are 18 pictures; of the two motions as many as the rest allows."""
    config = get_config("quicktest").unlock()
    config.probe.num_pictures = pictures
    probe = HighLevelSettings.from_config(config).for_pictures().probe
    assert (probe.num_random, probe.num_motion, probe.length) == (6, motions, 3)
