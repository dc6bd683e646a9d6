"""Scripts: what is a phrase, how long it lasts, and which skill it means."""

import numpy as np
import pytest

from anyskill_brax.script import Match, Phrase, parse_script, resolve
from anyskill_brax.types import UserError


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("walk forward 3s, raise both arms 2s, bow", [("walk forward", 3), ("raise both arms", 2), ("bow", 4)]),
        ("walk for 3 seconds then bow", [("walk", 3), ("bow", 4)]),
        ("Walk 1.5 sec; and then, bow for 1 second.", [("Walk", 1.5), ("bow", 1)]),
        ("wave 2 times, then\n jump 0.5s,", [("wave 2 times", 4), ("jump", 0.5)]),
        ("strengthen your stance 2s", [("strengthen your stance", 2)]),
        ("look up and down", [("look up and down", 4)]),
        ("step over 2 boxes", [("step over 2 boxes", 4)]),
    ],
)
def test_phrases_and_durations(script, expected):
    assert parse_script(script, default_seconds=4.0) == [Phrase(text, float(s)) for text, s in expected]


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("", "empty"),
        (" , ; then ", "empty"),
        ("3s, walk", "no words"),
        ("walk 2,5s", "no words"),
        ("walk 0s", "more than 0"),
        ("walk -2s", "more than 0"),
        ("walk 99999s", "at most 600"),
    ],
)
def test_bad_scripts_say_what_is_wrong(script, message):
    with pytest.raises(UserError, match=message):
        parse_script(script, default_seconds=4.0)


class Letters:
    """Texts are their letters' counts."""

    name, dim, sha256, needs_images, image_size = "letters", 26, "", False, 0

    def embed_text(self, texts):
        rows = np.array([[text.lower().count(chr(97 + i)) for i in range(26)] for text in texts], np.float32)
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)

    def text_confidence(self, texts):
        return np.array([0.1 if "zz" in text else 1.0 for text in texts])

    def embed_images(self, images):
        raise NotImplementedError

    def embed_poses(self, bodies):
        raise NotImplementedError


def test_resolution_picks_the_nearest_instruction_and_says_how_near():
    instructions = ["bow deeply to the audience", "jump as high as you can", "walk forward"]
    phrases = [Phrase("walk forward", 1.0), Phrase("jump high as you can", 2.0), Phrase("bow to the audience", 1.0)]
    matches = resolve(phrases, instructions, Letters())
    assert [m.index for m in matches] == [2, 1, 0] and [m.phrase for m in matches] == phrases
    assert matches[0].similarity == pytest.approx(1.0, abs=1e-5)
    assert all(m.second not in (m.index, None) for m in matches)
    assert not matches[0].is_doubtful(0.99)


def test_doubt_has_two_reasons():
    sure = Match(Phrase("walk", 1.0), index=0, similarity=0.9, confidence=0.9, second=None)
    assert not sure.is_doubtful(0.8) and sure.is_doubtful(0.95)
    unknown = resolve([Phrase("zz walk", 1.0)], ["zz walk"], Letters())[0]
    assert unknown.similarity > 0.99 and unknown.is_doubtful(0.8) and unknown.second is None


def test_nothing_to_choose_from():
    with pytest.raises(UserError, match="no skills"):
        resolve([Phrase("walk", 1.0)], [], Letters())
