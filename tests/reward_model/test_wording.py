"""Wording: the form of a phrase, frames that suit it, and when "stand with ..." may be said."""

import numpy as np
import pytest

from anyskill_brax.clip.hashed_text import PhraseIndex
from anyskill_brax.reward_model import phrases, wording
from anyskill_brax.reward_model.captions import Standing, caption_degrees, compose


@pytest.mark.parametrize(
    ("phrase", "form"),
    [("raise your left arm", "verb"), ("arms crossed", "noun"), ("balancing on one foot", "gerund"),
     ("the man raises both hands", "clause"), ("she bows", "clause"), ("spring", "verb"), ("boxer stance", "noun")],
)  # fmt: skip
def test_form(phrase, form):
    assert wording.form_of(phrase) == form


@pytest.mark.parametrize(
    ("text", "loose"),
    [("raise your left arm", "raise one arm"), ("right knee up", "one knee up"), ("turn left", None),
     ("left hand on the right knee", None), ("raise both arms", None), ("hop on the right foot", "hop on one foot")],
)  # fmt: skip
def test_a_side_left_open(text, loose):
    assert phrases.unsided(text) == loose


def test_limbs_are_anybodys():
    """Whose arm it is does not matter, so a quarter of the captions says otherwise; nothing else is touched."""
    rng = np.random.default_rng(0)
    said = [wording.joined(["put your left hand on the hips"], rng) for _ in range(200)]
    assert {"put the left hand on the hips", "put her left hand on her hips"} <= set(said)
    assert 0.7 < np.mean([text == "put your left hand on the hips" for text in said]) < 0.9
    assert {wording.joined(["run to the left"], rng) for _ in range(50)} == {"run to the left"}


def test_a_side_left_open_means_either():
    assert set(phrases.meanings()["raise one arm"]) == {"left_arm_up", "right_arm_up"}


def test_frames_have_one_slot_and_name_no_side():
    for form in ("noun", "verb"):
        assert len(phrases.frames(form)) > 50
        assert all(frame.count("{}") == 1 for frame in phrases.frames(form))
    said = [*phrases.frames("noun"), *phrases.frames("verb"), *phrases.frames("manner")]
    assert not [text for text in said if wording.swap_sides(text) != text]


def test_some_noun_frames_say_that_the_figure_stands_and_only_those_wait_for_it():
    said = [wording.framed(["arms crossed"], lambda frame: not wording.is_standing(frame), rng) for rng in _rngs(300)]
    assert not [text for text, _ in said if "stand" in text]
    said = [wording.framed(["arms crossed"], lambda frame: True, rng) for rng in _rngs(300)]
    assert [frame for _, frame in said if wording.is_standing(frame)]
    assert all("arms crossed" in text for text, _ in said)


def _rngs(count):
    return map(np.random.default_rng, range(count))


NAMES = ("arms_crossed", "left_foot_up", "right_foot_up", "sit", "upright")
MIRRORED = ("arms_crossed", "right_foot_up", "left_foot_up", "sit", "upright")
HOLDS = np.array([[1, 0, 0, 0, 1], [1, 0, 0, 1, 0], [0, 1, 0, 0, 0], [1, 0, 0, 0, 0]], bool)


def test_standing_with_something():
    """Crossed arms go with standing upright, a raised foot does not: there, "stand" asks for no more."""
    standing = Standing(NAMES, HOLDS)
    assert standing.means_upright([0]) and not standing.means_upright([1])
    may = [standing.may("stand with {}", pose, [int(HOLDS[pose].argmax())]) for pose in range(4)]
    assert may == [True, False, True, False]
    assert all(standing.may("{} please", pose, [0]) for pose in range(4))


def test_captions_that_say_stand_ask_for_it():
    words = {"arms crossed": ("arms_crossed",), "left foot up": ("left_foot_up",)}
    degrees = HOLDS.astype(np.float32)
    captions = compose(words, NAMES, MIRRORED, degrees, 400, seed=0)
    asked = [("stand" in text, (row == 4).any()) for text, row in zip(captions.texts, captions.attributes, strict=True)]
    crossed = ["arms" in text and "foot" not in text for text in captions.texts]
    assert all(says == asks for (says, asks), only in zip(asked, crossed, strict=True) if only)
    assert any(says for says, _ in asked) and not all(says for says, _ in asked)
    deserved = np.asarray(caption_degrees(degrees, captions.attributes))
    assert (deserved[captions.source, np.arange(400)] == 1.0).all()


def test_neutral_words_do_not_change_the_evidence():
    index = PhraseIndex(["raise your left arm", "squat down"], neutral=["please", "slowly"])
    np.testing.assert_array_equal(index.evidence("please squat down slowly"), index.evidence("squat down"))
    np.testing.assert_array_equal(index.evidence("please, please"), [0.0, 0.0])
    assert index.evidence("kindly squat down")[1] < 1.0
