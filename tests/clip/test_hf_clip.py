"""Our CLIP against transformers on torch: golden files always, live where torch is installed."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from clip.make_golden import GOLDEN, MEAN, STD, TEXTS, VARIANTS, make_images, reference_features, write_checkpoint
from PIL import Image

from anyskill_brax.clip.hf_clip import HfClip, prepare_images
from anyskill_brax.clip.reward import RewardModel

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
