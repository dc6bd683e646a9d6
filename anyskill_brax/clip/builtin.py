"""The built-in reward models: a pose-language encoder that this project trains, for poses and for small images.

They know the words they were trained on and say how near a text is to them; they are not CLIP. Weights come in as
`config` (JSON) and `tensors` (float arrays), from the zoo or from `load_builtin`; no code in them, no download.
"""

import functools
import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from anyskill_brax.character.humanoid import load_character
from anyskill_brax.character.kinematics import BodyState
from anyskill_brax.clip import hashed_text
from anyskill_brax.clip.reward import known
from anyskill_brax.clip.sentence import SentenceEncoder, find_encoder
from anyskill_brax.clip.towers import (
    POSE_FEATURES,
    ImageTower,
    PatchTower,
    PoseTower,
    TextSide,
    WindowTower,
    text_side,
)
from anyskill_brax.networks import unit
from anyskill_brax.types import UserError

FORMAT = "anyskill-builtin-reward/1"
CLIP_FEATURES = 5.0
"""Normalised pose features are clipped here: nothing is learned of what lies further out."""


class BuiltinModelError(UserError):
    """Weights or config that are not a built-in reward model, or are one of another character."""


def weights_sha256(tensors: Mapping[str, np.ndarray]) -> str:
    """One hash over names, shapes and values of all tensors."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        value = np.ascontiguousarray(tensors[name])
        digest.update(f"{name} {value.dtype} {value.shape}\n".encode())
        digest.update(value.tobytes())
    return digest.hexdigest()


class _Builtin:
    """Text side, confidence and persistence: what the pose and the image model share.

    Tensors are named `text/...`, `pose/...`, `temporal/...` or `image/...` after the tower that they belong to.
    The text side reads n-grams, or the vectors of a sentence encoder that the config names by its sha256
    (`clip/sentence.py`).
    """

    kind = ""
    needs_images = False
    image_size = 0
    window = 1

    def __init__(self, config: Mapping[str, Any], tensors: Mapping[str, np.ndarray]):
        if config.get("format") != FORMAT or config.get("kind") != self.kind:
            found = f"format {config.get('format')!r}, kind {config.get('kind')!r}"
            raise BuiltinModelError(f"expected a reward model of format {FORMAT!r}, kind {self.kind!r}; found {found}")
        self._config = dict(config)
        self._tensors = {name: np.asarray(value, np.float32) for name, value in tensors.items()}
        self.name: str = config["name"]
        self.dim: int = config["dim"]
        self.sha256 = weights_sha256(self._tensors)
        self._params = unflatten_dict({tuple(k.split("/")): jnp.asarray(v) for k, v in self._tensors.items()})
        self.text_tower = text_side(config["text"], self.dim)
        self._character = load_character()
        if config["character_sha256"] != self._character.sha256:
            raise BuiltinModelError(
                f"the reward model {self.name!r} was trained for character {config['character_sha256'][:12]}, this is "
                f"{self._character.sha256[:12]}; train one for it with tools/train_reward_model.py"
            )

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name}: {len(self._config['phrases'])} phrases, {self.dim}-d)"

    def config(self) -> dict[str, Any]:
        return dict(self._config)

    def to_tensors(self) -> dict[str, np.ndarray]:
        return dict(self._tensors)

    def params(self, tower: str) -> Mapping[str, Any]:
        """A tower's parameter tree, "text" or another: to go on learning from."""
        return self._params[tower]

    @functools.cached_property
    def _index(self) -> hashed_text.PhraseIndex:
        return hashed_text.PhraseIndex(self._config["phrases"], self._config.get("neutral_words", ()))

    def embed_text(self, texts: Sequence[str]) -> np.ndarray:
        """K texts -> `[K, D]` unit rows. TextError where a text is empty or too long; `UserError` where the model's
        sentence encoder is not at hand."""
        return self.embed_read(self.read(texts))

    def read(self, texts: Sequence[str]) -> np.ndarray:
        """K texts -> what the text side looks at: n-grams `[K, N]` int, or sentence vectors `[K, V]`."""
        if encoder := self.encoder:
            return encoder.embed([text for text in texts if hashed_text.words(text)])
        return hashed_text.buckets(texts, self._config["text"]["num_buckets"])

    def embed_read(self, read: np.ndarray) -> np.ndarray:
        """What `read` gives -> `[K, D]` unit rows."""
        rows = 1 << (len(read) - 1).bit_length()  # a power of two: few sizes to compile for
        padded = np.pad(read, [(0, rows - len(read)), (0, 0)], mode="edge")
        return np.asarray(_embed_read(self.text_tower, self._params["text"], padded))[: len(read)]

    @property
    def encoder(self) -> SentenceEncoder | None:
        """The sentence encoder under the text side; None where that reads n-grams. `UserError` if it is not at hand."""
        sha256 = self._config["text"].get("encoder_sha256")
        return None if sha256 is None else find_encoder(sha256, self.name)

    def text_confidence(self, texts: Sequence[str]) -> np.ndarray:
        """K texts -> `[K]` in [0, 1]: how likely the text is of the trained vocabulary rather than about anything else.

        A logistic function of the similarity to the nearest training phrase and the share of known words.
        """
        evidence = np.stack([self._index.evidence(text) for text in texts])
        logit = evidence @ np.asarray(self._config["confidence"]["weights"]) + self._config["confidence"]["bias"]
        return 1.0 / (1.0 + np.exp(-logit))

    def nearest_captions(self, text: str, count: int = 3) -> list[str]:
        """The training phrases most like the text, best first: what to say instead."""
        return self._index.nearest(text, count)


@functools.partial(jax.jit, static_argnums=0)
def _embed_read(tower: TextSide, params: Mapping[str, Any], read: jax.Array) -> jax.Array:
    """Compiled once for all models of one architecture."""
    return jnp.asarray(tower.apply({"params": params}, read))


class BuiltinPose(_Builtin):
    """Poses and velocities -> features, no rendering; understands held poses and movement of one instant.

    `config["input"]` is "positions" (the reward) or "rotations" (the judge): see `clip/towers.py`. With
    `config["temporal"]` it also has a tower for windows of the last N latent steps, which tells what needs time.
    """

    kind = "pose"

    def __init__(self, config: Mapping[str, Any], tensors: Mapping[str, np.ndarray]):
        super().__init__(config, tensors)
        self._features = POSE_FEATURES[config["input"]]
        self._pose = PoseTower(dim=self.dim, widths=tuple(config["pose"]["widths"]))
        if temporal := config.get("temporal"):
            self.window = temporal["frames"]
            shape = {"frame_width": temporal["frame_width"], "widths": tuple(temporal["widths"])}
            self._temporal = WindowTower(dim=self.dim, **shape)

    def embed_poses(self, bodies: BodyState) -> jax.Array:
        """Bodies of W worlds (any leading axes) -> `[..., D]` unit rows; of a pose that is not finite, zeros."""
        return self.embed_features(self.state_features(bodies))

    def state_features(self, bodies: BodyState) -> jax.Array:
        """What the towers look at, `[..., F]`: the memory of a world is a window of these."""
        return self._features(self._character, bodies)

    def embed_features(self, features: jax.Array) -> jax.Array:
        """State features `[..., F]` -> `[..., D]`."""
        return known(self._pose.apply({"params": self._params["pose"]}, self._normalized(features)))

    def embed_window(self, features: jax.Array) -> jax.Array:
        """State features of the last `window` latent steps, oldest first: `[..., N, F] -> [..., D]` unit rows.

        The direction between what the temporal tower says and what the pose tower says of the last frame.
        """
        if self.window == 1 or features.shape[-2] != self.window:
            found, wanted = features.shape[-2], self.window
            raise BuiltinModelError(
                f"the reward model {self.name!r} looks at {wanted} latent steps at once, not {found}"
            )
        weight = self._config["temporal"]["weight"]
        return unit(weight * self.embed_time(features) + (1.0 - weight) * self.embed_features(features[..., -1, :]))

    def embed_time(self, features: jax.Array) -> jax.Array:
        """The temporal tower alone."""
        return known(self._temporal.apply({"params": self._params["temporal"]}, self._normalized(features)))

    def _normalized(self, features: jax.Array) -> jax.Array:
        stats = self._params["normalizer"]
        return jnp.clip((features - stats["mean"]) / stats["std"], -CLIP_FEATURES, CLIP_FEATURES)

    def embed_images(self, images: jax.Array) -> jax.Array:
        raise BuiltinModelError(f"the reward model {self.name!r} looks at poses, not at images; use builtin_image")


class BuiltinImage(_Builtin):
    """Images of 64 pixels -> the pose model's space. One image shows no velocity: only held poses are understood."""

    kind = "image"
    needs_images = True

    def __init__(self, config: Mapping[str, Any], tensors: Mapping[str, np.ndarray]):
        super().__init__(config, tensors)
        self.image_size = config["image_size"]
        tower = ImageTower if "convs" in config["image"] else PatchTower
        self._image = tower(dim=self.dim, **config["image"])

    def embed_images(self, images: jax.Array) -> jax.Array:
        """`images [W, H, H, 3]` float in 0..1 -> `[W, D]` unit rows; of an image that is not finite, zeros."""
        expected = (self.image_size, self.image_size, 3)
        if images.shape[1:] != expected:
            raise BuiltinModelError(f"expected images [W, {', '.join(map(str, expected))}], got {list(images.shape)}")
        return known(self._image.apply({"params": self._params["image"]}, images))

    def embed_poses(self, bodies: BodyState) -> jax.Array:
        raise BuiltinModelError(f"the reward model {self.name!r} looks at images, not at poses; use builtin_pose")


BuiltinModel = BuiltinPose | BuiltinImage
_KINDS = {"pose": BuiltinPose, "image": BuiltinImage}


def make_builtin(config: Mapping[str, Any], tensors: Mapping[str, np.ndarray]) -> BuiltinModel:
    """The model that `config["kind"]` names."""
    if config.get("kind") not in _KINDS:
        raise BuiltinModelError(f"expected kind {' or '.join(map(repr, _KINDS))}, found {config.get('kind')!r}")
    return _KINDS[config["kind"]](config, tensors)


def tensors_of(**towers: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Parameter trees by tower name -> flat tensors `tower/layer/kernel`, float32."""
    return {"/".join(path): np.asarray(value, np.float32) for path, value in flatten_dict(dict(towers)).items()}


def save_builtin(model: BuiltinModel, folder: Path) -> None:
    """Write `config.json` and `weights.safetensors` into a folder that may exist."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(model.config(), indent=1, sort_keys=True) + "\n")
    save_file(model.to_tensors(), folder / "weights.safetensors")


def load_builtin(folder: Path, text_encoder: Path | None = None) -> BuiltinModel:
    """Read what `save_builtin` wrote.

    `text_encoder`: the folder of the sentence encoder that its text side may need, else what `ANYSKILL_TEXT_ENCODER`
    names; `UserError` where it is missing or another.
    """
    for name in ("config.json", "weights.safetensors"):
        if not (folder / name).is_file():
            raise BuiltinModelError(f"no {name} in {folder}; expected a folder that tools/train_reward_model.py wrote")
    try:
        config = json.loads((folder / "config.json").read_text())
    except ValueError as error:
        raise BuiltinModelError(f"{folder / 'config.json'} is not JSON: {error}") from error
    try:
        tensors = load_file(folder / "weights.safetensors")
    except SafetensorError as error:
        raise BuiltinModelError(f"{folder / 'weights.safetensors'} is not a safetensors file: {error}") from error
    model = make_builtin(config, tensors)
    if sha256 := config["text"].get("encoder_sha256"):
        find_encoder(sha256, model.name, text_encoder)
    return model
