"""Getting up from a fall: where it can begin, what is paid for, what helps at first.

A height alone is a bad teacher: sitting up is paid, and tucking the feet in, which comes next, is not. So half of the
reward says how far along the world is on the way that some motion takes from the floor to its feet, whatever its speed.
Measured in docs/experiments/getting-up.md.
"""

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from anyskill_brax import rotations
from anyskill_brax.character.humanoid import Character
from anyskill_brax.character.kinematics import BodyState, forward_kinematics
from anyskill_brax.envs import observations
from anyskill_brax.low_level.reference import Reference
from anyskill_brax.low_level.worlds import Worlds

GRAVITY = 9.81
TAPER = 0.4
"""[m], see `pull`."""
REACH = 0.2
"""[s]: a difference of 1 m/s counts like one of 0.2 m."""
SHARPNESS = 20.0
"""[1/m^2] of likeness to a moment of the way."""
FLOOR, LOW, HIGH = 0.3, 0.75, 0.9
"""On the floor: the pelvis below this [m]. Low, high: the head at this part of its height in standing."""


@struct.dataclass
class Way:
    """Moments of all motions that get up from the floor, and standing, K in all."""

    features: jax.Array  # [K, D]
    progress: jax.Array  # [K] 0 on the floor, 1 on the feet

    @classmethod
    def create(cls, character: Character, reference: Reference) -> "Way":
        bodies = _bodies(character, reference)
        rows, progress = way_up(reference, np.asarray(bodies.pos[:, 0, 2]), np.asarray(head_part(character, bodies)))
        standing = forward_kinematics(character, jnp.asarray(character.default_qpos), jnp.zeros(34))
        features = jnp.concatenate([feature(bodies)[jnp.asarray(rows, jnp.int32)], feature(standing)[None]])
        return cls(features=features, progress=jnp.asarray([*progress, 1.0], jnp.float32))

    def along(self, bodies: BodyState) -> jax.Array:
        """How far along, in [0, 1], `[...]`: the best product of likeness and progress."""
        mine = feature(bodies)
        square = jnp.sum(mine**2, -1)[..., None] + jnp.sum(self.features**2, -1) - 2.0 * mine @ self.features.T
        return jnp.max(jnp.exp(-SHARPNESS * jnp.maximum(square, 0.0)) * self.progress, axis=-1)


def rising(character: Character, way: Way, bodies: BodyState) -> jax.Array:
    """How far it has got up, in [0, 1]: half the head's height, squared, with an upright trunk; half the way."""
    high = jnp.clip(head_part(character, bodies), 0.0, 1.0)
    up = rotations.rotate(bodies.rot[..., character.body("torso"), :], jnp.array([0.0, 0.0, 1.0]))[..., 2]
    return 0.5 * high**2 * (1.0 + up) / 2.0 + 0.5 * way.along(bodies)


def pull(character: Character, worlds: Worlds) -> jax.Array:
    """Forces on the bodies `[W, B, 6]` that help recovering worlds up: on the trunk, upwards, `lift` of the weight
    while the head is more than `TAPER` under its height in standing, from there less and less: standing is not helped.
    """
    low = (1.0 - head_part(character, worlds.humanoid.bodies)) * character.standing_head / TAPER
    force = worlds.recovering * worlds.lift * GRAVITY * character.mass * jnp.clip(low, 0.0, 1.0)
    return jnp.zeros((*force.shape, character.num_bodies, 6)).at[..., character.body("torso"), 2].set(force)


def head_part(character: Character, bodies: BodyState) -> jax.Array:
    """Height of the head's origin over that in standing, `[...]`."""
    return bodies.pos[..., character.body("head"), 2] / character.standing_head


def feature(bodies: BodyState) -> jax.Array:
    """Where the bodies are and go in the heading frame, heights over the floor, `[..., 6 B]`; its Euclidean distance is
    the root mean square over bodies [m]."""
    position = observations.local_positions(bodies).at[..., 2:].add(bodies.pos[..., :1, 2:])
    velocity = rotations.rotate(observations.heading_inverse(bodies), bodies.linvel)
    scale = 1.0 / np.sqrt(position.shape[-2])
    return scale * jnp.concatenate([position, REACH * velocity], axis=-1).reshape(*position.shape[:-2], -1)


def way_up(reference: Reference, pelvis: np.ndarray, head: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows `[K]` from the last moment on the floor to the feet, of every clip that gets up within four seconds, and how
    much of that time is over, `[K]`."""
    rows, progress = [np.zeros(0, int)], [np.zeros(0)]
    for start, length in zip(np.asarray(reference.start), np.asarray(reference.length), strict=True):
        down = np.flatnonzero((pelvis[start : start + length] < FLOOR) & (head[start : start + length] < LOW))
        if not down.size:
            continue
        up = down[0] + np.flatnonzero(head[start + down[0] : start + length] > HIGH)
        before = down[down < up[0]] if up.size else down[:0]
        # From where it lay still lower: the second before it left the floor is part of the way.
        if before.size and up[0] - before[-1] < 120:
            first = max(int(before[-1]) - 30, int(before[0]))
            rows.append(start + np.arange(first, up[0] + 1))
            progress.append(np.linspace(0.0, 1.0, len(rows[-1])))
    return np.concatenate(rows), np.concatenate(progress)


def rising_rows(character: Character, reference: Reference, count: int = 4096) -> np.ndarray:
    """`count` rows whose head is low and will be high within two seconds; the deeper, the oftener. Where no clip has
    any, its first row."""
    head = np.asarray(head_part(character, _bodies(character, reference)))
    weight = np.zeros(len(head))
    for start, length in zip(np.asarray(reference.start), np.asarray(reference.length), strict=True):
        own = head[start : start + length]
        soon = np.array([own[i : i + 60].max() for i in range(length)])
        weight[start : start + length] = np.where(soon > HIGH, np.clip(LOW - own, 0.0, None), 0.0) ** 2
    if not weight.any():
        return np.zeros(1, int)
    return np.searchsorted(np.cumsum(weight) / weight.sum(), (np.arange(count) + 0.5) / count)


def _bodies(character: Character, reference: Reference) -> BodyState:
    return jax.jit(lambda qpos, qvel: forward_kinematics(character, qpos, qvel))(reference.qpos, reference.qvel)
