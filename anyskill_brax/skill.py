"""Skill = a latent policy + the low-level controller it was trained on + what it is for."""

import jax
from flax import struct

from anyskill_brax.policies import ConditionedPolicy, HighLevelPolicy, LowLevelController
from anyskill_brax.types import PolicyState, PRNGKey


@struct.dataclass
class Skill:
    """A trained, saved behaviour; a `LatentPolicy` that knows the controller it steers.

    `low_level_sha256` pins the controller's weights: skills compose only when they pin the same one.
    """

    policy: HighLevelPolicy | ConditionedPolicy
    low_level: LowLevelController
    instruction: str = struct.field(pytree_node=False)
    slug: str = struct.field(pytree_node=False)
    low_level_id: str = struct.field(pytree_node=False, default="")
    low_level_sha256: str = struct.field(pytree_node=False, default="")

    def init(self, key: PRNGKey) -> PolicyState:
        return self.policy.init(key)

    def act(self, state: PolicyState, obs: jax.Array) -> tuple[jax.Array, PolicyState]:
        """`obs [223]` -> unit `latent [L]` (once per latent step)."""
        return self.policy.act(state, obs)

    def __repr__(self) -> str:
        low_level = self.low_level_id or self.low_level.name or "unpublished"
        return f"Skill({self.slug!r}: {self.instruction!r}, on {low_level})"
