"""Getting up from a fall: the way that leads there, what is paid for on it, what a moment of it asks to be done.

A height alone is a bad teacher: sitting up is paid, and tucking the feet in, which comes next, is not. Clips of getting
up are not a way that this body can go. So the way is made by simulation: the two routines of `routines.py` play from
many falls, and what led to standing is remembered, moment by moment. The nearest moment says how far along a body is
and which action comes next: a feedback that gets up from most falls. Measured in docs/experiments/getting-up.md.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from anyskill_brax import rotations
from anyskill_brax.character.humanoid import CONTROL_DT, Character
from anyskill_brax.character.kinematics import BodyState
from anyskill_brax.envs import observations
from anyskill_brax.envs.humanoid_env import HumanoidEnv, HumanoidState
from anyskill_brax.low_level.falls import drop_fall_states
from anyskill_brax.low_level.routines import may_begin, routines
from anyskill_brax.types import PRNGKey, UserError

SECONDS = 5.0
"""In which a recording has to stand, and which progress is counted in."""
REACH = 0.2
"""[s]: a difference of 1 m/s counts like one of 0.2 m."""
SHARPNESS = 20.0
"""[1/m^2] of likeness to a moment of the way."""
STANDING = 0.9
"""Up: the head at this part of its height in standing."""
STEADY = 10
"""Control steps later it has to stand still."""
SPARSE = 8
"""Of the moments, one in so many is compared with where progress is paid for: at every step of every world."""


@struct.dataclass
class Way:
    """Moments of recordings that got up, K in all, in random order."""

    qpos: jax.Array  # [K, 35]
    qvel: jax.Array  # [K, 34]
    features: jax.Array  # [K, D] see `feature`
    lengths: jax.Array  # [K] squared, of the features
    actions: jax.Array  # [K, 28] what was done there
    progress: jax.Array  # [K] 1 where it stands, less the part of SECONDS that is left until then

    @classmethod
    def record(cls, key: PRNGKey, env: HumanoidEnv, falls: int, moments: int) -> "Way":
        """From the routines played from so many falls; `moments`: K, drawn with replacement if there are fewer."""
        key_fall, key_draw = jax.random.split(key)
        recording = jax.tree.map(np.asarray, _play(env, falls, key_fall))
        up = recording.head > STANDING  # [T, N]
        up[:-STEADY] &= up[STEADY:]
        steps, last = np.arange(len(up))[:, None], np.argmax(up, axis=0)
        useful = up.any(axis=0) & (steps < last)
        left = (last - steps)[useful] * (CONTROL_DT / SECONDS)
        if not left.size:
            raise UserError(f"none of {falls} falls was got up from; give rising.falls a larger number")
        rng = np.random.default_rng(np.asarray(jax.random.bits(key_draw, (2,))))
        rows = rng.permutation(len(left))[:moments] if moments <= len(left) else rng.integers(len(left), size=moments)
        drawn = lambda x: jnp.asarray(x[useful][rows])  # noqa: E731
        features = feature(env.character, drawn(recording.obs))
        return cls(
            qpos=drawn(recording.qpos),
            qvel=drawn(recording.qvel),
            features=features,
            lengths=jnp.sum(features**2, axis=-1),
            actions=drawn(recording.action),
            progress=jnp.asarray(1.0 - left[rows], jnp.float32),
        )

    def along(self, mine: jax.Array) -> jax.Array:
        """How far along features `[..., D]` are, in [0, 1], `[...]`: the best product of likeness and progress."""
        few = jax.tree.map(lambda x: x[::SPARSE], self)
        likeness = jnp.exp(-SHARPNESS * jnp.maximum(few.distance(mine), 0.0))
        return jnp.max(likeness * few.progress, axis=-1)

    def action(self, mine: jax.Array) -> jax.Array:
        """What was done in the moment nearest to features `[..., D]`: `[..., 28]`."""
        return self.actions[jnp.argmin(self.distance(mine), axis=-1)]

    def distance(self, mine: jax.Array) -> jax.Array:
        """Squared, from features `[..., D]` to every moment: `[..., K]`."""
        return jnp.sum(mine**2, -1)[..., None] + self.lengths - 2.0 * mine @ self.features.T


@struct.dataclass
class _Recording:
    """`[T, N]` control steps."""

    qpos: jax.Array
    qvel: jax.Array
    obs: jax.Array
    action: jax.Array
    head: jax.Array  # see `head_part`, of the state before the action


@functools.partial(jax.jit, static_argnums=(0, 1))
def _play(env: HumanoidEnv, falls: int, key: PRNGKey) -> _Recording:
    """Fall; stretch out until a routine may begin, then play it."""
    targets = routines(env.character)

    def control_step(carry: tuple[HumanoidState, jax.Array, jax.Array], _):
        humanoid, clock, which = carry
        ready, kind = may_begin(env.character, humanoid)
        begins = ready & (clock < 0)
        which, clock = jnp.where(begins, kind, which), jnp.where(begins, 0, clock)
        target = targets[which, jnp.clip(clock, 0, targets.shape[1] - 1)] * (clock >= 0)[:, None]
        action = jnp.clip(env.character.action_for(target), -1.0, 1.0)
        obs = observations.observe(humanoid.bodies)
        step = _Recording(
            qpos=humanoid.physics.qpos,
            qvel=humanoid.physics.qvel,
            obs=obs,
            action=action,
            head=head_part(env.character, obs),
        )
        return (env.advance(humanoid, action), jnp.where(clock >= 0, clock + 1, clock), which), step

    begin = drop_fall_states(key, env, falls), jnp.full(falls, -1), jnp.zeros(falls, int)
    return jax.lax.scan(control_step, begin, length=round(SECONDS / CONTROL_DT))[1]


def rising(character: Character, way: Way, bodies: BodyState) -> jax.Array:
    """How far it has got up, in [0, 1]: half the head's height, squared, with an upright trunk; half the way."""
    obs = observations.observe(bodies)
    high = jnp.clip(head_part(character, obs), 0.0, 1.0)
    up = rotations.rotate(bodies.rot[..., character.body("torso"), :], jnp.array([0.0, 0.0, 1.0]))[..., 2]
    along = jnp.maximum(way.along(feature(character, obs)), high > STANDING)
    return 0.5 * high**2 * (1.0 + up) / 2.0 + 0.5 * along


def head_part(character: Character, obs: jax.Array) -> jax.Array:
    """Height of the head's origin over that in standing, `[...]`, of observations `[..., 223]`."""
    return (obs[..., 0] + obs[..., 3 * character.body("head")]) / character.standing_head


def feature(character: Character, obs: jax.Array) -> jax.Array:
    """Where the bodies are and go in the heading frame, heights over the floor, `[..., 6 B]`, of observations
    `[..., 223]`; its Euclidean distance is the root mean square over bodies [m]."""
    sizes = observations.obs_layout(character)
    ends = np.cumsum(list(sizes.values()))
    height, others, _, velocity, _ = jnp.split(obs, ends[:-1], axis=-1)
    root = jnp.zeros_like(others[..., :3])
    position = jnp.concatenate([root, others], axis=-1).at[..., 2::3].add(height)
    return jnp.concatenate([position, REACH * velocity], axis=-1) / np.sqrt(character.num_bodies)
