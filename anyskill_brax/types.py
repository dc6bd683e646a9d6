"""Shapes and protocols that every floor shares.

Axes, outermost first: `I` instruction, `E` environment, `W` world (= I x E, instruction-major), `T` time,
`B` flattened batch, `M` motion, `F` frame, `J` joint, `K` key body, `L` latent, `D` CLIP dim, `H W` image.
Units: [m], [rad], [s]. Quaternions are wxyz. Control steps run at 30 Hz, latent steps at 6 Hz.
"""

from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

import jax

PRNGKey = jax.Array
Params = Mapping[str, Any]
Metrics = dict[str, jax.Array]
PolicyState = Any


@runtime_checkable
class LatentPolicy(Protocol):
    """Anything that steers the low-level controller: a skill, a multi-skill policy, or a composite of them.

    Written for one world; `jax.vmap` makes it a batch. `act` is called once per latent step (6 Hz).
    """

    def init(self, key: PRNGKey) -> PolicyState:
        """The state before the first latent step."""
        ...

    def act(self, state: PolicyState, obs: jax.Array) -> tuple[jax.Array, PolicyState]:
        """`obs [obs_dim]` -> `latent [L]`, a unit vector, and the next state."""
        ...


class UserError(Exception):
    """Bad input. Says what was expected, what exists and what to do; tools print it and exit with code 2."""
