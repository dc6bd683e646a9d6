"""Where a unit ray from the origin meets each kind of primitive, in closed form.

Vectors are three arrays, x, y and z apart, `[N]` or scalar: component-wise sums fuse. Every `*_hit` returns the
distance at which the ray enters, and a number that is positive where the line meets the primitive at all.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp

Vector = Sequence[jax.Array]
Hit = tuple[jax.Array, jax.Array]


def dot(a: Vector, b: Vector) -> jax.Array:
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


def vector(v: jax.Array) -> Vector:
    """`[3]` -> its components."""
    return v[0], v[1], v[2]


def columns(m: jax.Array) -> list[Vector]:
    """`[3, 3]` -> its columns."""
    return [vector(m[:, k]) for k in range(3)]


def larger(a, b) -> jax.Array:
    """The larger number. `jnp.maximum` must hand on what is none as well: four instructions in place of one."""
    return jnp.where(a > b, a, b)


def smaller(a, b) -> jax.Array:
    return jnp.where(a < b, a, b)


def clamp(x: jax.Array, low, high) -> jax.Array:
    return smaller(larger(x, low), high)


def _sqrt(x: jax.Array) -> jax.Array:
    return jnp.sqrt(larger(x, 1e-12))  # finite slope on a silhouette


def _inverse(speed: jax.Array) -> jax.Array:
    return 1.0 / jnp.where(jnp.abs(speed) < 1e-6, 1e-6, speed)


def capsule_hit(ray: Vector, base: Vector, axis: Vector, length, radius) -> Hit:
    """A capsule from its lower end `base` along `axis`.

    The ray meets the infinite cylinder at the axis point s; clamped to the segment, s is the centre of the one sphere
    of the capsule that the ray meets first, on the side and on the caps alike.
    """
    along, b, end = dot(ray, axis), dot(ray, base), dot(base, axis)
    square = dot(base, base) - radius * radius
    a = larger(1.0 - along * along, 1e-7)
    half = b - end * along
    t = (half - _sqrt(half * half - a * (square - end * end))) / a
    s = clamp(t * along - end, 0.0, length)
    b = b + s * along
    discriminant = b * b - (square + s * (s + 2.0 * end))
    return b - _sqrt(discriminant), discriminant


def capsule_normal(ray: Vector, base: Vector, axis: Vector, length, radius, distance: jax.Array) -> Vector:
    s = clamp(distance * dot(ray, axis) - dot(base, axis), 0.0, length)
    inverse = 1.0 / radius
    return [(distance * r - b - s * a) * inverse for r, b, a in zip(ray, base, axis, strict=True)]


def sphere_hit(ray: Vector, centre: Vector, radius) -> Hit:
    b = dot(ray, centre)
    discriminant = b * b - (dot(centre, centre) - radius * radius)
    return b - _sqrt(discriminant), discriminant


def slabs(ray: Vector, centre: Vector, axes: Sequence[Vector], half: Sequence) -> tuple[list, list]:
    """Where the ray enters and leaves each of a box's three slabs; `axes[k]` is a slab's normal."""
    near, far = [], []
    for axis, depth in zip(axes, half, strict=True):
        inverse = _inverse(dot(ray, axis))
        middle, reach = dot(centre, axis) * inverse, depth * jnp.abs(inverse)
        near.append(middle - reach)
        far.append(middle + reach)
    return near, far


def box_hit(ray: Vector, centre: Vector, axes: Sequence[Vector], half: Sequence) -> Hit:
    near, far = slabs(ray, centre, axes, half)
    enter = larger(larger(near[0], near[1]), near[2])
    return enter, smaller(smaller(far[0], far[1]), far[2]) - enter


def box_surface(ray: Vector, centre: Vector, axes: Sequence[Vector], half: Sequence) -> tuple[jax.Array, Vector]:
    """Distance and outward normal where the ray enters."""
    near, _ = slabs(ray, centre, axes, half)
    enter, face = near[0], axes[0]
    for j in (1, 2):
        later = near[j] > enter
        enter = jnp.where(later, near[j], enter)
        face = [jnp.where(later, new, old) for new, old in zip(axes[j], face, strict=True)]
    outward = -jnp.sign(dot(ray, face))
    return enter, [outward * f for f in face]


def _unit_sphere(ray: Vector, centre: Vector, axes: Sequence[Vector], size: Sequence) -> tuple[Vector, Vector]:
    """Ray and centre where the ellipsoid is the unit sphere."""
    return [dot(ray, a) / s for a, s in zip(axes, size, strict=True)], [
        dot(centre, a) / s for a, s in zip(axes, size, strict=True)
    ]


def ellipsoid_miss(ray: Vector, centre: Vector, axes: Sequence[Vector], size: Sequence) -> jax.Array:
    """How near the line passes: the square of its distance from the centre, 1 on the outline."""
    r, c = _unit_sphere(ray, centre, axes, size)
    nearest = dot(r, c) / dot(r, r)
    beside = [v - nearest * w for v, w in zip(c, r, strict=True)]
    return dot(beside, beside)


def ellipsoid_hit(ray: Vector, centre: Vector, axes: Sequence[Vector], size: Sequence) -> Hit:
    r, c = _unit_sphere(ray, centre, axes, size)
    square = dot(r, r)
    inside = 1.0 - ellipsoid_miss(ray, centre, axes, size)
    return (dot(r, c) - _sqrt(square * inside)) / square, inside


def ellipsoid_surface(ray: Vector, centre: Vector, axes: Sequence[Vector], size: Sequence) -> tuple[jax.Array, Vector]:
    distance, _ = ellipsoid_hit(ray, centre, axes, size)
    r, c = _unit_sphere(ray, centre, axes, size)
    slope = [(distance * v - w) / s for v, w, s in zip(r, c, size, strict=True)]
    normal = [dot(slope, [a[k] for a in axes]) for k in range(3)]
    scale = jax.lax.rsqrt(larger(dot(normal, normal), 1e-12))
    return distance, [n * scale for n in normal]


def _cylinder_spans(ray: Vector, centre: Vector, axis: Vector, radius, half) -> tuple[jax.Array, ...]:
    """Where the ray enters and leaves the endless cylinder and the slab between its ends, and whether it meets it."""
    along, end = dot(ray, axis), dot(centre, axis)
    a = larger(1.0 - along * along, 1e-7)
    b = dot(ray, centre) - along * end
    discriminant = b * b - a * (dot(centre, centre) - end * end - radius * radius)
    root, inverse = _sqrt(discriminant), _inverse(along)
    middle, reach = end * inverse, half * jnp.abs(inverse)
    return (b - root) / a, (b + root) / a, middle - reach, middle + reach, discriminant


def cylinder_hit(ray: Vector, centre: Vector, axis: Vector, radius, half) -> Hit:
    near, far, near_end, far_end, discriminant = _cylinder_spans(ray, centre, axis, radius, half)
    enter = larger(near, near_end)
    return enter, jnp.where(discriminant > 0.0, smaller(far, far_end) - enter, -1.0)


def cylinder_surface(ray: Vector, centre: Vector, axis: Vector, radius, half) -> tuple[jax.Array, Vector]:
    near, _, near_end, _, _ = _cylinder_spans(ray, centre, axis, radius, half)
    distance, on_side = larger(near, near_end), near > near_end
    arm = [distance * r - c for r, c in zip(ray, centre, strict=True)]
    s, outward = dot(arm, axis), -jnp.sign(dot(ray, axis))
    return distance, [
        jax.lax.select(on_side, (v - s * a) / radius, outward * a) for v, a in zip(arm, axis, strict=True)
    ]


def plane_hit(ray: Vector, centre: Vector, axes: Sequence[Vector], size: Sequence) -> Hit:
    """A rectangle, or an endless plane along an axis whose half size is 0."""
    distance = dot(centre, axes[2]) * _inverse(dot(ray, axes[2]))
    point = [distance * r - c for r, c in zip(ray, centre, strict=True)]

    def margin(axis: Vector, half: jax.Array) -> jax.Array:
        return jnp.where(half > 0.0, half - jnp.abs(dot(point, axis)), 1.0)

    return distance, smaller(margin(axes[0], jnp.asarray(size[0])), margin(axes[1], jnp.asarray(size[1])))


def plane_surface(ray: Vector, centre: Vector, axes: Sequence[Vector], size: Sequence) -> tuple[jax.Array, Vector]:
    facing = -jnp.sign(dot(ray, axes[2]))
    return plane_hit(ray, centre, axes, size)[0], [facing * a for a in axes[2]]
