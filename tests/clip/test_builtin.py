"""The built-in reward models as a user meets them: laws of the features, text at its edges, files that do not fit."""

import json
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from anyskill_brax import rotations
from anyskill_brax.character.kinematics import forward_kinematics
from anyskill_brax.clip import hashed_text
from anyskill_brax.clip.builtin import (
    FORMAT,
    BuiltinImage,
    BuiltinModelError,
    BuiltinPose,
    load_builtin,
    make_builtin,
    save_builtin,
    tensors_of,
)
from anyskill_brax.clip.reward import RewardModel, TemporalModel
from anyskill_brax.clip.towers import POSE_FEATURES, ImageTower, PatchTower, PoseTower, TextTower, WindowTower
from anyskill_brax.types import UserError

PHRASES = ["raise both arms", "raise your left arm", "walk forward", "squat down low", "kneel on one knee"]
TEXT = {"num_buckets": 512, "width": 8, "heads": 2, "hidden": 16}
DIM = 12


def _shared(character) -> dict:
    return {
        "format": FORMAT,
        "dim": DIM,
        "text": TEXT,
        "character_sha256": character.sha256,
        "phrases": PHRASES,
        "confidence": {"weights": [4.0, 8.0], "bias": -6.0},
    }


def _perturbed(params, seed: int):
    """Every parameter moved: initial zeros and ones hide mistakes."""
    leaves, tree = jax.tree.flatten(params)
    keys = jax.random.split(jax.random.key(seed), len(leaves))
    return tree.unflatten([x + 0.3 * jax.random.normal(k, x.shape) for x, k in zip(leaves, keys, strict=True)])


def _pose_model(character, which: str, frames: int = 1) -> BuiltinPose:
    bodies = jax.eval_shape(partial(forward_kinematics, character), jnp.zeros(35), jnp.zeros(34))
    size = jax.eval_shape(partial(POSE_FEATURES[which], character), bodies).shape[-1]
    text = TextTower(dim=DIM, **TEXT).init(jax.random.key(0), jnp.ones((1, 4), int))["params"]
    pose = PoseTower(widths=(16,), dim=DIM).init(jax.random.key(1), jnp.zeros((1, size)))["params"]
    stats = {"mean": np.linspace(-0.2, 0.2, size), "std": np.linspace(0.5, 1.5, size)}
    config = {**_shared(character), "kind": "pose", "name": "toy", "input": which, "pose": {"widths": [16]}}
    towers = {"text": _perturbed(text, 2), "pose": _perturbed(pose, 3), "normalizer": stats}
    if frames > 1:
        shape = {"frame_width": 6, "widths": [10]}
        tower = WindowTower(dim=DIM, **shape).init(jax.random.key(4), jnp.zeros((1, frames, size)))["params"]
        config, towers = (
            {**config, "temporal": {**shape, "frames": frames, "weight": 0.75}},
            {**towers, "temporal": tower},
        )
    return BuiltinPose(config, tensors_of(**towers))


@pytest.fixture(scope="module", params=sorted(POSE_FEATURES))
def pose_model(request, character) -> BuiltinPose:
    return _pose_model(character, request.param)


@pytest.fixture(scope="module", params=["convolutions", "patches"])
def image_model(request, character) -> BuiltinImage:
    """As it is trained now, and as version 1 was."""
    tower, shape = {
        "convolutions": (ImageTower, {"convs": [4, 8], "widths": [16]}),
        "patches": (PatchTower, {"patch": 8, "width": 16, "depth": 1, "heads": 2}),
    }[request.param]
    text = TextTower(dim=DIM, **TEXT).init(jax.random.key(0), jnp.ones((1, 4), int))["params"]
    image = tower(dim=DIM, **shape).init(jax.random.key(1), jnp.zeros((1, 16, 16, 3)))["params"]
    config = {**_shared(character), "kind": "image", "name": "toy", "image": shape, "image_size": 16}
    return BuiltinImage(config, tensors_of(text=_perturbed(text, 2), image=_perturbed(image, 3)))


def _states(character, num: int, seed: int = 0):
    rng = np.random.default_rng(seed)
    qpos = np.tile(character.default_qpos, (num, 1))
    qpos[:, 7:] = rng.uniform(character.joint_low, character.joint_high, (num, 28))
    return qpos, rng.normal(size=(num, 34)).astype(np.float32)


@pytest.fixture(scope="module")
def fk(character):
    return jax.jit(partial(forward_kinematics, character))


def test_they_are_reward_models(pose_model, image_model):
    assert isinstance(pose_model, RewardModel) and not pose_model.needs_images and pose_model.image_size == 0
    assert isinstance(image_model, RewardModel) and image_model.needs_images and image_model.image_size == 16


def test_features_do_not_depend_on_where_the_character_stands_or_faces(character, pose_model, fk):
    qpos, qvel = _states(character, 4)
    yaw = rotations.yaw_quat(jnp.array([0.3, 1.5, -2.0, 3.0]))
    moved = jnp.asarray(qpos).at[:, :2].add(jnp.array([3.0, -7.0]))
    moved = moved.at[:, 3:7].set(rotations.quat_mul(yaw, jnp.asarray(qpos[:, 3:7])))
    turned = jnp.asarray(qvel).at[:, :3].set(rotations.rotate(yaw, jnp.asarray(qvel[:, :3])))
    embed = jax.jit(pose_model.embed_poses)
    here = embed(fk(jnp.asarray(qpos), jnp.asarray(qvel)))
    there = embed(fk(moved, turned))
    np.testing.assert_allclose(here, there, atol=2e-5)
    np.testing.assert_allclose(np.linalg.norm(here, axis=-1), 1.0, atol=1e-5)


def test_a_row_of_a_batch_is_what_it_is_alone(character, pose_model, fk):
    qpos, qvel = _states(character, 3)
    embed = jax.jit(pose_model.embed_poses)
    together = embed(fk(jnp.asarray(qpos), jnp.asarray(qvel)))
    alone = embed(fk(jnp.asarray(qpos[1]), jnp.asarray(qvel[1])))
    np.testing.assert_allclose(together[1], alone, atol=1e-5)


def test_what_is_not_a_number_has_no_feature_and_touches_no_other(character, pose_model, image_model, fk):
    qpos, qvel = _states(character, 3)
    embed = jax.jit(pose_model.embed_poses)
    healthy, broken = embed(fk(jnp.asarray(qpos), jnp.asarray(qvel))), qpos.copy()
    broken[1, 9] = np.nan
    seen = embed(fk(jnp.asarray(broken), jnp.asarray(qvel)))
    np.testing.assert_array_equal(seen[1], np.zeros(pose_model.dim))
    np.testing.assert_array_equal(seen[::2], healthy[::2])
    images = jnp.full((2, 16, 16, 3), 0.5).at[0, 3, 3].set(jnp.inf)
    features = image_model.embed_images(images)
    assert not features[0].any() and jnp.linalg.norm(features[1]) == pytest.approx(1.0, abs=1e-4)


def test_the_judge_cannot_see_positions(character, fk):
    """Moving a body without turning it changes the reward's view and not the judge's."""
    qpos, qvel = _states(character, 1)
    bodies = fk(jnp.asarray(qpos), jnp.asarray(qvel))
    moved = bodies.replace(pos=bodies.pos.at[:, 5].add(0.3))
    changes = {w: float(jnp.abs(f(character, moved) - f(character, bodies)).max()) for w, f in POSE_FEATURES.items()}
    assert changes["rotations"] == 0.0 and changes["positions"] == pytest.approx(0.3, abs=1e-5)


def test_text_alone_and_beside_a_long_text_is_the_same(pose_model):
    long = " ".join(["raise your left arm and walk forward"] * 8)
    np.testing.assert_allclose(
        pose_model.embed_text(["squat", long])[0], pose_model.embed_text(["squat"])[0], atol=1e-5
    )


@pytest.mark.parametrize(
    "said", ["Raise both ARMS!", "raise  both\tarms...", "ｒａｉｓｅ both arms", "raise both of your arms"]
)
def test_case_width_punctuation_and_fillers_change_nothing(pose_model, said):
    np.testing.assert_array_equal(pose_model.embed_text([said]), pose_model.embed_text(["raise both arms"]))


def test_grams_and_their_buckets_are_fixed_for_all_machines():
    assert hashed_text.grams("the left Arm!") == [
        "w left",
        "w arm",
        "2 left arm",
        "c <lef",
        "c left",
        "c eft>",
        "c <arm",
        "c arm>",
    ]
    assert hashed_text.buckets(["left"], 16_384)[0, :5].tolist() == [
        1 + crc % 16_383 for crc in (0x3D078BAA, 0xB908DD81, 0xA540CB27, 0x34F3E2A9)
    ] + [0]  # fmt: skip


@pytest.mark.parametrize("text", ["", "   ", "?!", "x" * 1001, "jump " * 2000])
def test_a_text_that_says_nothing_or_too_much_is_refused(pose_model, text):
    with pytest.raises(UserError, match="expected a sentence"):
        pose_model.embed_text([text])


@pytest.mark.parametrize("text", ["挥挥手", "махни рукой", "ارفع يدك", "raise both arms 🙌🏽", "l\u0301eve ton bras"])
def test_other_scripts_and_emoji_embed_and_say_how_well_they_are_known(pose_model, text):
    feature = pose_model.embed_text([text])[0]
    assert np.isfinite(feature).all() and np.linalg.norm(feature) == pytest.approx(1.0, abs=1e-4)
    confidence = float(pose_model.text_confidence([text])[0])
    assert (confidence > 0.5) == ("raise" in text) and pose_model.nearest_captions(text, 1)[0] in PHRASES


def test_an_emoji_alone_is_no_sentence(pose_model):
    with pytest.raises(UserError, match="expected a sentence with words in it, got '🙌'"):
        pose_model.embed_text(["🙌"])


def test_confidence_and_nearest_captions(pose_model):
    near, far = pose_model.text_confidence(["raise both arms", "mortgage interest rates"])
    assert near > 0.9 and far < 0.1
    assert pose_model.nearest_captions("raising the left arm", 2)[0] == "raise your left arm"


def test_what_is_written_is_read_back(pose_model, image_model, tmp_path):
    for model in (pose_model, image_model):
        folder = tmp_path / model.config()["kind"]
        save_builtin(model, folder)
        again = load_builtin(folder)
        assert type(again) is type(model) and again.sha256 == model.sha256 and again.config() == model.config()
        np.testing.assert_array_equal(again.embed_text(PHRASES), model.embed_text(PHRASES))


def test_a_changed_weight_changes_the_hash(pose_model):
    tensors = pose_model.to_tensors()
    tensors["pose/out/bias"] = tensors["pose/out/bias"] + 1e-3
    assert make_builtin(pose_model.config(), tensors).sha256 != pose_model.sha256


def test_what_does_not_fit_is_refused(pose_model, image_model, tmp_path):
    with pytest.raises(BuiltinModelError, match="trained for character 0000"):
        make_builtin({**pose_model.config(), "character_sha256": "0" * 64}, pose_model.to_tensors())
    with pytest.raises(BuiltinModelError, match="expected kind 'pose' or 'image', found 'sound'"):
        make_builtin({"kind": "sound"}, {})
    with pytest.raises(BuiltinModelError, match="found format 'v0'"):
        make_builtin({**pose_model.config(), "format": "v0"}, pose_model.to_tensors())
    with pytest.raises(BuiltinModelError, match="looks at poses"):
        pose_model.embed_images(jnp.zeros((1, 16, 16, 3)))
    with pytest.raises(BuiltinModelError, match=r"expected images \[W, 16, 16, 3\], got \[1, 32, 32, 3\]"):
        image_model.embed_images(jnp.zeros((1, 32, 32, 3)))
    with pytest.raises(BuiltinModelError, match="no config"):
        load_builtin(tmp_path)
    (tmp_path / "config.json").write_text("{")
    (tmp_path / "weights.safetensors").write_bytes(b"")
    with pytest.raises(BuiltinModelError, match="is not JSON"):
        load_builtin(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps(pose_model.config()))
    with pytest.raises(BuiltinModelError, match="not a safetensors file"):
        load_builtin(tmp_path)


def test_a_window_is_seen_by_both_towers_and_its_order_counts(character, fk, tmp_path):
    """0.75 of the temporal tower, 0.25 of the pose tower on the last frame; without the tower nothing else changes."""
    model = _pose_model(character, "positions", frames=3)
    assert isinstance(model, TemporalModel) and model.window == 3 and _pose_model(character, "positions").window == 1
    qpos, qvel = _states(character, 6)
    features = model.state_features(fk(jnp.asarray(qpos), jnp.asarray(qvel))).reshape(2, 3, -1)
    seen, time, last = (
        f(features) for f in (model.embed_window, model.embed_time, lambda x: model.embed_features(x[:, 2]))
    )
    mixed = 0.75 * np.asarray(time) + 0.25 * np.asarray(last)
    np.testing.assert_allclose(seen, mixed / np.linalg.norm(mixed, axis=-1, keepdims=True), atol=1e-5)
    assert np.abs(np.asarray(model.embed_time(features[:, ::-1])) - time).max() > 1e-3
    save_builtin(model, tmp_path)
    np.testing.assert_array_equal(load_builtin(tmp_path).embed_window(features), seen)
    with pytest.raises(BuiltinModelError, match="looks at 3 latent steps at once, not 2"):
        model.embed_window(features[:, 1:])
