"""Pinhole cameras: a frozen pytree of unit axes, and the camera that follows a character."""

import jax
import jax.numpy as jnp
from flax import struct

from anyskill_brax import rotations
from anyskill_brax.character.kinematics import BodyState

UP = (0.0, 0.0, 1.0)


@struct.dataclass
class Camera:
    """Right-handed: a pixel's ray is `forward + x right + y up`. Leading axes broadcast against the bodies'."""

    pos: jax.Array  # [..., 3] world frame [m]
    right: jax.Array  # [..., 3] unit
    up: jax.Array  # [..., 3] unit
    forward: jax.Array  # [..., 3] unit
    fovy: jax.Array  # [...] full vertical angle [rad]


def _unit(v: jax.Array) -> jax.Array:
    return v / jnp.linalg.norm(v, axis=-1, keepdims=True)


def look_at(eye: jax.Array, target: jax.Array, fovy: jax.Array | float) -> Camera:
    """A camera at `eye [..., 3]` that looks at `target [..., 3]`, world z upwards; never straight up or down."""
    eye, target = jnp.broadcast_arrays(jnp.asarray(eye, jnp.float32), jnp.asarray(target, jnp.float32))
    forward = _unit(target - eye)
    right = _unit(rotations.cross(forward, jnp.broadcast_to(jnp.array(UP), forward.shape)))
    up = rotations.cross(right, forward)
    return Camera(
        pos=eye, right=right, up=up, forward=forward, fovy=jnp.broadcast_to(jnp.float32(fovy), eye.shape[:-1])
    )


def follow_camera(
    bodies: BodyState,
    azimuth: jax.Array | float = 0.6,
    *,
    elevation: jax.Array | float = 0.17,
    frame: float = 2.3,
    height: float = 0.92,
    fovy: jax.Array | float = 0.6,
    relative_to_heading: bool = True,
    focus: jax.Array | None = None,
) -> Camera:
    """The camera that stays with the root, at a fixed height and scale, so that crouching and jumping look like it.

    Args:
        bodies: `[..., B]`.
        azimuth: where it stands, seen from above [rad]: 0 before the character, pi/2 on its left, pi behind.
        elevation: how far it looks down [rad].
        frame: the height of the picture at the root [m]; the standing figure (1.62 m) fills 70 % of the default.
        height: of the point it looks at [m].
        fovy: full vertical angle [rad]; the distance follows from it and `frame`.
        relative_to_heading: turn with the character; otherwise azimuth 0 is on the world's +x.
        focus: `[..., 3]` a point to follow in place of the root (a smoothed path, say); its z is not used.
    """
    root = bodies.pos[..., 0, :] if focus is None else focus
    azimuth = jnp.broadcast_to(jnp.float32(azimuth), root.shape[:-1])
    if relative_to_heading:
        azimuth = azimuth + rotations.heading(bodies.rot[..., 0, :])
    elevation, fovy = jnp.float32(elevation), jnp.float32(fovy)
    target = jnp.concatenate([root[..., :2], jnp.full_like(root[..., :1], height)], axis=-1)
    level = jnp.cos(elevation)
    back = jnp.stack(
        jnp.broadcast_arrays(level * jnp.cos(azimuth), level * jnp.sin(azimuth), jnp.sin(elevation)), axis=-1
    )
    distance = 0.5 * frame / jnp.tan(0.5 * fovy)
    return look_at(target + distance[..., None] * back, target, fovy)
