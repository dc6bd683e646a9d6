"""Pictures of many worlds, the figure and its shadows tile by tile: what `raycast` computes for all rays, here only
where there is anything.

The same formulas; no gradients. One pass over the tiles that see a primitive or a shadow says what every ray meets
first and how it is lit, or how dark its floor is: one int32, the index in the lowest bits of the other's. Then the
floor, the sky and the colours of all rays, in passes that are kept apart (`_apart`).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from anyskill_brax.render import culling, shading
from anyskill_brax.render.camera import Camera
from anyskill_brax.render.lens import Lens, rays
from anyskill_brax.render.placement import FAR, Placed, floor, meet
from anyskill_brax.render.primitives import Vector, clamp, larger, vector
from anyskill_brax.render.scene import CAPSULE, SPHERE, Look, Scene, index_mask
from anyskill_brax.render.shading import FAMILIES, Sun


def can_draw(look: Look, *lenses: Lens) -> bool:
    """Whether pictures of this look can be drawn so; all others are drawn ray by ray."""
    plain = look.floor_texture is None and look.sky_texture is None and not look.hard_shadow
    return plain and all(lens.has_tiles for lens in lenses)


def indices(scene: Scene, placed: Placed, camera: Camera, lens: Lens) -> jax.Array:
    """What each ray of worlds `[C]` meets first, `[C, N]` int32: a primitive, P the floor, P + 1 the sky."""
    word = _figure(scene, None, placed, camera, lens)
    return _with_sky(scene, placed, _rays(lens, camera), word & index_mask(scene))


def colours(scene: Scene, look: Look, placed: Placed, camera: Camera, lens: Lens) -> jax.Array:
    """What each ray of worlds `[C]` sees, `[C, N, 3]` in 0..1."""
    mask, palette = index_mask(scene), shading.colours(scene, look)
    horizon = jnp.asarray(look.horizon, jnp.float32)
    word, ray, pixel = _figure(scene, look, placed, camera, lens), _rays(lens, camera), lens.pixel(camera)
    index = _apart(lambda: _with_sky(scene, placed, ray, word & mask), word)

    def light() -> jax.Array:
        value = jax.lax.bitcast_convert_type(word & ~mask, jnp.float32)
        ground = jax.vmap(partial(shading.tiles, look))(placed, ray, pixel) * (1.0 - look.shadow * value)
        return jnp.where(index < len(scene), value, jnp.where(index == len(scene), ground, 1.0))

    def veil() -> jax.Array:
        return jax.vmap(partial(shading.haze, scene, look))(placed, ray, index)

    rgb = palette[index] * _apart(light, word)[..., None]
    return clamp(rgb + _apart(veil, word)[..., None] * (horizon - rgb), 0.0, 1.0)


def _rays(lens: Lens, camera: Camera) -> Vector:
    """`[C, N]` each."""
    x, y = lens.plane()
    return rays(jnp.asarray(x), jnp.asarray(y), jnp.tan(0.5 * camera.fovy)[:, None])


def _with_sky(scene: Scene, placed: Placed, ray: Vector, index: jax.Array) -> jax.Array:
    """P means the floor or the sky: which, the ray says."""
    misses = jax.vmap(lambda placed, ray: floor(placed, ray)[0])(placed, ray) >= FAR
    return index + (misses & (index == len(scene)))


def _apart(work: Callable[[], jax.Array], word: jax.Array) -> jax.Array:
    """`work()`, under a condition that always holds and of which XLA cannot know it: it fuses through everything else,
    and repeats what it fuses for every later use."""
    shape = jax.eval_shape(work)
    return jax.lax.cond((word[0, 0] & 1) >= 0, work, lambda: jnp.zeros(shape.shape, shape.dtype))


@dataclass(frozen=True)
class _Group:
    """Primitives that one formula serves and one word of bits holds."""

    kind: int
    rows: tuple[int, ...]

    def params(self, scene: Scene, placed: Placed) -> Callable[[jax.Array, jax.Array], jax.Array]:
        """`of(world [n], bit [n])`: all about a primitive, as `read` wants it, `[n, K]`."""
        (turned, number), own, worlds = shading.reads(self.kind), np.array(self.rows), len(placed.centre)
        fixed = np.concatenate([shading.sizes(scene)[own, :number], own[:, None]], axis=1).astype(np.float32)
        parts = [placed.centre[:, own], *(placed.axes[:, own][..., j] for j in turned)]
        parts.append(jnp.broadcast_to(jnp.asarray(fixed), (worlds, *fixed.shape)))
        table = jnp.concatenate(parts, axis=-1).reshape(worlds * len(own), -1)
        return lambda world, bit: culling.take(table, world * len(own) + jnp.minimum(bit, len(own) - 1))

    def read(self, row: jax.Array) -> tuple[jax.Array, Vector, dict[int, Vector], Vector]:
        """`[n, K]` -> index, centre, axes and size, their numbers `[n, 1]`."""
        turned, number = shading.reads(self.kind)
        vectors = [[row[:, 3 * v + k, None] for k in range(3)] for v in range(1 + len(turned))]
        size = [row[:, 3 * len(vectors) + k, None] for k in range(number)]
        return row[:, -1:].astype(jnp.int32), vectors[0], dict(zip(turned, vectors[1:], strict=True)), size


def _groups(scene: Scene, rows: Sequence[int]) -> list[_Group]:
    found = []
    for kinds in FAMILIES:
        own = [int(i) for i in rows if scene.kind[i] in kinds]
        kind = CAPSULE if SPHERE in kinds else kinds[0]
        found += [_Group(kind, tuple(own[k : k + culling.WORD])) for k in range(0, len(own), culling.WORD)]
    return found


def _figure(scene: Scene, look: Look | None, placed: Placed, camera: Camera, lens: Lens) -> jax.Array:
    """A word for each ray of worlds `[C]`, `[C, N]` int32. Its lowest bits are the index of what the ray meets first, P
    for floor and sky. The others are those of a float: how a primitive is lit, or how dark the floor is (`look` alone).
    """
    mask, nothing, scale = index_mask(scene), len(scene), jnp.tan(0.5 * camera.fovy)
    x, y = map(lens.cut, lens.plane())  # [tiles, rays]
    solid = _groups(scene, range(len(scene)))
    dark = look is not None and look.shadow > 0.0 and scene.floor_z is not None
    casting = _groups(scene, shading.shading_rows(scene, range(len(scene)))) if dark else []
    solid_params, casting_params = ([group.params(scene, placed) for group in found] for found in (solid, casting))

    def work(tiles: jax.Array, words: list[jax.Array]) -> jax.Array:
        world, place = tiles // lens.tiles, tiles % lens.tiles
        across, down = (culling.take(jnp.asarray(v), place) for v in (x, y))
        ray = rays(across, down, culling.take(scale, world)[:, None])
        own = _surroundings(placed, world)
        ground, _ = floor(own, ray)
        best = (jax.lax.bitcast_convert_type(ground, jnp.int32) & ~mask) | nothing

        def fold(found: Sequence, params: Sequence, words: Sequence, value: jax.Array, step: Callable) -> jax.Array:
            for group, of, word in zip(found, params, words, strict=True):
                value = culling.fold(word, partial(of, world), value, partial(step, group))
            return value

        def nearer(group: _Group, best: jax.Array, row: jax.Array) -> jax.Array:
            index, centre, axes, size = group.read(row)
            distance, positive = meet(group.kind, ray, centre, axes, size)
            key = (jax.lax.bitcast_convert_type(distance, jnp.int32) & ~mask) | index
            return jnp.where((positive > 0.0) & (distance > 0.0), jnp.minimum(best, key), best)

        index = fold(solid, solid_params, words[: len(solid)], best, nearer) & mask
        if look is None:
            return index
        point, sun = [ground * r for r in ray], Sun(*map(vector, (own.light, own.shade_x, own.shade_y)))

        def darker(group: _Group, value: jax.Array, row: jax.Array) -> jax.Array:
            return larger(value, shading.shadow_of(group.kind, sun, point, *group.read(row)[1:]))

        def lit(group: _Group, value: jax.Array, row: jax.Array) -> jax.Array:
            assert look is not None
            own_index, centre, axes, size = group.read(row)
            _, normal = shading.surface_of(group.kind, ray, centre, axes, size)
            return jnp.where(index == own_index, shading.sunlit(look, own, ray, normal), value)

        value = fold(casting, casting_params, words[len(solid) :], jnp.zeros_like(ground), darker)
        value = fold(solid, solid_params, words[: len(solid)], value, lit)
        return (jax.lax.bitcast_convert_type(value, jnp.int32) & ~mask) | index

    words = _words(scene, solid, casting, placed, x, y, scale)
    return lens.mend(culling.over_tiles(words, work, nothing).reshape(-1, lens.tiles, x.shape[1]))


def _words(
    scene: Scene,
    solid: Sequence[_Group],
    casting: Sequence[_Group],
    placed: Placed,
    x: np.ndarray,
    y: np.ndarray,
    scale: jax.Array,
) -> list[jax.Array]:
    """For each group a word of every tile of worlds `[C]`: which of the solid it sees, and whose shadows.

    `x, y [T, rays]`: where the tiles' rays cross the picture; `scale [C]`: see `rays`.
    """
    across, down = x.mean(axis=1), y.mean(axis=1)
    spread = np.hypot(x - across[:, None], y - down[:, None]).max()
    middle = rays(jnp.asarray(across), jnp.asarray(down), scale[:, None])
    seen = partial(culling.seen, middle=middle, spread=scale * spread)
    around = jax.vmap(lambda placed: culling.bounds(scene, placed))(placed)
    words = [seen(around, group.rows).reshape(-1) for group in solid]
    if casting:
        wider = partial(culling.shadow_bounds, wider=float(np.sqrt(shading.OUTLINE)))
        below = jax.vmap(wider)(placed, around)
        words += [seen(below, group.rows).reshape(-1) for group in casting]
    return words


def _surroundings(placed: Placed, world: jax.Array) -> Any:
    """What is around the primitives in these worlds `[n]`, the numbers of each `[n, 1]`."""
    bare = placed.replace(centre=placed.height, axes=placed.height)
    return jax.tree.map(lambda x: jnp.moveaxis(culling.take(x, world), 0, -1)[..., None], bare)
