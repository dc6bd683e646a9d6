"""What is wrong with a CLIP folder is said: the file, the expectation, the remedy."""

import json
import shutil
from pathlib import Path

import jax
import ml_dtypes
import numpy as np
import pytest
from clip.make_golden import GOLDEN
from safetensors.numpy import load_file, save_file

from anyskill_brax.clip.config import IMAGE_MEAN, IMAGE_STD, ClipFolderError
from anyskill_brax.clip.hf_clip import HfClip
from anyskill_brax.clip.weights import folder_sha256, load_clip_folder
from anyskill_brax.types import UserError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(GOLDEN / "quick", tmp_path / "clip"))


@pytest.fixture
def sharded(tmp_path: Path) -> Path:
    return Path(shutil.copytree(GOLDEN / "exact", tmp_path / "sharded"))


def edit(file: Path, **fields) -> None:
    file.write_text(json.dumps(json.loads(file.read_text()) | fields))


def edit_section(folder: Path, section: str, **fields) -> None:
    raw = json.loads((folder / "config.json").read_text())
    edit(folder / "config.json", **{section: raw[section] | fields})


def refused(folder: Path) -> str:
    with pytest.raises(ClipFolderError) as caught:
        load_clip_folder(folder)
    assert isinstance(caught.value, UserError)
    assert str(folder) in str(caught.value)
    return str(caught.value)


def test_no_folder(tmp_path: Path):
    assert "not a folder" in refused(tmp_path / "nowhere")


def test_no_config(folder: Path):
    (folder / "config.json").unlink()
    assert "no config.json (found: " in refused(folder)


def test_no_weights(folder: Path):
    (folder / "model.safetensors").unlink()
    assert "no weights" in refused(folder)
    (folder / "pytorch_model.bin").touch()
    assert "pytorch_model.bin, which is not read for safety" in refused(folder)


@pytest.mark.parametrize("content", [b"", b"version https://git-lfs.github.com/spec/v1\noid sha256:00\n"])
def test_no_real_weights(folder: Path, content: bytes):
    (folder / "model.safetensors").write_bytes(content)
    assert "not a whole safetensors file" in refused(folder)


def test_half_downloaded(folder: Path):
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    assert "not a whole safetensors file" in refused(folder)


def test_a_shard_is_missing(sharded: Path):
    (sharded / "model-00002-of-00002.safetensors").unlink()
    assert "model-00002-of-00002.safetensors" in refused(sharded)


@pytest.mark.parametrize("index", [{}, {"weight_map": []}, {"weight_map": {"a": 3}}])
def test_an_index_that_names_no_shards(sharded: Path, index: dict):
    (sharded / "model.safetensors.index.json").write_text(json.dumps(index))
    assert "Finish the download of the index" in refused(sharded)


def test_a_shard_outside_the_folder_is_not_opened(sharded: Path):
    outside = sharded.parent / "model.safetensors"
    shutil.copy(GOLDEN / "quick" / "model.safetensors", outside)
    edit(sharded / "model.safetensors.index.json", weight_map={"logit_scale": "../model.safetensors"})
    assert "../model.safetensors" in refused(sharded)


def test_damaged_json(folder: Path):
    (folder / "config.json").write_text('{"model_type": ')
    assert "not readable JSON" in refused(folder)
    (folder / "config.json").write_text("[]")
    assert "holds a list" in refused(folder)


def test_another_architecture(folder: Path):
    edit(folder / "config.json", model_type="blip")
    assert "describes a 'blip', expected 'clip' or 'siglip'" in refused(folder)


@pytest.mark.parametrize(
    "fault",
    [{"hidden_act": "relu"}, {"num_attention_heads": 5}, {"hidden_size": "16"}, {"patch_size": 5}, {"patch_size": 0}],
)
def test_fields_that_clip_cannot_use(folder: Path, fault: dict):
    edit_section(folder, "vision_config", **fault)
    assert next(iter(fault)) in refused(folder)


@pytest.mark.parametrize("section", ["ViT-B/32", [1]])
def test_sections_that_are_none(folder: Path, section):
    edit(folder / "config.json", vision_config=section)
    assert "is not of a CLIP that this project reads" in refused(folder)


def test_missing_and_misshapen_tensors_are_named(folder: Path):
    tensors = load_file(folder / "model.safetensors")
    del tensors["visual_projection.weight"]
    tensors["text_model.final_layer_norm.bias"] = np.zeros(7, np.float32)
    save_file(tensors, folder / "model.safetensors")
    message = refused(folder)
    assert "visual_projection.weight is missing, expected [12, 24]" in message
    assert "text_model.final_layer_norm.bias [7], expected [16]" in message


def test_a_tensor_that_nobody_asked_for(folder: Path):
    edit_section(folder, "vision_config", num_hidden_layers=2)
    assert "vision_model.encoder.layers.2.layer_norm1.bias is not part of the model" in refused(folder)


def test_the_image_processor_is_read(folder: Path):
    assert load_clip_folder(folder)[0].image_mean == (0.4, 0.5, 0.6)
    processor = (folder / "preprocessor_config.json").read_text()
    (folder / "preprocessor_config.json").unlink()
    config, _ = load_clip_folder(folder)
    assert (config.image_mean, config.image_std, config.resample) == (IMAGE_MEAN, IMAGE_STD, "cubic")
    (folder / "processor_config.json").write_text(json.dumps({"image_processor": json.loads(processor)}))
    assert load_clip_folder(folder)[0].image_mean == (0.4, 0.5, 0.6)
    edit(folder / "processor_config.json", image_processor={"do_normalize": False, "resample": 2})
    config, _ = load_clip_folder(folder)
    assert (config.image_mean, config.image_std, config.resample) == ((0.0,) * 3, (1.0,) * 3, "linear")


@pytest.mark.parametrize(
    "fault", [{"image_std": [0.0, 1.0, 1.0]}, {"image_mean": [0.5]}, {"image_mean": ["a", 0, 0]}, {"resample": 9}]
)
def test_a_damaged_image_processor(folder: Path, fault: dict):
    edit(folder / "preprocessor_config.json", **fault)
    assert "preprocessor_config.json does not say how to prepare images" in refused(folder)


def test_sections_of_2022_win(folder: Path):
    raw = json.loads((folder / "config.json").read_text())
    edit(folder / "config.json", text_config_dict=raw["text_config"], text_config={"hidden_size": 99})
    assert load_clip_folder(folder)[0].text.width == 16


def test_absent_fields_take_the_formats_defaults(folder: Path):
    edit(folder / "config.json", text_config={}, vision_config=None)
    message = refused(folder)  # ViT-B/32, which these weights are not
    assert "expected [49408, 512]" in message


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16])
def test_half_precision_is_upcast(folder: Path, dtype):
    tensors = {name: value.astype(dtype) for name, value in load_file(folder / "model.safetensors").items()}
    save_file(tensors, folder / "model.safetensors")
    _, params = load_clip_folder(folder)
    assert {leaf.dtype for leaf in jax.tree.leaves(params)} == {np.dtype(np.float32)}
    np.testing.assert_array_equal(
        params["text"]["positions"], tensors["text_model.embeddings.position_embedding.weight"]
    )


def test_the_hash_is_of_what_decides_a_feature(folder: Path):
    before = folder_sha256(folder)
    (folder / "README.md").touch()
    assert folder_sha256(folder) == before == HfClip.load(folder).sha256
    edit(folder / "preprocessor_config.json", image_mean=[0.5, 0.5, 0.5])
    assert folder_sha256(folder) != before
