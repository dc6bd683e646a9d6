"""Random body states for the reward model: lower-body prototypes, a bank of arm poses, noise, the floor, velocities.

Uniform joint angles almost never kneel or fold their arms, so poses are drawn around prototypes, arms from a bank that
holds every arm attribute in equal shares, and of four candidates the one with the rarer attributes is kept.
"""

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from anyskill_brax.character.humanoid import Character
from anyskill_brax.character.kinematics import forward_kinematics, lowest_points
from anyskill_brax.motion.io import Motion
from anyskill_brax.reward_model.posecodes import ARM_PAIRS, attribute_names, degrees

CHUNK = 4096


@dataclass(frozen=True)
class Prototype:
    """A lower body, in degrees; legs are (hip x, hip y, hip z, knee). Left hip x > 0 is outward, hip y < 0 forward."""

    pitch: float = 0.0
    roll: float = 0.0
    abdomen: float = 0.0
    left: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)
    right: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)
    soles: bool = True  # ankles keep the soles level
    toes: float = 0.0  # ankle y otherwise
    arms: float | None = None  # shoulder y, for hands that carry weight
    share: float = 1.0
    noise: float = 8.0


def _even(hip_x: float = 0.0, hip_y: float = 0.0, knee: float = 0.0, **rest: Any) -> Prototype:
    """Both legs alike."""
    return Prototype(left=(hip_x, hip_y, 0.0, knee), right=(-hip_x, hip_y, 0.0, knee), **rest)


PROTOTYPES = (
    Prototype(share=5.0),
    Prototype(share=2.0, noise=3.0),
    Prototype(left=(0, -25, 0, 10), right=(0, 20, 0, 10), share=2.0),
    _even(hip_x=25),
    _even(hip_x=-9, noise=3.0),
    Prototype(toes=45, soles=False, noise=4.0),
    _even(hip_y=-50, knee=80, pitch=10),
    _even(hip_x=15, hip_y=-110, knee=130, pitch=20, share=1.5),
    _even(hip_y=-85, knee=110, pitch=30),
    _even(hip_y=-25, pitch=25, abdomen=45, share=1.5),
    _even(hip_y=-60, pitch=60, abdomen=50),
    _even(hip_y=-90, pitch=90, abdomen=60, arms=-110, noise=10.0),
    _even(hip_y=5, knee=15, pitch=-10, abdomen=-25),
    _even(knee=95, soles=False, toes=50),
    _even(hip_y=-70, knee=150, pitch=5, soles=False, toes=50),
    Prototype(left=(0, -90, 0, 90), right=(0, 5, 0, 95), share=1.5, noise=5.0),
    Prototype(left=(0, -75, 0, 80), right=(0, 30, 0, 25), share=1.5),
    _even(hip_x=8, hip_y=-85, pitch=-5, soles=False),
    _even(hip_y=-115, knee=95, pitch=-20, soles=False),
    _even(hip_x=40, hip_y=-95, knee=110, pitch=0, soles=False),
    Prototype(pitch=-88, soles=False),
    _even(hip_y=-50, knee=90, pitch=-88, soles=False),
    Prototype(pitch=88, soles=False),
    Prototype(roll=88, soles=False, noise=12.0),
    _even(hip_y=-80, knee=85, pitch=80, arms=-80, soles=False, toes=40),
    Prototype(pitch=72, arms=-75, soles=False, noise=5.0),
    Prototype(left=(0, -75, 0, 5)),
    Prototype(pitch=15, left=(0, 45, 0, 15), right=(0, -15, 0, 0)),
    Prototype(left=(50, 0, 0, 5)),
    Prototype(left=(0, -95, 0, 95), share=1.5),
    Prototype(left=(0, 5, 0, 115)),
)


def mirror(character: Character, qpos: np.ndarray, qvel: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The left-right mirror image of `qpos [..., 35]`, `qvel [..., 34]` in the plane y = 0."""
    names = character.joint_names
    swap = {"left": "right", "right": "left"}
    order = [names.index("_".join(swap.get(word, word) for word in name.split("_"))) for name in names]
    sign = np.array([-1.0 if name.endswith(("_x", "_z")) else 1.0 for name in names], np.float32)
    root = np.array([1, -1, 1, 1, -1, 1, -1], np.float32)
    root_vel = np.array([1, -1, 1, -1, 1, -1], np.float32)
    return (
        np.concatenate([qpos[..., :7] * root, qpos[..., 7:][..., order] * sign], axis=-1),
        np.concatenate([qvel[..., :6] * root_vel, qvel[..., 6:][..., order] * sign], axis=-1),
    )


def _hinges(character: Character, prefix: str) -> np.ndarray:
    return np.array([i for i, name in enumerate(character.joint_names) if name.startswith(prefix)])


def in_chunks(function: Callable[..., jax.Array], *arrays: np.ndarray) -> np.ndarray:
    """A jitted `function` over rows, CHUNK at a time so that it compiles once; the last chunk is padded."""
    rows, out = len(arrays[0]), []
    for start in range(0, rows, CHUNK):
        parts = [a[start : start + CHUNK] for a in arrays]
        parts = [np.pad(p, [(0, CHUNK - len(p))] + [(0, 0)] * (p.ndim - 1), mode="edge") for p in parts]
        out.append(np.asarray(function(*parts)))
    return np.concatenate(out)[:rows]


@functools.cache
def _measures(character: Character) -> tuple[Callable[..., jax.Array], Callable[..., jax.Array]]:
    """Compiled once per process: degrees of (qpos, qvel), height of the lowest point of (qpos)."""

    def lowest(qpos: jax.Array) -> jax.Array:
        bodies = forward_kinematics(character, qpos, jnp.zeros((len(qpos), 34)))
        return lowest_points(character, bodies).min(axis=-1)

    return jax.jit(lambda p, v: degrees(character, forward_kinematics(character, p, v))), jax.jit(lowest)


def pose_degrees(character: Character, qpos: np.ndarray, qvel: np.ndarray) -> np.ndarray:
    """Posecode degrees `[N, A]`."""
    return in_chunks(_measures(character)[0], qpos, qvel)


def _arm_bank(character: Character, rng: np.random.Generator) -> list[np.ndarray]:
    """Per arm attribute, left-arm hinges `[N, 4]` that show it when both arms do the same."""
    left, right = _hinges(character, "left_shoulder"), _hinges(character, "right_shoulder")
    left, right = np.append(left, left[-1] + 1), np.append(right, right[-1] + 1)
    low, high = character.joint_low[left], character.joint_high[left]
    angles = rng.uniform(low, high, (15 * CHUNK, 4)).astype(np.float32)
    straight = rng.random(len(angles)) < 0.35
    angles[straight, 3] *= 0.12
    qpos = np.tile(character.default_qpos, (len(angles), 1))
    qpos[:, 7 + left] = angles
    qpos[:, 7 + right] = angles * np.array([-1, 1, -1, 1], np.float32)
    names = (*ARM_PAIRS.values(), "hands_together", "arms_up_wide")
    columns = [attribute_names(character).index(name) for name in names]
    shows = pose_degrees(character, qpos, np.zeros((len(qpos), 34), np.float32))[:, columns] > 0.6
    return [angles[column] for column in shows.T if column.sum() >= 20]


def _draw(character: Character, num: int, rng: np.random.Generator, bank: list[np.ndarray]) -> np.ndarray:
    """`qpos [num, 35]`, feet not yet on the floor."""
    share = np.array([p.share for p in PROTOTYPES])
    chosen = rng.choice(len(PROTOTYPES), num, p=share / share.sum())
    table = np.array([[p.pitch, p.roll, p.abdomen, *p.left, *p.right] for p in PROTOTYPES], np.float32)[chosen]
    noise = np.array([p.noise for p in PROTOTYPES], np.float32)[chosen, None] * rng.uniform(0.2, 1.6, (num, 1))
    arms = np.array([np.nan if p.arms is None else p.arms for p in PROTOTYPES], np.float32)[chosen]
    soles = np.array([p.soles for p in PROTOTYPES])[chosen] & (rng.random(num) < 0.85)
    toes = np.array([p.toes for p in PROTOTYPES], np.float32)[chosen]

    hinges = np.zeros((num, character.action_dim), np.float32)
    left, right = _hinges(character, "left_hip"), _hinges(character, "right_hip")
    wobble = rng.normal(size=(num, 4)) * noise
    other = np.where(rng.random((num, 1)) < 0.5, wobble * [-1, 1, -1, 1], rng.normal(size=(num, 4)) * noise)
    hinges[:, np.append(left, left[-1] + 1)] = table[:, 3:7] + wobble
    hinges[:, np.append(right, right[-1] + 1)] = table[:, 7:11] + other
    pitch = table[:, 0] + rng.normal(size=num) * 0.6 * noise[:, 0]
    roll = table[:, 1] + rng.normal(size=num) * 0.3 * noise[:, 0]
    for hip in (left, right):
        level = -(pitch + hinges[:, hip[1]] + hinges[:, hip[2] + 1])
        hinges[:, hip[2] + 3] = np.where(soles, level, toes + rng.normal(size=num) * 6)
        hinges[:, hip[2] + 2] = np.where(soles, -hinges[:, hip[0]] - roll, 0.0)

    bend = rng.random((num, 3)) < [0.3, 0.35, 0.3]
    hinges[:, _hinges(character, "abdomen")] = rng.normal(size=(num, 3)) * np.where(bend, [22, 18, 28], 3.0)
    hinges[:, character.joint_names.index("abdomen_y")] += table[:, 2]
    look = rng.random((num, 3)) < 0.3
    hinges[:, _hinges(character, "neck")] = rng.normal(size=(num, 3)) * np.where(look, 28.0, 4.0)
    hinges = np.radians(hinges)

    shoulders = [
        np.append(_hinges(character, f"{s}_shoulder"), character.joint_names.index(f"{s}_elbow"))
        for s in ("left", "right")
    ]
    kinds = rng.integers(len(bank), size=(2, num))
    picks = [np.stack([bank[k][rng.integers(len(bank[k]))] for k in kind]) for kind in kinds]
    picks = [pick + rng.normal(size=pick.shape).astype(np.float32) * 0.08 for pick in picks]
    hanging = rng.normal(size=(num, 4)).astype(np.float32) * [0.12, 0.2, 0.2, 0.15] - [0, 0, 0, 0.15]
    how = rng.random(num)  # mirrored, hanging, one hanging, or each its own
    first = np.where((how[:, None] > 0.45) & (how[:, None] < 0.65), hanging, picks[0])
    second = np.select([how[:, None] < 0.45, how[:, None] < 0.85], [first, hanging], picks[1])
    bearing = ~np.isnan(arms) & (rng.random(num) < 0.8)
    support = np.stack([0 * arms, np.radians(np.nan_to_num(arms)), 0 * arms, 0 * arms - 0.1], axis=1)
    support = support + rng.normal(size=support.shape) * 0.12
    hinges[:, shoulders[0]] = np.where(bearing[:, None], support, first)
    hinges[:, shoulders[1]] = np.where(bearing[:, None], support, second) * [-1, 1, -1, 1]

    half_pitch, half_roll = np.radians(pitch) / 2, np.radians(roll) / 2
    quat = np.stack(
        [
            np.cos(half_pitch) * np.cos(half_roll),
            np.cos(half_pitch) * np.sin(half_roll),
            np.sin(half_pitch) * np.cos(half_roll),
            -np.sin(half_pitch) * np.sin(half_roll),
        ],
        axis=1,
    )
    hinges = hinges.clip(character.joint_low, character.joint_high)
    return np.concatenate([np.zeros((num, 3)), quat, hinges], axis=1).astype(np.float32)


def _velocities(num: int, rng: np.random.Generator) -> np.ndarray:
    """`qvel [num, 34]`: at rest, a tremble, or a movement of the root, the joints or both."""
    kind = rng.random((num, 1))
    root = rng.normal(size=(num, 3)) * [0.25, 0.2, 0.15]
    ways = np.array(
        [[1.1, 0, 0], [2.6, 0, 0], [-0.7, 0, 0], [0, 0.6, 0], [0, -0.6, 0], [0, 0, 0.8], [0, 0, -0.5], [0, 0, 0]]
    )
    root += ways[rng.integers(len(ways), size=num)] * rng.uniform(0.5, 1.4, (num, 1))
    turn = rng.normal(size=(num, 3)) * [0.3, 0.3, 0.3]
    turn[:, 2] += rng.choice([0, 0, 0, 1.2, -1.2, 3.5, -3.5], num) * rng.uniform(0.6, 1.4, num)
    joints = rng.normal(size=(num, 28)) * np.where(rng.random((num, 28)) < 0.4, 3.0, 0.5)
    moving = np.concatenate([root, turn, joints], axis=1)
    part = rng.random((num, 2)) < 0.7
    moving[:, :6] *= part[:, :1]
    moving[:, 6:] *= part[:, 1:]
    tremble = rng.normal(size=(num, 34)) * 0.1
    return np.where(kind < 0.3, 0.0, np.where(kind < 0.5, tremble, moving)).astype(np.float32)


def random_poses(character: Character, num: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """`qpos [num, 35]`, `qvel [num, 34]` within the joint limits; 6 % are in the air; half are mirrored."""
    rng = np.random.default_rng(seed)
    candidates = 4 * num
    qpos = _draw(character, candidates, rng, _arm_bank(character, rng))
    qpos[:, 2] -= in_chunks(_measures(character)[1], qpos)
    aloft = rng.random(candidates) < 0.06
    qpos[aloft, 2] += rng.uniform(0.08, 0.5, aloft.sum())
    qvel = _velocities(candidates, rng)
    shows = pose_degrees(character, qpos, qvel) > 0.5
    rarity = (shows / np.maximum(shows.mean(axis=0), 1e-3)).sum(axis=1) + 1.0
    keep = rng.choice(candidates, num, replace=False, p=rarity / rarity.sum())
    qpos, qvel = qpos[keep], qvel[keep]
    flipped = rng.random(num) < 0.5
    mirrored = mirror(character, qpos, qvel)
    return np.where(flipped[:, None], mirrored[0], qpos), np.where(flipped[:, None], mirrored[1], qvel)


def motion_poses(character: Character, motions: Sequence[Motion]) -> tuple[np.ndarray, np.ndarray]:
    """Every frame of the motions and its mirror image: `qpos [N, 35]`, `qvel [N, 34]`."""
    qpos = np.concatenate([m.qpos for m in motions]).astype(np.float32)
    qvel = np.concatenate([m.qvel for m in motions]).astype(np.float32)
    mirrored = mirror(character, qpos, qvel)
    return np.concatenate([qpos, mirrored[0]]), np.concatenate([qvel, mirrored[1]])
