"""Training a pose-language encoder from geometry: poses, what they show, and captions that say so.

A cosine is fitted to the degree to which a pose deserves a caption, T in [0, 1]:

    L = sum_bc w_bc BCE(T_bc, sigmoid(k z_b . g_c + c))            (sigmoid contrastive, many positives per caption)

with k, c learned and w balancing the few positives. Each batch holds every caption beside its mirror image, so that
left and right must be told apart. What can be meant (an attribute, or either of two) has a direction of its own that
is learnt from the same loss, and a caption is drawn to the sum of the directions of its phrases: so a sentence about
two limbs means both. A few times the model is climbed: poses that it likes for a caption join the others,
with the degree that geometry gives them, so that what fools it is learnt from.
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from anyskill_brax.character.humanoid import Character
from anyskill_brax.character.kinematics import BodyState, forward_kinematics
from anyskill_brax.clip import hashed_text
from anyskill_brax.clip.builtin import CLIP_FEATURES, FORMAT, BuiltinPose, tensors_of
from anyskill_brax.clip.sentence import SentenceEncoder
from anyskill_brax.clip.towers import POSE_FEATURES, PoseTower, TextSide, text_side
from anyskill_brax.motion.io import Motion
from anyskill_brax.networks import unit
from anyskill_brax.reward_model.captions import Captions, caption_degrees, compose
from anyskill_brax.reward_model.optimise import climb, scattered
from anyskill_brax.reward_model.phrases import learnable, part_of, phrases_of, phrases_sha256, unrelated
from anyskill_brax.reward_model.posecodes import attribute_names, mirror_name
from anyskill_brax.reward_model.poses import in_chunks, motion_poses, pose_degrees, random_poses

Log = Callable[[str], None]


@dataclass(frozen=True)
class PoseData:
    """Poses and what they show."""

    qpos: np.ndarray  # [N, 35]
    qvel: np.ndarray  # [N, 34]
    degrees: np.ndarray  # [N, A]


@dataclass(frozen=True)
class TrainSettings:
    """Every number of a training; `configs/reward_model.py` writes them."""

    seed: int
    num_poses: int
    num_motion_poses: int
    num_captions: int
    updates: int
    batch: int  # captions per update; as many mirrored ones, and twice as many poses
    num_mined: int  # poses found by climbing the model itself, beside the others; 0 = none
    mining_rounds: int  # how often they are found anew, evenly over the updates
    mining_steps: int  # of each climb
    mining_rate: float  # learning rate of the climb
    mining_stiffness: float  # of the climb, see `optimise.climb`
    learning_rate: float
    weight_decay: float
    max_grams: int  # of a caption in training; a longer one loses the word pieces at its end
    gram_dropout: float
    sum_weight: float  # of a caption's distance to the sum of what its phrases mean
    feature_noise: float  # on normalised pose features
    dim: int
    num_buckets: int
    text_width: int
    text_heads: int
    text_hidden: int
    pose_widths: tuple[int, ...]


def make_poses(character: Character, settings: TrainSettings, motions: Sequence[Motion]) -> PoseData:
    """Random poses and, where motions are given, an even share of their frames."""
    qpos, qvel = random_poses(character, settings.num_poses, settings.seed)
    if motions:
        rng = np.random.default_rng(settings.seed)
        moving = motion_poses(character, motions)
        keep = rng.choice(len(moving[0]), min(settings.num_motion_poses, len(moving[0])), replace=False)
        qpos, qvel = np.concatenate([qpos, moving[0][keep]]), np.concatenate([qvel, moving[1][keep]])
    return PoseData(qpos, qvel, pose_degrees(character, qpos, qvel))


@functools.cache
def _seen(character: Character, which: str) -> Callable[[jax.Array, jax.Array], jax.Array]:
    """Compiled once per process."""
    return jax.jit(lambda qpos, qvel: POSE_FEATURES[which](character, forward_kinematics(character, qpos, qvel)))


def pose_features(character: Character, data: PoseData, which: str) -> np.ndarray:
    """The tower's input for every pose `[N, ...]`."""
    return in_chunks(_seen(character, which), data.qpos, data.qvel)


def _loss(
    params: dict, towers: tuple[PoseTower, TextSide], batch: dict[str, jax.Array], sum_weight: float
) -> jax.Array:
    pose = towers[0].apply({"params": params["pose"]}, batch["norm_features"])
    text = towers[1].apply({"params": params["text"]}, batch["ids"], batch["keep"])
    single = unit(params["single"])

    def fit(goals: jax.Array, attributes: jax.Array) -> jax.Array:
        logits = jnp.exp(params["scale"]) * jnp.asarray(pose) @ goals.T + params["offset"]
        return caption_loss(logits, batch["degrees"], attributes)

    said = (batch["means"] >= 0)[..., None] * jax.lax.stop_gradient(single)[batch["means"]]
    apart = 1.0 - jnp.sum(jnp.asarray(text) * unit(said.sum(axis=1)), axis=-1)
    return fit(jnp.asarray(text), batch["attributes"]) + fit(single, batch["singles"]) + sum_weight * apart.mean()


def caption_loss(logits: jax.Array, degrees: jax.Array, attributes: jax.Array) -> jax.Array:
    """The module's loss, of `logits [B, C]`, `degrees [B, A]` and `attributes [C, 3, 2]`."""
    return balanced_loss(logits, caption_degrees(degrees, attributes))


def balanced_loss(logits: jax.Array, target: jax.Array, counts: jax.Array | None = None) -> jax.Array:
    """The same of targets `[B, C]` in [0, 1], of all pairs or of those that count."""
    share = target.mean(axis=0, keepdims=True)
    balance = jnp.sqrt((1.0 - share) / jnp.maximum(share, 0.01))
    weight = target * balance + (1.0 - target)
    weight = weight if counts is None else weight * counts
    return (weight * optax.sigmoid_binary_cross_entropy(logits, target)).mean() / weight.mean()


def _make_update(settings: TrainSettings, towers: tuple[PoseTower, TextSide], optimiser: optax.GradientTransformation):
    @jax.jit
    def update(params: dict, moments: Any, data: dict[str, jax.Array], key: jax.Array):
        key_caption, key_pose, key_keep, key_noise = jax.random.split(key, 4)
        chosen = jax.random.randint(key_caption, (settings.batch,), 0, len(data["source"]))
        rest = jax.random.randint(key_pose, (settings.batch,), 0, len(data["norm_features"]))
        if settings.num_mined:  # half of the captions bring a pose that was found by climbing them
            mined = jax.random.randint(key_pose, (settings.batch // 2,), 0, settings.num_mined)
            chosen = chosen.at[: settings.batch // 2].set(data["mined_for"][mined])
            rest = rest.at[: settings.batch // 2].set(len(data["norm_features"]) - settings.num_mined + mined)
        ids = jnp.concatenate([data["ids"][chosen], data["mirrored_ids"][chosen]])
        poses = jnp.concatenate([data["source"][chosen], rest])
        norm_features = data["norm_features"][poses]
        noise = settings.feature_noise * jax.random.normal(key_noise, norm_features.shape)
        batch = {
            "ids": ids,
            "keep": jax.random.bernoulli(key_keep, 1.0 - settings.gram_dropout, ids.shape),
            "attributes": jnp.concatenate([data["attributes"][chosen], data["mirrored_attributes"][chosen]]),
            "means": jnp.concatenate([data["means"][chosen], data["mirrored_means"][chosen]]),
            "singles": data["singles"],
            "norm_features": norm_features + noise,
            "degrees": data["degrees"][poses],
        }
        loss, grads = jax.value_and_grad(_loss)(params, towers, batch, settings.sum_weight)
        step, moments = optimiser.update(grads, moments, params)
        return optax.apply_updates(params, step), moments, loss

    return update


def normalized(features: np.ndarray, stats: Mapping[str, np.ndarray]) -> np.ndarray:
    """Pose features as the tower takes them."""
    return ((features - stats["mean"]) / stats["std"]).clip(-CLIP_FEATURES, CLIP_FEATURES)


def _mining_updates(settings: TrainSettings) -> list[int]:
    """When the model is climbed: evenly, neither at the start nor at the end."""
    rounds = settings.mining_rounds
    return [settings.updates * (i + 1) // (rounds + 1) for i in range(rounds)]


def mine(
    character: Character,
    settings: TrainSettings,
    which: str,
    stats: Mapping[str, np.ndarray],
    towers: tuple[PoseTower, TextSide],
    params: dict,
    data: Mapping[str, jax.Array],
    start: np.ndarray,
    seed: int,
) -> dict[str, jax.Array]:
    """Poses that the model likes for the captions `data["mined_for"]`: their features and true degrees.

    Climbs begin at standing and at `start [M, 35]` by turns; half of them stop early, for poses on the way.
    """

    @jax.jit
    def embed(bodies: BodyState) -> jax.Array:
        norm = jnp.clip(
            (POSE_FEATURES[which](character, bodies) - stats["mean"]) / stats["std"], -CLIP_FEATURES, CLIP_FEATURES
        )
        return jnp.asarray(towers[0].apply({"params": params["pose"]}, norm))

    goals = jax.jit(lambda ids: towers[1].apply({"params": params["text"]}, ids))(data["ids"][data["mined_for"]])
    free = scattered(character, start, jax.random.key(seed))
    steps = (settings.mining_steps, settings.mining_steps // 3)
    halves = np.array_split(np.arange(len(start)), 2)
    qpos = np.concatenate(
        [
            climb(character, embed, goals[half], free[half], n, settings.mining_rate, settings.mining_stiffness)
            for half, n in zip(halves, steps, strict=True)
        ]
    )
    rest = np.zeros((len(qpos), 34), np.float32)
    poses = PoseData(qpos, rest, pose_degrees(character, qpos, rest))
    norm_features = normalized(pose_features(character, poses, which), stats)
    return {"norm_features": jnp.asarray(norm_features), "degrees": jnp.asarray(poses.degrees)}


def neutral_words(captions: Captions, phrases: Sequence[str]) -> list[str]:
    """Words that stand around phrases and in none: of frames, joints and manners."""
    heard, own = ({word for text in texts for word in hashed_text.words(text)} for texts in (captions.texts, phrases))
    return sorted(heard - own)


def fit_confidence(
    index: hashed_text.PhraseIndex, seen_elsewhere: Sequence[str], alien: Sequence[str]
) -> dict[str, Any]:
    """Logistic regression on `PhraseIndex.evidence`: unseen phrases about poses against `alien` sentences."""
    inputs = np.stack([index.evidence(text) for text in [*seen_elsewhere, *alien]])
    labels = np.concatenate([np.ones(len(seen_elsewhere)), np.zeros(len(alien))])
    weight = np.where(labels > 0, 0.5 / len(seen_elsewhere), 0.5 / len(alien))
    design = np.concatenate([inputs, np.ones((len(inputs), 1))], axis=1)
    theta = np.zeros(3)
    for _ in range(50):  # Newton's method, with a little ridge
        p = 1.0 / (1.0 + np.exp(-design @ theta))
        gradient = design.T @ (weight * (p - labels)) + 1e-4 * theta
        hessian = (design * (weight * p * (1 - p))[:, None]).T @ design + 1e-4 * np.eye(3)
        theta -= np.linalg.solve(hessian, gradient)
    return {"weights": theta[:2].tolist(), "bias": float(theta[2])}


def vocabulary_of(phrases: Sequence[str], neutral: Sequence[str], part: str) -> dict[str, Any]:
    """What a model's config says of the texts that it was taught, and the confidence that follows from them."""
    held_out = [text for text in learnable() if part_of(text) != part]
    index = hashed_text.PhraseIndex(phrases, neutral)
    fitted = fit_confidence(index, held_out[::2], unrelated()[::2])
    return {"phrases": list(phrases), "neutral_words": list(neutral), "confidence": fitted}


def single_meanings(captions: Captions, absent: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What one phrase can mean, as captions of their own `[S, 3, 2]`; which of them each phrase of every caption, and
    of its mirror image, is: `[C, 3]` each, -1 where there is none."""
    both = np.stack([captions.attributes, captions.mirrored_attributes])
    rows, which = np.unique(np.sort(both, axis=-1).reshape(-1, 2), axis=0, return_inverse=True)
    which = np.where((rows == absent).all(axis=-1), -1, np.arange(len(rows)))[which].reshape(both.shape[:-1])
    singles = np.full((len(rows), *captions.attributes.shape[1:]), absent)
    singles[:, 0] = rows
    return singles[rows[:, 0] != absent].astype(np.int32), which[0], which[1]


def _forget_unseen(text_params: dict, seen: np.ndarray) -> dict:
    """Buckets that no caption ever touched carry no weight in the pooling."""
    score = np.array(text_params["score"])
    score[~np.isin(np.arange(len(score)), seen)] = -12.0
    return {**text_params, "score": score}


def train_pose_model(
    character: Character,
    settings: TrainSettings,
    data: PoseData,
    part: str,
    which: str,
    name: str,
    log: Log,
    encoder: SentenceEncoder | None = None,
) -> BuiltinPose:
    """A pose model of one half of the phrases, `part`, and one input, `which` ("positions" or "rotations").

    Its text side reads n-grams, or the vectors of `encoder`, which is frozen: they are made once, before the training.
    """
    names = attribute_names(character)
    vocabulary = phrases_of(part)
    captions: Captions = compose(
        vocabulary, names, [mirror_name(n) for n in names], data.degrees, settings.num_captions, settings.seed
    )
    if encoder:
        log(f"{name}: encoding {len({*captions.texts, *captions.mirrored_texts})} captions")
    ids, mirrored_ids = (
        encoder.embed(texts) if encoder else hashed_text.buckets(texts, settings.num_buckets)[:, : settings.max_grams]
        for texts in (captions.texts, captions.mirrored_texts)
    )
    features = pose_features(character, data, which)
    stats = {"mean": features.mean(axis=0), "std": np.maximum(features.std(axis=0), 0.03)}
    mined_for = np.random.default_rng(settings.seed).integers(len(captions.texts), size=settings.num_mined)
    first = captions.source[mined_for]  # until the model has been climbed, a mined pose is the caption's own
    arrays = {
        "ids": ids,
        "mirrored_ids": mirrored_ids,
        "attributes": captions.attributes,
        "mirrored_attributes": captions.mirrored_attributes,
        "source": captions.source,
        "mined_for": mined_for,
        "norm_features": np.concatenate([features, features[first]]),
        "degrees": np.concatenate([data.degrees, data.degrees[first]]),
    }
    arrays["norm_features"] = normalized(arrays["norm_features"], stats)
    arrays["singles"], arrays["means"], arrays["mirrored_means"] = single_meanings(captions, len(names))
    tensors = {key: jnp.asarray(value) for key, value in arrays.items()}
    if encoder:
        shape = {"encoder_sha256": encoder.sha256, "hidden": settings.text_hidden}
    else:
        shape = {"num_buckets": settings.num_buckets, "width": settings.text_width}
        shape |= {"heads": settings.text_heads, "hidden": settings.text_hidden}
    towers = (PoseTower(widths=settings.pose_widths, dim=settings.dim), text_side(shape, settings.dim))
    key_pose, key_text, key_single, key_train = jax.random.split(jax.random.key(settings.seed), 4)
    params = {
        "pose": towers[0].init(key_pose, tensors["norm_features"][:1])["params"],
        "text": towers[1].init(key_text, tensors["ids"][:1])["params"],
        "single": jax.random.normal(key_single, (len(arrays["singles"]), settings.dim)),
        "scale": jnp.log(jnp.float32(10.0)),  # of a type that an update keeps: it compiles once
        "offset": jnp.float32(-4.0),
    }
    schedule = optax.cosine_onecycle_schedule(settings.updates, settings.learning_rate, pct_start=0.1)
    optimiser = optax.chain(optax.clip_by_global_norm(1.0), optax.adamw(schedule, weight_decay=settings.weight_decay))
    update, moments = _make_update(settings, towers, optimiser), optimiser.init(params)
    losses = []
    for number in range(settings.updates):
        if settings.num_mined and number in _mining_updates(settings):
            found = mine(character, settings, which, stats, towers, params, tensors, data.qpos[first], number)
            tensors |= {k: tensors[k].at[-settings.num_mined :].set(v) for k, v in found.items()}
            log(f"{name}: climbed {settings.num_mined} captions")
        params, moments, loss = update(params, moments, tensors, jax.random.fold_in(key_train, number))
        losses.append(loss)
        if (number + 1) % 500 == 0:
            log(f"{name}: update {number + 1}/{settings.updates}  loss {np.mean(losses[-500:]):.4f}")
    config = {
        "format": FORMAT,
        "kind": "pose",
        "name": name,
        "input": which,
        "dim": settings.dim,
        "text": shape,
        "pose": {"widths": list(settings.pose_widths)},
        "character_sha256": character.sha256,
        "phrases_sha256": phrases_sha256(),
        "phrases_part": part,
        **vocabulary_of(list(vocabulary), neutral_words(captions, list(vocabulary)), part),
        "training": asdict(settings),
    }
    text_params = params["text"] if encoder else _forget_unseen(params["text"], np.union1d(ids, mirrored_ids))
    return BuiltinPose(config, tensors_of(text=text_params, pose=params["pose"], normalizer=stats))
