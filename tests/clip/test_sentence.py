"""Our BERT against transformers on torch: golden vectors always, live where torch is installed; folders that do not
fit; a model that lacks its encoder."""

import json
import shutil
from pathlib import Path

import jax
import numpy as np
import pytest
from clip.make_golden_sentence import GOLDEN, TEXTS, reference_vectors, write_bert
from safetensors.numpy import load_file, save_file

from anyskill_brax.clip import sentence
from anyskill_brax.clip.config import ClipFolderError
from anyskill_brax.clip.sentence import SentenceEncoder
from anyskill_brax.types import UserError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(GOLDEN, tmp_path / "bert"))


@pytest.fixture(scope="module")
def encoder() -> SentenceEncoder:
    return SentenceEncoder.load(GOLDEN)


def edit(folder: Path, **fields) -> None:
    file = folder / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | fields))


def test_vectors_are_those_of_transformers(encoder):
    expected = np.load(GOLDEN / "expected.npz", allow_pickle=False)["vectors"]
    with jax.default_matmul_precision("highest"):
        np.testing.assert_allclose(encoder.embed(TEXTS), expected, atol=2e-6)
    np.testing.assert_allclose(expected[0], encoder.embed([TEXTS[0]])[0], atol=1e-5)  # whatever else is in the batch
    np.testing.assert_allclose(encoder.embed([TEXTS[1], TEXTS[0], TEXTS[1]]), expected[[1, 0, 1]], atol=1e-5)
    assert np.abs(expected[0] - expected[3]).max() > 1e-2


def test_live_parity(tmp_path: Path):
    pytest.importorskip("torch", reason="live parity needs torch")
    write_bert(tmp_path, seed=11)
    expected = reference_vectors(tmp_path, TEXTS)
    with jax.default_matmul_precision("highest"):
        np.testing.assert_allclose(SentenceEncoder.load(tmp_path).embed(TEXTS), expected, atol=1e-5)


def test_older_and_sharded_files_are_the_same_model(folder: Path, encoder):
    """As bert-base-uncased is: a prefix, gamma and beta, heads; here half of it in another shard."""
    tensors = load_file(folder / "model.safetensors")
    older = {f"bert.{n}".replace("LayerNorm.weight", "LayerNorm.gamma"): value for n, value in tensors.items()}
    older = {n.replace("LayerNorm.bias", "LayerNorm.beta"): v for n, v in older.items()}
    older["cls.predictions.bias"] = np.zeros(3, np.float32)
    (folder / "model.safetensors").unlink()
    names, files = sorted(older), ("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors")
    for shard, file in enumerate(files):
        save_file({name: older[name] for name in names[shard::2]}, folder / file)
    weight_map = {name: files[i % 2] for i, name in enumerate(names)}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))
    assert SentenceEncoder.load(folder).sha256 == encoder.sha256
    (folder / files[1]).unlink()
    with pytest.raises(ClipFolderError, match="model-00002-of-00002"):
        SentenceEncoder.load(folder)


def test_the_hash_knows_weights_and_vocabulary(folder: Path, encoder):
    tensors = load_file(folder / "model.safetensors")
    tensors["embeddings.LayerNorm.bias"][3] += 1e-3
    save_file(tensors, folder / "model.safetensors")
    changed = SentenceEncoder.load(folder)
    assert changed.sha256 != encoder.sha256
    other = Path(shutil.copytree(folder, folder.parent / "other"))
    (other / "vocab.txt").write_text((other / "vocab.txt").read_text().replace("raise", "lower"))
    assert SentenceEncoder.load(other).sha256 != changed.sha256


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda f: shutil.rmtree(f), "no such folder"),
        (lambda f: (f / "config.json").unlink(), "no config.json (found: "),
        (lambda f: (f / "model.safetensors").unlink(), "no weights"),
        (lambda f: (f / "vocab.txt").unlink(), "expected tokenizer.json or vocab.txt"),
        (lambda f: (f / "model.safetensors").write_bytes(b"version https://git-lfs"), "not a whole safetensors file"),
        (lambda f: edit(f, model_type="mpnet"), "describes a 'mpnet'"),
        (lambda f: edit(f, position_embedding_type="relative_key"), "positions relative_key"),
        (lambda f: edit(f, hidden_act="silu"), "hidden_act 'silu'"),
        (lambda f: edit(f, num_hidden_layers=1), "encoder.layer.1.attention.output.LayerNorm.bias is not part"),
        (lambda f: edit(f, num_hidden_layers=3), "encoder.layer.2.attention.self.query.weight is missing"),
    ],
)
def test_what_is_wrong_with_a_folder_is_said(folder: Path, spoil, says: str):
    spoil(folder)
    with pytest.raises(UserError) as caught:
        SentenceEncoder.load(folder)
    assert says in str(caught.value) and str(folder) in str(caught.value)


def test_a_long_text_is_not_cut(encoder):
    with pytest.raises(UserError, match="reads 128 tokens and the text has 132; shorten it: 'walk walk"):
        encoder.embed(["arms", " ".join(["walk"] * 130)])


def test_a_model_that_lacks_its_encoder_says_which_and_how(folder: Path, encoder, monkeypatch):
    monkeypatch.setattr(sentence, "_loaded", {})
    monkeypatch.delenv(sentence.VARIABLE, raising=False)
    with pytest.raises(
        UserError, match=f"'toy' .* {encoder.sha256}, .*names no folder.*{sentence.VARIABLE}=FOLDER, or"
    ):
        sentence.find_encoder(encoder.sha256, "toy")
    monkeypatch.setenv(sentence.VARIABLE, str(folder))
    assert sentence.find_encoder(encoder.sha256, "toy").folder == str(folder)
    with pytest.raises(UserError, match=f"sha256 abc, .* of sha256 {encoder.sha256}"):
        sentence.find_encoder("abc", "toy")
