"""Ids: what is accepted is exactly character/name-vN; everything that smells of a path is refused."""

import itertools

import pytest

from skill_zoo.errors import InvalidId
from skill_zoo.ids import SkillId, check_name, nearest, slug


@pytest.mark.parametrize(
    ("text", "character", "name", "version"),
    [
        ("humanoid/wave", "humanoid", "wave", None),
        ("humanoid/wave-v2", "humanoid", "wave", 2),
        ("humanoid/wave-right-hand-v10", "humanoid", "wave-right-hand", 10),
        ("h2/3-steps-v999999", "h2", "3-steps", 999999),
        ("humanoid/v2", "humanoid", "v2", None),
        ("humanoid/wave-v", "humanoid", "wave-v", None),
    ],
)
def test_ids_read_and_write(text, character, name, version):
    skill_id = SkillId.parse(text)
    assert skill_id == SkillId(character, name, version)
    assert str(skill_id) == text and SkillId.parse(skill_id) == skill_id


PARTS = [
    *(
        "",
        ".",
        "..",
        "...",
        "/",
        "\\",
        "~",
        "C:",
        "..\\..",
        "%2e%2e",
        "-",
        "-a",
        "a-",
        "a--b",
        "Wave",
        "wave hand",
        " wave",
    ),
    *(
        "wave\n",
        "wave\x00",
        "wave\x00.json",
        "wävé",
        "ｗave",
        "wave\u202e",
        "wave_hand",
        "a.b",
        "a:b",
        "a|b",
        "$HOME",
        "*",
        "?",
    ),
    *(
        "..%c0%af",
        "\u2024\u2024",
        "\u2215etc",
        "wave-v0",
        "wave-v01",
        "wave-v1000000",
        "wave-v1-v2",
        "w" * 65,
    ),
]
HOSTILE = [
    *(f"humanoid/{part}" for part in PARTS),
    *(f"{part}/wave" for part in PARTS if not part.startswith("wave-v")),
    *(f"humanoid/{part}/wave" for part in PARTS),
    *(
        "wave",
        "humanoid/wave/v1",
        "/humanoid/wave",
        "humanoid/wave/",
        "//",
        "w" * 100_000,
        "a-" * 50_000,
        "\ud800/wave",
    ),
]


@pytest.mark.parametrize("text", HOSTILE, ids=itertools.count())
def test_what_is_no_id_is_refused(text):
    with pytest.raises(InvalidId) as caught:
        SkillId.parse(text)
    assert str(caught.value).isprintable() and len(str(caught.value)) < 500


@pytest.mark.parametrize("name", ["wave-v2", "a-v0", "../a", "", "A", None, 3, "w" * 65])
def test_names_leave_the_version_to_the_zoo(name):
    with pytest.raises(InvalidId):
        check_name(name)


def test_slugs():
    assert slug("Wave your right hand!") == "wave-your-right-hand"
    assert slug("  crouch,  then   jump 2 times ") == "crouch-then-jump-2-times"
    lossy = ["wave-v2", "挥手", "走路", "", "é", "raise your arms " * 9, "raise your arms " * 10, "x" * 400]
    slugs = [slug(text) for text in lossy]
    assert len(set(slugs)) == len(lossy)
    for text in slugs:
        assert SkillId.parse(f"humanoid/{check_name(text)}").version is None


def test_the_nearest_names_come_first():
    known = ["humanoid/wave-right-hand", "humanoid/wave-left-hand", "humanoid/sit-down", "humanoid/walk"]
    assert nearest("humanoid/wave-rihgt-hand", known)[0] == "humanoid/wave-right-hand"
    assert nearest("human/walk-v3", known) == ["humanoid/walk"]
    assert nearest("sit down", known) == ["humanoid/sit-down"]
    assert nearest("humanoid/zzzzzzzzzzzz", known) == []
