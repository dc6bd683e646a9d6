"""Whole-clip inverse kinematics: all frames of a motion in one damped Gauss-Newton problem.

Minimise over the poses x_1 .. x_F
    sum_t |w r(x_t)|^2 + rho |x_t - clip(x_t)|^2 + lambda |x_{t+1} - 2 x_t + x_{t-1}|^2
where r are differences to the targets. Each pose meets only its two neighbours, so the normal matrix is banded and a
step costs O(F). The root's rotation moves in its tangent space.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct
from scipy.linalg import LinAlgError, solveh_banded
from scipy.spatial.transform import Rotation

from anyskill_brax import rotations
from anyskill_brax.character.humanoid import Character
from anyskill_brax.character.kinematics import forward_kinematics

SMOOTHNESS = 2.0
"""lambda, on second differences between 60 fps frames (hinges and root rotation [rad], root position [m])."""
LIMIT_WEIGHT = 100.0
"""rho, on what a hinge exceeds its range by [rad]."""
CHUNK = 256
"""Frames linearised together; clips are padded to a multiple, so one compilation serves them all."""
STEPS = 12
TOLERANCE = 1e-4
"""Stop when a step lowers the cost by less than this share of it."""


@struct.dataclass
class Targets:
    """What every frame should look like; weights are 0 where there is no target."""

    rot: jax.Array | np.ndarray  # [F, B, 4] world
    bone_dir: jax.Array | np.ndarray  # [F, B, 3] unit, from each body's parent to it; world
    pos: jax.Array | np.ndarray  # [F, B, 3] world [m]
    rot_weight: jax.Array | np.ndarray  # [B] per [rad]
    dir_weight: jax.Array | np.ndarray  # [B] per [rad]
    pos_weight: jax.Array | np.ndarray  # [B] per [m]


def _residual(character: Character, qpos: jax.Array, delta: jax.Array, targets: Targets) -> jax.Array:
    """Weighted differences `[9 B]` of one frame's pose, moved by a small `delta [34]`, to its targets."""
    turn = jnp.concatenate([jnp.ones(1), 0.5 * delta[3:6]])  # the exponential to first order; smooth at 0
    turned = rotations.quat_mul(qpos[3:7], turn)
    moved = jnp.concatenate([qpos[:3] + delta[:3], turned, qpos[7:] + delta[6:]])
    bodies = forward_kinematics(character, moved, jnp.zeros(34))
    error = rotations.quat_mul(rotations.quat_conj(jnp.asarray(targets.rot)), bodies.rot)
    rot = 2.0 * error[:, 1:] * jnp.where(error[:, :1] < 0.0, -1.0, 1.0)  # 2 sin(angle / 2) axis: smooth at 0
    bone = bodies.pos - bodies.pos[np.maximum(character.parents, 0)]
    length = np.maximum(np.linalg.norm(character.offsets, axis=-1, keepdims=True), 1e-6)
    return jnp.concatenate(
        [
            (targets.rot_weight[:, None] * rot).ravel(),
            (targets.dir_weight[:, None] * (bone / length - targets.bone_dir)).ravel(),
            (targets.pos_weight[:, None] * (bodies.pos - targets.pos)).ravel(),
        ]
    )


@functools.partial(jax.jit, static_argnums=0)
def _linearise(character: Character, qpos: jax.Array, targets: Targets) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Per frame the cost `[F]`, gradient `[F, 34]` and Gauss-Newton matrix `[F, 34, 34]` of the targets."""

    def one(qpos: jax.Array, targets: Targets) -> tuple[jax.Array, jax.Array, jax.Array]:
        residual = functools.partial(_residual, character, qpos, targets=targets)
        zero = jnp.zeros(34)
        value, slope = residual(zero), jax.jacfwd(residual)(zero)
        return value @ value, slope.T @ value, slope.T @ slope

    axes = targets.replace(rot=0, bone_dir=0, pos=0, rot_weight=None, dir_weight=None, pos_weight=None)
    return jax.vmap(one, in_axes=(0, axes))(qpos, targets)


def _chunked(character: Character, qpos: np.ndarray, targets: Targets) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    parts = []
    for start in range(0, len(qpos), CHUNK):
        rows = np.minimum(np.arange(start, start + CHUNK), len(qpos) - 1)
        part = targets.replace(rot=targets.rot[rows], bone_dir=targets.bone_dir[rows], pos=targets.pos[rows])
        parts.append(_linearise(character, np.float32(qpos[rows]), part))
    cost, gradient, matrix = (np.concatenate(column)[: len(qpos)] for column in zip(*parts))
    return cost.astype(np.float64), gradient.astype(np.float64), matrix.astype(np.float64)


def _bends(qpos: np.ndarray) -> np.ndarray:
    """Second differences `[F - 2, 34]`; the root's rotation as the change of its step."""
    flat = np.delete(qpos, np.s_[3:7], axis=1)
    root = Rotation.from_quat(qpos[:, 3:7], scalar_first=True)
    turn = (root[:-1].inv() * root[1:]).as_rotvec()
    steps = np.diff(flat, axis=0)
    steps = np.concatenate([steps[:, :3], turn, steps[:, 3:]], axis=1)
    return np.diff(steps, axis=0)


def _moved(qpos: np.ndarray, delta: np.ndarray) -> np.ndarray:
    root = Rotation.from_quat(qpos[:, 3:7], scalar_first=True) * Rotation.from_rotvec(delta[:, 3:6])
    return np.concatenate(
        [qpos[:, :3] + delta[:, :3], root.as_quat(scalar_first=True), qpos[:, 7:] + delta[:, 6:]], axis=1
    )


def _solve_banded(matrix: np.ndarray, gradient: np.ndarray, damping: float) -> np.ndarray:
    """The step `[F, 34]` of `blockdiag(matrix) + lambda D^T D + damping I`, D the second difference over frames."""
    frames, size = gradient.shape
    band = np.zeros((2 * size + 1, frames, size))  # band[k, t, i]: entry (row, row + k), row = t size + i, lower form
    for i in range(size):
        for k in range(size - i):
            band[k, :, i] = matrix[:, i + k, i]
    stencil = np.zeros((3, frames))
    for first in range(3):  # D has rows (1, -2, 1)
        for second in range(first, 3):
            coefficient = (1, -2, 1)[first] * (1, -2, 1)[second]
            stencil[second - first, first : frames - 2 + first] += coefficient
    for gap in range(3):
        band[gap * size] += SMOOTHNESS * stencil[gap][:, None]
    band[0] += damping
    return -solveh_banded(band.reshape(2 * size + 1, -1), gradient.ravel(), lower=True).reshape(frames, size)


def solve_trajectory(character: Character, qpos: np.ndarray, targets: Targets) -> np.ndarray:
    """Poses `[F, 35]` near `targets`, smooth and inside the hinge ranges, from the guess `qpos [F, 35]`."""
    qpos = np.array(qpos, np.float64)
    low, high = character.joint_low.astype(np.float64), character.joint_high.astype(np.float64)

    def assess(qpos: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
        cost, gradient, matrix = _chunked(character, qpos, targets)
        over = qpos[:, 7:] - np.clip(qpos[:, 7:], low, high)
        bends = _bends(qpos)
        gradient[:, 6:] += LIMIT_WEIGHT * over
        hinges = np.arange(6, 34)
        matrix[:, hinges, hinges] += LIMIT_WEIGHT * (over != 0)
        for shift, coefficient in enumerate((1, -2, 1)):
            gradient[shift : len(gradient) - 2 + shift] += SMOOTHNESS * coefficient * bends
        return cost.sum() + LIMIT_WEIGHT * np.sum(over**2) + SMOOTHNESS * np.sum(bends**2), gradient, matrix

    damping = 1e-3
    cost, gradient, matrix = assess(qpos)
    for _ in range(STEPS):
        try:
            candidate = _moved(qpos, _solve_banded(matrix, gradient, damping))
        except LinAlgError:  # float32 products may leave the matrix a hair indefinite
            damping *= 10
            continue
        new_cost, new_gradient, new_matrix = assess(candidate)
        if new_cost > cost:
            damping *= 10
            continue
        gain = cost - new_cost
        qpos, cost, gradient, matrix = candidate, new_cost, new_gradient, new_matrix
        damping = max(damping / 5, 1e-6)
        if gain < TOLERANCE * cost:
            break
    qpos[:, 7:] = np.clip(qpos[:, 7:], low, high)
    return qpos
