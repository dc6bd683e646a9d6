"""Training on pictures with a surrogate: it is audited, logged, and part of the state that a resumed run continues."""

import json
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from stand_ins import Compass

from anyskill_brax.character.kinematics import forward_kinematics
from anyskill_brax.clip.reward import known
from anyskill_brax.high_level import run
from anyskill_brax.high_level.eyes import Eyes, camera_views
from anyskill_brax.high_level.instructions import Instruction
from anyskill_brax.high_level.settings import HighLevelSettings
from anyskill_brax.types import UserError
from configs.high_level import get_config
from skill_zoo import publish

LINES = (Instruction("up", "hand up"), Instruction("left", "hand left"))


class Photograph(Compass):
    """The compass read off a picture: its needle is the colour of the one pixel."""

    name, sha256, needs_images, image_size = "photograph", "1" * 64, True, 1

    def embed_images(self, images: jax.Array) -> jax.Array:
        return 2.0 * images[:, 0, 0] - 1.0

    def shoot(self, bodies) -> jax.Array:
        return 0.5 + 0.5 * Compass.embed_poses(self, bodies)[:, None, None]


@pytest.fixture(scope="module")
def photograph(character) -> Photograph:
    return Photograph(character)


def settings_of(**surrogate):
    config = get_config("quicktest").unlock()
    config.rollout.num_envs = 16
    config.surrogate.update(dict(enabled=True, capacity=128, **surrogate))
    config.checkpoint_seconds = 0.0
    return config.to_dict()


@pytest.fixture(scope="module")
def door(env, controller, photograph):
    def train(workdir, **options):
        options = {"model": photograph, "views": (photograph.shoot,), "instructions": LINES} | options
        return run.train(
            settings_of(max_gap=10.0, min_correlation=-1.0), workdir, env=env, low_level=controller, **options
        )

    return train


@pytest.mark.slow
def test_a_run_that_trusts_its_surrogate_logs_fidelity_and_resumes_exactly(door, tmp_path):
    """With a threshold that everything passes: true scores in the first update, guesses from the second on."""
    whole = door(tmp_path / "whole")
    seen: list[int] = []
    assert door(tmp_path / "cut", report=lambda n, _: seen.append(n), should_stop=lambda: len(seen) == 2) is None
    continued = door(tmp_path / "cut")
    for ours, theirs in zip(continued, whole, strict=True):
        jax.tree.map(np.testing.assert_array_equal, ours.policy, theirs.policy)
        assert ours.metrics == theirs.metrics
        assert [row["surrogate_trusted"] for row in theirs.metrics] == [0.0, 1.0, 1.0]
        for row in theirs.metrics:
            assert -1.0 <= row["surrogate_correlation"] <= 1.0 and row["surrogate_rmse"] > 0.0
            assert np.isfinite(row["surrogate_gap"])
    assert publish.fidelity(whole[0].metrics)["surrogate_share"] == pytest.approx(2 / 3)
    logs = [(tmp_path / name / "metrics.jsonl").read_text().splitlines() for name in ("whole", "cut")]
    for a, b in zip(*([json.loads(line) for line in log] for log in logs), strict=True):
        assert a | {"seconds": 0} == b | {"seconds": 0}


def test_a_manifest_and_a_card_tell_what_the_audits_found():
    rows = [
        {"surrogate_trusted": trusted, "surrogate_rmse": rmse, "surrogate_correlation": 0.9, "surrogate_gap": gap}
        for trusted, rmse, gap in ((0.0, 9.0, 9.0), (1.0, 0.2, 0.1), (1.0, 0.4, -0.3), (0.0, 9.0, 9.0))
    ]
    found = publish.fidelity(rows)
    assert found == {
        "surrogate_share": 0.5,
        "surrogate_rmse": pytest.approx(0.3),
        "surrogate_correlation": 0.9,
        "surrogate_gap": 0.1,
    }
    said = publish.audited(rows)
    assert "in 50% of the updates:" in said and "correlation 0.90 and RMSE 0.30" in said and "+0.10" in said
    assert publish.audited([{"reward": 1.0}]) == ""
    assert publish.fidelity([{"reward": 1.0}]) == {} == publish.fidelity([])
    assert publish.fidelity(rows[:1]) == {"surrogate_share": 0.0}


def test_only_those_who_need_it_are_looked_at(env, photograph):
    bodies = jax.tree.map(
        lambda x: jnp.broadcast_to(x, (3, 2, *x.shape)), env.reset(jax.random.PRNGKey(0)).pipeline_state.bodies
    )
    for axis in ("map", "vmap"):
        eyes = Eyes.create(photograph, (photograph.shoot,), axis)
        whole, part = eyes.embed_state(bodies), eyes.embed_state(bodies, jnp.array([False, True, False]))
        assert jnp.linalg.norm(whole[0, 0]) == pytest.approx(1.0)
        np.testing.assert_array_equal(part[1], whole[1])
        np.testing.assert_array_equal(eyes.embed_state(bodies, jnp.zeros(3, bool)), jnp.zeros_like(whole))
    assert not part[0].any() or axis == "vmap"


def test_a_pessimist_is_shown_every_view(env, photograph):
    bodies = jax.tree.map(
        lambda x: jnp.broadcast_to(x, (3, 2, *x.shape)), env.reset(jax.random.PRNGKey(0)).pipeline_state.bodies
    )
    reward = HighLevelSettings.from_config(settings_of()).reward
    views = (photograph.shoot, lambda bodies: 1.0 - photograph.shoot(bodies))
    one = Eyes.create(photograph, views[:1], "map", reward).embed_state(bodies)
    both = Eyes.create(photograph, views, "map", replace(reward, ensemble_pessimism=1.0)).embed_state(bodies)
    np.testing.assert_allclose(both, jnp.concatenate([one, -one], axis=-1), atol=1e-6)


@pytest.mark.slow
def test_a_picture_of_no_pose_scores_nothing_and_costs_no_other(character):
    """As a pose that is not a number does; such worlds count as `broken` before anybody looks at them."""

    class Brightness(Photograph):
        def embed_images(self, images):
            return known(images.mean(axis=(1, 2)))

    bodies = forward_kinematics(character, jnp.tile(character.default_qpos, (2, 1)), jnp.zeros((2, 34)))
    views, model = camera_views(character, 16, 1), Brightness(character)
    see = jax.jit(lambda bodies: Eyes.create(model, views, "vmap").embed_state(jax.tree.map(lambda x: x[None], bodies)))
    seen = see(bodies.replace(pos=bodies.pos.at[1, 3].set(jnp.nan)))[0]
    assert not seen[1].any() and seen[0].all()
    np.testing.assert_array_equal(seen[0], see(bodies)[0, 0])


def test_what_a_surrogate_cannot_do_is_said(door, compass, tmp_path):
    with pytest.raises(UserError, match="compass reads poses"):
        door(tmp_path / "run", model=compass, views=())
    assert not (tmp_path / "run").exists()
    with pytest.raises(UserError, match="must hold the 64 states"):
        HighLevelSettings.from_config(settings_of() | {"surrogate": settings_of()["surrogate"] | {"capacity": 63}})
