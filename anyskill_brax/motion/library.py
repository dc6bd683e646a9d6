"""Many motions as one pytree: sample a motion, a time, and read interpolated poses, all inside jit."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from anyskill_brax import rotations
from anyskill_brax.motion.io import Motion
from anyskill_brax.types import PRNGKey, UserError


@struct.dataclass
class MotionLibrary:
    """All clips end to end along the frame axis; motion `m` owns frames `start[m] : start[m] + length[m]`."""

    qpos: jax.Array  # [F, 35]
    qvel: jax.Array  # [F, 34]
    contact: jax.Array  # [F, 2] uint8 right foot, left foot
    start: jax.Array  # [M] int32
    length: jax.Array  # [M] int32
    weight: jax.Array  # [M] sampling probability, sums to 1
    fps: float = struct.field(pytree_node=False)
    names: tuple[str, ...] = struct.field(pytree_node=False)
    captions: tuple[tuple[str, ...], ...] = struct.field(pytree_node=False)
    categories: tuple[str, ...] = struct.field(pytree_node=False)
    licences: tuple[str, ...] = struct.field(pytree_node=False)
    sources: tuple[str, ...] = struct.field(pytree_node=False)

    @classmethod
    def create(cls, motions: Sequence[Motion]) -> "MotionLibrary":
        """Concatenate clips of one frame rate; weights are normalised."""
        if not motions:
            raise UserError("a motion library needs at least one motion")
        rates = {motion.fps: motion.name for motion in motions}
        if len(rates) > 1:
            found = ", ".join(f"{name} {fps:g}" for fps, name in rates.items())
            raise UserError(f"one frame rate per library, found {found} fps; use motion.io.resample_motion")
        names = [motion.name for motion in motions]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise UserError(f"motion names must be unique in a library; more than once: {', '.join(twice[:5])}")
        weight = np.array([motion.weight for motion in motions], np.float64)
        if weight.sum() <= 0:
            raise UserError("every motion of the library has weight 0; give at least one a positive weight")
        length = np.array([motion.num_frames for motion in motions], np.int32)
        return cls(
            qpos=jnp.asarray(np.concatenate([motion.qpos for motion in motions])),
            qvel=jnp.asarray(np.concatenate([motion.qvel for motion in motions])),
            contact=jnp.asarray(np.concatenate([motion.contact for motion in motions])),
            start=jnp.asarray(np.cumsum(length) - length, jnp.int32),
            length=jnp.asarray(length),
            weight=jnp.asarray(weight / weight.sum(), jnp.float32),
            fps=float(motions[0].fps),
            names=tuple(names),
            captions=tuple(motion.captions for motion in motions),
            categories=tuple(motion.category for motion in motions),
            licences=tuple(motion.licence for motion in motions),
            sources=tuple(motion.source for motion in motions),
        )

    @property
    def num_motions(self) -> int:
        return len(self.names)

    def duration(self, ids: jax.Array) -> jax.Array:
        """From a motion's first frame to its last, `[...]` [s]."""
        return (self.length[ids] - 1) / self.fps

    def sample_motions(self, key: PRNGKey, shape: tuple[int, ...] = ()) -> jax.Array:
        """Motion ids `shape`, each drawn with probability `weight`."""
        return jax.random.choice(key, self.num_motions, shape, p=self.weight)

    def sample_times(self, key: PRNGKey, ids: jax.Array) -> jax.Array:
        """A uniform time within each motion, `[...]` [s]."""
        return jax.random.uniform(key, jnp.shape(ids)) * self.duration(ids)

    def at(self, ids: jax.Array, t: jax.Array) -> tuple[jax.Array, jax.Array]:
        """The pose of motion `ids [...]` at `t [...]` [s]: `qpos [..., 35]`, `qvel [..., 34]`.

        Linear between the two nearest frames, spherical for the root's rotation; `t` is clamped to the motion.
        """
        last = self.length[ids] - 1
        frame = jnp.clip(t * self.fps, 0.0, last)
        low = jnp.minimum(jnp.floor(frame).astype(jnp.int32), jnp.maximum(last - 1, 0))
        part = frame - low
        row = self.start[ids] + low
        a, b = self.qpos[row], self.qpos[row + 1]
        blend = part[..., None]
        qpos = a + blend * (b - a)
        root_rot = rotations.slerp(a[..., 3:7], b[..., 3:7], part)
        va, vb = self.qvel[row], self.qvel[row + 1]
        return jnp.concatenate([qpos[..., :3], root_rot, qpos[..., 7:]], axis=-1), va + blend * (vb - va)

    def window(self, ids: jax.Array, t: jax.Array, num_frames: int, dt: float) -> tuple[jax.Array, jax.Array]:
        """The N = `num_frames` poses that end at `t`, `dt` [s] apart, oldest first.

        Returns `qpos [..., N, 35]`, `qvel [..., N, 34]`. Times before the motion's start repeat its first frame.
        """
        times = t[..., None] - dt * jnp.arange(num_frames - 1, -1, -1)
        return self.at(jnp.broadcast_to(ids[..., None], times.shape), times)
