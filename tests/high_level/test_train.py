"""Training end to end, at toy size: independence of lines, exact resume, one compilation, early stop."""

import functools
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from anyskill_brax.high_level import run
from anyskill_brax.high_level.eyes import AZIMUTHS, Eyes, camera_views
from anyskill_brax.high_level.instructions import Instruction
from anyskill_brax.high_level.settings import HighLevelSettings
from anyskill_brax.high_level.train import Frozen, audition, compiled
from anyskill_brax.types import UserError
from configs.high_level import get_config

pytestmark = pytest.mark.slow

LINES = tuple(Instruction(slug, f"hand {slug}") for slug in ("up", "left", "forward"))


def rows_of(tree, row: slice):
    return [np.asarray(leaf[row]) for leaf in jax.tree.leaves(tree) if leaf.ndim]


def settings_of(axis: str = "map"):
    config = get_config("quicktest").unlock()
    config.rollout.instruction_axis = axis
    config.checkpoint_seconds = 0.0
    # Terms and a form that are off by default, so that what holds here holds with them.
    config.reward.weights.update(dict(contrast=0.5, stillness=0.5))
    bank = ("hand down", "hand left")
    config.reward.update(dict(contrast_bank=bank, ensemble_pessimism=0.5, stillness_frames=3, moving_spread=1.0))
    return config.to_dict()


@pytest.fixture(scope="module")
def train_lines(env, controller, compass):
    """`train_lines(lines, axis, updates)` -> state, findings, and per update: metrics, programs compiled so far."""

    def train_lines(lines, axis="map", updates=3):
        settings = HighLevelSettings.from_config(settings_of(axis))
        init, update, keep_best = compiled(env, settings)
        frozen = Frozen(controller, Eyes.create(compass, (), axis, settings.reward))
        keys = jnp.stack([line.key(settings.seed) for line in lines])
        goals = run.goals(compass, [line.text for line in lines], settings.reward)
        state, findings, candidates = init(frozen, jax.random.PRNGKey(settings.seed), keys, goals, None)
        state, _ = audition(state, candidates, functools.partial(keep_best, frozen))
        metrics, programs = [], []
        state, _ = keep_best(frozen, state)
        for done in range(1, updates + 1):
            state, row = update(frozen, state)
            if settings.tries(done):
                state, tried = keep_best(frozen, state)
                row |= tried
            metrics.append(row)
            programs.append((update._cache_size(), keep_best._cache_size()))
        return state, findings, metrics, programs

    return train_lines


@pytest.fixture(scope="module")
def three(train_lines):
    return train_lines(LINES)


@pytest.mark.optimised
def test_a_line_learns_the_same_alone_and_in_company_bit_for_bit(three, train_lines):
    alone = train_lines(LINES[1:2])
    together, single = rows_of(three[:3], slice(1, 2)), rows_of(alone[:3], slice(0, 1))
    assert len(together) == len(single) > 40
    for term in ("contrast", "stillness"):
        assert all((np.asarray(row[term]) < 0.0).all() for row in three[2])
    for ours, theirs in zip(together, single, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_updates_compile_once(three):
    assert len(set(three[3])) == 1


def test_lines_learn_different_things(three):
    kernel = three[0].learner.actor["params"]["trunk"]["layer_0"]["kernel"]
    assert float(jnp.abs(kernel[0] - kernel[1]).max()) > 1e-3


def test_one_batch_agrees_with_the_loop_to_rounding_after_one_update(three, train_lines):
    batched = train_lines(LINES, axis="vmap", updates=1)
    np.testing.assert_allclose(three[1].values, batched[1].values, atol=1e-3)
    for name in ("score", "reward", "style"):
        np.testing.assert_allclose(three[2][0][name], batched[2][0][name], atol=5e-3)


@pytest.fixture(scope="module")
def door(env, controller, compass):
    def train(workdir, lines=LINES, **options):
        return run.train(
            settings_of(), workdir, env=env, low_level=controller, model=compass, instructions=lines, **options
        )

    return train


def test_a_stopped_run_continues_exactly_and_a_finished_one_is_done(door, env, three, tmp_path):
    programs = [program._cache_size() for program in compiled(env, HighLevelSettings.from_config(settings_of()))]
    whole = door(tmp_path / "whole")
    seen: list[int] = []
    assert door(tmp_path / "cut", report=lambda n, _: seen.append(n), should_stop=lambda: bool(seen)) is None
    assert seen == [1]
    continued = door(tmp_path / "cut", report=lambda n, _: seen.append(n))
    assert seen == [1, 2, 3]
    for ours, theirs in zip(continued, whole, strict=True):
        jax.tree.map(np.testing.assert_array_equal, ours.policy, theirs.policy)
        assert ours.reward_after == theirs.reward_after
        assert [row["update"] for row in ours.metrics] == [1, 2, 3] and ours.metrics == theirs.metrics
        assert ours.metrics[0]["reward"] == ours.reward_before and {"score", "fell"} <= ours.metrics[0].keys()
    logs = [(tmp_path / name / "metrics.jsonl").read_text().splitlines() for name in ("whole", "cut")]
    whole_rows, cut_rows = ([json.loads(line) for line in log] for log in logs)
    assert [row["update"] for row in cut_rows] == [0, 1, 2, 3]
    assert whole_rows[0]["begins_with/up"] == "", "no motion is known here"
    assert whole_rows[0]["probe_best/up"] in {"wave", "bow", *(f"random {k}" for k in range(6))}
    for a, b in zip(whole_rows, cut_rows, strict=True):
        a.pop("seconds"), b.pop("seconds")
        assert a == b

    again = door(tmp_path / "whole", report=lambda n, _: seen.append(n))
    assert seen == [1, 2, 3]
    jax.tree.map(np.testing.assert_array_equal, again[0].policy, whole[0].policy)

    with pytest.raises(UserError, match="instructions"):
        door(tmp_path / "whole", lines=LINES[:2])
    # Neither later updates nor a state from disk make the compiler work again.
    assert programs == [p._cache_size() for p in compiled(env, HighLevelSettings.from_config(settings_of()))]
    for k, skill in enumerate(whole):
        jax.tree.map(
            lambda ours, all_, k=k: np.testing.assert_array_equal(ours, all_[k]), skill.policy.params, three[0].best
        )


def test_a_repertoire_that_does_not_exist_leaves_no_folder(env, controller, compass, tmp_path):
    config = settings_of()
    config["probe"]["repertoire"] = (str(tmp_path / "nowhere"),)
    with pytest.raises(UserError, match="nowhere: no such folder"):
        run.train(config, tmp_path / "run", env=env, low_level=controller, model=compass, instructions=LINES)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("views", [-1, 0, len(AZIMUTHS) + 1])
def test_more_cameras_than_there_are_or_none_are_refused(character, views):
    assert len(camera_views(character, 16, len(AZIMUTHS))) == len(AZIMUTHS)
    with pytest.raises(UserError, match=f"num_views is {views}; expected 1 to {len(AZIMUTHS)}"):
        camera_views(character, 16, views)
