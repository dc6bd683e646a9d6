"""Several devices behind one update: each steps its own worlds and learns from them, gradients are averaged.

Every function below is the identity on a single device, so that there is one trainer and not two.
"""

from dataclasses import dataclass
from typing import TypeVar

import jax

from anyskill_brax.types import PRNGKey

Tree = TypeVar("Tree")
AXIS = "devices"


@dataclass(frozen=True)
class Devices:
    """Those that share an update inside `jax.shard_map` over `AXIS`; the leading axis of worlds is split among them.

    Losses are means over a device's own rows, differentiated where they are; `mean` of their gradients is then the
    gradient of the mean over all rows, provided every device holds as many.
    """

    count: int

    def mean(self, tree: Tree) -> Tree:
        return tree if self.count == 1 else jax.lax.pmean(tree, AXIS)

    def sum(self, tree: Tree) -> Tree:
        return tree if self.count == 1 else jax.lax.psum(tree, AXIS)

    def gather(self, rows: jax.Array) -> jax.Array:
        """`[B, ...]` of each device -> `[count * B, ...]` on every device, in the devices' order."""
        return rows if self.count == 1 else jax.lax.all_gather(rows, AXIS, tiled=True)

    def part(self, rows: jax.Array) -> jax.Array:
        """This device's equal part of `rows [count * B, ...]`, which all have alike; the inverse of `gather`."""
        size = rows.shape[0] // self.count
        return rows if self.count == 1 else jax.lax.dynamic_slice_in_dim(rows, self.rank() * size, size)

    def rank(self) -> jax.Array | int:
        return 0 if self.count == 1 else jax.lax.axis_index(AXIS)

    def own(self, key: PRNGKey) -> PRNGKey:
        """A key of this device's own, where all have been given the same."""
        return key if self.count == 1 else jax.random.fold_in(key, self.rank())


ALONE = Devices(1)
