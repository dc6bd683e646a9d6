"""The motions that a controller is held against: poses, windows, and the latents its encoder gives them."""

from collections.abc import Sequence
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np

from anyskill_brax.character.humanoid import LATENT_STEPS, Character
from anyskill_brax.envs.humanoid_env import HumanoidEnv, HumanoidState
from anyskill_brax.evaluate.controller.stage import RATE
from anyskill_brax.evaluate.controller.windows import Atlas, windows
from anyskill_brax.low_level.reference import Reference
from anyskill_brax.motion.io import Motion, motion_bodies, resample_motion
from anyskill_brax.motion.library import MotionLibrary
from anyskill_brax.policies import LowLevelController
from anyskill_brax.types import UserError

SHORTEST = 9
"""Frames; clips of fewer are left out, as in training."""


@dataclass(frozen=True, eq=False)
class Clips:
    """M motions at 30 Hz."""

    motions: tuple[Motion, ...]
    reference: Reference  # the same, end to end
    pos: tuple[np.ndarray, ...]  # M of [F, B, 3] body origins [m]
    atlas: Atlas

    @classmethod
    def create(cls, character: Character, motions: Sequence[Motion], stride: int) -> "Clips":
        """Resampled to 30 Hz; `stride` frames between windows. `UserError` where nothing is long enough."""
        kept = [resample_motion(character, motion, float(RATE)) for motion in motions]
        kept = [motion for motion in kept if motion.num_frames >= SHORTEST]
        if not kept:
            raise UserError(f"no motion of at least {SHORTEST} frames among {len(motions)}; give other --motions")
        reference = Reference.create(character, MotionLibrary.create(kept))
        pos = tuple(np.asarray(motion_bodies(character, m.qpos, m.qvel)[0].pos) for m in kept)
        parts = [windows(m.qpos, p, stride) for m, p in zip(kept, pos, strict=True)]
        owner = np.repeat(np.arange(len(kept)), [len(part) for part in parts])
        return cls(tuple(kept), reference, pos, Atlas(np.concatenate(parts), owner, len(kept)))

    def __len__(self) -> int:
        return len(self.motions)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(motion.name for motion in self.motions)

    @property
    def categories(self) -> tuple[str, ...]:
        return tuple(motion.category or "-" for motion in self.motions)

    @property
    def frames(self) -> np.ndarray:
        """Length of each clip `[M]`."""
        return np.array([motion.num_frames for motion in self.motions])

    def seen_in_training(self, low_level: LowLevelController) -> np.ndarray:
        """`[M]` whether the controller names a clip of that name among those it was trained on."""
        known = {name.rpartition("@")[0] for name in low_level.motion_names}
        return np.array([name in known for name in self.names])

    def row(self, clip: np.ndarray, frame: np.ndarray) -> np.ndarray:
        """Rows of the reference, the frame held inside the clip."""
        start = np.asarray(self.reference.start)[clip]
        return start + np.clip(frame, 0, self.frames[clip] - 1)

    def begin(self, env: HumanoidEnv, clip: np.ndarray) -> HumanoidState:
        """Worlds on the first frames of clips `[W]`."""
        rows = jnp.asarray(self.row(clip, np.zeros_like(clip)))
        reference = self.reference
        return env.place(reference.qpos[rows], reference.qvel[rows], reference.window(rows, env.num_frames))

    def latents(self, low_level: LowLevelController, clip: np.ndarray, frame: np.ndarray) -> np.ndarray:
        """The encoder's latents `[..., L]` of the windows that end at these frames."""
        rows = self.row(clip, frame)
        flat = _encode(self.reference, low_level, jnp.asarray(rows.reshape(-1)))
        return np.asarray(flat).reshape(*rows.shape, -1)

    def following(self, low_level: LowLevelController, clip: np.ndarray, steps: int) -> np.ndarray:
        """What the encoder asks for along each clip `[W]`: `[T, W, L]`, one per latent step.

        As in training: the latent of the window that comes, as long as the encoder's, renewed when that is over.
        """
        window = low_level.style.encoder_frames
        ends = (np.arange(steps) * LATENT_STEPS // window + 1) * window
        every = np.broadcast_to(clip, (steps, len(clip)))
        return self.latents(low_level, every, np.broadcast_to(ends[:, None], every.shape))

    def some_latents(self, low_level: LowLevelController, dice: np.random.Generator, count: int) -> np.ndarray:
        """`count` latents `[N, L]`: a clip by chance, all alike, and a window that begins anywhere in it."""
        clip = dice.integers(len(self), size=count)
        first = (dice.random(count) * self.frames[clip]).astype(int)
        return self.latents(low_level, clip, first + low_level.style.encoder_frames - 1)


@jax.jit
def _encode(reference: Reference, low_level: LowLevelController, rows: jax.Array) -> jax.Array:
    window = reference.window(rows, low_level.style.encoder_frames)
    return low_level.style.encode(window.reshape(rows.shape[0], -1))
