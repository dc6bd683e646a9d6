"""Motions to begin with: which is chosen."""

import jax.numpy as jnp
import numpy as np
import pytest

from anyskill_brax.high_level.eyes import Eyes
from anyskill_brax.high_level.repertoire import MOMENT, Repertoire
from anyskill_brax.high_level.reward import Goal
from anyskill_brax.high_level.settings import HighLevelSettings
from anyskill_brax.motion.io import Motion
from anyskill_brax.motion.synthesis import builtin_motions
from configs.high_level import get_config


def settings(**probe) -> HighLevelSettings:
    config = get_config("quicktest").unlock()
    config.probe.update(probe)
    return HighLevelSettings.from_config(config.to_dict())


@pytest.fixture(scope="module")
def motions(character) -> list[Motion]:
    return builtin_motions(character, kinds=["stand", "raise_arm"])


@pytest.fixture(scope="module")
def known(character, controller, compass, motions) -> Repertoire:
    made = Repertoire.create(character, controller, compass, Eyes.create(compass, (), "map"), motions)
    assert made is not None
    return made


def goal_of(model, text: str) -> Goal:
    return Goal(jnp.asarray(model.embed_text([text])[0]), jnp.zeros(3))


def test_a_motion_is_chosen_for_its_best_half_second_where_nothing_held_scores_as_well():
    score = np.full((3, 40), 0.1)
    score[0, 3] = 0.9  # one frame
    score[1, 5:25] = 0.5
    score[2, 20:] = 0.8  # a pose at rest, or after its end
    moves = np.ones((3, 40), bool)
    moves[2, 20:] = False
    seen = jnp.stack([jnp.asarray(score), jnp.sqrt(1.0 - jnp.asarray(score) ** 2)], axis=-1)
    nothing = jnp.zeros((3, 40, 1))
    known = Repertoire(nothing, nothing, seen, jnp.asarray(moves), jnp.zeros((3, 1, 2)), ("blink", "wave", "end"))
    goal = Goal(jnp.array([1.0, 0.0]), jnp.zeros(2))
    assert [int(known.choose(goal, jnp.asarray(held), settings().reward)) for held in (0.2, 0.49, 0.51)] == [1, 1, -1]
    called = known.replace(captions=jnp.array([[[0.0, 1.0]], [[0.0, 1.0]], [[1.0, 0.0]]]))
    assert int(called.choose(goal, jnp.asarray(0.2), settings().reward)) == 1, "a name alone is not enough"
    nearly = called.replace(seen=seen.at[2, :20].set(jnp.array([0.4, 0.0])))
    assert [int(nearly.choose(goal, jnp.asarray(held), settings().reward)) for held in (0.2, 0.45)] == [2, -1]


def test_motions_are_seen_and_what_moves_counts(known, motions, compass):
    raise_right, stand = (next(k for k, m in enumerate(motions) if m.name == n) for n in ("raise_arm_right", "stand"))
    assert known.names == tuple(motion.name for motion in motions)
    chosen = known.choose(goal_of(compass, "hand up"), jnp.asarray(0.5), settings().reward)
    assert known.names[int(chosen)] == "raise_arm_right"
    assert int(known.choose(goal_of(compass, "hand up"), jnp.asarray(1.0), settings().reward)) == -1
    np.testing.assert_allclose(jnp.linalg.norm(known.latents, axis=-1), 1.0, atol=1e-5)
    assert not known.moves[stand].any()
    assert MOMENT < known.moves[raise_right].sum() < motions[raise_right].num_frames, (
        "not what is held before and after"
    )


def test_captions_may_be_missing_or_odd(character, controller, compass, motions):
    first = motions[0]
    odd = [
        first.__class__(**{**vars(first), "captions": captions, "name": name})
        for captions, name in [((), "_"), (("", "--", "hand up " * 2000), "long"), (("hand up",), "up")]
    ]
    made = Repertoire.create(character, controller, compass, Eyes.create(compass, (), "map"), odd)
    assert made is not None and made.captions.shape == (3, 1, 3)
    np.testing.assert_allclose(made.captions[1:, 0] @ goal_of(compass, "hand up").text, 1.0, atol=1e-5)


def test_too_short_motions_and_models_of_pictures_make_none(character, controller, compass, motions):
    class Camera(compass.__class__):
        needs_images = True

    eyes = Eyes.create(compass, (), "map")
    short = [m.__class__(**{**vars(m), "qpos": m.qpos[: MOMENT - 1], "qvel": m.qvel[: MOMENT - 1]}) for m in motions]
    assert Repertoire.create(character, controller, compass, eyes, short) is None
    assert Repertoire.create(character, controller, compass, eyes, []) is None
    assert Repertoire.create(character, controller, Camera(character), eyes, motions) is None
