"""The temporal tower: windows of a second and a third into the space of a trained pose model's texts.

It learns what the same phrases mean of a window (`motioncodes.py`), by the loss of `train.py`. Beside every caption's
window stand the same window backwards and its last pose held still, beside every caption its mirror image. The text
side goes on learning, or a wave would stay as near to a raised arm as poses had left it; it is held to what it said of
poses, whose tower is frozen. Clips with captions are a second lesson (`clip_captions.py`).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from anyskill_brax.character.humanoid import Character
from anyskill_brax.clip.builtin import BuiltinPose, tensors_of
from anyskill_brax.clip.towers import POSE_FEATURES, TextSide, WindowTower
from anyskill_brax.motion.io import Motion
from anyskill_brax.reward_model.captions import compose
from anyskill_brax.reward_model.clip_captions import CaptionedClips, clip_windows, draw
from anyskill_brax.reward_model.motioncodes import MOVEMENTS
from anyskill_brax.reward_model.phrases import phrases_of
from anyskill_brax.reward_model.posecodes import attribute_names, mirror_name
from anyskill_brax.reward_model.poses import in_chunks
from anyskill_brax.reward_model.train import balanced_loss, caption_loss, normalized, vocabulary_of
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
    text_rate: float  # of the text side's learning rate, in that of the tower; 0: frozen
    faith: float  # weight of the text side's squared change of what it says of poses
    clip_captions: float  # weight of the captions of given clips; 0: they are not read
    num_clip: int  # windows from clips with captions; as many mirrored ones
    clip_hold_out: float  # share of a folder's clips that is kept for the test where the folder names no test split


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
    captioned: Sequence[Motion] = (),
) -> BuiltinPose:
    """`model` with a tower for windows and a text side that knows of them; its pose tower is untouched.

    Of the `captioned` clips the captions of the model's half of all texts are taught as well, and join its vocabulary.
    """
    config, tensors = model.config(), model.to_tensors()
    data = windows_of(character, settings, config["input"], motions, settings.seed)
    say = lambda line: log(f"{model.name}: {line}")  # noqa: E731
    say(f"{len(data.degrees)} windows")
    names = attribute_names(character)
    mirrored_names = [mirror_name(name) for name in names]
    forwards = data.degrees[: data.number]
    vocabulary = phrases_of(config["phrases_part"])
    captions = compose(
        vocabulary, names, mirrored_names, forwards, settings.num_captions, settings.seed, favoured=MOVEMENTS
    )
    stats = {key: tensors[f"normalizer/{key}"] for key in ("mean", "std")}
    training = config["training"]
    norm_features = normalized(data.features, stats).astype(np.float32)
    ids, mirrored_ids = (_read(model, texts) for texts in (captions.texts, captions.mirrored_texts))
    arrays: dict[str, Any] = {
        "ids": ids,
        "mirrored_ids": mirrored_ids,
        "text": _embed_all(model, captions.texts, ids),
        "mirrored_text": _embed_all(model, captions.mirrored_texts, mirrored_ids),
        "pose": in_chunks(jax.jit(model.embed_features), data.features[:, -1]),
        "attributes": captions.attributes,
        "mirrored_attributes": captions.mirrored_attributes,
        "source": captions.source,
        "norm_features": norm_features,
        "degrees": data.degrees,
    }
    text = model.params("text")
    if lesson := clip_lesson(character, model, settings, stats, captioned):
        clips, taught = lesson
        arrays["clips"] = taught
        text = text if model.encoder else _awake(text, taught["ids"])
        phrases = dict.fromkeys([*config["phrases"], *clips.texts])
        config |= vocabulary_of(list(phrases), config.get("neutral_words", ()), config["phrases_part"])
        say(f"{len(clips.texts)} captions of {len(clips.motions)} clips, mirrored ones included")
    towers = (
        WindowTower(frame_width=settings.frame_width, widths=settings.widths, dim=model.dim),
        model.text_tower,
    )
    dropout = training["gram_dropout"]
    params = _fit(towers, settings, dropout, text, data.number, jax.tree.map(jnp.asarray, arrays), say)
    shape = {"frames": settings.frames, "frame_width": settings.frame_width, "widths": list(settings.widths)}
    shape["weight"] = settings.weight
    config = {**config, "temporal": shape, "temporal_training": asdict(settings)}
    tensors = {name: value for name, value in tensors.items() if not name.startswith("temporal/")}
    return BuiltinPose(config, {**tensors, **tensors_of(temporal=params["tower"], text=params["text"])})


def clip_lesson(
    character: Character,
    model: BuiltinPose,
    settings: TemporalSettings,
    stats: Mapping[str, np.ndarray],
    captioned: Sequence[Motion],
) -> tuple[CaptionedClips, dict[str, np.ndarray]] | None:
    """The captioned clips, and what `_fit` learns from them; None where there is nothing to learn."""
    config = model.config()
    clips = CaptionedClips.create(character, captioned, settings.frames, config["phrases_part"])
    if not settings.clip_captions or not clips.motions:
        return None
    numbers = (settings.frames, settings.num_clip, settings.starting_share, settings.seed)
    features, clip = clip_windows(character, POSE_FEATURES[config["input"]], clips, *numbers)
    return clips, {
        "features": normalized(np.concatenate(features), stats).astype(np.float32),
        "clip": clip,
        "ids": _read(model, clips.texts),
        "said": clips.said,
        "words": clips.words,
        "category": clips.category,
    }


def _awake(text: Any, ids: np.ndarray) -> Any:
    """The text side's parameters; buckets that counted for nothing, as no phrase had touched them, count as new."""
    score = np.array(text["score"])
    asleep = np.zeros(len(score), bool)
    asleep[np.unique(ids)] = True
    score[asleep & (score <= -12.0).all(axis=1)] = 0.0
    return {**text, "score": jnp.asarray(score)}


def _read(model: BuiltinPose, texts: Sequence[str]) -> np.ndarray:
    """What the text side looks at, of n-grams as many as in the training of poses."""
    read = model.read(texts)
    return read if model.encoder else read[:, : model.config()["training"]["max_grams"]]


def _embed_all(model: BuiltinPose, texts: Sequence[str], read: np.ndarray, chunk: int = 1024) -> np.ndarray:
    """`[K, D]` of texts, whose sentence vectors are there already in `read`; n-grams count all, not only those read."""
    starts = range(0, len(texts), chunk)
    if model.encoder:
        return np.concatenate([model.embed_read(read[i : i + chunk]) for i in starts])
    return np.concatenate([model.embed_text(texts[i : i + chunk]) for i in starts])


def _fit(
    towers: tuple[WindowTower, TextSide],
    settings: TemporalSettings,
    gram_dropout: float,
    text: Any,
    number: int,
    data: dict[str, Any],
    say: Callable[[str], None],
) -> Any:
    """`{"tower", "text"}`: parameters; those of the text side begin as `text`. `number`: of the windows forwards.

    Arrays of `data`, and those of the captioned clips in `data["clips"]` where there are any.
    """
    key_init, key_train = jax.random.split(jax.random.key(settings.seed))
    params: Any = {
        "tower": towers[0].init(key_init, data["norm_features"][:1])["params"],
        "text": text,
        "scale": jnp.log(jnp.float32(10.0)),
        "offset": jnp.float32(-4.0),
    }
    if "clips" in data:  # true of a clip is not true of all its windows: these cosines have a scale of their own
        params |= {"clip_scale": params["scale"], "clip_offset": params["offset"]}
    schedule = optax.cosine_onecycle_schedule(settings.updates, settings.learning_rate, pct_start=0.1)
    adam = optax.adamw(schedule, weight_decay=settings.weight_decay)
    words = optax.chain(optax.adam(schedule), optax.scale(settings.text_rate))
    kinds = {name: "words" if name == "text" else "tower" for name in params}
    optimiser = optax.chain(
        optax.clip_by_global_norm(1.0), optax.multi_transform({"tower": adam, "words": words}, kinds)
    )

    @jax.jit
    def update(params: Any, moments: Any, data: dict[str, Any], key: jax.Array):
        key_caption, key_window, key_noise, key_keep = jax.random.split(key, 4)
        chosen = jax.random.randint(key_caption, (settings.batch,), 0, len(data["source"]))
        own = data["source"][chosen]
        rest = jax.random.randint(key_window, (settings.batch,), 0, len(data["degrees"]))
        windows = jnp.concatenate([own, own + number, own + 2 * number, rest])
        seen = data["norm_features"][windows]
        seen = seen + settings.feature_noise * jax.random.normal(key_noise, seen.shape)
        ids, before, attributes = (
            jnp.concatenate([data[name][chosen], data[f"mirrored_{name}"][chosen]])
            for name in ("ids", "text", "attributes")
        )
        keep = jax.random.bernoulli(key_keep, 1.0 - gram_dropout, ids.shape)

        def loss(params: Any) -> jax.Array:
            feature = jnp.asarray(towers[0].apply({"params": params["tower"]}, seen))
            said = jnp.asarray(towers[1].apply({"params": params["text"]}, ids, keep))
            logits = jnp.exp(params["scale"]) * feature @ said.T + params["offset"]
            changed = data["pose"][windows] @ (said - before).T
            total = caption_loss(logits, data["degrees"][windows], attributes) + settings.faith * jnp.mean(changed**2)
            return total + settings.clip_captions * clip_loss(params, data["clips"]) if "clips" in data else total

        def clip_loss(params: Any, taught: dict[str, jax.Array]) -> jax.Array:
            key_draw, key_seen, key_gram = jax.random.split(jax.random.fold_in(key, 1), 3)
            window, text, target, counts = draw(taught, settings.batch, key_draw)
            seen = taught["features"][window]
            seen = seen + settings.feature_noise * jax.random.normal(key_seen, seen.shape)
            ids = taught["ids"][text]
            keep = jax.random.bernoulli(key_gram, 1.0 - gram_dropout, ids.shape)
            feature = jnp.asarray(towers[0].apply({"params": params["tower"]}, seen))
            said = jnp.asarray(towers[1].apply({"params": params["text"]}, ids, keep))
            logits = jnp.exp(params["clip_scale"]) * feature @ said.T + params["clip_offset"]
            return balanced_loss(logits, target.astype(jnp.float32), counts)

        value, grads = jax.value_and_grad(loss)(params)
        step, moments = optimiser.update(grads, moments, params)
        return optax.apply_updates(params, step), moments, value

    moments, losses = optimiser.init(params), []
    for done in range(settings.updates):
        params, moments, loss = update(params, moments, data, jax.random.fold_in(key_train, done))
        losses.append(loss)
        if (done + 1) % 1000 == 0:
            say(f"temporal tower, update {done + 1}/{settings.updates}  loss {np.mean(losses[-1000:]):.4f}")
    return params
