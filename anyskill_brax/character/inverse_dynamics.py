"""What holds a reference motion up: inverse dynamics, as shifts of PD targets.

A PD drive yields under load by torque / kp. Leaning on the balls of the feet that is a tenth of a radian at each ankle,
which carries the centre of mass off the soles. Adding the needed torque / kp to the target takes the sag away
(docs/experiments/balance-feedback.md).
"""

import copy

import jax
import jax.numpy as jnp
import mujoco
import numpy as np
from scipy.ndimage import gaussian_filter1d

from anyskill_brax.character.humanoid import Character
from anyskill_brax.character.kinematics import forward_kinematics, lowest_points

LEVER = 0.06  # [m] a foot's moment about its middle is taken as this dear beside its force: about half a sole
MAX_SHIFT = 0.3  # [rad]


def support_shift(character: Character, qpos: np.ndarray, qvel: np.ndarray, qacc: np.ndarray) -> np.ndarray:
    """PD target shift `[F, J]` [rad] that carries poses `qpos [F, 35]` at `qvel [F, 34]` and `qacc [F, 34]`."""
    torque = support_torque(character, qpos, qvel, qacc)
    return np.clip(torque / character.kp, -MAX_SHIFT, MAX_SHIFT).astype(np.float32)


def support_torque(character: Character, qpos: np.ndarray, qvel: np.ndarray, qacc: np.ndarray) -> np.ndarray:
    """Torque of every hinge `[F, J]` [Nm] that moves the figure so, damping not counted; not limited.

    The root's share of the inverse dynamics is what the floor must give; the feet that are down give it, by the
    smallest wrenches (weighted least norm). Without a foot down, as in flight, the floor gives nothing.
    """
    force, jacobian = _inverse_dynamics(character, qpos, qvel, qacc)
    down = _feet_down(character, qpos)
    cheap = np.repeat(down + 1e-6, 6, axis=1) * np.tile([1.0, 1.0, 1.0, LEVER**2, LEVER**2, LEVER**2], 2)
    on_root = np.swapaxes(jacobian[:, :, :6], 1, 2)  # [F, 6, 12]
    gram = (on_root * cheap[:, None]) @ np.swapaxes(on_root, 1, 2) + 1e-9 * np.eye(6)
    multipliers = np.linalg.solve(gram, force[:, :6, None])[..., 0]
    wrench = cheap * np.einsum("fij,fi->fj", on_root, multipliers) * down.max(axis=1, keepdims=True)
    return force[:, 6:] - np.einsum("fj,fjd->fd", wrench, jacobian[:, :, 6:])


def accelerations(qvel: np.ndarray, clip: np.ndarray, rate: float = 30.0, smooth: float = 1.5) -> np.ndarray:
    """Smoothed finite differences `[F, 34]` of `qvel [F, 34]` within each clip; `smooth` is in frames."""
    qacc = np.zeros_like(qvel)
    for rows in np.split(np.arange(clip.size), np.flatnonzero(np.diff(clip)) + 1):
        if rows.size > 4:
            velocity = gaussian_filter1d(qvel[rows], smooth, axis=0)
            qacc[rows] = gaussian_filter1d(np.gradient(velocity, axis=0) * rate, smooth, axis=0)
    return qacc


def _inverse_dynamics(character: Character, qpos, qvel, qacc) -> tuple[np.ndarray, np.ndarray]:
    """Generalised forces `[F, 34]` with no floor, and the Jacobians `[F, 12, 34]` of the soles' middles."""
    model = copy.copy(character.model)
    model.dof_damping[:] = 0.0  # the PD target's lead answers for it
    flags = mujoco.mjtDisableBit
    model.opt.disableflags |= flags.mjDSBL_CONTACT | flags.mjDSBL_LIMIT | flags.mjDSBL_ACTUATION
    data = mujoco.MjData(model)
    feet = [model.body(character.body_names[i]).id for i in character.feet]
    soles = [int(np.flatnonzero(model.geom_bodyid == foot)[0]) for foot in feet]
    force, jacobian = np.zeros((len(qpos), 34)), np.zeros((len(qpos), 12, 34))
    for f in range(len(qpos)):
        data.qpos, data.qvel, data.qacc = qpos[f], qvel[f], qacc[f]
        mujoco.mj_inverse(model, data)
        force[f] = data.qfrc_inverse
        for k, (foot, sole) in enumerate(zip(feet, soles, strict=True)):
            down = data.geom_xmat[sole].reshape(3, 3)[:, 2] * model.geom_size[sole, 2]
            rows = jacobian[f, 6 * k : 6 * k + 3], jacobian[f, 6 * k + 3 : 6 * k + 6]
            mujoco.mj_jac(model, data, *rows, data.geom_xpos[sole] - down, foot)
    return force, jacobian


def _feet_down(character: Character, qpos: np.ndarray) -> np.ndarray:
    """How much each foot stands on the floor, `[F, 2]` in [0, 1]: 1 touching, almost 0 from 5 cm."""

    @jax.jit
    def lowest(qpos):
        return lowest_points(character, forward_kinematics(character, qpos, jnp.zeros((qpos.shape[0], 34))))

    low, of_body = np.asarray(lowest(jnp.asarray(qpos, jnp.float32))), np.asarray(character.geom_body)
    height = np.stack([low[:, of_body == foot].min(axis=1) for foot in character.feet], axis=1)
    return np.exp(-((np.maximum(height, 0.0) / 0.025) ** 2))
