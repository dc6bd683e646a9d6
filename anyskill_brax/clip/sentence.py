"""A sentence encoder in flax: BERT (Devlin et al. 2019, arXiv 1810.04805), mean over the tokens, as MiniLM is used.

Optional: the built-in reward model reads n-grams by default; with a local Hugging Face folder of a BERT its text side
is a small net on these frozen vectors. The folder stays the user's; a model names the encoder it was taught with by its
sha256.
"""

import functools
import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from flax.traverse_util import flatten_dict

from anyskill_brax.clip.config import ClipFolderError, count, read_json
from anyskill_brax.clip.model import ACTIVATIONS, TowerConfig, layer_norm
from anyskill_brax.clip.text import encode_bert, load_bert_tokenizer
from anyskill_brax.clip.weights import Tensors, side_by_side, weight_files
from anyskill_brax.networks import unit
from anyskill_brax.types import Params, UserError

VARIABLE = "ANYSKILL_TEXT_ENCODER"
"""Names the folder of the encoder that a loaded reward model asks for."""
DEFAULTS: dict[str, Any] = {
    "vocab_size": 30522,
    "hidden_size": 768,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "intermediate_size": 3072,
    "max_position_embeddings": 512,
    "type_vocab_size": 2,
}
HEADS = ("pooler.", "cls.")
"""What stands on top of the layers and is not part of a sentence's mean."""
TEXTS_PER_BATCH = 256


@dataclass(frozen=True)
class SentenceConfig:
    """A checkpoint's shapes."""

    tower: TowerConfig
    vocab_size: int
    context: int  # longest text, in tokens
    types: int  # of token types; a sentence is of type 0


class Block(nn.Module):
    """Attention and MLP, each followed by its norm."""

    tower: TowerConfig

    @nn.compact
    def __call__(self, x: jax.Array, present: jax.Array) -> jax.Array:
        """`x [B, S, width]`, `present [B, S]` bool -> `[B, S, width]`."""
        tower = self.tower
        heads = (*x.shape[:-1], 3, tower.heads, tower.width // tower.heads)
        qkv = nn.Dense(3 * tower.width, name="qkv")(x).reshape(heads)
        mixed = jax.nn.dot_product_attention(
            qkv[..., 0, :, :], qkv[..., 1, :, :], qkv[..., 2, :, :], mask=present[:, None, None, :]
        )
        x = layer_norm(tower, "norm_1")(x + nn.Dense(tower.width, name="out")(mixed.reshape(x.shape)))
        hidden = ACTIVATIONS[tower.activation](nn.Dense(tower.mlp_width, name="up")(x))
        return layer_norm(tower, "norm_2")(x + nn.Dense(tower.width, name="down")(hidden))


class Bert(nn.Module):
    config: SentenceConfig

    @nn.compact
    def __call__(self, ids: jax.Array, present: jax.Array) -> jax.Array:
        """`ids [B, S]`, `present [B, S]` bool -> `[B, width]`: the mean over the tokens that are there, unit rows."""
        config, tower = self.config, self.config.tower
        x = nn.Embed(config.vocab_size, tower.width, name="tokens")(ids)
        x = x + self.param("positions", nn.initializers.normal(0.02), (config.context, tower.width))[: ids.shape[1]]
        x = x + self.param("types", nn.initializers.normal(0.02), (config.types, tower.width))[0]
        x = layer_norm(tower, "norm")(x)
        for layer in range(tower.layers):
            x = Block(tower, name=f"layer_{layer}")(x, present)
        there = present[..., None].astype(x.dtype)
        return unit((x * there).sum(axis=1) / jnp.maximum(there.sum(axis=1), 1.0))


@dataclass(frozen=True, eq=False)
class SentenceEncoder:
    """A frozen encoder of texts: `embed`."""

    config: SentenceConfig
    params: Params
    folder: str
    sha256: str  # of shapes, weights and vocabulary: all that decides a vector

    @classmethod
    def load(cls, path: str | Path) -> "SentenceEncoder":
        """Errors: `ClipFolderError` for a folder that is not a whole BERT checkpoint, `UserError` for its tokenizer."""
        folder = Path(path)
        config = read_sentence_config(folder)
        params = _read_params(folder, config)
        digest = hashlib.sha256(repr(config).encode())
        for name, value in sorted(flatten_dict(params, sep="/").items()):
            digest.update(name.encode() + np.ascontiguousarray(value).tobytes())
        vocabulary = load_bert_tokenizer(str(folder)).get_vocab()
        digest.update(json.dumps(vocabulary, sort_keys=True).encode())
        return cls(config, jax.tree.map(jnp.asarray, params), str(folder), digest.hexdigest())

    @property
    def width(self) -> int:
        return self.config.tower.width

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        """K texts -> `[K, width]` unit rows; each text is encoded once, those of like length together."""
        different = list(dict.fromkeys(texts))
        rows = encode_bert(self.folder, different, self.config.context)
        order = sorted(range(len(rows)), key=lambda i: len(rows[i]))
        found = np.zeros((len(rows), self.width), np.float32)
        for start in range(0, len(order), TEXTS_PER_BATCH):
            chosen = order[start : start + TEXTS_PER_BATCH]
            length = min(self.config.context, 16 * -(-len(rows[chosen[-1]]) // 16))
            size = 1 << (len(chosen) - 1).bit_length()  # few shapes are compiled
            ids, present = np.zeros((size, length), np.int32), np.zeros((size, length), bool)
            for line, i in enumerate(chosen):
                ids[line, : len(rows[i])] = rows[i]
                present[line, : len(rows[i])] = True
            found[chosen] = np.asarray(_embed(self.config, self.params, ids, present))[: len(chosen)]
        row = {text: i for i, text in enumerate(different)}
        return found[[row[text] for text in texts]]


@functools.partial(jax.jit, static_argnums=0)
def _embed(config: SentenceConfig, params: Params, ids: jax.Array, present: jax.Array) -> jax.Array:
    return jnp.asarray(Bert(config).apply({"params": params}, ids, present))


_loaded: dict[str, SentenceEncoder] = {}


def load_encoder(folder: str | Path) -> SentenceEncoder:
    """`SentenceEncoder.load`, remembered: `find_encoder` finds it for every model of this process."""
    encoder = SentenceEncoder.load(folder)
    return _loaded.setdefault(encoder.sha256, encoder)


def find_encoder(sha256: str, wanted_by: str, folder: str | Path | None = None) -> SentenceEncoder:
    """The encoder that the reward model `wanted_by` was taught with: one that is loaded, or in `folder`, or in the one
    that `ANYSKILL_TEXT_ENCODER` names. `UserError` where there is none, or another."""
    if sha256 in _loaded:
        return _loaded[sha256]
    folder = folder or os.environ.get(VARIABLE)
    found = load_encoder(folder) if folder else None
    if found is None or found.sha256 != sha256:
        there = f"{folder} is another, of sha256 {found.sha256}" if found else f"{VARIABLE} names no folder"
        raise UserError(
            f"The reward model {wanted_by!r} reads texts through a sentence encoder of sha256 {sha256}, whose weights "
            f"are not part of it; {there}. Give the Hugging Face folder that it was trained with: "
            f"{VARIABLE}=FOLDER, or load_builtin(..., text_encoder=FOLDER)."
        )
    return found


def read_sentence_config(folder: Path) -> SentenceConfig:
    """config.json of a BERT. Errors: `ClipFolderError`."""
    expected = "Expected a Hugging Face folder of a BERT, as sentence-transformers/all-MiniLM-L6-v2"
    if not (folder / "config.json").is_file():
        found = ", ".join(sorted(entry.name for entry in folder.iterdir())[:8]) if folder.is_dir() else "no such folder"
        raise ClipFolderError(f"{folder} has no config.json (found: {found or 'nothing'}). {expected}; give its path.")
    raw = DEFAULTS | read_json(folder / "config.json")
    if raw.get("model_type") != "bert" or raw.get("position_embedding_type", "absolute") != "absolute":
        kind = f"{raw.get('model_type') or 'model without a model_type'!r}"
        raise ClipFolderError(
            f"{folder / 'config.json'} describes a {kind}, positions "
            f"{raw.get('position_embedding_type', 'absolute')}. {expected}."
        )
    try:
        tower = TowerConfig(
            width=count(raw, "hidden_size"),
            layers=count(raw, "num_hidden_layers"),
            heads=count(raw, "num_attention_heads"),
            mlp_width=count(raw, "intermediate_size"),
            activation=raw.get("hidden_act", "gelu"),
            norm_epsilon=float(raw.get("layer_norm_eps", 1e-12)),
        )
        if tower.activation not in ACTIVATIONS or tower.width % tower.heads:
            raise ValueError(f"hidden_act {tower.activation!r}, {tower.heads} heads for a width of {tower.width}")
        sizes = (count(raw, key) for key in ("vocab_size", "max_position_embeddings", "type_vocab_size"))
        return SentenceConfig(tower, *sizes)
    except (TypeError, ValueError) as error:
        raise ClipFolderError(
            f"{folder / 'config.json'} is not of a BERT that this project reads: {error}. Download it again."
        ) from error


def _read_params(folder: Path, config: SentenceConfig) -> Any:
    tensors, tower = Tensors(folder, weight_files(folder)), config.tower
    width = tower.width
    tensors.tensors = {_plain(name): value for name, value in tensors.tensors.items()}
    tensors.tensors = {name: value for name, value in tensors.tensors.items() if not name.startswith(HEADS)}

    def embedding(name: str, rows: int) -> np.ndarray:
        return tensors.take(f"embeddings.{name}_embeddings.weight", rows, width)

    params: dict[str, Any] = {
        "tokens": {"embedding": embedding("word", config.vocab_size)},
        "positions": embedding("position", config.context),
        "types": embedding("token_type", config.types),
        "norm": tensors.norm("embeddings.LayerNorm", width),
    }
    for layer in range(tower.layers):
        name = f"encoder.layer.{layer}"
        parts = [tensors.dense(f"{name}.attention.self.{part}", width, width) for part in ("query", "key", "value")]
        params[f"layer_{layer}"] = {
            "qkv": side_by_side(parts),
            "out": tensors.dense(f"{name}.attention.output.dense", width, width),
            "norm_1": tensors.norm(f"{name}.attention.output.LayerNorm", width),
            "up": tensors.dense(f"{name}.intermediate.dense", width, tower.mlp_width),
            "down": tensors.dense(f"{name}.output.dense", tower.mlp_width, width),
            "norm_2": tensors.norm(f"{name}.output.LayerNorm", width),
        }
    tensors.check()
    return params


def _plain(name: str) -> str:
    """A tensor's name without the prefix of models with a head, and with the norms' names of today."""
    return (
        name.removeprefix("bert.")
        .replace("LayerNorm.gamma", "LayerNorm.weight")
        .replace("LayerNorm.beta", "LayerNorm.bias")
    )
