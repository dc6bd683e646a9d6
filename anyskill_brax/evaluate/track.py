"""What predicates read: where every body of a rollout was, frame by frame, and the questions one asks of time.

Everything is plain numpy `[F, ...]`: F frames first, then any axes of episodes. Directions come from joint positions
(hips, shoulders, spine); only the head's needs its rotation. Nothing here is shared with posecodes or encoders.
"""

import functools
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np

from anyskill_brax.character.humanoid import Character
from anyskill_brax.character.kinematics import forward_kinematics, lowest_points
from anyskill_brax.types import UserError

Mask = np.ndarray
"""Bool, `[F, ...]` or `[...]`."""
UP = np.array([0.0, 0.0, 1.0])
ON_FLOOR = 0.03
"""A body whose lowest point is under this touches the floor [m]."""
ROWS = 2048


def _unit(v: np.ndarray) -> np.ndarray:
    return v / np.maximum(np.linalg.norm(v, axis=-1, keepdims=True), 1e-9)


@dataclass(frozen=True, eq=False)
class Frame:
    """Three unit vectors `[F, ..., 3]` in the world."""

    ahead: np.ndarray
    left: np.ndarray
    up: np.ndarray

    @classmethod
    def of(cls, left: np.ndarray, up: np.ndarray) -> "Frame":
        """From directions that need not be unit or square: `up` is kept, `left` made square to it."""
        up = _unit(up)
        left = _unit(left - (left * up).sum(-1, keepdims=True) * up)
        return cls(np.cross(left, up), left, up)

    def see(self, v: np.ndarray) -> np.ndarray:
        """World vectors `[F, ..., 3]` as (ahead, left, up)."""
        return np.stack([(v * axis).sum(-1) for axis in (self.ahead, self.left, self.up)], axis=-1)


@dataclass(frozen=True, eq=False)
class Track:
    """F frames of any number of episodes."""

    pos: np.ndarray  # [F, ..., B, 3] body origins [m]
    vel: np.ndarray  # [F, ..., B, 3] [m/s]
    rot: np.ndarray  # [F, ..., B, 4] wxyz
    low: np.ndarray  # [F, ..., B] height of each body's lowest point [m]; inf for one without a shape
    fps: float
    names: tuple[str, ...]
    masked: np.ndarray  # [...] frames that were not finite; the last good frame stands in for each

    @classmethod
    def of(cls, character: Character, qpos: np.ndarray, fps: float) -> "Track":
        """From poses `[F, ..., 35]` at `fps`; velocities are differences of positions.

        Frames with NaN or infinity are replaced by the frame before (the first good one at the start) and counted.
        Errors: `UserError` for fewer than two frames, another width, or an episode without one finite frame.
        """
        qpos = np.asarray(qpos, np.float32)
        if qpos.ndim < 2 or qpos.shape[-1] != character.default_qpos.size or len(qpos) < 2 or not fps > 0:
            raise UserError(f"a track is made of qpos [F >= 2, ..., {character.default_qpos.size}], not {qpos.shape}")
        qpos, masked = _mended(qpos)
        lead = qpos.shape[:-1]
        flat = qpos.reshape(-1, qpos.shape[-1])
        rows = np.arange(ROWS * -(-len(flat) // ROWS)).clip(max=len(flat) - 1).reshape(-1, ROWS)
        parts = [_measure(character, flat[chunk]) for chunk in rows]
        pos, rot, low = (np.concatenate(p)[: len(flat)].reshape(*lead, *p[0].shape[1:]) for p in zip(*parts))
        return cls(pos, np.gradient(pos, 1.0 / fps, axis=0), rot, low, float(fps), character.body_names, masked)

    # -- bodies ------------------------------------------------------------------------------------------------------

    def at(self, body: str) -> np.ndarray:
        """Its origin `[F, ..., 3]` [m]; `head_centre` is the middle of the head's sphere."""
        if body == "head_centre":
            return self.pos[..., self.names.index("head"), :] + 0.175 * self.head.up
        return self.pos[..., self.names.index(body), :]

    def velocity(self, body: str) -> np.ndarray:
        return self.vel[..., self.names.index(body), :]

    def height(self, body: str) -> np.ndarray:
        """Of its origin above the floor `[F, ...]` [m]."""
        return self.at(body)[..., 2]

    def clearance(self, body: str) -> np.ndarray:
        """Of its lowest point above the floor `[F, ...]` [m]."""
        return self.low[..., self.names.index(body)]

    def touches(self, body: str) -> Mask:
        return self.clearance(body) < ON_FLOOR

    # -- directions --------------------------------------------------------------------------------------------------

    @functools.cached_property
    def pelvis(self) -> Frame:
        return Frame.of(self.at("left_thigh") - self.at("right_thigh"), self.at("torso") - self.at("pelvis"))

    @functools.cached_property
    def torso(self) -> Frame:
        return Frame.of(self.at("left_upper_arm") - self.at("right_upper_arm"), self.at("head") - self.at("torso"))

    @functools.cached_property
    def head(self) -> Frame:
        w, x, y, z = np.moveaxis(self.rot[..., self.names.index("head"), :], -1, 0)
        left = np.stack([2 * (x * y - w * z), 1 - 2 * (x * x + z * z), 2 * (y * z + w * x)], axis=-1)
        up = np.stack([2 * (x * z + w * y), 2 * (y * z - w * x), 1 - 2 * (x * x + y * y)], axis=-1)
        return Frame.of(left, up)

    @functools.cached_property
    def heading(self) -> Frame:
        """The pelvis turned upright about its own left-right axis: which way the body would walk."""
        level = self.pelvis.left * np.array([1.0, 1.0, 0.0])
        return Frame.of(level, np.broadcast_to(UP, level.shape))

    @functools.cached_property
    def yaw(self) -> np.ndarray:
        """Of the heading, continuous in time `[F, ...]` [rad]."""
        ahead = self.heading.ahead
        return np.unwrap(np.arctan2(ahead[..., 1], ahead[..., 0]), axis=0)

    @functools.cached_property
    def up(self) -> Mask:
        """The head is where it is not while lying, on all fours or falling over (`rollouts.FALL_HEIGHT`)."""
        return self.height("head") > 0.5

    # -- time --------------------------------------------------------------------------------------------------------

    def frames(self, seconds: float) -> int:
        return max(1, round(seconds * self.fps))

    def lasts(self, mask: Mask, seconds: float) -> Mask:
        """Whether `mask [F, ...]` is true for that long on end, `[...]`. A shorter track can never say so."""
        order = np.arange(1, len(mask) + 1).reshape(-1, *(1,) * (mask.ndim - 1))
        since = order - np.maximum.accumulate(np.where(mask, 0, order), axis=0)
        return np.asarray(since.max(axis=0) >= self.frames(seconds))

    def lately(self, mask: Mask, seconds: float) -> Mask:
        """Whether `mask [F, ...]` held at some frame of the last `seconds`, now included, `[F, ...]`."""
        order = np.arange(len(mask)).reshape(-1, *(1,) * (mask.ndim - 1))
        last = np.maximum.accumulate(np.where(mask, order, -len(mask)), axis=0)
        return np.asarray(order - last <= self.frames(seconds))

    def over(self, signal: np.ndarray, seconds: float) -> np.ndarray:
        """How much `signal [F, ...]` changed during the `seconds` before each frame, `[F - n, ...]`, n >= 1.

        A track that is shorter is taken whole.
        """
        n = min(self.frames(seconds), len(signal) - 1)
        return signal[n:] - signal[:-n]


def then(first: Mask, second: Mask) -> Mask:
    """Whether a frame of `first` comes before a frame of `second`, `[...]`."""
    return np.asarray((np.logical_or.accumulate(first, axis=0)[:-1] & second[1:]).any(axis=0))


def swings(signal: np.ndarray, amplitude: float, during: Mask | None = None) -> np.ndarray:
    """How many times `signal [F, ...]` moved one way by at least `amplitude`, up and down in turn: to and fro is two.

    A frame outside `during [F, ...]` ends the stretch that is being counted; the best stretch counts, `[...]`.
    """
    seen_at = np.ones(signal.shape, bool) if during is None else during
    low, high = signal[0], signal[0]  # since the last turn
    way, count = np.zeros(signal.shape[1:], int), np.zeros(signal.shape[1:], int)
    best = count
    for now, seen in zip(signal, seen_at, strict=True):
        low, high = np.where(seen, np.minimum(low, now), now), np.where(seen, np.maximum(high, now), now)
        rises, falls = (way <= 0) & (now - low >= amplitude), (way >= 0) & (high - now >= amplitude)
        count = np.where(seen, count + (rises | falls), 0)
        way = np.where(seen, np.where(rises, 1, np.where(falls, -1, way)), 0)
        high, low = np.where(rises, now, high), np.where(falls, now, low)
        best = np.maximum(best, count)
    return best


def _mended(qpos: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The last finite frame in place of each that is not, and how many there were per episode."""
    good = np.isfinite(qpos).all(-1) & (np.linalg.norm(np.nan_to_num(qpos[..., 3:7]), axis=-1) > 1e-3)
    if not good.any(axis=0).all():
        raise UserError("an episode has not one finite pose; nothing can be said about it")
    order = np.arange(len(qpos)).reshape(-1, *(1,) * (good.ndim - 1))
    source = np.maximum.accumulate(np.where(good, order, -1), axis=0)
    source = np.where(source < 0, good.argmax(axis=0), source)
    return np.take_along_axis(qpos, source[..., None], axis=0), np.asarray((~good).sum(axis=0))


@functools.partial(jax.jit, static_argnums=0)
def _measure(character: Character, qpos: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """`qpos [N, 35]` -> positions, rotations, lowest points of every body."""
    bodies = forward_kinematics(character, qpos, jnp.zeros((len(qpos), 34)))
    geoms = lowest_points(character, bodies)
    low = jnp.full((len(qpos), character.num_bodies), jnp.inf).at[:, character.geom_body].min(geoms)
    return bodies.pos, bodies.rot, low
