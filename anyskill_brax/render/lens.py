"""The rays of a picture: where they go, how passes over them are kept apart, how they are cut into tiles."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from anyskill_brax.render.camera import Camera
from anyskill_brax.render.primitives import Vector

EDGE = 8
"""Rays along a tile's edge, at most."""
SMALLEST = 16
"""Rays that a tile must have to be worth its while."""


def rays(x: jax.Array, y: jax.Array, scale: jax.Array) -> Vector:
    """Unit rays through `x` and `y` of the plane at distance 1, in half heights; `scale`: half a height's tangent."""
    x, y = scale * x, scale * y
    z = jax.lax.rsqrt(1.0 + x * x + y * y)
    return x * z, y * z, z


@dataclass(frozen=True)
class Lens:
    """The N rays of one camera, row by row: `side` samples per pixel and axis."""

    width: int
    height: int
    side: int

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of rays."""
        return self.height * self.side, self.width * self.side

    @property
    def count(self) -> int:
        return self.shape[0] * self.shape[1]

    def plane(self) -> tuple[np.ndarray, np.ndarray]:
        """Where the rays cross the picture, x and y `[N]`, in half heights. What follows from them alone is worked out
        in NumPy: XLA takes seconds to fold constants of that size."""
        rows, columns = self.shape
        y, x = np.divmod(np.arange(rows * columns), columns)
        x, y = (2.0 * x + 1.0 - columns) / rows, (rows - 1.0 - 2.0 * y) / rows
        return x.astype(np.float32), y.astype(np.float32)

    def pixel(self, camera: Camera) -> jax.Array:
        """A ray's width at distance 1."""
        return 2.0 * jnp.tan(0.5 * camera.fovy) / (self.height * self.side)

    def rays(self, plane: Sequence[jax.Array], camera: Camera) -> Vector:
        x, y = plane
        return rays(x, y, jnp.tan(0.5 * camera.fovy))

    def each(self, work: Callable[..., jax.Array], *arrays: Any) -> jax.Array:
        """`work` over all rays `[N]`, in a scan of at least two parts.

        XLA fuses straight through barriers and scans of one step, and would then repeat a pass for every later use of
        its result.
        """
        parts = next(n for n in (2, 3, 5, 7, self.count) if self.count % n == 0)
        split = jax.tree.map(lambda a: a.reshape(parts, -1), (self.plane(), *arrays))
        return jax.lax.map(lambda item: work(*item), split).reshape(-1)

    @property
    def tile(self) -> tuple[int, int]:
        """Rays of a tile, down and across."""
        return int(np.gcd(self.shape[0], EDGE)), int(np.gcd(self.shape[1], EDGE))

    @property
    def tiles(self) -> int:
        return self.count // int(np.prod(self.tile))

    @property
    def has_tiles(self) -> bool:
        """Whether its tiles are of a size that is of use."""
        return int(np.prod(self.tile)) >= SMALLEST

    def cut(self, x: np.ndarray) -> np.ndarray:
        """`[..., N]` -> `[..., tiles, rays of a tile]`."""
        (rows, columns), (down, across) = self.shape, self.tile
        x = x.reshape(*x.shape[:-1], rows // down, down, columns // across, across)
        return x.swapaxes(-3, -2).reshape(*x.shape[:-4], self.tiles, down * across)

    def mend(self, x: jax.Array) -> jax.Array:
        """The inverse of `cut`."""
        (rows, columns), (down, across) = self.shape, self.tile
        x = x.reshape(*x.shape[:-2], rows // down, columns // across, down, across)
        return jnp.swapaxes(x, -3, -2).reshape(*x.shape[:-4], self.count)
