"""Windows of time for the temporal tower: N frames 1/6 s apart, from motions and from random paths between poses.

Each window comes with itself played backwards: sitting down is then standing up, walking becomes walking backwards, and
a tower that looks at single poses cannot tell the two apart. And with its last pose held still, which is no movement.
"""

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np

from anyskill_brax import rotations
from anyskill_brax.character.humanoid import Character
from anyskill_brax.character.kinematics import BodyState, forward_kinematics, lowest_points
from anyskill_brax.motion.io import Motion, resample_motion
from anyskill_brax.reward_model.motioncodes import window_degrees
from anyskill_brax.reward_model.poses import mirror, random_poses

FPS = 30.0
STRIDE = 5
"""Frames of FPS between two frames of a window: a latent step."""
CHUNK = 512


@dataclass(frozen=True)
class WindowData:
    """W windows that run forwards, then each of them backwards, then the last pose of each held still."""

    features: np.ndarray  # [3W, N, F] a tower's input, not normalised
    degrees: np.ndarray  # [3W, A]

    @property
    def number(self) -> int:
        """W."""
        return len(self.degrees) // 3


def _span(frames: int) -> int:
    """Frames of FPS from a window's first to its last, both counted."""
    return (frames - 1) * STRIDE + 1


def long_enough(motion: Motion, frames: int) -> bool:
    """Whether a window of `frames` fits into the motion."""
    resampled = motion.num_frames if motion.fps == FPS else int(motion.duration * FPS) + 1
    return resampled >= _span(frames)


def motion_windows(
    character: Character, motions: Sequence[Motion], frames: int, num: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """`num` windows from anywhere in the motions that are `long_enough`: `qpos [num, N, 35]`, `qvel [num, N, 34]`, and
    which of these motions each is from, `[num]`."""
    span = _span(frames)
    clips = [resample_motion(character, motion, FPS) for motion in motions if long_enough(motion, frames)]
    share = np.array([clip.num_frames - span + 1 for clip in clips], float)
    share = np.minimum(share, 4 * FPS)  # a long clip is not more of a movement than a short one
    chosen = rng.choice(len(clips), num, p=share / share.sum())
    rows = [rng.integers(clips[i].num_frames - span + 1) + STRIDE * np.arange(frames) for i in chosen]
    qpos, qvel = ([getattr(clips[i], name)[row] for i, row in zip(chosen, rows)] for name in ("qpos", "qvel"))
    return np.stack(qpos), np.stack(qvel), chosen


def random_windows(character: Character, frames: int, num: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Paths between two random poses: held, gone once, or to and fro, while the root travels, turns, or leaps."""
    rng = np.random.default_rng(seed)
    poses, _ = random_poses(character, 2 * num, seed)
    ends = poses[:num], np.where(rng.random((num, 1)) < 0.35, poses[:num], poses[num:])
    arm = np.array([("shoulder" in n) or ("elbow" in n) for n in character.joint_names])
    swinging = rng.random(num) < 0.4  # one or both arms, to and fro
    side = rng.integers(3, size=num)
    names = np.array(["left" if "left" in n else "right" for n in character.joint_names])
    moves = arm & ((side[:, None] == 2) | (names[None] == np.array(["left", "right", "x"])[side][:, None]))
    swing = rng.normal(size=(num, len(arm))) * 0.45 * moves * swinging[:, None]
    seconds = (frames - 1) * STRIDE / FPS
    way = {
        "kind": rng.choice(3, num, p=[0.2, 0.5, 0.3]),
        "start": rng.uniform(-0.5, 0.7 * seconds, num),
        "lasts": rng.uniform(0.3, 1.6, num),
        "rate": rng.uniform(0.7, 3.0, num),
        "phase": rng.uniform(0, 2 * np.pi, num),
        "speed": rng.normal(size=(num, 2)) * [0.9, 0.5] * (rng.random((num, 1)) < 0.5),
        "turn": rng.normal(size=num) * 1.5 * (rng.random(num) < 0.4),
        "leap": rng.uniform(0.1, 0.5, num) * (rng.random(num) < 0.08),
        "apex": rng.uniform(0, seconds, num),
        "swing": swing,
    }
    h = 0.5 / FPS
    times = np.arange(frames)[:, None] / (FPS / STRIDE) + np.array([-h, 0.0, h])
    rows = np.arange(CHUNK * -(-num // CHUNK)).clip(max=num - 1).reshape(-1, CHUNK)
    parts = [_path(character, *(end[row] for end in ends), {k: v[row] for k, v in way.items()}, times) for row in rows]
    qpos, qvel = (np.concatenate([np.asarray(part[i]) for part in parts])[:num] for i in range(2))
    return qpos, qvel


@functools.partial(jax.jit, static_argnums=0)
def _path(character: Character, a: jax.Array, b: jax.Array, way: dict, times: jax.Array):
    """`a`, `b [R, 35]` and `times [N, 3]` -> poses at the middle times and central differences there."""
    t = jnp.broadcast_to(times, (len(a), *times.shape))
    ramp = jnp.clip((t - way["start"][:, None, None]) / way["lasts"][:, None, None], 0.0, 1.0)
    once = ramp * ramp * (3.0 - 2.0 * ramp)
    beat = jnp.sin(2.0 * jnp.pi * way["rate"][:, None, None] * t + way["phase"][:, None, None])
    kind = way["kind"][:, None, None]
    part = jnp.where(kind == 0, 0.0, jnp.where(kind == 1, once, 0.5 + 0.5 * beat))[..., None]
    a, b = a[:, None, None], b[:, None, None]
    hinges = a[..., 7:] + part * (b[..., 7:] - a[..., 7:]) + beat[..., None] * way["swing"][:, None, None]
    hinges = jnp.clip(hinges, jnp.asarray(character.joint_low), jnp.asarray(character.joint_high))
    near = jnp.where((a[..., 3:7] * b[..., 3:7]).sum(-1, keepdims=True) < 0, -1.0, 1.0)
    root = rotations.quat_normalize(a[..., 3:7] + part * (near * b[..., 3:7] - a[..., 3:7]))
    half = 0.5 * way["turn"][:, None, None] * t
    chord = jnp.sinc(half / jnp.pi) * t  # of a walk at constant speed and turn
    vx, vy = way["speed"][:, 0, None, None], way["speed"][:, 1, None, None]
    x = chord * (jnp.cos(half) * vx - jnp.sin(half) * vy)
    y = chord * (jnp.sin(half) * vx + jnp.cos(half) * vy)
    leap = way["leap"][:, None, None] - 4.9 * (t - way["apex"][:, None, None]) ** 2
    root = rotations.quat_mul(rotations.yaw_quat(2.0 * half), root)
    qpos = jnp.concatenate([jnp.stack([x, y, jnp.zeros_like(x)], axis=-1), root, hinges], axis=-1)
    lowest = lowest_points(character, forward_kinematics(character, qpos, jnp.zeros((*qpos.shape[:-1], 34))))
    qpos = qpos.at[..., 2].set(-lowest.min(axis=-1) + jnp.maximum(leap, 0.0))
    before, now, after = qpos[:, :, 0], qpos[:, :, 1], qpos[:, :, 2]
    turned = rotations.quat_mul(rotations.quat_conj(before[..., 3:7]), after[..., 3:7])
    step = [after[..., :3] - before[..., :3], rotations.to_exp_map(turned), after[..., 7:] - before[..., 7:]]
    return now, FPS * jnp.concatenate(step, axis=-1)


def backwards(qpos: np.ndarray, qvel: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The windows played the other way."""
    return qpos[:, ::-1], -qvel[:, ::-1]


def held(qpos: np.ndarray, qvel: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The last pose of each window, held still for as long."""
    return np.repeat(qpos[:, -1:], qpos.shape[1], axis=1), np.zeros_like(qvel)


def starting(qpos: np.ndarray, qvel: np.ndarray, share: float, rng: np.random.Generator):
    """A `share` of the windows as at an episode's start: its first frame fills what came before."""
    num, frames = qpos.shape[:2]
    first = np.where(rng.random(num) < share, rng.integers(1, frames, num), 0)
    rows = np.maximum(np.arange(frames), first[:, None])[..., None]
    return np.take_along_axis(qpos, rows, axis=1), np.take_along_axis(qvel, rows, axis=1)


def make_windows(
    character: Character,
    features: Callable[[Character, BodyState], jax.Array],
    motions: Sequence[Motion],
    frames: int,
    num_motion: int,
    num_random: int,
    starting_share: float,
    seed: int,
) -> WindowData:
    """Windows from motions and random paths, half of them mirrored, each forwards, backwards and held still.

    `features(character, bodies)` is the tower's input, one of `clip.towers.POSE_FEATURES`.
    """
    rng = np.random.default_rng(seed)
    parts = [random_windows(character, frames, num_random, seed)] if num_random else []
    parts += [motion_windows(character, motions, frames, num_motion, rng)[:2]] if motions and num_motion else []
    qpos, qvel = (np.concatenate([part[i] for part in parts]).astype(np.float32) for i in range(2))
    flipped = np.flatnonzero(rng.random(len(qpos)) < 0.5)
    qpos[flipped], qvel[flipped] = mirror(character, qpos[flipped], qvel[flipped])
    qpos, qvel = starting(qpos, qvel, starting_share, rng)
    three = (qpos, qvel), backwards(qpos, qvel), held(qpos, qvel)
    qpos, qvel = (np.concatenate([part[i] for part in three]) for i in range(2))
    return WindowData(*measure(character, features, qpos, qvel))


def measure(
    character: Character, features: Callable[[Character, BodyState], jax.Array], qpos: np.ndarray, qvel: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Windows `qpos [W, N, 35]`, `qvel [W, N, 34]` -> a tower's input `[W, N, F]` and degrees `[W, A]`."""
    rows = np.arange(CHUNK * -(-len(qpos) // CHUNK)).clip(max=len(qpos) - 1).reshape(-1, CHUNK)
    look, parts = jax.jit(features, static_argnums=0), []
    for row in rows:
        bodies = _move(character, qpos[row], qvel[row])
        parts.append((np.asarray(look(character, bodies)), np.asarray(_judge(character, bodies))))
    seen, shown = (np.concatenate(part)[: len(qpos)] for part in zip(*parts, strict=True))
    return seen, shown


_move = jax.jit(forward_kinematics, static_argnums=0)
_judge = jax.jit(window_degrees, static_argnums=0)
