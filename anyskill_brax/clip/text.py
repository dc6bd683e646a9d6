"""Instructions -> token ids, with the tokenizer of a CLIP, SigLIP or BERT folder."""

import functools
import json
import logging
import string
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from anyskill_brax.types import UserError

LEGACY_EOS = 2  # what configurations written before mid-2023 claim, whatever the vocabulary says


class Tokens(NamedTuple):
    """K texts as the text tower takes them."""

    ids: np.ndarray  # [K, S] int32
    eos: np.ndarray  # [K] int32, where each text ends and is read out


@functools.cache
def load_tokenizer(folder: str) -> Any:
    """The folder's `CLIPTokenizer`. Errors: `UserError` when its files are missing or damaged."""
    path = Path(folder)
    if not (path / "tokenizer.json").is_file() and not all(
        (path / name).is_file() for name in ("vocab.json", "merges.txt")
    ):
        raise UserError(
            f"{folder} has no tokenizer: expected vocab.json and merges.txt, or tokenizer.json. "
            "Download them into the folder."
        )
    # Its import remarks that torch is absent; here torch is not wanted.
    logging.getLogger("transformers").addFilter(lambda record: "PyTorch was not found" not in record.getMessage())
    from transformers import CLIPTokenizer  # slow to import, and only ever needed here

    try:
        return CLIPTokenizer.from_pretrained(folder, local_files_only=True)
    except Exception as error:  # the Rust tokenizer raises bare Exception
        raise UserError(f"The tokenizer files in {folder} are damaged ({error}). Download them again.") from error


def encode(folder: str, texts: Sequence[str], context: int, eos_token_id: int) -> Tokens:
    """K texts -> tokens, padded to the longest (rounded up to 8, so that few shapes are compiled).

    `eos_token_id == 2` is the legacy form: the end is the largest id of the text, as OpenAI's code has it. Otherwise it
    is the first occurrence of that id. Errors: `UserError` for a text of more than `context` tokens: it is not cut.
    """
    rows = [load_tokenizer(folder)(text)["input_ids"] for text in texts]
    for text, row in zip(texts, rows, strict=True):
        if len(row) > context:
            raise UserError(
                f"This CLIP reads {context} tokens and the instruction has {len(row)}; shorten it: {text[:60]!r}"
            )
        if eos_token_id != LEGACY_EOS and eos_token_id not in row:
            raise UserError(
                f"The tokenizer in {folder} ends a text with {row[-1]}, config.json with eos_token_id {eos_token_id}. "
                "Take both files from one checkpoint."
            )
    eos = [int(np.argmax(row)) if eos_token_id == LEGACY_EOS else row.index(eos_token_id) for row in rows]
    width = min(context, -(-max(map(len, rows), default=1) // 8) * 8)
    ids = np.zeros((len(rows), width), np.int32)
    for row, tokens in zip(ids, rows, strict=True):
        row[: len(tokens)] = tokens
    return Tokens(ids, np.array(eos, np.int32))


@functools.cache
def _load_siglip_tokenizer(folder: str) -> tuple[Any, int, bool]:
    """`tokenizer.json`, the id that pads, and whether punctuation is dropped. Errors: missing, damaged."""
    from tokenizers import Tokenizer

    file = Path(folder) / "tokenizer.json"
    if not file.is_file():
        raise UserError(
            f"{folder} has no tokenizer.json, which holds the tokenizer of a SigLIP (spiece.model alone is not read). "
            "Download it into the folder."
        )
    try:
        tokenizer = Tokenizer.from_file(str(file))
        tokenizer.no_padding()
        tokenizer.no_truncation()
        settings = Path(folder) / "tokenizer_config.json"
        said = json.loads(settings.read_text(encoding="utf-8")) if settings.is_file() else {}
        pad = said.get("pad_token") or "</s>"
        pad = pad["content"] if isinstance(pad, dict) else pad
    except Exception as error:  # the Rust tokenizer raises bare Exception
        raise UserError(f"The tokenizer files in {folder} are damaged ({error}). Download them again.") from error
    pad_id = tokenizer.token_to_id(pad)
    if pad_id is None:
        raise UserError(f"The tokenizer in {folder} pads with {pad!r}, which it does not know. Download it again.")
    # SigLIP 2 has Gemma's tokenizer and was trained with punctuation; the first one without.
    return tokenizer, pad_id, said.get("tokenizer_class", "SiglipTokenizer").startswith("Siglip")


def encode_siglip(folder: str, texts: Sequence[str], context: int) -> Tokens:
    """K texts -> tokens padded to the whole context and read out at its last place, as SigLIP was trained.

    Lower case, single spaces. Errors: `UserError` for a text of more than `context` tokens.
    """
    tokenizer, pad, drops_punctuation = _load_siglip_tokenizer(folder)
    ids = np.full((len(texts), context), pad, np.int32)
    dropped = str.maketrans("", "", string.punctuation if drops_punctuation else "")
    for row, text in zip(ids, texts, strict=True):
        found = tokenizer.encode(" ".join(text.lower().translate(dropped).split())).ids
        if len(found) > context:
            raise UserError(
                f"This SigLIP reads {context} tokens and the instruction has {len(found)}; shorten it: {text[:60]!r}"
            )
        row[: len(found)] = found
    return Tokens(ids, np.full(len(texts), context - 1, np.int32))


@functools.cache
def load_bert_tokenizer(folder: str) -> Any:
    """The folder's word pieces, from tokenizer.json or vocab.txt. Errors: `UserError` when missing or damaged."""
    from tokenizers import Tokenizer
    from tokenizers.implementations import BertWordPieceTokenizer

    path = Path(folder)
    if not (path / "tokenizer.json").is_file() and not (path / "vocab.txt").is_file():
        raise UserError(
            f"{folder} has no tokenizer: expected tokenizer.json or vocab.txt. Download it into the folder."
        )
    try:
        if (path / "tokenizer.json").is_file():
            tokenizer = Tokenizer.from_file(str(path / "tokenizer.json"))
        else:
            settings = path / "tokenizer_config.json"
            said = json.loads(settings.read_text(encoding="utf-8")) if settings.is_file() else {}
            lower = said.get("do_lower_case", True)
            tokenizer = BertWordPieceTokenizer(str(path / "vocab.txt"), lowercase=lower)
        tokenizer.no_padding()
        tokenizer.no_truncation()
    except Exception as error:  # the Rust tokenizer raises bare Exception
        raise UserError(f"The tokenizer files in {folder} are damaged ({error}). Download them again.") from error
    return tokenizer


def encode_bert(folder: str, texts: Sequence[str], context: int) -> list[list[int]]:
    """K texts -> their token ids, first and last token included. Errors: `UserError` for more than `context` tokens."""
    rows = [found.ids for found in load_bert_tokenizer(folder).encode_batch(list(texts))]
    for text, row in zip(texts, rows, strict=True):
        if len(row) > context:
            raise UserError(
                f"This sentence encoder reads {context} tokens and the text has {len(row)}; shorten it: {text[:60]!r}"
            )
    return rows
