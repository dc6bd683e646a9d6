"""Which tiles of a picture can meet which primitives, and work on those alone.

A figure covers an eighth of its picture, a limb a fiftieth: testing every ray against every primitive is nearly all in
vain. Every primitive lies in a capsule; a tile whose middle ray misses that capsule, grown by how far the tile's rays
spread, sees nothing of it. What a tile sees is a word of bits. Tiles are sorted by how much they see, so that a block
of them takes as many steps as its tiles see primitives, and those that see nothing take none. Nothing is approximated.
"""

from collections.abc import Callable, Sequence
from typing import TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from anyskill_brax.render import primitives
from anyskill_brax.render.placement import Placed
from anyskill_brax.render.primitives import Vector
from anyskill_brax.render.scene import BOX, CAPSULE, CYLINDER, ELLIPSOID, PLANE, Scene

T = TypeVar("T")
P = TypeVar("P")
WORD = 31
"""Primitives that a word of bits has room for."""
BLOCK = 128
"""Tiles that are worked on at a time."""
ENDLESS = 1e4
"""What is taken for an endless plane's radius [m]."""


@struct.dataclass
class Bounds:
    """A capsule around each primitive `[P]`, in the camera's frame."""

    base: jax.Array  # [P, 3] one end of its segment
    reach: jax.Array  # [P, 3] from there to the other
    radius: jax.Array  # [P]


def bounds(scene: Scene, placed: Placed) -> Bounds:
    """Capsules, spheres and cylinders in their own, all else in the sphere around it."""
    kind, size = scene.kind[:, None], scene.size
    box, ellipsoid = np.linalg.norm(size, axis=1), size.max(axis=1)
    plane = np.where((size[:, :2] > 0.0).all(axis=1), np.linalg.norm(size[:, :2], axis=1), ENDLESS)
    radius = np.select([kind[:, 0] == k for k in (BOX, ELLIPSOID, PLANE)], [box, ellipsoid, plane], size[:, 0])
    along = np.where((kind == CAPSULE) | (kind == CYLINDER), 2.0 * size[:, 1:2], 0.0).astype(np.float32)
    reach = jnp.asarray(along) * placed.axes[:, :, 2]
    lower = np.where(kind == CYLINDER, 0.5, 0.0).astype(np.float32)  # a capsule's centre is its lower end already
    return Bounds(base=placed.centre - lower * reach, reach=reach, radius=jnp.asarray(radius, jnp.float32))


def shadow_bounds(placed: Placed, around: Bounds, wider: float) -> Bounds:
    """Capsules around the shadows that those of `around`, `wider` times as thick, throw on the floor."""
    up = placed.world[:, 2]
    climb = placed.light @ up

    def fall(point: jax.Array) -> jax.Array:
        return point - ((point @ up + placed.height) / climb)[:, None] * placed.light

    base = fall(around.base)
    return Bounds(base=base, reach=fall(around.base + around.reach) - base, radius=wider * around.radius / climb)


def seen(around: Bounds, rows: Sequence[int], middle: Vector, spread: jax.Array) -> jax.Array:
    """A bit for each of `rows` (WORD at most) in the word of every tile `[C, T]` int32, of worlds `[C]`.

    `middle [C, T]`: unit rays; no ray of the tile is off by more than `spread [C]` at distance 1.
    """
    own = jax.tree.map(lambda x: jnp.moveaxis(x[:, np.array(rows)], 1, 0), around)  # [P, C]
    length = jnp.linalg.norm(own.reach, axis=-1)
    axis = own.reach / jnp.maximum(length, 1e-9)[..., None]
    far = jnp.linalg.norm(own.base, axis=-1) + length + own.radius
    bits = 1 << jnp.arange(len(rows), dtype=jnp.int32)

    def mark(word: jax.Array, capsule: tuple) -> tuple[jax.Array, None]:
        base, axis, length, radius, bit = capsule
        base, axis = ([v[:, k, None] for k in range(3)] for v in (base, axis))
        _, inside = primitives.capsule_hit(middle, base, axis, length[:, None], radius[:, None])
        return word | (inside > 0.0) * bit, None

    # A scan, so that what belongs to a capsule is not worked out again for every tile.
    capsules = own.base, axis, length, own.radius + spread * far, bits
    return jax.lax.scan(mark, jnp.zeros(middle[0].shape, jnp.int32), capsules)[0]


def _argsort(keys: jax.Array, most: int) -> jax.Array:
    """Of keys `[N]` in `0..most`. Sorting one array, in which each key has its place, is many times as fast as two."""
    bits = int(keys.size).bit_length()
    if most.bit_length() + bits > 31:
        return jnp.argsort(keys)
    return jnp.sort(keys << bits | jnp.arange(keys.size, dtype=jnp.int32)) & ((1 << bits) - 1)


def take(x: jax.Array, rows: jax.Array) -> jax.Array:
    """`x[rows]` of rows that exist: to look whether they do takes as long as to take them."""
    return x.at[rows].get(mode="promise_in_bounds")


def over_tiles(
    words: Sequence[jax.Array], work: Callable[[jax.Array, list[jax.Array]], jax.Array], otherwise: float
) -> jax.Array:
    """`work` on all tiles of which a word `[N]` has a bit, a block at a time: `[N, ...]`; elsewhere `otherwise`.

    `work` takes numbers of tiles `[BLOCK]` and their words, and gives values `[BLOCK, ...]`; it may see a tile twice.
    """
    number, block = words[0].size, min(BLOCK, words[0].size)
    count = sum((jax.lax.population_count(word) for word in words), jnp.zeros_like(words[0]))
    # Those that need the same formulas together, and of these those that see most first.
    kinds = sum(((word != 0) << k for k, word in enumerate(words[1:])), jnp.zeros_like(words[0]))
    most = (WORD + 1) * len(words) << len(words) - 1
    order = _argsort(most - (count + (WORD + 1) * len(words) * kinds), most)
    active = jnp.sum(count > 0)
    shape = jax.eval_shape(work, order[:block], [word[:block] for word in words])

    def step(state: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        done, values = state
        tiles = jax.lax.dynamic_slice(order, (done,), (block,))
        new = work(tiles, [take(word, tiles) for word in words])
        return done + block, jax.lax.dynamic_update_slice_in_dim(values, new, done, 0)

    begin = jnp.zeros((), jnp.int32), jnp.full((number, *shape.shape[1:]), otherwise, shape.dtype)
    _, values = jax.lax.while_loop(lambda state: state[0] < active, step, begin)
    return take(values, _argsort(order, number))


def fold(word: jax.Array, fetch: Callable[[jax.Array], P], value: T, step: Callable[[T, P], T]) -> T:
    """`step(value, fetch(bit))` for the bits of `word [N]`, lowest first. A tile that has none left is shown others
    again, so a step must not mind what it is shown."""

    def lowest(word: jax.Array) -> jax.Array:
        return jax.lax.population_count((word & -word) - 1) & 31

    def one(state: tuple[jax.Array, P, T]) -> tuple[jax.Array, P, T]:
        word, fetched, value = state
        left = word & (word - 1)
        # What is fetched passes through the loop's state: fused into the step, it would be fetched for every ray.
        return left, fetch(lowest(left)), step(value, fetched)

    return jax.lax.while_loop(lambda state: (state[0] != 0).any(), one, (word, fetch(lowest(word)), value))[2]
