"""The temporal tower: windows of a second and a third into the space of a trained pose model's texts.

The text side is frozen, so what the model understood of poses it still understands; the tower learns what the same
phrases mean of a window (`motioncodes.py`), by the loss of `train.py`. Beside every caption's window stands the same
window backwards, and beside every caption its mirror image.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from anyskill_brax.character.humanoid import Character
from anyskill_brax.clip.builtin import BuiltinPose, tensors_of
from anyskill_brax.clip.towers import POSE_FEATURES, WindowTower
from anyskill_brax.motion.io import Motion
from anyskill_brax.reward_model.captions import compose
from anyskill_brax.reward_model.motioncodes import MOVEMENTS
from anyskill_brax.reward_model.phrases import phrases_of
from anyskill_brax.reward_model.posecodes import attribute_names, mirror_name
from anyskill_brax.reward_model.train import caption_loss, normalized
from anyskill_brax.reward_model.windows import WindowData, make_windows


@dataclass(frozen=True)
class TemporalSettings:
    """Every number of the temporal tower; `configs/reward_model.py` writes them."""

    seed: int
    frames: int  # N
    motion_variants: int  # of each built-in motion
    num_motion: int  # windows from motions
    num_random: int  # and along random paths
    starting_share: float
    num_captions: int
    updates: int
    batch: int  # captions per update; as many mirrored ones, and three times as many windows
    learning_rate: float
    weight_decay: float
    feature_noise: float  # on normalised features
    frame_width: int
    widths: tuple[int, ...]
    weight: float  # of this tower beside the pose tower's view of the last frame


def windows_of(
    character: Character, settings: TemporalSettings, which: str, motions: Sequence[Motion], seed: int
) -> WindowData:
    """The windows of one seed, as `which` ("positions" or "rotations") sees them."""
    numbers = (settings.frames, settings.num_motion, settings.num_random, settings.starting_share)
    return make_windows(character, POSE_FEATURES[which], motions, *numbers, seed)


def add_temporal_tower(
    character: Character,
    model: BuiltinPose,
    settings: TemporalSettings,
    motions: Sequence[Motion],
    log: Callable[[str], None],
) -> BuiltinPose:
    """`model` with a tower for windows; its other towers are untouched."""
    config, tensors = model.config(), model.to_tensors()
    data = windows_of(character, settings, config["input"], motions, settings.seed)
    log(f"{model.name}: {len(data.degrees)} windows")
    names = attribute_names(character)
    mirrored_names = [mirror_name(name) for name in names]
    forwards = data.degrees[: len(data.degrees) // 2]
    vocabulary = phrases_of(config["phrases_part"])
    captions = compose(
        vocabulary, names, mirrored_names, forwards, settings.num_captions, settings.seed, favoured=MOVEMENTS
    )
    stats = {key: tensors[f"normalizer/{key}"] for key in ("mean", "std")}
    arrays = {
        "text": _embed_all(model, captions.texts),
        "mirrored_text": _embed_all(model, captions.mirrored_texts),
        "attributes": captions.attributes,
        "mirrored_attributes": captions.mirrored_attributes,
        "source": captions.source,
        "backwards": data.backwards,
        "norm_features": normalized(data.features, stats).astype(np.float32),
        "degrees": data.degrees,
    }
    tower = WindowTower(frame_width=settings.frame_width, widths=settings.widths, dim=model.dim)
    params = _fit(tower, settings, {key: jnp.asarray(value) for key, value in arrays.items()}, model.name, log)
    shape = {"frames": settings.frames, "frame_width": settings.frame_width, "widths": list(settings.widths)}
    shape["weight"] = settings.weight
    config = {**config, "temporal": shape, "temporal_training": asdict(settings)}
    tensors = {name: value for name, value in tensors.items() if not name.startswith("temporal/")}
    return BuiltinPose(config, {**tensors, **tensors_of(temporal=params)})


def _embed_all(model: BuiltinPose, texts: Sequence[str], chunk: int = 1024) -> np.ndarray:
    return np.concatenate([model.embed_text(texts[i : i + chunk]) for i in range(0, len(texts), chunk)])


def _fit(
    tower: WindowTower, settings: TemporalSettings, data: dict[str, jax.Array], name: str, log: Callable[[str], None]
) -> Any:
    key_init, key_train = jax.random.split(jax.random.key(settings.seed))
    params: Any = {
        "tower": tower.init(key_init, data["norm_features"][:1])["params"],
        "scale": jnp.log(10.0),
        "offset": jnp.asarray(-4.0),
    }
    schedule = optax.cosine_onecycle_schedule(settings.updates, settings.learning_rate, pct_start=0.1)
    optimiser = optax.chain(optax.clip_by_global_norm(1.0), optax.adamw(schedule, weight_decay=settings.weight_decay))

    @jax.jit
    def update(params: Any, moments: Any, data: dict[str, jax.Array], key: jax.Array):
        key_caption, key_window, key_noise = jax.random.split(key, 3)
        chosen = jax.random.randint(key_caption, (settings.batch,), 0, len(data["source"]))
        own = data["source"][chosen]
        rest = jax.random.randint(key_window, (settings.batch,), 0, len(data["degrees"]))
        windows = jnp.concatenate([own, data["backwards"][own], rest])
        seen = data["norm_features"][windows]
        seen = seen + settings.feature_noise * jax.random.normal(key_noise, seen.shape)
        text = jnp.concatenate([data["text"][chosen], data["mirrored_text"][chosen]])
        attributes = jnp.concatenate([data["attributes"][chosen], data["mirrored_attributes"][chosen]])

        def loss(params: Any) -> jax.Array:
            feature = jnp.asarray(tower.apply({"params": params["tower"]}, seen))
            logits = jnp.exp(params["scale"]) * feature @ text.T + params["offset"]
            return caption_loss(logits, data["degrees"][windows], attributes)

        value, grads = jax.value_and_grad(loss)(params)
        step, moments = optimiser.update(grads, moments, params)
        return optax.apply_updates(params, step), moments, value

    moments, losses = optimiser.init(params), []
    for number in range(settings.updates):
        params, moments, loss = update(params, moments, data, jax.random.fold_in(key_train, number))
        losses.append(loss)
        if (number + 1) % 1000 == 0:
            log(f"{name}: temporal tower, update {number + 1}/{settings.updates}  loss {np.mean(losses[-1000:]):.4f}")
    return params["tower"]
