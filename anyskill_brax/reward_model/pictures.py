"""Poses as the image model sees them: at rest, each photographed from a random side at a random place."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from anyskill_brax import rotations
from anyskill_brax.character.humanoid import Character
from anyskill_brax.character.kinematics import BodyState, forward_kinematics
from anyskill_brax.clip.builtin import BuiltinImage
from anyskill_brax.render.camera import follow_camera, random_camera
from anyskill_brax.render.raycast import make_renderer
from anyskill_brax.reward_model.lessons import DistillSettings
from anyskill_brax.reward_model.optimise import Embed
from anyskill_brax.reward_model.poses import CHUNK
from anyskill_brax.types import PRNGKey


def at_rest(character: Character, qpos: jax.Array) -> BodyState:
    """The bodies of `qpos [..., 35]`, nothing moving."""
    return forward_kinematics(character, qpos, jnp.zeros((*qpos.shape[:-1], 34)))


def anywhere(qpos: jax.Array, key: PRNGKey) -> jax.Array:
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
        bodies = at_rest(character, anywhere(qpos, key_place))
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


def embed_views(character: Character, settings: DistillSettings, model: BuiltinImage, key: PRNGKey) -> Embed:
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
