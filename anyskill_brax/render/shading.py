"""What light makes of the nearest hits: the winner's surface, sun and sky on it, shadows, tiles, haze, textures.

Each function takes all rays `[N]` and gives one array, which XLA turns into one vectorised loop.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from anyskill_brax.render import primitives
from anyskill_brax.render.placement import Placed, floor, hit, meet
from anyskill_brax.render.primitives import Vector, clamp, columns, dot, larger, vector
from anyskill_brax.render.scene import BOX, CAPSULE, CYLINDER, ELLIPSOID, PLANE, SPHERE, Look, Scene

Rows = Sequence[int]
"""Which of the scene's primitives are meant."""
FAMILIES = ((SPHERE, CAPSULE), (BOX,), (ELLIPSOID,), (CYLINDER,), (PLANE,))
"""Kinds that one formula serves: spheres are capsules without length."""
SKIN = 1e-3
"""How far above a surface its shadow ray starts [m]."""


def _select(rows: tuple[int, ...], index: jax.Array, values: jax.Array) -> jax.Array:
    """`values[index]` for an index among `rows`, by a chain of selects: it vectorises where a gather does not."""
    out = jnp.broadcast_to(values[rows[0]], index.shape)
    for i in rows[1:]:
        out = jnp.where(index == i, values[i], out)
    return out


def _select_forward(rows: tuple[int, ...], index: jax.Array, values: jax.Array):
    return _select(rows, index, values), (index, len(values))


def _select_backward(rows: tuple[int, ...], kept: tuple[jax.Array, int], slope: jax.Array):
    # One product, not a sum for every primitive: each sum would become a loop that repeats the pass.
    index, count = kept
    return None, slope @ (index[:, None] == jnp.arange(count)).astype(slope.dtype)


_pick = jax.custom_vjp(_select, nondiff_argnums=(0,))
_pick.defvjp(_select_forward, _select_backward)


def surface(scene: Scene, rows: Rows, placed: Placed, ray: Vector, index: jax.Array) -> tuple[jax.Array, Vector]:
    """Distance to the winning primitive and its unit normal, `[N]` each; meaningless where none of `rows` won."""
    distance: jax.Array = jnp.full_like(ray[0], 1.0)
    normal: Vector = [jnp.zeros_like(ray[0])] * 3
    size, first = jnp.asarray(sizes(scene)), True
    for kinds in FAMILIES:
        own = tuple(int(i) for i in rows if scene.kind[i] in kinds)
        if not own:
            continue
        new_distance, new_normal = _surface_of(kinds[0], own, scene, placed, ray, index, size)
        if first:
            distance, normal, first = new_distance, new_normal, False
            continue
        here = jnp.zeros(index.shape, bool)
        for i in own:
            here = here | (index == i)
        distance = jax.lax.select(here, new_distance, distance)
        normal = [jax.lax.select(here, new, old) for new, old in zip(new_normal, normal, strict=True)]
    return distance, normal


def _surface_of(
    kind: int, own: tuple[int, ...], scene: Scene, placed: Placed, ray: Vector, index: jax.Array, size: jax.Array
) -> tuple[jax.Array, Vector]:
    """`surface` for the winners of one kind."""
    turned, number = reads(kind)
    centre = [_pick(own, index, placed.centre[:, k]) for k in range(3)]
    axes = {j: [_pick(own, index, placed.axes[:, k, j]) for k in range(3)] for j in turned}
    return surface_of(kind, ray, centre, axes, [_pick(own, index, size[:, k]) for k in range(number)])


def reads(kind: int) -> tuple[tuple[int, ...], int]:
    """Which of its axes, and how many of its sizes, the formulas of a kind read."""
    return ((2,), 2) if kind in (SPHERE, CAPSULE, CYLINDER) else ((0, 1, 2), 3)


def surface_of(
    kind: int, ray: Vector, centre: Vector, axes: Mapping[int, Vector] | Sequence[Vector], size: Sequence
) -> tuple[jax.Array, Vector]:
    """`surface` of a primitive of this kind, there, of MuJoCo's sizes; what is round needs axis 2 alone."""
    if kind in (SPHERE, CAPSULE):
        distance, _ = primitives.capsule_hit(ray, centre, axes[2], 2.0 * size[1], size[0])
        return distance, primitives.capsule_normal(ray, centre, axes[2], 2.0 * size[1], size[0], distance)
    if kind == CYLINDER:
        return primitives.cylinder_surface(ray, centre, axes[2], size[0], size[1])
    solid = {
        BOX: primitives.box_surface,
        ELLIPSOID: primitives.ellipsoid_surface,
        PLANE: primitives.plane_surface,
    }
    return solid[kind](ray, centre, [axes[j] for j in range(3)], size)


def sizes(scene: Scene) -> np.ndarray:
    """`[P, 3]`, of a sphere its radius alone."""
    return np.where((scene.kind == SPHERE)[:, None], scene.size * np.array([1.0, 0.0, 0.0], np.float32), scene.size)


def soft_shadow(scene: Scene, rows: Rows, placed: Placed, point: Vector) -> jax.Array:
    """How much light each floor point loses, 0..1: seen from the light, distance to every primitive's outline."""
    dark = jnp.zeros_like(point[0])
    sun = Sun(*map(vector, (placed.light, placed.shade_x, placed.shade_y)))
    for i in shading_rows(scene, rows):
        centre, axes = vector(placed.centre[i]), columns(placed.axes[i])
        dark = larger(dark, shadow_of(int(scene.kind[i]), sun, point, centre, axes, scene.size[i].tolist()))
    return dark


class Sun(NamedTuple):
    """Where the light comes from; `x` and `y` span the plane that it looks at."""

    light: Vector
    x: Vector
    y: Vector


def shading_rows(scene: Scene, rows: Rows) -> list[int]:
    """Those of `rows` that throw shadows: an endless plane would darken everything."""
    return [i for i in rows if scene.kind[i] != PLANE or scene.size[i, :2].all()]


OUTLINE = 1.55
"""Where the shadow of something round begins, in squares of its radius; half of it is at the outline."""


def shadow_of(
    kind: int, sun: Sun, point: Vector, centre: Vector, axes: Mapping[int, Vector] | Sequence[Vector], size: Sequence
) -> jax.Array:
    """`soft_shadow` of a primitive of this kind, there, of MuJoCo's sizes; what is round needs axis 2 alone."""
    if kind in (SPHERE, CAPSULE):
        x, y = (dot(point, a) - dot(centre, a) for a in sun[1:])
        if kind == CAPSULE:
            reach = [2.0 * size[1] * dot(axes[2], a) for a in sun[1:]]
            s = (x * reach[0] + y * reach[1]) / (reach[0] * reach[0] + reach[1] * reach[1] + 1e-9)
            s = clamp(s, 0.0, 1.0)
            x, y = x - s * reach[0], y - s * reach[1]
        return clamp(OUTLINE - (x * x + y * y) * (1.0 / size[0] ** 2), 0.0, 1.0)  # the outline is at 1
    from_point = [c - p for c, p in zip(centre, point, strict=True)]
    if kind == ELLIPSOID:
        miss = primitives.ellipsoid_miss(sun.light, from_point, [axes[j] for j in range(3)], size)
        return clamp(OUTLINE - miss, 0.0, 1.0)
    distance, inside = meet(kind, sun.light, from_point, axes, size)
    if kind == PLANE:
        return clamp(jnp.where(distance > 0.0, inside, 0.0) / 0.02, 0.0, 1.0)
    edge = jnp.minimum(size[0], size[1]) if kind == CYLINDER else jnp.minimum(jnp.minimum(size[0], size[1]), size[2])
    return clamp(inside / edge, 0.0, 1.0)


def hard_shadow(scene: Scene, placed: Placed, point: Vector) -> jax.Array:
    """1 where anything stands between a point and the light, else 0."""
    dark = jnp.zeros_like(point[0])
    for i in range(len(scene)):
        distance, positive = hit(scene, placed, vector(placed.light), i, point)
        dark = jnp.where((positive > 0.0) & (distance > 0.0), 1.0, dark)
    return dark


def tiles(look: Look, placed: Placed, ray: Vector, pixel: jax.Array) -> jax.Array:
    """The checkers' factor on the floor's light; edges as wide as a pixel's footprint: far tiles fade, not flicker."""
    distance, climb = floor(placed, ray)
    pixel = pixel / larger(-climb, 0.02)

    def wave(v: jax.Array) -> jax.Array:
        phase = v / (2.0 * look.tile)
        triangle = 4.0 * jnp.abs(phase - jnp.floor(phase) - 0.5) - 1.0
        return clamp(triangle / (2.0 * distance * pixel / look.tile + 1e-3), -1.0, 1.0)

    x, y = floor_xy(placed, [distance * r for r in ray])
    return 1.0 + look.checker * (wave(x) * wave(y))


def floor_xy(placed: Placed, point: Vector) -> tuple[jax.Array, jax.Array]:
    """World x and y [m] of points in the camera's frame."""
    x, y = (placed.camera[k] + dot(point, vector(placed.world[:, k])) for k in range(2))
    return x, y


def sunlit(look: Look, placed: Placed, ray: Vector, normal: Vector, dark: jax.Array | float = 0.0) -> jax.Array:
    """The factor on a surface's colour: ambient, sun, highlight, sky; `dark` takes its share of sun and highlight."""
    toward = dot(normal, vector(placed.light))
    mirrored = 2.0 * toward * dot(normal, ray) - dot(ray, vector(placed.light))  # cosine of light and reflected eye
    sun = look.diffuse * larger(toward, 0.0) + look.gloss * larger(-mirrored, 0.0) ** 12
    return look.ambient + sun * (1.0 - look.shadow * dark) + look.skylight * dot(normal, vector(placed.world[:, 2]))


def haze(scene: Scene, look: Look, placed: Placed, ray: Vector, index: jax.Array) -> jax.Array:
    """How far each pixel is blended into the horizon's colour `[N]`: floor by distance, sky by height, figure never."""
    distance, climb = floor(*jax.lax.stop_gradient((placed, ray)))
    lost = (distance / look.haze) ** 2
    sky = 1.0 - clamp(1.7 * climb, 0.0, 1.0) if look.sky_texture is None else 0.0
    return jnp.where(index < len(scene), 0.0, jnp.where(index == len(scene), lost / (1.0 + lost), sky))


def colours(scene: Scene, look: Look) -> jax.Array:
    """The table that `texel` points into `[P + 2 + texels, 3]`: primitives, floor, zenith, textures."""
    parts = [scene.rgb, [scene.floor_rgb, look.zenith]]
    parts += [np.reshape(t, (-1, 3)) for t in (look.floor_texture, look.sky_texture) if t is not None]
    return jnp.asarray(np.concatenate(parts), jnp.float32)


def texel(scene: Scene, look: Look, placed: Placed, ray: Vector, index: jax.Array) -> jax.Array:
    """Each ray's row in the table of `colours` `[N]` int32: the nearest texel on a textured floor and sky."""
    placed, ray = jax.lax.stop_gradient((placed, ray))
    row, start = index, len(scene) + 2
    if look.floor_texture is not None:
        height, width = look.floor_texture.shape[:2]
        distance, _ = floor(placed, ray)
        x, y = (v / look.tile for v in floor_xy(placed, [distance * r for r in ray]))
        place = _cell(1.0 - (y - jnp.floor(y)), height) * width + _cell(x - jnp.floor(x), width)
        row = jax.lax.select(index == len(scene), start + place, row)
        start += height * width
    if look.sky_texture is not None:
        height, width = look.sky_texture.shape[:2]
        x, y, z = (dot(ray, vector(placed.world[:, k])) for k in range(3))
        down, left = jnp.arccos(jnp.clip(z, -1.0, 1.0)) / jnp.pi, jnp.arctan2(y, x) / (2.0 * jnp.pi)
        place = _cell(down, height) * width + _cell(0.5 - left, width)
        row = jax.lax.select(index == len(scene) + 1, start + place, row)
    return row


def _cell(share: jax.Array, count: int) -> jax.Array:
    return jnp.clip((share * count).astype(jnp.int32), 0, count - 1)
