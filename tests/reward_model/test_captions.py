"""Phrases and captions: the grammar, the two halves, and what a pose deserves."""

import numpy as np
import pytest

from anyskill_brax.reward_model import phrases
from anyskill_brax.reward_model.captions import caption_degrees, compose
from anyskill_brax.reward_model.posecodes import attribute_names, mirror_name
from anyskill_brax.reward_model.wording import gerund, swap_sides, third_person


def test_expand():
    assert phrases.expand("{raise|lift} your {|left }arm") == [
        "raise your arm",
        "raise your left arm",
        "lift your arm",
        "lift your left arm",
    ]


def test_every_attribute_has_words_and_no_others_do(character):
    names = attribute_names(character)
    spoken = phrases.all_phrases()
    assert set(spoken) == set(names) and len(names) >= 70
    assert min(map(len, spoken.values())) >= 5
    assert all(mirror_name(name) in names for name in names)
    assert {*phrases.antonyms(), *phrases.antonyms().values()} <= set(names)


def test_no_placeholder_is_left():
    assert not [text for text in phrases.meanings() if set(text) & set("<>{}|")]


def test_mirrored_attributes_are_spoken_of_in_mirrored_words():
    for name, texts in phrases.all_phrases().items():
        assert {swap_sides(text) for text in texts} == set(phrases.all_phrases()[mirror_name(name)])


def test_reward_and_judge_share_no_phrase_and_both_speak_of_everything(character):
    reward, judge = (phrases.phrases_of(part) for part in phrases.PARTS)
    assert not set(reward) & set(judge)
    for part in (reward, judge):
        assert {name for means in part.values() for name in means} == set(attribute_names(character))
        assert all(swap_sides(text) in part for text in part)


@pytest.mark.parametrize(
    ("verb", "form"),
    [("raise", "raising"), ("sit", "sitting"), ("lie", "lying"), ("squat", "squatting"), ("kneel", "kneeling"),
     ("see", "seeing"), ("run", "running"), ("push", "pushing"), ("jump", "jumping"), ("stand", "standing")],
)  # fmt: skip
def test_gerund(verb, form):
    assert gerund(verb) == form


@pytest.mark.parametrize(
    ("verb", "form"), [("raise", "raises"), ("crouch", "crouches"), ("carry", "carries"), ("do", "does")]
)
def test_third_person(verb, form):
    assert third_person(verb) == form


def test_swap_sides():
    assert swap_sides("left hand on the right knee, leftover") == "right hand on the left knee, leftover"


def test_caption_degrees_by_hand():
    """Columns a b c; caption 0 = a; caption 1 = (a or b) and c; 3 is the absent phrase. (0.6 + 0.75) / 2 = 0.675."""
    degrees = np.array([[0.2, 0.9, 0.6], [1.0, 0.0, 0.1]])
    attributes = np.array([[[0, 0], [3, 3], [3, 3]], [[0, 1], [2, 2], [3, 3]]])
    np.testing.assert_allclose(caption_degrees(degrees, attributes), [[0.2, 0.675], [1.0, 0.325]], atol=1e-6)


def test_composed_captions_are_true_of_their_source():
    names = ("left_up", "right_up", "squat")
    words = {
        "raise left": ("left_up",),
        "raise right": ("right_up",),
        "squat": ("squat",),
        "raise one": ("left_up", "right_up"),
    }
    degrees = np.random.default_rng(0).choice([0.1, 0.9], (40, 3)).astype(np.float32)
    captions = compose(words, names, ("right_up", "left_up", "squat"), degrees, 60, seed=1)
    deserved = np.asarray(caption_degrees(degrees, captions.attributes))
    assert (deserved[captions.source, np.arange(60)] > 0.5).all()
    mirrored = np.asarray(caption_degrees(degrees[:, [1, 0, 2]], captions.mirrored_attributes))
    np.testing.assert_array_equal(mirrored, deserved)
    assert compose(words, names, ("right_up", "left_up", "squat"), degrees, 60, seed=1).texts == captions.texts
