"""Where every question is played: given starts, latents and pushes in, recorded movement out, no resets.

Worlds go through in blocks of one size and time in blocks of a second, so one compilation serves every question, and
what a world does depends neither on how many others are asked about nor on the length of the recording.
"""

import dataclasses
import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from anyskill_brax.character.humanoid import LATENT_STEPS, Character
from anyskill_brax.character.kinematics import forward_kinematics
from anyskill_brax.envs import observations
from anyskill_brax.envs.humanoid_env import HumanoidEnv, HumanoidState
from anyskill_brax.evaluate.rollouts import FALL_HEIGHT
from anyskill_brax.physics.state import joint_power
from anyskill_brax.policies import LowLevelController
from anyskill_brax.types import PRNGKey, UserError

RATE = 30
"""Frames per second: control steps."""
BLOCK = RATE // LATENT_STEPS
"""Latent steps in a second."""


@dataclass(frozen=True, eq=False)
class Recording:
    """F frames (30 Hz, the start is not among them) of W worlds, as numpy."""

    qpos: np.ndarray  # [F, W, 35]
    pos: np.ndarray  # [F, W, B, 3] body origins [m]
    power: np.ndarray  # [F, W] see `physics.state.joint_power` [W]
    broken: np.ndarray  # [W] bool: its physics diverged, it stands still from then on
    head: int  # row of the head among the bodies

    @property
    def head_height(self) -> np.ndarray:
        """`[F, W]` [m]."""
        return self.pos[..., self.head, 2]

    @property
    def up(self) -> np.ndarray:
        """`[F, W]` whether the head has stayed above `FALL_HEIGHT` until now, in physics that hold."""
        return np.logical_and.accumulate(self.head_height > FALL_HEIGHT, axis=0) & ~self.broken

    @property
    def alive(self) -> np.ndarray:
        """`[F, W]` whether the head is up now or will be again: frames before it goes down for good."""
        ever_again = np.logical_or.accumulate((self.head_height > FALL_HEIGHT)[::-1], axis=0)[::-1]
        return ever_again & ~self.broken

    def worlds(self, rows: slice | np.ndarray) -> "Recording":
        """Some of the worlds."""
        return Recording(self.qpos[:, rows], self.pos[:, rows], self.power[:, rows], self.broken[rows], self.head)

    def after(self, seconds: float) -> "Recording":
        """Without the first `seconds`."""
        first = round(seconds * RATE)
        cut = {name: getattr(self, name)[first:] for name in ("qpos", "pos", "power")}
        return dataclasses.replace(self, **cut)


@struct.dataclass
class _Worlds:
    humanoid: HumanoidState
    broken: jax.Array  # [W] bool


@functools.partial(jax.jit, static_argnames="env")
def _second(env: HumanoidEnv, low_level: LowLevelController, worlds: _Worlds, latents: jax.Array, push: jax.Array):
    """One second under `latents [6, W, L]`, begun by adding `push [W, 3]` to the root's velocity [m/s].

    The root carries every other body, so a push moves the whole figure alike.
    """
    physics = worlds.humanoid.physics
    physics = physics.replace(qvel=physics.qvel.at[..., :3].add(push))
    pushed = forward_kinematics(env.character, physics.qpos, physics.qvel)
    worlds = worlds.replace(humanoid=worlds.humanoid.replace(physics=physics, bodies=pushed))

    def control_step(worlds: _Worlds, latent: jax.Array):
        before = worlds.humanoid
        action = low_level.act(observations.observe(before.bodies), latent)
        after = env.advance(before, action)
        broken = worlds.broken | env.is_broken(after)
        after = jax.tree.map(
            lambda new, old: jnp.where(broken.reshape(-1, *(1,) * (new.ndim - 1)), old, new), after, before
        )
        power = joint_power(env.character, after.physics, jnp.asarray(env.character.pd_target(action)))
        return _Worlds(after, broken), (after.physics.qpos, after.bodies.pos, power)

    return jax.lax.scan(control_step, worlds, jnp.repeat(latents, LATENT_STEPS, axis=0))


@functools.cache
def _env(character: Character, num_frames: int, backend: str) -> HumanoidEnv:
    """One per kind, so that what was compiled for one stage serves the next."""
    return HumanoidEnv(character, num_frames=num_frames, backend=backend, fall_height=FALL_HEIGHT)


@dataclass(frozen=True, eq=False)
class Stage:
    """A controller in its physics."""

    character: Character
    env: HumanoidEnv
    low_level: LowLevelController
    block: int  # worlds stepped at a time
    watch: Callable[[float], None]  # told of world-seconds as they are played, see `cost`

    @classmethod
    def create(
        cls,
        character: Character,
        low_level: LowLevelController,
        backend: str,
        block: int,
        watch: Callable[[float], None] = lambda _: None,
    ) -> "Stage":
        if low_level.character_sha256 != character.sha256:
            raise UserError("this controller was trained on another character than the packaged humanoid")
        env = _env(character, low_level.style.num_frames, backend)
        return cls(character, env, low_level, block, watch)

    def cost(self, worlds: int, seconds: float) -> float:
        """World-seconds that `play` takes for them: whole blocks, whole seconds."""
        return -(-worlds // self.block) * self.block * float(-(-round(seconds * BLOCK) // BLOCK))

    def stand(self, key: PRNGKey, worlds: int) -> HumanoidState:
        """Perturbed standing starts `[W]`."""
        return _stand(self.env, key, worlds)

    def play(
        self, starts: HumanoidState, latents: np.ndarray, pushes: Mapping[int, np.ndarray] | None = None
    ) -> Recording:
        """From `starts [W]` under `latents [T, W, L]`, one per latent step; `pushes[s] [W, 3]` [m/s] at second s."""
        steps, count, _ = latents.shape
        seconds = -(-steps // BLOCK)
        latents = np.asarray(latents, np.float32)[np.minimum(np.arange(seconds * BLOCK), steps - 1)]
        parts = []
        for first in range(0, count, self.block):
            rows = np.minimum(np.arange(first, first + self.block), count - 1)
            worlds = _Worlds(jax.tree.map(lambda x, r=rows: x[r], starts), jnp.zeros(self.block, bool))
            frames = []
            for second in range(seconds):
                push = np.zeros((self.block, 3), np.float32)
                if pushes and second in pushes:
                    push = np.asarray(pushes[second], np.float32)[rows]
                now = latents[second * BLOCK : (second + 1) * BLOCK, rows]
                worlds, recorded = _second(self.env, self.low_level, worlds, now, push)
                frames.append(jax.tree.map(np.asarray, recorded))
                self.watch(float(self.block))
            qpos, pos, power = (np.concatenate(x)[: steps * LATENT_STEPS] for x in zip(*frames, strict=True))
            kept = min(self.block, count - first)
            parts.append((qpos[:, :kept], pos[:, :kept], power[:, :kept], np.asarray(worlds.broken)[:kept]))
        qpos, pos, power = (np.concatenate([p[i] for p in parts], axis=1) for i in range(3))
        return Recording(qpos, pos, power, np.concatenate([p[3] for p in parts]), self.character.body("head"))


@functools.partial(jax.jit, static_argnums=(0, 2))
def _stand(env: HumanoidEnv, key: PRNGKey, worlds: int) -> HumanoidState:
    return env.standing(key, (worlds,))


def repeated(starts: HumanoidState, times: int) -> HumanoidState:
    """The same worlds `times` over."""
    return jax.tree.map(lambda x: jnp.tile(x, (times, *(1,) * (x.ndim - 1))), starts)


def held(latents: np.ndarray, seconds: float) -> np.ndarray:
    """Each of `latents [W, L]` for all of `seconds`: `[T, W, L]`."""
    return np.repeat(np.asarray(latents)[None], max(1, round(seconds * BLOCK)), axis=0)
