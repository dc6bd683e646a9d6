"""MuJoCo's C engine on a thread pool, called from inside jitted code: the CPU's default backend."""

import copy
import functools
import threading

import jax
import mujoco
import mujoco.batch
import numpy as np

from anyskill_brax.physics.state import Disturbance, PhysicsState


class _Pool:
    """One `mujoco.batch.Batch` per number of worlds; JAX may call from several threads, a Batch serves one."""

    def __init__(self, model: mujoco.MjModel, num_threads: int):
        # MuJoCo would put a diverged world back into its default pose without a word; the environment must see it.
        self._model = copy.copy(model)
        self._model.opt.disableflags |= mujoco.mjtDisableBit.mjDSBL_AUTORESET
        self._num_threads = num_threads
        self._batches: dict[tuple[int, bool], mujoco.batch.Batch] = {}
        self._variations: dict[int, np.ndarray] = {}  # by number of worlds, what the disturbed batch runs on
        self._lock = threading.Lock()

    def step(self, substeps: int, qpos, qvel, warmstart, ctrl, *disturbance):
        qpos, qvel, warmstart, ctrl = (np.asarray(a) for a in (qpos, qvel, warmstart, ctrl))
        lead = qpos.shape[:-1]
        worlds = int(np.prod(lead, dtype=int))
        with self._lock:
            name = worlds, bool(disturbance)
            if name not in self._batches:
                self._batches[name] = mujoco.batch.Batch(self._model, worlds, self._num_threads)
            batch = self._batches[name]
            if disturbance:
                self._disturb(batch, *(np.asarray(a) for a in disturbance))
            batch.qpos = qpos.reshape(worlds, -1)
            batch.qvel = qvel.reshape(worlds, -1)
            batch.qacc_warmstart = warmstart.reshape(worlds, -1)
            batch.ctrl = ctrl.reshape(worlds, -1)
            batch.step(nstep=substeps)
            batch.qvel[~np.isfinite(ctrl).all(-1).reshape(worlds)] = np.nan  # MuJoCo would have taken zeros for them
            with np.errstate(over="ignore"):  # a diverged world's doubles become infinities
                return (
                    batch.qpos.astype(np.float32).reshape(*lead, -1),
                    batch.qvel.astype(np.float32).reshape(*lead, -1),
                    batch.qacc_warmstart.astype(np.float32).reshape(*lead, -1),
                )

    def _disturb(self, batch: mujoco.batch.Batch, wrench: np.ndarray, variation: np.ndarray) -> None:
        """Forces for the coming step; the worlds' bodies, floors and drives where those are not the same as before."""
        batch.xfrc_applied[:, 1:] = wrench.reshape(batch.nsim, -1, 6)
        variation = variation.reshape(batch.nsim, -1)
        if np.array_equal(self._variations.get(batch.nsim), variation):  # pyright: ignore[reportArgumentType]
            return
        self._variations[batch.nsim] = variation.copy()
        friction, mass, gains = variation.T
        for field, factor in (
            ("geom_friction", friction),  # of both partners of a contact, which takes the larger
            ("body_mass", mass),
            ("body_inertia", mass),
            ("actuator_gainprm", gains),
            ("actuator_biasprm", gains),
            ("dof_damping", gains),
        ):
            nominal = getattr(self._model, field)
            batch.expand(field)[:] = nominal * factor.reshape(-1, *(1,) * nominal.ndim)
        batch.set_const()


@functools.cache
def _pool(model: mujoco.MjModel, num_threads: int) -> _Pool:
    _silence_log()
    return _Pool(model, num_threads)


def _silence_log() -> None:
    """A diverged world is reported by `HumanoidEnv.is_broken`, not in MUJOCO_LOG.TXT of the working folder."""
    config = mujoco.MjLogConfig.get()
    config.logto_console = config.logto_file = False
    config.set()


def make_step_batch(model: mujoco.MjModel, substeps: int, num_threads: int = 0):
    """`step_batch(state, ctrl) -> state` over any leading axes; `num_threads` 0 takes every core.

    Results are bit-identical at any thread count. Leading axes, `vmap`'s included, become one batch of worlds. A world
    that diverges comes back as NaN or absurdly fast; the others do not notice.
    """
    pool = _pool(model, num_threads)

    def step_batch(state: PhysicsState, ctrl: jax.Array, disturbance: Disturbance | None = None) -> PhysicsState:
        shapes = tuple(jax.ShapeDtypeStruct(a.shape, np.float32) for a in (state.qpos, state.qvel, state.warmstart))
        qpos, qvel, warmstart = jax.pure_callback(
            functools.partial(pool.step, substeps),
            shapes,
            state.qpos,
            state.qvel,
            state.warmstart,
            ctrl,
            *(() if disturbance is None else (disturbance.wrench, disturbance.variation)),
            vmap_method="broadcast_all",
        )
        return PhysicsState(qpos=qpos, qvel=qvel, warmstart=warmstart)

    return step_batch
