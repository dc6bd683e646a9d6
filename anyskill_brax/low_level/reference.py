"""The motions as training reads them: every frame's pose and discriminator frame, computed once."""

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from anyskill_brax import rotations
from anyskill_brax.character.humanoid import Character
from anyskill_brax.character.kinematics import BodyState, forward_kinematics
from anyskill_brax.envs import observations
from anyskill_brax.low_level import still_poses
from anyskill_brax.motion.library import MotionLibrary
from anyskill_brax.types import PRNGKey


@struct.dataclass
class Reference:
    """All frames end to end (30 Hz); clip `m` owns rows `start[m] : start[m] + length[m]`."""

    qpos: jax.Array  # [F, 35]
    qvel: jax.Array  # [F, 34]
    disc: jax.Array  # [F, 125]
    head: jax.Array  # [F] height of the head's origin [m]
    first: jax.Array  # [F] int32 first row of the frame's clip
    last: jax.Array  # [F] int32 last row of the frame's clip
    clip: jax.Array  # [F] int32
    start: jax.Array  # [M] int32
    length: jax.Array  # [M] int32
    weight: jax.Array  # [M] sums to 1
    still: jax.Array  # [S] int32 rows of poses to hold, the low ones several times; see `still_poses`
    arrivals: jax.Array  # [A] int32 rows of poses to hold that take a step to get there; see `still_poses`
    way: jax.Array  # [F] int32 row where the way to the frame begins, if it is such a pose

    @classmethod
    def create(cls, character: Character, library: MotionLibrary) -> "Reference":
        frames = jnp.arange(library.qpos.shape[0])
        clip = jnp.searchsorted(library.start, frames, side="right") - 1

        @jax.jit
        def features(qpos, qvel):
            bodies = forward_kinematics(character, qpos, qvel)
            return observations.disc_frame(character, bodies, qvel[:, 6:]), bodies.pos[:, character.body("head"), 2]

        disc, head = features(library.qpos, library.qvel)
        first = library.start[clip]
        still, arrivals, way = still_poses.find(character, *map(np.asarray, (library.qpos, library.qvel, first)))

        return cls(
            qpos=library.qpos,
            qvel=library.qvel,
            disc=disc,
            head=head,
            first=first,
            last=first + library.length[clip] - 1,
            clip=clip,
            start=library.start,
            length=library.length,
            weight=library.weight,
            still=jnp.asarray(still, jnp.int32),
            arrivals=jnp.asarray(arrivals, jnp.int32),
            way=jnp.asarray(way, jnp.int32),
        )

    def sample(self, key: PRNGKey, shape: tuple[int, ...]) -> jax.Array:
        """Rows `shape`: a clip by weight, a frame within it uniformly (never its last six, so something follows)."""
        key_clip, key_frame = jax.random.split(key)
        clip = jax.random.choice(key_clip, self.start.shape[0], shape, p=self.weight)
        part = jax.random.uniform(key_frame, shape)
        return self.start[clip] + (part * jnp.maximum(self.length[clip] - 6, 1)).astype(jnp.int32)

    def sample_still(self, key: PRNGKey, shape: tuple[int, ...]) -> jax.Array:
        """Rows `shape` of poses that can be held."""
        return self.still[jax.random.randint(key, shape, 0, self.still.size)]

    def sample_arrival(self, key: PRNGKey, shape: tuple[int, ...]) -> tuple[jax.Array, jax.Array]:
        """Rows `shape` of poses to arrive at, and of moments on the way there, half of them its beginning."""
        key_pose, key_moment = jax.random.split(key)
        pose = self.arrivals[jax.random.randint(key_pose, shape, 0, self.arrivals.size)]
        begin, part = self.way[pose], jnp.maximum(jax.random.uniform(key_moment, shape, minval=-1.0), 0.0)
        return pose, begin + (part * (pose - begin)).astype(jnp.int32)

    def window(self, row: jax.Array, num_frames: int) -> jax.Array:
        """Discriminator windows that end at `row [...]`: `[..., N, 125]`; a clip's first frame repeats before it."""
        rows = row[..., None] - jnp.arange(num_frames - 1, -1, -1)
        return self.disc[jnp.maximum(rows, self.first[row][..., None])]

    def ahead(self, row: jax.Array, steps: int) -> jax.Array:
        """The row `steps` frames later, or the clip's last."""
        return jnp.minimum(row + steps, self.last[row])

    def bodies(self, character: Character, row: jax.Array, moving: jax.Array | bool = True) -> BodyState:
        """The motion at `row [...]`; where not `moving`, its pose at rest."""
        qvel = jnp.where(jnp.asarray(moving)[..., None], self.qvel[row], 0.0)
        return forward_kinematics(character, self.qpos[row], qvel)


def tracking_terms(character: Character, simulated: BodyState, reference: BodyState) -> dict[str, jax.Array]:
    """How closely a pose follows the reference, in the heading frame (no global position), each in (0, 1].

    DeepMimic's reward (Peng et al. 2018, eq. 5-8) without its global root term: the policy sees no global target. In
    its place `travel`, the root's velocity: means over all bodies hardly see a figure that stands where it should walk.
    `feet` pays for coming nearer from afar, where the squares of `ends` are flat.
    """
    position = observations.local_positions(simulated) - observations.local_positions(reference)
    to_sim, to_ref = observations.heading_inverse(simulated), observations.heading_inverse(reference)
    turn = rotations.angle_between(rotations.quat_mul(to_sim, simulated.rot), rotations.quat_mul(to_ref, reference.rot))
    velocity = rotations.rotate(to_sim, simulated.linvel) - rotations.rotate(to_ref, reference.linvel)
    height = simulated.pos[..., 0, 2] - reference.pos[..., 0, 2]
    square = jnp.sum(position**2, -1)
    return {
        "position": jnp.exp(-40.0 * jnp.mean(square, -1)),
        "ends": jnp.exp(-40.0 * jnp.sum(square[..., character.key_bodies], -1)),
        "feet": jnp.mean(jnp.exp(-5.0 * (jnp.sqrt(square[..., character.feet] + 1e-4) - 1e-2)), -1),
        "rotation": jnp.exp(-2.0 * jnp.mean(turn**2, -1)),
        "velocity": jnp.exp(-0.5 * jnp.mean(jnp.sum(velocity**2, -1), -1)),
        "travel": jnp.exp(-4.0 * jnp.sum(velocity[..., 0, :] ** 2, -1)),
        "height": jnp.exp(-40.0 * height**2),
    }


TRACKING_WEIGHTS = {
    "position": 0.15,
    "ends": 0.2,
    "feet": 0.25,
    "rotation": 0.15,
    "velocity": 0.05,
    "travel": 0.12,
    "height": 0.08,
}


def body_errors(simulated: BodyState, reference: BodyState) -> jax.Array:
    """How far every body's origin is from where it should be in the heading frame, the root's height included,
    `[..., B]` [m]."""
    position = observations.local_positions(simulated) - observations.local_positions(reference)
    height = simulated.pos[..., :1, 2:3] - reference.pos[..., :1, 2:3]
    return jnp.linalg.norm(position.at[..., 2].add(height[..., 0]), axis=-1)


def tracking_error(simulated: BodyState, reference: BodyState) -> jax.Array:
    """`body_errors`, their mean `[...]` [m]."""
    return jnp.mean(body_errors(simulated, reference), axis=-1)
