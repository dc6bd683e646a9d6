"""Which frames of the motions are poses that can be held: under one latent, by standing there."""

import jax
import jax.numpy as jnp
import numpy as np

from anyskill_brax.character.humanoid import Character
from anyskill_brax.character.kinematics import forward_kinematics
from anyskill_brax.envs import observations

LOW_PELVIS = 0.75
"""Height of the pelvis [m] below which a pose is low; standing it is at 0.9."""
LOW_SHARE = 0.15
"""Of the poses to hold, those that are low."""
APPROACH = 120
"""Control steps that the way to a pose may take."""
RAISED = 0.1
"""How far both hands are above the head's origin [m] in a pose with raised arms."""
RAISED_SHARE = 0.1
"""Of the poses to hold, those with raised arms."""


def find(
    character: Character, qpos: np.ndarray, qvel: np.ndarray, first: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows of poses at rest, with the feet about where standing has them, and with the feet elsewhere; and for every
    frame where the way to it begins, `[F]`. `first [F]`: of the frame's clip.

    The first, both feet on the floor, are reached without a step; few of them crouch, few raise both arms, too few to
    be learned: those are repeated until they are LOW_SHARE and RAISED_SHARE. The second, on one leg, in a lunge, are
    arrived at by the motion they are of; who cannot be held is among them. At rest: joints slower than 0.4 rad/s
    (rms), pelvis slower than 0.15 m/s and above 0.4 m. Frame 0 where there are none.
    """
    hand_rows = np.array([character.body("right_hand"), character.body("left_hand")])

    @jax.jit
    def limbs_of(qpos, qvel):
        bodies = forward_kinematics(character, qpos, qvel)
        height = bodies.pos[..., character.feet, 2].max(axis=-1)
        local = observations.local_positions(bodies)[..., character.feet, :2]
        hands = bodies.pos[..., hand_rows, 2].min(axis=-1) - bodies.pos[..., character.body("head"), 2]
        from_root = observations.local_positions(bodies).at[..., 2].add(bodies.pos[..., :1, 2])
        return height, local - local.mean(axis=-2, keepdims=True), hands, from_root

    height, spread, hands, seen = map(np.asarray, limbs_of(jnp.asarray(qpos), jnp.asarray(qvel)))
    _, standing, _, stood = limbs_of(jnp.asarray(character.default_qpos), jnp.zeros(34))
    rest = np.sqrt(np.mean(qvel[:, 6:] ** 2, axis=-1)) < 0.4
    rest &= (np.linalg.norm(qvel[:, :3], axis=-1) < 0.15) & (qpos[:, 2] > 0.4)
    in_place = (height < 0.1) & (np.abs(spread - np.asarray(standing)).max(axis=(-2, -1)) < 0.08)
    still, elsewhere = rest & in_place, np.flatnonzero(rest & ~in_place)
    rows = [np.flatnonzero(still)]
    for rare, share in ((qpos[:, 2] < LOW_PELVIS, LOW_SHARE), (hands > RAISED, RAISED_SHARE)):
        some = np.flatnonzero(still & rare)
        wanted = int(share / (1.0 - share) * (still.sum() - some.size))
        if some.size:
            rows.append(np.resize(some, max(0, wanted - some.size)))
    away = np.linalg.norm(seen - np.asarray(stood), axis=-1).max(axis=-1)
    there, nowhere = np.sort(np.concatenate(rows)), np.zeros(1, int)
    return there if there.size else nowhere, elsewhere if elsewhere.size else nowhere, ways(away, first, elsewhere)


def ways(away: np.ndarray, first: np.ndarray, poses: np.ndarray) -> np.ndarray:
    """For the rows `poses` the last frame before them that is as near to standing as any within APPROACH, to the
    millimetre; for others themselves, `[F]`. `away [F]`: the furthest body from standing [m].

    Not the last frame of rest: one leg already carries the weight in it, though it hardly moves. A centimetre late, and
    the teacher falls when it begins in real standing.
    """
    way = np.arange(away.size)
    for pose in poses:
        before = np.arange(max(first[pose], pose - APPROACH), pose + 1)
        way[pose] = before[away[before] < away[before].min() + 0.001][-1]
    return way
