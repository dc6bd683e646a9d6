"""Tokens: where a text ends, and what is refused."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from clip.make_golden import GOLDEN

from anyskill_brax.clip.text import LEGACY_EOS, encode, load_tokenizer
from anyskill_brax.types import UserError

FOLDER, END = str(GOLDEN / "quick"), 524
RAISE, TWO, ARMS, START = 520, 516, 514, 523  # ids in the golden vocabulary


def test_words_become_ids_between_start_and_end():
    tokens = encode(FOLDER, ["raise TWO  arms", ""], context=48, eos_token_id=END)
    assert tokens.ids[0, :5].tolist() == [START, RAISE, TWO, ARMS, END]
    assert tokens.ids[1, :2].tolist() == [START, END]
    assert tokens.eos.tolist() == [4, 1]
    assert tokens.ids.shape == (2, 8)


def test_the_legacy_end_is_the_highest_id():
    new = encode(FOLDER, ["raise two arms"], 48, END)
    legacy = encode(FOLDER, ["raise two arms"], 48, LEGACY_EOS)
    np.testing.assert_array_equal(legacy.eos, new.eos)


def test_a_text_that_does_not_fit_is_refused_not_cut():
    with pytest.raises(UserError, match="reads 48 tokens and the instruction has 62"):
        encode(FOLDER, ["z " * 60], 48, END)
    with pytest.raises(UserError, match="shorten it") as error:
        encode(FOLDER, ["raise two arms " * 700], 48, END)
    assert len(str(error.value)) < 200


@pytest.mark.parametrize("text", ["\U0001f64c\U0001f3fd", "挥手", "махни", "ارفع", "raise 🙌"])
def test_other_scripts_and_emoji_are_bytes_that_the_tokenizer_knows(text):
    tokens = encode(FOLDER, [text], 48, END)
    assert tokens.ids[0, 0] == START and tokens.ids[0, tokens.eos[0]] == END and tokens.eos[0] > 1


def test_tokenizer_and_configuration_of_two_checkpoints():
    with pytest.raises(UserError, match=r"ends a text with 524, config\.json with eos_token_id 49407"):
        encode(FOLDER, ["run"], 48, 49407)


def test_no_tokenizer(tmp_path: Path):
    with pytest.raises(UserError, match=r"expected vocab\.json and merges\.txt"):
        encode(str(tmp_path), ["run"], 48, END)


def test_damaged_tokenizer(tmp_path: Path):
    shutil.copy(GOLDEN / "quick" / "merges.txt", tmp_path)
    (tmp_path / "vocab.json").write_text('{"a": ')
    with pytest.raises(UserError, match="damaged"):
        encode(str(tmp_path), ["run"], 48, END)


def test_both_layouts_of_a_tokenizer_give_the_same_ids(tmp_path: Path):
    load_tokenizer(FOLDER).save_pretrained(tmp_path)  # tokenizer.json, as transformers 5 writes it
    assert not (tmp_path / "vocab.json").exists()
    texts = ["Raise  TWO arms.", "dança 3"]
    np.testing.assert_array_equal(encode(str(tmp_path), texts, 48, END).ids, encode(FOLDER, texts, 48, END).ids)
