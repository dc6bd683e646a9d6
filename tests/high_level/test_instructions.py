from pathlib import Path

import jax
import numpy as np
import pytest

from anyskill_brax.high_level.instructions import Instruction, read_instructions
from anyskill_brax.types import UserError
from skill_zoo.ids import check_name, slug


def read(tmp_path: Path, text: str):
    file = tmp_path / "list.txt"
    file.write_text(text)
    return read_instructions(file, slug, check_name)


def test_a_line_is_a_text_or_a_slug_and_a_text(tmp_path):
    found = read(tmp_path, "# a comment\n\nwave your  right hand\nbow: take a bow\n  run: go fast, then: stop \n")
    assert found == (
        Instruction("wave-your-right-hand", "wave your right hand"),
        Instruction("bow", "take a bow"),
        Instruction("run", "go fast, then: stop"),
    )


def test_a_colon_after_several_words_belongs_to_the_text(tmp_path):
    (only,) = read(tmp_path, "do this: jump")
    assert only.text == "do this: jump"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "no instruction"),
        ("# only a comment\n", "no instruction"),
        ("jump " * 2000, "at most 300"),
        ("wave\nbow: take a bow\nbow: bend over\n", "lines 2 and 3"),
        ("wave\nWave!\n", "same slug"),
        ("../up: escape", "line 1"),
        ("jump-v2: jump again", "-vN"),
        ("wave:   \n", "no instruction text"),
        ("\n".join(f"s{i}: text {i}" for i in range(1025)), "at most 1024"),
    ],
)
def test_bad_lists_are_told_apart(tmp_path, text, says):
    with pytest.raises(UserError) as error:
        read(tmp_path, text)
    assert says in str(error.value)
    assert len(str(error.value)) < 500


def test_missing_and_binary_lists(tmp_path):
    with pytest.raises(UserError, match="cannot read"):
        read_instructions(tmp_path / "none.txt", slug, check_name)
    (tmp_path / "noise.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match="UTF-8"):
        read_instructions(tmp_path / "noise.txt", slug, check_name)


def test_randomness_hangs_on_the_text_and_the_seed_alone():
    key = Instruction("a", "wave").key(0)
    np.testing.assert_array_equal(key, Instruction("b", "wave").key(0))
    assert (key != Instruction("a", "bow").key(0)).any()
    assert (key != Instruction("a", "wave").key(1)).any()
    np.testing.assert_array_equal(key, jax.random.fold_in(jax.random.PRNGKey(0), 0x4B125EC9))
