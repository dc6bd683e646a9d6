"""The image model, distilled from the pose model: what the pose tower says of a body at rest, read from its picture.

    L = 4 (1 - z_image . z_pose) + w InfoNCE(z_image, z_pose) + h |where the bodies are - where they are read off|^2

The teacher sees the poses without their velocities, as one picture does. Cameras are random. Reading off where the
bodies are is a hint for training, which says far more per picture than the feature does; the model does not keep it.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from anyskill_brax.character.humanoid import Character
from anyskill_brax.character.kinematics import BodyState, forward_kinematics
from anyskill_brax.clip.builtin import BuiltinImage, BuiltinPose, tensors_of
from anyskill_brax.clip.towers import ImageTower, position_features
from anyskill_brax.render.camera import random_camera
from anyskill_brax.render.raycast import make_renderer
from anyskill_brax.reward_model.poses import CHUNK, in_chunks
from anyskill_brax.types import PRNGKey


@dataclass(frozen=True)
class DistillSettings:
    """Every number of a distillation; `configs/reward_model.py` writes them."""

    seed: int
    num_images: int
    passes: int  # over the images
    batch: int
    learning_rate: float
    weight_decay: float
    contrast_weight: float
    contrast_temperature: float
    hint_weight: float
    image_size: int
    patch: int
    width: int
    depth: int
    heads: int
    azimuth: float  # [rad]
    elevation: tuple[float, float]  # [rad]


def render_poses(character: Character, settings: DistillSettings, qpos: np.ndarray, key: PRNGKey) -> np.ndarray:
    """One picture per pose from a random camera: `qpos [N, 35]` -> uint8 `[N, H, H, 3]`."""
    render = make_renderer(character, settings.image_size, settings.image_size)

    @jax.jit
    def picture(qpos: jax.Array, key: PRNGKey) -> jax.Array:
        bodies = forward_kinematics(character, qpos, jnp.zeros((len(qpos), 34)))
        around = (-settings.azimuth, settings.azimuth)
        camera = random_camera(key, bodies, azimuth=around, elevation=settings.elevation)
        rgb = render(bodies, camera).rgb
        assert rgb is not None
        return jnp.round(255.0 * rgb).astype(jnp.uint8)

    chunk = min(CHUNK // 4, len(qpos))
    rows = [np.resize(np.arange(start, min(start + chunk, len(qpos))), chunk) for start in range(0, len(qpos), chunk)]
    images = [np.asarray(picture(jnp.asarray(qpos[row]), jax.random.fold_in(key, i))) for i, row in enumerate(rows)]
    return np.concatenate(images)[: len(qpos)]


def _at_rest(character: Character, qpos: jax.Array) -> BodyState:
    return forward_kinematics(character, qpos, jnp.zeros((*qpos.shape[:-1], 34)))


def distil_image_model(
    character: Character, settings: DistillSettings, teacher: BuiltinPose, qpos: np.ndarray, log: Callable[[str], None]
) -> BuiltinImage:
    """An image model in the space of `teacher`, from pictures of `qpos [N, 35]`; its text side is the teacher's."""
    key_render, key_init, key_order = jax.random.split(jax.random.key(settings.seed), 3)
    qpos = qpos[np.random.default_rng(settings.seed).permutation(len(qpos))[: settings.num_images]]
    images = jnp.asarray(render_poses(character, settings, qpos, key_render))
    log(f"rendered {len(images)} images")
    positions = in_chunks(jax.jit(lambda qpos: position_features(character, _at_rest(character, qpos))), qpos)
    goals = jnp.asarray(in_chunks(jax.jit(lambda qpos: teacher.embed_poses(_at_rest(character, qpos))), qpos))
    hints = positions[:, positions.std(axis=0) > 1e-3]  # all but the velocities
    hints = jnp.asarray((hints - hints.mean(axis=0)) / hints.std(axis=0))
    shape = {field: getattr(settings, field) for field in ("patch", "width", "depth", "heads")}
    tower = ImageTower(dim=teacher.dim, num_hints=hints.shape[1], **shape)
    params: Any = tower.init(key_init, jnp.zeros((1, settings.image_size, settings.image_size, 3)))["params"]
    updates = settings.passes * (len(images) // settings.batch)
    schedule = optax.cosine_onecycle_schedule(updates, settings.learning_rate, pct_start=0.1)
    optimiser = optax.chain(optax.clip_by_global_norm(1.0), optax.adamw(schedule, weight_decay=settings.weight_decay))
    moments = optimiser.init(params)

    @jax.jit
    def update(params: Any, moments: Any, images: jax.Array, goals: jax.Array, hints: jax.Array, chosen: jax.Array):
        def loss(params: Any) -> tuple[jax.Array, jax.Array]:
            told: Any = tower.apply({"params": params}, images[chosen].astype(jnp.float32) / 255.0)
            feature, read = told
            missed = jnp.mean((read - hints[chosen]) ** 2)
            goal = goals[chosen]
            near = jnp.sum(feature * goal, axis=-1).mean()
            logits = feature @ goal.T / settings.contrast_temperature
            own = jnp.arange(len(chosen))
            contrast = optax.softmax_cross_entropy_with_integer_labels(logits, own).mean()
            return 4.0 * (1.0 - near) + settings.contrast_weight * contrast + settings.hint_weight * missed, near

        (_, near), grads = jax.value_and_grad(loss, has_aux=True)(params)
        step, moments = optimiser.update(grads, moments, params)
        return optax.apply_updates(params, step), moments, near

    for number in range(settings.passes):
        order = np.asarray(jax.random.permutation(jax.random.fold_in(key_order, number), len(images)))
        nears = []
        for start in range(0, len(order) - settings.batch + 1, settings.batch):
            chosen = jnp.asarray(order[start : start + settings.batch])
            params, moments, near = update(params, moments, images, goals, hints, chosen)
            nears.append(near)
        log(f"image model: pass {number + 1}/{settings.passes}  cosine to the teacher {np.mean(nears):.4f}")
    params = {name: value for name, value in params.items() if name != "hints"}
    keep = ("format", "dim", "text", "character_sha256", "phrases_sha256", "phrases_part", "phrases", "confidence")
    config = {key: teacher.config()[key] for key in keep} | {
        "kind": "image",
        "name": "builtin-image",
        "image": shape,
        "image_size": settings.image_size,
        "teacher_sha256": teacher.sha256,
        "training": asdict(settings),
    }
    text = {name: value for name, value in teacher.to_tensors().items() if name.startswith("text/")}
    return BuiltinImage(config, {**text, **tensors_of(image=params)})
