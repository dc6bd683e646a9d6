"""The motions as training reads them: every frame's pose and discriminator frame, computed once."""

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from anyskill_brax import rotations
from anyskill_brax.character.humanoid import Character
from anyskill_brax.character.kinematics import BodyState, forward_kinematics
from anyskill_brax.envs import observations
from anyskill_brax.motion.library import MotionLibrary
from anyskill_brax.types import PRNGKey

LOW_PELVIS = 0.75
"""Height of the pelvis [m] below which a pose is low; standing it is at 0.9."""
LOW_SHARE = 0.15
"""Of the poses to hold, those that are low."""
RAISED = 0.1
"""How far both hands are above the head's origin [m] in a pose with raised arms."""
RAISED_SHARE = 0.1
"""Of the poses to hold, those with raised arms."""


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
    still: jax.Array  # [S] int32 rows of poses to hold, the low ones several times; see `still_rows`

    @classmethod
    def create(cls, character: Character, library: MotionLibrary) -> "Reference":
        frames = jnp.arange(library.qpos.shape[0])
        clip = jnp.searchsorted(library.start, frames, side="right") - 1

        @jax.jit
        def features(qpos, qvel):
            bodies = forward_kinematics(character, qpos, qvel)
            return observations.disc_frame(character, bodies, qvel[:, 6:]), bodies.pos[:, character.body("head"), 2]

        disc, head = features(library.qpos, library.qvel)
        still = still_rows(character, np.asarray(library.qpos), np.asarray(library.qvel))

        return cls(
            qpos=library.qpos,
            qvel=library.qvel,
            disc=disc,
            head=head,
            first=library.start[clip],
            last=library.start[clip] + library.length[clip] - 1,
            clip=clip,
            start=library.start,
            length=library.length,
            weight=library.weight,
            still=jnp.asarray(still, jnp.int32),
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


def still_rows(character: Character, qpos: np.ndarray, qvel: np.ndarray) -> np.ndarray:
    """Frames at rest on both feet, the feet about where standing has them: reachable without a step. Else frame 0.

    At rest: joints slower than 0.4 rad/s (rms), pelvis slower than 0.15 m/s and above 0.4 m. Few of them crouch, few
    raise both arms, too few to be learned: those are repeated until they are LOW_SHARE and RAISED_SHARE.
    """

    hand_rows = np.array([character.body("right_hand"), character.body("left_hand")])

    @jax.jit
    def limbs_of(qpos, qvel):
        bodies = forward_kinematics(character, qpos, qvel)
        height = bodies.pos[..., character.feet, 2].max(axis=-1)
        local = observations.local_positions(bodies)[..., character.feet, :2]
        hands = bodies.pos[..., hand_rows, 2].min(axis=-1) - bodies.pos[..., character.body("head"), 2]
        return height, local - local.mean(axis=-2, keepdims=True), hands

    height, spread, hands = map(np.asarray, limbs_of(jnp.asarray(qpos), jnp.asarray(qvel)))
    _, standing, _ = limbs_of(jnp.asarray(character.default_qpos), jnp.zeros(34))
    still = np.sqrt(np.mean(qvel[:, 6:] ** 2, axis=-1)) < 0.4
    still &= np.linalg.norm(qvel[:, :3], axis=-1) < 0.15
    still &= (height < 0.1) & (qpos[:, 2] > 0.4)
    still &= np.abs(spread - np.asarray(standing)).max(axis=(-2, -1)) < 0.08
    if not still.any():
        return np.zeros(1, int)
    rows = [np.flatnonzero(still)]
    for rare, share in ((qpos[:, 2] < LOW_PELVIS, LOW_SHARE), (hands > RAISED, RAISED_SHARE)):
        some = np.flatnonzero(still & rare)
        wanted = int(share / (1.0 - share) * (still.sum() - some.size))
        if some.size:
            rows.append(np.resize(some, max(0, wanted - some.size)))
    return np.sort(np.concatenate(rows))


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
