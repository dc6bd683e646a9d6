"""The image model, distilled from the pose model: what the pose tower says of a body at rest, read from its picture.

    L = 4 (1 - z_image . z_pose) + w InfoNCE(z_image, z_pose) + h |where the bodies are - where they are read off|^2

The teacher sees the poses without their velocities, as one picture does. Every pass photographs the poses anew: from
another side, elsewhere on the floor, facing elsewhere, some in the mirror. Beside random poses it is shown those that
an optimiser would come by: what a search for phrases tries on its way, first through the teacher's eyes and then, a
few times in the course of training, through the model's own. Reading off where the bodies are is a hint for training;
the model does not keep it.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from anyskill_brax import rotations
from anyskill_brax.character.humanoid import Character
from anyskill_brax.character.kinematics import BodyState, forward_kinematics
from anyskill_brax.clip.builtin import BuiltinImage, BuiltinPose, tensors_of
from anyskill_brax.clip.towers import ImageTower, still_features
from anyskill_brax.render.camera import follow_camera, random_camera
from anyskill_brax.render.raycast import make_renderer
from anyskill_brax.reward_model.optimise import SearchSettings, grounded_pose, search
from anyskill_brax.reward_model.phrases import phrases_of
from anyskill_brax.reward_model.poses import CHUNK, in_chunks, mirror
from anyskill_brax.types import PRNGKey, UserError

Embed = Callable[[BodyState], jax.Array]


@dataclass(frozen=True)
class DistillSettings:
    """Every number of a distillation; `configs/reward_model.py` writes them."""

    seed: int
    num_poses: int  # random ones
    num_motion_poses: int
    phrases: int  # that are searched for at a time
    tries: int  # kept of every search
    searches: int  # one through the teacher, the others through the model, evenly over the passes
    search: SearchSettings
    passes: int  # over the poses
    block: int  # pictures that are in memory at a time
    batch: int
    learning_rate: float
    weight_decay: float
    contrast_weight: float
    contrast_temperature: float
    hint_weight: float
    image_size: int
    convs: tuple[int, ...]
    widths: tuple[int, ...]
    azimuth: float  # [rad]
    elevation: tuple[float, float]  # [rad]

    def __post_init__(self) -> None:
        if self.block % self.batch or self.block > self.num_poses:
            raise UserError(
                f"image.block is {self.block}; it must be a multiple of image.batch ({self.batch}) and at most "
                f"image.num_poses ({self.num_poses})"
            )


def _at_rest(character: Character, qpos: jax.Array) -> BodyState:
    return forward_kinematics(character, qpos, jnp.zeros((*qpos.shape[:-1], 34)))


def _anywhere(qpos: jax.Array, key: PRNGKey) -> jax.Array:
    """`qpos [N, 35]` elsewhere on the tiles, facing elsewhere: the floor and the sun must mean nothing."""
    key_place, key_turn = jax.random.split(key)
    place = jax.random.uniform(key_place, (len(qpos), 2), minval=-1.0, maxval=1.0)
    turn = rotations.yaw_quat(jax.random.uniform(key_turn, (len(qpos),), minval=-jnp.pi, maxval=jnp.pi))
    return jnp.concatenate([place, qpos[:, 2:3], rotations.quat_mul(turn, qpos[:, 3:7]), qpos[:, 7:]], axis=-1)


def make_camera(character: Character, settings: DistillSettings) -> Callable[[jax.Array, PRNGKey], jax.Array]:
    """Jitted: `qpos [N, 35]` -> uint8 `[N, H, H, 3]`, each from a random side, at a random place."""
    render = make_renderer(character, settings.image_size, settings.image_size)

    @jax.jit
    def shoot(qpos: jax.Array, key: PRNGKey) -> jax.Array:
        key_place, key_camera = jax.random.split(key)
        bodies = _at_rest(character, _anywhere(qpos, key_place))
        around = (-settings.azimuth, settings.azimuth)
        rgb = render(bodies, random_camera(key_camera, bodies, azimuth=around, elevation=settings.elevation)).rgb
        assert rgb is not None
        return jnp.round(255.0 * rgb).astype(jnp.uint8)

    return shoot


def render_poses(character: Character, settings: DistillSettings, qpos: np.ndarray, key: PRNGKey) -> np.ndarray:
    """One picture per pose: `qpos [N, 35]` -> uint8 `[N, H, H, 3]`."""
    shoot, chunk = make_camera(character, settings), min(CHUNK // 4, len(qpos))
    rows = [np.resize(np.arange(start, min(start + chunk, len(qpos))), chunk) for start in range(0, len(qpos), chunk)]
    images = [np.asarray(shoot(jnp.asarray(qpos[row]), jax.random.fold_in(key, i))) for i, row in enumerate(rows)]
    return np.concatenate(images)[: len(qpos)]


def asked_poses(
    character: Character, embed: Embed, goals: np.ndarray, settings: DistillSettings, key: PRNGKey
) -> np.ndarray:
    """What a search for `goals [K, D]` tries on its way, `tries` of each: `qpos [K * tries, 35]`."""

    @jax.jit
    def grade(free: jax.Array, goals: jax.Array) -> jax.Array:
        return jnp.sum(embed(_at_rest(character, grounded_pose(character, free))) * goals[:, None], axis=-1)

    key_search, key_keep = jax.random.split(key)
    _, tried = search(character, grade, goals, settings.search, key_search)
    tried = tried.reshape(len(goals), -1, tried.shape[-1])
    rng = np.random.default_rng(np.asarray(jax.random.bits(key_keep, (2,))))
    rows = np.stack([rng.permutation(tried.shape[1])[: settings.tries] for _ in goals])
    free = np.take_along_axis(tried, rows[..., None], axis=1).reshape(-1, tried.shape[-1])
    return in_chunks(jax.jit(lambda free: grounded_pose(character, free)), free)


def _embed_views(character: Character, settings: DistillSettings, model: BuiltinImage, key: PRNGKey) -> Embed:
    """Bodies `[K, P]` through the model's eyes, from one random side for each of K."""
    render = make_renderer(character, settings.image_size, settings.image_size)

    def embed(bodies: BodyState) -> jax.Array:
        lead = bodies.pos.shape[:2]
        azimuth = jax.random.uniform(key, (lead[0], 1), minval=-settings.azimuth, maxval=settings.azimuth)
        flat = jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), bodies)
        rgb = render(flat, follow_camera(flat, jnp.broadcast_to(azimuth, lead).reshape(-1))).rgb
        assert rgb is not None
        return model.embed_images(rgb).reshape(*lead, -1)

    return embed


def _loss(params: Any, tower: ImageTower, settings: DistillSettings, batch: dict[str, jax.Array]):
    """The module's loss, and the mean cosine to the teacher."""
    told: Any = tower.apply({"params": params}, batch["images"].astype(jnp.float32) / 255.0)
    feature, read = told
    near = jnp.sum(feature * batch["goals"], axis=-1).mean()
    logits = feature @ batch["goals"].T / settings.contrast_temperature
    contrast = optax.softmax_cross_entropy_with_integer_labels(logits, jnp.arange(len(feature))).mean()
    missed = jnp.mean((read - batch["hints"]) ** 2)
    return 4.0 * (1.0 - near) + settings.contrast_weight * contrast + settings.hint_weight * missed, near


def distil_image_model(
    character: Character, settings: DistillSettings, teacher: BuiltinPose, qpos: np.ndarray, log: Callable[[str], None]
) -> BuiltinImage:
    """An image model in the space of `teacher`, from pictures of `qpos [N, 35]` and of poses that phrases ask for.

    Its text side is the teacher's.
    """
    key_asked, key_init, key_passes = jax.random.split(jax.random.key(settings.seed), 3)
    rng = np.random.default_rng(settings.seed)
    texts = list(phrases_of(teacher.config()["phrases_part"]))

    def some_goals() -> np.ndarray:
        chosen = rng.permutation(len(texts))[: settings.phrases]
        return np.asarray(teacher.embed_text([texts[i] for i in chosen]))

    pool = np.concatenate([qpos, asked_poses(character, teacher.embed_poses, some_goals(), settings, key_asked)])
    log(f"image model: {len(pool)} poses, {len(pool) - len(qpos)} of them asked for")

    shoot = make_camera(character, settings)
    hint_of = jax.jit(lambda qpos: still_features(character, _at_rest(character, qpos)))
    goal_of = jax.jit(lambda qpos: teacher.embed_poses(_at_rest(character, qpos)))
    known = in_chunks(hint_of, pool)
    mean, std = known.mean(axis=0), known.std(axis=0) + 1e-6

    tower = ImageTower(settings.convs, settings.widths, teacher.dim, num_hints=len(mean))
    params: Any = tower.init(key_init, jnp.zeros((1, settings.image_size, settings.image_size, 3)))["params"]
    turns = [settings.passes * turn // settings.searches for turn in range(1, settings.searches)]
    asked = len(pool) - len(qpos)
    sizes = [len(pool) + asked * sum(turn <= number for turn in turns) for number in range(settings.passes)]
    schedule = optax.cosine_onecycle_schedule(
        sum(size // settings.block for size in sizes) * (settings.block // settings.batch),
        settings.learning_rate,
        pct_start=0.1,
    )
    optimiser = optax.chain(optax.clip_by_global_norm(1.0), optax.adamw(schedule, weight_decay=settings.weight_decay))
    moments = optimiser.init(params)

    @jax.jit
    def update(params: Any, moments: Any, block: dict[str, jax.Array], rows: jax.Array):
        batch = jax.tree.map(lambda x: x[rows], block)
        (_, near), grads = jax.value_and_grad(_loss, has_aux=True)(params, tower, settings, batch)
        step, moments = optimiser.update(grads, moments, params)
        return optax.apply_updates(params, step), moments, near

    for number in range(settings.passes):
        if number in turns:
            key = jax.random.fold_in(key_asked, number)
            eyes = _embed_views(character, settings, _frozen(settings, teacher, params), key)
            pool = np.concatenate([pool, asked_poses(character, eyes, some_goals(), settings, key)])
        order, nears = rng.permutation(len(pool)), []
        for start in range(0, len(pool) - settings.block + 1, settings.block):
            chosen = pool[order[start : start + settings.block]]
            flipped = mirror(character, chosen, np.zeros((len(chosen), 34), np.float32))[0]
            chosen = np.where(rng.random((len(chosen), 1)) < 0.5, flipped, chosen).astype(np.float32)
            key = jax.random.fold_in(jax.random.fold_in(key_passes, number), start)
            block = {
                "images": shoot(jnp.asarray(chosen), key),
                "goals": jnp.asarray(in_chunks(goal_of, chosen)),
                "hints": jnp.asarray((in_chunks(hint_of, chosen) - mean) / std),
            }
            for rows in rng.permutation(settings.block).reshape(-1, settings.batch):
                params, moments, near = update(params, moments, block, jnp.asarray(rows))
                nears.append(near)
        log(f"image model: pass {number + 1}/{settings.passes}  cosine to the teacher {np.mean(nears):.4f}")
    return _frozen(settings, teacher, params)


def _frozen(settings: DistillSettings, teacher: BuiltinPose, params: Any) -> BuiltinImage:
    """The tower without its hints, beside the teacher's text side."""
    keep = ("format", "dim", "text", "character_sha256", "phrases_sha256", "phrases_part", "phrases", "confidence")
    config = {key: teacher.config()[key] for key in keep} | {
        "kind": "image",
        "name": "builtin-image",
        "image": {"convs": list(settings.convs), "widths": list(settings.widths)},
        "image_size": settings.image_size,
        "teacher_sha256": teacher.sha256,
        "training": asdict(settings),
    }
    text = {name: value for name, value in teacher.to_tensors().items() if name.startswith("text/")}
    params = {name: value for name, value in params.items() if name != "hints"}
    return BuiltinImage(config, {**text, **tensors_of(image=params)})
