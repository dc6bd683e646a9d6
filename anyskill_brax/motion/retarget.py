"""A movement recorded on any skeleton -> the humanoid's poses at 30 fps, on the floor, heading +x.

docs/decisions/0005-retargeting.md says why the solve is over whole clips.
"""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
from scipy.ndimage import gaussian_filter1d, maximum_filter1d
from scipy.spatial.transform import Rotation

from anyskill_brax.character.humanoid import Character
from anyskill_brax.character.kinematics import forward_kinematics, lowest_points
from anyskill_brax.motion.hinges import hinge_angles, limb_rotations
from anyskill_brax.motion.io import Motion, motion_from_qpos
from anyskill_brax.motion.skeleton import SourceMotion, rest_positions
from anyskill_brax.motion.trajectory import CHUNK, Targets, solve_trajectory
from anyskill_brax.types import UserError

SOLVE_FPS = 60.0
ROT_WEIGHT = {"pelvis": 1.0, "torso": 0.7, "head": 0.5, "right_foot": 0.7, "left_foot": 0.7}
"""Which orientations carry over from another skeleton. Limbs carry directions only: their roll has no common zero."""
FOOT_WEIGHT, PELVIS_WEIGHT = 20.0, 3.0
"""On positions, per [m]."""
LIMBS = tuple(f"{side}_{body}" for side in ("right", "left") for body in ("lower_arm", "hand", "shin", "foot"))
"""Bodies whose bone from the parent keeps its direction."""
FEET = ("right_foot", "left_foot")


def retarget(character: Character, source: SourceMotion, /, **labels) -> Motion:
    """The movement as the humanoid's own, 30 fps; `labels` are `Motion`'s (captions, category, weight, ...)."""
    if source.duration < 4 / SOLVE_FPS:
        raise UserError(f"{source.name}: too short to retarget, {source.num_frames} frames at {source.fps:g} fps")
    source = source.resample(SOLVE_FPS)
    targets, guess = _own_skeleton(character, source) if source.same_skeleton else _other_skeleton(character, source)
    excess = guess[:, 7:] - np.clip(guess[:, 7:], character.joint_low, character.joint_high)
    if not source.same_skeleton or np.abs(excess).max() > 1e-4:
        guess = solve_trajectory(character, guess, targets)
    qpos = heading_forward(on_floor(character, guess))
    name = labels.pop("name", source.name)
    motion = motion_from_qpos(character, name, SOLVE_FPS, qpos, **labels)
    # Velocities were differenced at 60 fps; every other frame is kept.
    halved = {key: getattr(motion, key)[::2] for key in ("qpos", "qvel", "contact")}
    return dataclasses.replace(motion, fps=SOLVE_FPS / 2, **halved)


def _own_skeleton(character: Character, source: SourceMotion) -> tuple[Targets, np.ndarray]:
    """The file is on the humanoid's skeleton: its rotations are hinge angles, but for those out of range."""
    pos, rot = source.forward_kinematics()
    moves = np.array([len(hinges) > 0 for hinges in character.body_hinges])
    moves[0] = True
    pos_weight = np.zeros(character.num_bodies)
    pos_weight[[0, *character.feet]] = PELVIS_WEIGHT, FOOT_WEIGHT, FOOT_WEIGHT
    targets = Targets(
        rot=np.asarray(rot, np.float32),
        bone_dir=np.zeros_like(pos, np.float32),
        pos=np.asarray(pos, np.float32),
        rot_weight=moves.astype(np.float32),
        dir_weight=np.zeros(character.num_bodies, np.float32),
        pos_weight=pos_weight.astype(np.float32),
    )
    return targets, np.concatenate([source.root_pos, rot[:, 0], hinge_angles(character, source.local_rot)], axis=1)


def _other_skeleton(character: Character, source: SourceMotion) -> tuple[Targets, np.ndarray]:
    """Bone directions, some orientations and scaled foot positions; lengths are scaled by the legs'."""
    joint = np.array([source.joint_of(body) for body in character.body_names])
    pos, rot = source.forward_kinematics()
    back = _mean_rotation(rot[:, _chain(source, joint[1], joint[0])])
    pos, rot = pos[:, joint], rot[:, joint]
    body = character.body
    rot[:, body("torso")] = back  # one piece does what several vertebrae did
    rest = rest_positions(source.parents, source.offsets)[joint]
    for side in ("right", "left"):
        # A foot at rest is square to its shin; where legs stand splayed (CMU: 20 degrees), so do the soles.
        shin = rest[body(f"{side}_foot")] - rest[body(f"{side}_shin")]
        splay = Rotation.from_rotvec([np.arctan2(shin[1], -shin[2]), 0.0, 0.0])
        foot = Rotation.from_quat(rot[:, body(f"{side}_foot")], scalar_first=True)
        rot[:, body(f"{side}_foot")] = (foot * splay).as_quat(scalar_first=True)
    pos[:, 0] = 0.5 * (pos[:, body("right_thigh")] + pos[:, body("left_thigh")])
    bones = pos - pos[:, np.maximum(character.parents, 0)]
    lengths = np.linalg.norm(bones, axis=-1)
    legs = [body(f"{side}_{part}") for side in ("right", "left") for part in ("shin", "foot")]
    if lengths[:, [body(limb) for limb in LIMBS]].min() < 1e-6:
        raise UserError(f"{source.name}: a limb of length 0; expected a skeleton with upper and lower arms and legs")
    scale = np.linalg.norm(character.offsets[legs], axis=-1).sum() / lengths[:, legs].mean(axis=0).sum()

    directions = np.zeros_like(bones)
    for limb in LIMBS:
        directions[:, body(limb)] = bones[:, body(limb)] / lengths[:, body(limb), None]
    weight = {key: np.zeros(character.num_bodies, np.float32) for key in ("rot", "dir", "pos")}
    weight["dir"][[body(limb) for limb in LIMBS]] = 1.0
    weight["pos"][[0, *character.feet]] = PELVIS_WEIGHT, FOOT_WEIGHT, FOOT_WEIGHT
    for name, value in ROT_WEIGHT.items():
        weight["rot"][body(name)] = value
    targets = Targets(
        rot=np.asarray(rot, np.float32),
        bone_dir=directions.astype(np.float32),
        pos=(scale * pos).astype(np.float32),
        rot_weight=weight["rot"],
        dir_weight=weight["dir"],
        pos_weight=weight["pos"],
    )
    return targets, _guess(character, rot, directions, scale * pos[:, 0])


def _chain(source: SourceMotion, joint: int, ancestor: int) -> list[int]:
    """The joints from `joint` up to, but not including, `ancestor`."""
    chain = [joint]
    while source.parents[chain[-1]] not in (ancestor, -1):
        chain.append(int(source.parents[chain[-1]]))
    return chain


def _mean_rotation(quats: np.ndarray) -> np.ndarray:
    """`[F, N, 4]` neighbouring rotations -> their mean `[F, 4]`."""
    aligned = quats * np.sign(np.sum(quats * quats[:, :1], axis=-1, keepdims=True))
    mean = aligned.sum(axis=1)
    return mean / np.linalg.norm(mean, axis=-1, keepdims=True)


def _guess(character: Character, rot: np.ndarray, directions: np.ndarray, root_pos: np.ndarray) -> np.ndarray:
    """Poses `[F, 35]` by geometry: limbs from their two directions, the rest from its orientation; clipped to range."""
    body = character.body
    world = rot.copy()
    for side in ("right", "left"):
        for upper, lower, end, forward in (("upper_arm", "lower_arm", "hand", True), ("thigh", "shin", "foot", False)):
            first, second = directions[:, body(f"{side}_{lower}")], directions[:, body(f"{side}_{end}")]
            turn = limb_rotations(first, second, forward, smooth_frames=round(0.25 * SOLVE_FPS))
            bend = np.arccos(np.clip(np.sum(first * second, axis=-1), -1, 1)) * (-1.0 if forward else 1.0)
            upper_rot = Rotation.from_quat(turn, scalar_first=True)
            lower_rot = upper_rot * Rotation.from_rotvec(bend[:, None] * [0.0, 1.0, 0.0])
            world[:, body(f"{side}_{upper}")] = turn
            world[:, body(f"{side}_{lower}")] = lower_rot.as_quat(scalar_first=True)
    every = Rotation.from_quat(world.reshape(-1, 4), scalar_first=True)
    parent = world[:, np.maximum(character.parents, 0)].reshape(-1, 4)
    local = (
        (Rotation.from_quat(parent, scalar_first=True).inv() * every).as_quat(scalar_first=True).reshape(world.shape)
    )
    hinges = np.clip(hinge_angles(character, local), character.joint_low, character.joint_high)
    return np.concatenate([root_pos, rot[:, 0], hinges], axis=1)


@functools.partial(jax.jit, static_argnums=0)
def _lowest(character: Character, qpos: jax.Array) -> jax.Array:
    """Height of the humanoid's lowest point in poses `[CHUNK, 35]` -> `[CHUNK]` [m]."""
    bodies = forward_kinematics(character, qpos, jnp.zeros((len(qpos), 34)))
    return lowest_points(character, bodies).min(axis=-1)


def on_floor(character: Character, qpos: np.ndarray) -> np.ndarray:
    """Poses `[F, 35]` moved vertically: planted feet at height 0, and what still sinks in lifted smoothly."""
    rows = np.arange(-(-len(qpos) // CHUNK) * CHUNK).clip(max=len(qpos) - 1).reshape(-1, CHUNK)
    lowest = np.concatenate([_lowest(character, np.float32(qpos[chunk])) for chunk in rows])[: len(qpos)]
    height = lowest - np.percentile(lowest, 10.0)
    reach = round(0.1 * SOLVE_FPS)
    lift = gaussian_filter1d(maximum_filter1d(np.maximum(-height, 0), 2 * reach + 1), 0.5 * reach)
    out = qpos.copy()
    out[:, 2] += height - lowest + lift
    return out


def heading_forward(qpos: np.ndarray) -> np.ndarray:
    """Poses `[F, 35]` turned and shifted about the vertical: the first is at x = y = 0 and heads +x."""
    root = Rotation.from_quat(qpos[:, 3:7], scalar_first=True)
    forward = root[0].apply([1.0, 0.0, 0.0])
    turn = Rotation.from_euler("z", -np.arctan2(forward[1], forward[0]))
    out = qpos.copy()
    out[:, :3] = turn.apply(qpos[:, :3] - [*qpos[0, :2], 0.0])
    out[:, 3:7] = (turn * root).as_quat(scalar_first=True)
    return out
