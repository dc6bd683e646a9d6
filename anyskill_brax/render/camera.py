"""Pinhole cameras, frozen pytrees of unit axes: fixed (`look_at`), following, orbiting, random, several per world."""

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from anyskill_brax import rotations
from anyskill_brax.character.kinematics import BodyState
from anyskill_brax.types import PRNGKey

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


def orbit_camera(
    bodies: BodyState, seconds: jax.Array | float, *, period: float = 8.0, start: float = 0.6, **options
) -> Camera:
    """`follow_camera` that circles once in `period` seconds, to its left; where the character faces does not matter."""
    azimuth = start + 2.0 * jnp.pi * jnp.asarray(seconds, jnp.float32) / period
    return follow_camera(bodies, azimuth, relative_to_heading=False, **options)


def random_camera(
    key: PRNGKey,
    bodies: BodyState,
    *,
    azimuth: tuple[float, float] = (-np.pi, np.pi),
    elevation: tuple[float, float] = (0.0, 0.6),
    **options,
) -> Camera:
    """`follow_camera` from a direction [rad] of its own for each of the bodies' leading axes, uniform within ranges."""
    key_azimuth, key_elevation = jax.random.split(key)
    lead = bodies.pos.shape[:-2]
    around = jax.random.uniform(key_azimuth, lead, minval=azimuth[0], maxval=azimuth[1])
    down = jax.random.uniform(key_elevation, lead, minval=elevation[0], maxval=elevation[1])
    return follow_camera(bodies, around, elevation=down, **options)


def side_by_side(*cameras: Camera) -> Camera:
    """Several cameras per world: axes `[...]` of V cameras -> `[..., V]`; render bodies `[..., None]` with it."""
    lead = jnp.broadcast_shapes(*(camera.fovy.shape for camera in cameras))

    def spread(*parts: jax.Array) -> jax.Array:
        own = parts[0].ndim - cameras[0].fovy.ndim  # 1 for vectors, 0 for the angle
        return jnp.stack([jnp.broadcast_to(p, lead + p.shape[p.ndim - own :]) for p in parts], axis=len(lead))

    return jax.tree.map(spread, *cameras)
