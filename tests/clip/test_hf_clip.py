"""Our CLIP against transformers on torch: golden files always, live where torch is installed."""

import json
import shutil
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from clip.make_golden import (
    GOLDEN,
    MEAN,
    SIGLIP_CONTEXT,
    SIGLIP_TEXTS,
    STD,
    TEXTS,
    VARIANTS,
    make_images,
    reference_features,
    siglip_reference,
    write_checkpoint,
    write_siglip,
)
from PIL import Image
from safetensors.numpy import load_file, save_file

from anyskill_brax.clip.config import ClipFolderError
from anyskill_brax.clip.hf_clip import SHARE, HfClip, bytes_per_image, images_in, prepare_images
from anyskill_brax.clip.reward import RewardModel
from anyskill_brax.types import UserError

embed_images = jax.jit(HfClip.embed_images)
NAMES = [variant.name for variant in VARIANTS]


@pytest.fixture(scope="module", params=NAMES)
def golden(request) -> tuple[HfClip, dict[str, np.ndarray]]:
    folder = GOLDEN / request.param
    with np.load(folder / "expected.npz", allow_pickle=False) as expected:
        return HfClip.load(folder), dict(expected)


@pytest.fixture(scope="module")
def clip() -> HfClip:
    return HfClip.load(GOLDEN / "quick")


def assert_same(clip: HfClip, images: np.ndarray, image: np.ndarray, texts: tuple[str, ...], text: np.ndarray) -> None:
    with jax.default_matmul_precision("highest"):
        np.testing.assert_allclose(embed_images(clip, jnp.asarray(images, jnp.float32) / 255.0), image, atol=2e-6)
        np.testing.assert_allclose(clip.embed_text(texts), text, atol=2e-6)


def test_features_are_those_of_transformers(golden):
    clip, expected = golden
    assert_same(clip, expected["images"], expected["image"], TEXTS, expected["text"])


@pytest.mark.parametrize("variant", VARIANTS, ids=NAMES)
def test_live_parity(variant, tmp_path: Path):
    pytest.importorskip("torch", reason="live parity needs torch")
    write_checkpoint(tmp_path, variant, seed=11)
    images = make_images(32, 2, seed=11)
    image, text = reference_features(tmp_path, images, TEXTS)
    assert_same(HfClip.load(tmp_path), images, image, TEXTS, text)


def test_the_golden_files_can_tell_activations_apart(golden):
    clip, expected = golden
    other = "gelu" if clip.config.vision.activation == "quick_gelu" else "quick_gelu"
    config = clip.config
    vision = config.vision.__class__(**(vars(config.vision) | {"activation": other}))
    wrong = clip.replace(config=config.__class__(**(vars(config) | {"vision": vision})))
    difference = np.abs(embed_images(wrong, jnp.asarray(expected["images"], jnp.float32) / 255.0) - expected["image"])
    assert difference.max() > 1e-3


def test_it_is_a_reward_model(clip):
    assert isinstance(clip, RewardModel)
    assert (clip.name, clip.dim, clip.image_size, clip.needs_images) == ("hf_clip:quick", 12, 32, True)
    assert clip.text_confidence(["a", "b"]).tolist() == [1.0, 1.0]
    with pytest.raises(TypeError, match="render"):
        clip.embed_poses(None)  # pyright: ignore[reportArgumentType]


def test_features_do_not_depend_on_the_batch(clip):
    images = jnp.asarray(make_images(32, 5, seed=3), jnp.float32) / 255.0
    whole = embed_images(clip, images)
    in_chunks = embed_images(clip.replace(images_per_batch=2), images)
    np.testing.assert_allclose(in_chunks, whole, atol=1e-6)
    np.testing.assert_allclose(embed_images(clip, images.at[1:].set(0.0))[0], whole[0], atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(whole, axis=-1), 1.0, atol=1e-6)
    np.testing.assert_allclose(clip.embed_text([TEXTS[0]])[0], clip.embed_text(TEXTS)[0], atol=1e-6)


def test_bfloat16_stays_near(clip):
    images = jnp.asarray(make_images(32, 5, seed=3), jnp.float32) / 255.0
    whole, half = embed_images(clip, images), embed_images(clip.replace(dtype=jnp.bfloat16), images)
    assert half.dtype == jnp.float32
    np.testing.assert_allclose(half, whole, atol=3e-2)
    assert np.abs(half - whole).max() > 1e-5, "the option has an effect"


def test_images_at_a_time_fit_into_the_memory_that_there_is(clip):
    compiled = jax.jit(HfClip.embed_images).lower(clip, jnp.zeros((8, 32, 32, 3))).compile()
    each = bytes_per_image(clip.config, jnp.float32)
    taken = compiled.memory_analysis()
    assert taken is not None and taken.temp_size_in_bytes < 8 * each
    assert images_in(round(9 * each / SHARE), clip.config, jnp.float32) == 8
    assert images_in(1, clip.config, jnp.float32) == 1, "one must"
    assert bytes_per_image(clip.config, jnp.bfloat16) < each
    assert 1 <= HfClip.load(GOLDEN / "quick").images_per_batch <= 256
    assert HfClip.load(GOLDEN / "quick", images_per_batch=3).images_per_batch == 3


def test_accelerators_get_bfloat16_unless_told_otherwise(clip, monkeypatch):
    assert clip.dtype == jnp.float32
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    assert HfClip.load(GOLDEN / "quick").dtype == jnp.bfloat16
    assert HfClip.load(GOLDEN / "quick", jnp.float32).dtype == jnp.float32


def test_norms_softmax_and_projection_are_float32_whatever_the_dense_layers_are(clip):
    half, images = clip.replace(dtype=jnp.bfloat16), jnp.zeros((2, 32, 32, 3))
    for equation in _equations(jax.make_jaxpr(HfClip.embed_images)(half, images).jaxpr):
        if equation.primitive.name in ("exp", "rsqrt"):
            assert equation.invars[0].aval.dtype == jnp.float32, equation
    *_, last = (
        e for e in _equations(jax.make_jaxpr(half.embed_images)(images).jaxpr) if e.primitive.name == "dot_general"
    )
    assert {var.aval.dtype for var in last.invars} == {jnp.dtype(jnp.float32)}, "the projection"


def _equations(jaxpr):
    """Of a program and of all in it."""
    for equation in jaxpr.eqns:
        yield equation
        for inner in jax.core.jaxprs_in_params(equation.params):
            yield from _equations(inner)


def test_a_picture_of_no_pose_is_like_no_text(clip):
    images = jnp.asarray(make_images(32, 3, seed=3), jnp.float32) / 255.0
    seen = embed_images(clip, images.at[1].set(jnp.nan))
    np.testing.assert_array_equal(seen[1], 0.0)
    np.testing.assert_allclose(seen[::2], embed_images(clip, images)[::2], atol=1e-6)


def test_images_are_normalised_as_the_checkpoint_asks(clip):
    pixels = prepare_images(clip.config, jnp.full((1, 32, 32, 3), 0.75))
    np.testing.assert_allclose(pixels[0, 0, 0], [(0.75 - m) / s for m, s in zip(MEAN, STD, strict=True)], atol=1e-6)


@pytest.mark.parametrize("size", [20, 48, 64])
def test_resizing_is_that_of_pillow(clip, size: int):
    image = make_images(size, 1, seed=size)[0] // 2 + 64  # within what 8 bits hold between Pillow's two passes
    expected = np.asarray(Image.fromarray(image).resize((32, 32), Image.Resampling.BICUBIC), np.float32) / 255.0
    pixels = prepare_images(clip.config, jnp.asarray(image, jnp.float32)[None] / 255.0)[0]
    np.testing.assert_allclose(pixels * np.array(STD) + np.array(MEAN), expected, atol=1.25 / 255.0)  # it rounds twice


def test_an_oblong_image_is_refused(clip):
    with pytest.raises(ValueError, match="square"):
        prepare_images(clip.config, jnp.zeros((1, 32, 48, 3)))


@pytest.fixture(scope="module")
def siglip() -> HfClip:
    return HfClip.load(GOLDEN / "siglip")


@pytest.fixture
def siglip_copy(tmp_path: Path) -> Path:
    return Path(shutil.copytree(GOLDEN / "siglip", tmp_path / "siglip"))


def test_siglip_features_are_those_of_transformers(siglip):
    with np.load(GOLDEN / "siglip" / "expected.npz", allow_pickle=False) as expected:
        assert_same(siglip, expected["images"], expected["image"], SIGLIP_TEXTS, expected["text"])


def test_siglip_live_parity(tmp_path: Path):
    pytest.importorskip("torch", reason="live parity needs torch")
    write_siglip(tmp_path, seed=12)
    images = make_images(32, 2, seed=12)
    image, text = siglip_reference(tmp_path, images)
    assert_same(HfClip.load(tmp_path), images, image, SIGLIP_TEXTS, text)


def test_siglip_is_a_reward_model(siglip):
    assert isinstance(siglip, RewardModel) and siglip.dim == 24 and siglip.needs_images
    images = jnp.asarray(make_images(32, 2, seed=3), jnp.float32) / 255.0
    near = jnp.sum(embed_images(siglip.replace(dtype=jnp.bfloat16), images) * embed_images(siglip, images), axis=-1)
    assert near.min() > 0.999


def test_siglip_attention_packed_or_separate_half_precision_and_sharded_is_the_same_model(siglip, siglip_copy):
    """Encoder layers packed, the head unpacked, in float16 and two shards: what is read back is the same."""
    tensors = load_file(siglip_copy / "model.safetensors")
    for name in [name for name in tensors if name.endswith("self_attn.q_proj.weight")]:
        stem = name.removesuffix(".q_proj.weight")
        for kind in ("weight", "bias"):
            parts = [tensors.pop(f"{stem}.{part}_proj.{kind}") for part in "qkv"]
            tensors[f"{stem}.in_proj_{kind}"] = np.concatenate(parts)
    head = "vision_model.head.attention"
    for kind in ("weight", "bias"):
        for part, value in zip("qkv", np.split(tensors.pop(f"{head}.in_proj_{kind}"), 3), strict=True):
            tensors[f"{head}.{part}_proj.{kind}"] = value
    tensors = {name: value.astype(np.float16) for name, value in tensors.items()}
    (siglip_copy / "model.safetensors").unlink()
    files = {name: f"model-0000{1 + i % 2}-of-00002.safetensors" for i, name in enumerate(sorted(tensors))}
    for file in set(files.values()):
        save_file({name: tensors[name] for name in files if files[name] == file}, siglip_copy / file)
    (siglip_copy / "model.safetensors.index.json").write_text(json.dumps({"weight_map": files}))
    again = HfClip.load(siglip_copy)
    for ours, theirs in zip(jax.tree.leaves(again.params), jax.tree.leaves(siglip.params), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=2e-3, rtol=1e-3)
    next(iter(siglip_copy.glob("model-00002*"))).unlink()
    with pytest.raises(ClipFolderError, match="Finish the download"):
        HfClip.load(siglip_copy)


def test_what_is_wrong_with_a_siglip_folder_is_said(siglip_copy):
    config = json.loads((siglip_copy / "config.json").read_text())

    def load_with(**changes):
        (siglip_copy / "config.json").write_text(json.dumps(config | changes))
        return HfClip.load(siglip_copy)

    with pytest.raises(ClipFolderError, match="expected 'clip' or 'siglip'"):
        load_with(model_type="siglip2")
    with pytest.raises(ClipFolderError, match="no pooling head"):
        load_with(vision_config=config["vision_config"] | {"vision_use_head": False})
    with pytest.raises(ClipFolderError, match="projected to 16 and images to 24"):
        load_with(text_config=config["text_config"] | {"projection_size": 16})
    whole = (siglip_copy / "model.safetensors").read_bytes()
    (siglip_copy / "model.safetensors").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ClipFolderError, match="a download cut short"):
        load_with()
    (siglip_copy / "model.safetensors").write_bytes(whole)
    (siglip_copy / "tokenizer.json").unlink()
    with pytest.raises(UserError, match=r"no tokenizer\.json"):
        load_with().embed_text(["run"])


def test_a_text_that_siglip_cannot_hold_is_refused_not_cut(siglip):
    with pytest.raises(UserError, match=f"reads {SIGLIP_CONTEXT} tokens and the instruction has 21"):
        siglip.embed_text(["ball " * 20])
