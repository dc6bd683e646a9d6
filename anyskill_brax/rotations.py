"""Rotations as pure functions. Quaternions are wxyz, unit length, on the last axis; every function broadcasts."""

import jax
import jax.numpy as jnp
from jaxtyping import Float

Quat = Float[jax.Array, "... 4"]
Vector = Float[jax.Array, "... 3"]


def quat_mul(a: jax.Array, b: jax.Array) -> Quat:
    """Hamilton product: the rotation `b` followed by `a`."""
    aw, ax, ay, az = (a[..., i] for i in range(4))
    bw, bx, by, bz = (b[..., i] for i in range(4))
    return jnp.stack(
        [
            aw * bw - ax * bx - ay * by - az * bz,
            aw * bx + ax * bw + ay * bz - az * by,
            aw * by - ax * bz + ay * bw + az * bx,
            aw * bz + ax * by - ay * bx + az * bw,
        ],
        axis=-1,
    )


def quat_conj(q: jax.Array) -> Quat:
    """The inverse of a unit quaternion."""
    return q * jnp.array([1.0, -1.0, -1.0, -1.0], q.dtype)


def quat_normalize(q: jax.Array) -> Quat:
    return q / jnp.maximum(jnp.linalg.norm(q, axis=-1, keepdims=True), 1e-9)


def cross(a: jax.Array, b: jax.Array) -> Vector:
    """Cross product on the last axis (component-wise: it fuses, `jnp.cross` does not always)."""
    ax, ay, az = a[..., 0], a[..., 1], a[..., 2]
    bx, by, bz = b[..., 0], b[..., 1], b[..., 2]
    return jnp.stack([ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx], axis=-1)


def rotate(q: jax.Array, v: jax.Array) -> Vector:
    """The vector `v [..., 3]` turned by `q [..., 4]`."""
    u, w = q[..., 1:], q[..., :1]
    t = 2.0 * cross(u, v)
    return v + w * t + cross(u, t)


def rotate_inverse(q: jax.Array, v: jax.Array) -> Vector:
    return rotate(quat_conj(q), v)


def from_axis_angle(axis: jax.Array, angle: jax.Array) -> Quat:
    """`axis [..., 3]` (unit) and `angle [...]` [rad] -> quaternion."""
    half = 0.5 * angle[..., None]
    return jnp.concatenate([jnp.cos(half), jnp.sin(half) * axis], axis=-1)


def from_hinges_xyz(angles: jax.Array) -> Quat:
    """Three hinges in sequence, R = Rx(a) Ry(b) Rz(c): `angles [..., 3]` [rad] -> quaternion."""
    c, s = jnp.cos(0.5 * angles), jnp.sin(0.5 * angles)
    cx, cy, cz = c[..., 0], c[..., 1], c[..., 2]
    sx, sy, sz = s[..., 0], s[..., 1], s[..., 2]
    return jnp.stack(
        [
            cx * cy * cz - sx * sy * sz,
            sx * cy * cz + cx * sy * sz,
            cx * sy * cz - sx * cy * sz,
            cx * cy * sz + sx * sy * cz,
        ],
        axis=-1,
    )


def to_hinges_xyz(q: jax.Array) -> Vector:
    """The inverse of `from_hinges_xyz`, middle angle in [-pi/2, pi/2] [rad]."""
    w, x, y, z = (q[..., i] for i in range(4))
    sin_b = jnp.clip(2.0 * (x * z + w * y), -1.0, 1.0)
    a = jnp.arctan2(2.0 * (w * x - y * z), 1.0 - 2.0 * (x * x + y * y))
    c = jnp.arctan2(2.0 * (w * z - x * y), 1.0 - 2.0 * (y * y + z * z))
    return jnp.stack([a, jnp.arcsin(sin_b), c], axis=-1)


def to_matrix(q: jax.Array) -> Float[jax.Array, "... 3 3"]:
    """Quaternion -> rotation matrix `[..., 3, 3]`."""
    w, x, y, z = (q[..., i] for i in range(4))
    rows = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ]
    return jnp.stack([jnp.stack(r, axis=-1) for r in rows], axis=-2)


def to_6d(q: jax.Array) -> Float[jax.Array, "... 6"]:
    """First and last column of the rotation matrix, `[..., 6]`: the continuous form that ASE's features use."""
    w, x, y, z = (q[..., i] for i in range(4))
    return jnp.stack(
        [
            1 - 2 * (y * y + z * z),
            2 * (x * y + w * z),
            2 * (x * z - w * y),
            2 * (x * z + w * y),
            2 * (y * z - w * x),
            1 - 2 * (x * x + y * y),
        ],
        axis=-1,
    )


def heading(q: jax.Array) -> jax.Array:
    """The yaw [rad] of the body's x axis, seen from above."""
    w, x, y, z = (q[..., i] for i in range(4))
    return jnp.arctan2(2.0 * (x * y + w * z), 1.0 - 2.0 * (y * y + z * z))


def yaw_quat(yaw: jax.Array) -> Quat:
    """A rotation by `yaw [...]` [rad] about world z."""
    zero = jnp.zeros_like(yaw)
    return jnp.stack([jnp.cos(0.5 * yaw), zero, zero, jnp.sin(0.5 * yaw)], axis=-1)


def to_exp_map(q: jax.Array) -> Vector:
    """Quaternion -> rotation vector `[..., 3]` [rad], angle in [0, pi]."""
    q = jnp.where(q[..., :1] < 0.0, -q, q)
    sin_half = jnp.linalg.norm(q[..., 1:], axis=-1, keepdims=True)
    angle = 2.0 * jnp.arctan2(sin_half, q[..., :1])
    return q[..., 1:] * jnp.where(sin_half > 1e-6, angle / jnp.maximum(sin_half, 1e-9), 2.0)


def from_exp_map(v: jax.Array) -> Quat:
    """Rotation vector `[..., 3]` [rad] -> quaternion."""
    angle = jnp.linalg.norm(v, axis=-1, keepdims=True)
    scale = jnp.where(angle > 1e-6, jnp.sin(0.5 * angle) / jnp.maximum(angle, 1e-9), 0.5)
    return jnp.concatenate([jnp.cos(0.5 * angle), scale * v], axis=-1)


def angle_between(a: jax.Array, b: jax.Array) -> jax.Array:
    """Geodesic angle between two rotations [rad], in [0, pi]."""
    return jnp.linalg.norm(to_exp_map(quat_mul(quat_conj(a), b)), axis=-1)


def slerp(a: jax.Array, b: jax.Array, t: jax.Array) -> jax.Array:
    """Shortest-arc interpolation of unit vectors on the last axis; with quaternions, `b`'s sign is chosen to fit.

    `a, b [..., N]` unit, `t [...]` in [0, 1]. For N != 4 the sign is kept (latents: antipodes are different).
    """
    dot = jnp.sum(a * b, axis=-1, keepdims=True)
    if a.shape[-1] == 4:
        b = jnp.where(dot < 0.0, -b, b)
        dot = jnp.abs(dot)
    t = jnp.asarray(t)[..., None]
    omega = jnp.arccos(jnp.clip(dot, -1.0 + 1e-7, 1.0 - 1e-7))
    out = (jnp.sin((1.0 - t) * omega) * a + jnp.sin(t * omega) * b) / jnp.sin(omega)
    lerp = (1.0 - t) * a + t * b
    out = jnp.where(omega < 1e-3, lerp, out)
    return out / jnp.maximum(jnp.linalg.norm(out, axis=-1, keepdims=True), 1e-9)
