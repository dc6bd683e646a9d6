"""Captions of clips as a lesson: which window has which caption by hand, what is found again, which clips are tests."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from anyskill_brax.motion.io import Motion, motion_from_qpos, save_motion_folder
from anyskill_brax.reward_model.clip_captions import CaptionedClips, caption_recall, captions_of, draw, targets
from anyskill_brax.reward_model.phrases import part_of
from anyskill_brax.reward_model.run import split_folder


def clip(character, name: str, hinge: str, captions: tuple[str, ...], labels: dict, frames: int = 45) -> Motion:
    """Standing; one hinge goes to and fro."""
    qpos = np.tile(np.asarray(character.default_qpos, np.float64), (frames, 1))
    qpos[:, 7 + character.joint_names.index(hinge)] = -0.5 + 0.15 * np.sin(np.arange(frames) / 4.0)
    return motion_from_qpos(character, name, 30.0, qpos, captions=captions, **labels)


def two_clips(character) -> list[Motion]:
    """What no phrase of the vocabulary says."""
    zombie = ("Zombie  shuffle", "zombie shuffle", "stagger like the undead", "paw with the right arm", "...")
    charleston = ("lively charleston", "dance the charleston", "flap the elbow of the left arm")
    terms = {"licence": "CMU", "source": "some/repo 0abc path"}
    return [
        clip(character, "undead", "right_shoulder_y", zombie, {"category": "walk_style", **terms}),
        clip(character, "dance", "left_elbow", charleston, {"category": "dance", **terms}),
    ]


@pytest.fixture(scope="module")
def clips(character) -> list[Motion]:
    return two_clips(character)


def test_captions_are_cleaned_and_halved(clips):
    assert captions_of(clips[0]) == ["zombie shuffle", "stagger like the undead", "paw with the right arm"]
    halves = [captions_of(clips[0], part) for part in ("reward", "judge")]
    assert sorted(halves[0] + halves[1]) == sorted(captions_of(clips[0]))
    assert all(part_of(text) == "reward" for text in halves[0])


def test_which_window_has_which_caption(character, clips):
    """A third clip, akin to the first, says one thing in other order and one of its own; a fourth is too short."""
    akin = clip(character, "akin", "neck_y", ("undead the like stagger", "lurch"), {"category": "walk_style"})
    short = clip(character, "short", "neck_y", ("nod",), {}, frames=35)
    spoken = CaptionedClips.create(character, [*clips, akin, short], 8)
    assert [m.name for m in spoken.motions] == ["undead", "dance", "akin"]
    row = {text: i for i, text in enumerate(spoken.texts)}
    data = {name: jnp.asarray(getattr(spoken, name)) for name in ("said", "words", "category")}
    said = [
        ("stagger like the undead", 0),
        ("paw with the right arm", 0),
        ("paw with the left arm", 0),
        ("lively charleston", 1),
        ("lurch", 2),
    ]
    text, of = jnp.array([row[t] for t, _ in said]), jnp.array([m for _, m in said])
    own, counts = targets(data, jnp.array([0, 0, 1, 2]), jnp.array([0, 1, 0, 0]), text, of)
    assert own.tolist() == [
        [True, True, False, False, False],
        [True, False, True, False, False],  # its mirror image: the other side is said of it
        [False, False, False, True, False],
        [True, False, False, False, True],  # equal words
    ]
    assert counts.tolist() == [
        [True, True, True, True, False],  # the other side counts against, a clip of the category does not
        [True, True, True, True, False],
        [True] * 5,
        [True, False, False, True, True],
    ]


def test_what_is_drawn_fits_its_targets(character, clips):
    spoken = CaptionedClips.create(character, clips, 8)
    data = {name: jnp.asarray(getattr(spoken, name)) for name in ("said", "words", "category")}
    data["clip"] = jnp.array([0, 1, 1])
    window, text, own, counts = draw(data, 20, jax.random.key(0))
    assert (jnp.diagonal(own) & jnp.diagonal(counts)).all() and (~own).any()
    assert (window[:20] < 3).all() and (window[20:] == window[:20] + 3).all()
    assert text[:20].max() < len(spoken.texts) and own.shape == (40, 40)


def test_recall_by_hand():
    """Three clips of one text each, two of equal words: two texts to choose from. The third finds the wrong one."""
    spoken = CaptionedClips((), ("a", "b", "b b"), np.array([[[0], [0]], [[1], [1]], [[2], [2]]]), np.array([0, 1, 1]),
                            np.arange(3))  # fmt: skip
    goals = {"a": [1.0, 0.0], "b": [0.0, 1.0]}
    seen = np.array([[1.0, 0.1], [0.1, 1.0], [1.0, 0.1]])
    found = caption_recall(lambda texts: np.array([goals[t] for t in texts]), spoken, seen, np.arange(3), ["a", "b b"])
    assert found["captions"] == 2 and found["windows"] == 3 and found["captions_learnt"] == 1
    assert found["first"] == pytest.approx(2 / 3) and found["first_by_chance"] == pytest.approx(0.5)
    assert found["fifth"] == found["fifth_by_chance"] == 1.0


def test_a_folder_without_a_test_split_gives_a_share_of_its_clips(character, clips, tmp_path):
    many = [dataclasses.replace(clips[0], name=f"clip{i}") for i in range(12)]
    save_motion_folder(tmp_path / "a", many)
    train, test = split_folder(tmp_path / "a", 0.3)
    assert sorted(m.name for m in train + test) == sorted(m.name for m in many) and 0 < len(test) < 12
    save_motion_folder(tmp_path / "b", [many[0], dataclasses.replace(many[1], split="test")])
    train, test = split_folder(tmp_path / "b", 0.9)
    assert ([m.name for m in train], [m.name for m in test]) == (["clip0"], ["clip1"])
