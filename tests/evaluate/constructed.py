"""Poses and movements made by hand, for what the built-in motions do not show."""

import itertools

import numpy as np

from anyskill_brax.character.humanoid import Character
from anyskill_brax.character.kinematics import lowest_points
from anyskill_brax.motion.io import motion_bodies

FPS = 30.0


def pose(character: Character, pitch: float = 0.0, roll: float = 0.0, **hinges: float) -> np.ndarray:
    """`qpos [35]` with the lowest point on the floor; every number in degrees, hinges by their names."""
    qpos = np.array(character.default_qpos, np.float64)
    for name, angle in hinges.items():
        qpos[7 + character.joint_names.index(name)] = np.radians(angle)
    p, r = np.radians(pitch) / 2, np.radians(roll) / 2
    qpos[3:7] = [np.cos(p) * np.cos(r), np.cos(p) * np.sin(r), np.sin(p) * np.cos(r), -np.sin(p) * np.sin(r)]
    bodies, _ = motion_bodies(character, qpos[None], np.zeros((1, 34)))
    qpos[2] -= np.asarray(lowest_points(character, bodies)).min()
    return qpos


def through(*keys: np.ndarray, move: float = 0.6, stay: float = 1.4) -> np.ndarray:
    """Stay in each pose, move to the next: `qpos [F, 35]` at 30 Hz."""
    frames = [np.repeat(keys[0][None], round(stay * FPS), axis=0)]
    for one, other in itertools.pairwise(keys):
        part = np.linspace(0, 1, round(move * FPS))[:, None]
        frames += [one + part * (other - one), np.repeat(other[None], round(stay * FPS), axis=0)]
    out = np.concatenate(frames)
    out[:, 3:7] /= np.linalg.norm(out[:, 3:7], axis=1, keepdims=True)
    return out


def both(**hinges: float) -> dict[str, float]:
    """Hinges of both sides from one: x and z change sign on the right."""
    out = {}
    for name, angle in hinges.items():
        out[f"left_{name}"] = angle
        out[f"right_{name}"] = -angle if name.endswith(("_x", "_z")) else angle
    return out


SQUAT = both(hip_y=-110, knee=130, ankle_y=-20)
ALL_FOURS = dict(pitch=80, **both(shoulder_y=-80, hip_y=-80, knee=85, ankle_y=40))
TOES = dict(pitch=85, abdomen_y=70, **both(hip_y=-85, shoulder_y=-115))


def held(character: Character) -> dict[str, np.ndarray]:
    """Name -> standing, the pose, standing."""
    poses = {
        "arms back": both(shoulder_y=55),
        "left arm back": dict(left_shoulder_y=55),
        "left arm across": dict(left_shoulder_y=-25, left_shoulder_z=-70, left_elbow=-80),
        "feet together": both(hip_x=-4),
        "legs crossed": both(hip_x=-14),
        "left leg forward": dict(left_hip_y=-60),
        "head to the left shoulder": dict(neck_x=-35),
        "left hand behind back": dict(left_shoulder_y=40, left_shoulder_z=-80, left_elbow=-70),
        "left hand on the hip": dict(left_shoulder_x=32, left_shoulder_y=9, left_shoulder_z=-65, left_elbow=-77),
        "hands at the face": both(shoulder_x=28, shoulder_y=-73, elbow=-115),
        "left hand on the knee": dict(left_hip_y=-90, left_knee=90, left_shoulder_y=-35, left_elbow=-25),
        "legs out": both(hip_y=-90, shoulder_y=-60),
        "touching toes": TOES,
        "on the back": dict(pitch=-90),
        "on the front": dict(pitch=90),
        "on the left side": dict(roll=-90),
        "all fours": ALL_FOURS,
        "plank": dict(pitch=72, **both(shoulder_y=-75)),
        "left hand on the floor": dict(SQUAT, abdomen_y=60, left_shoulder_y=-40, right_shoulder_y=30),
    }
    stand = pose(character)
    return {name: through(stand, pose(character, **angles), stand) for name, angles in poses.items()}


def moving(character: Character) -> dict[str, np.ndarray]:
    """Name -> a movement."""
    stand, down = pose(character), pose(character, **SQUAT)
    seconds = np.arange(0, 4, 1 / FPS)
    spin = np.repeat(stand[None], len(seconds), axis=0)
    spin[:, 3], spin[:, 6] = np.cos(1.2 * seconds), np.sin(1.2 * seconds)
    crawl = np.repeat(pose(character, **ALL_FOURS)[None], len(seconds), axis=0)
    crawl[:, 0] += 0.4 * seconds
    hop = np.repeat(pose(character, left_hip_y=-20, left_knee=90)[None], len(seconds), axis=0)
    hop[:, 2] += np.maximum(0.0, 0.12 * np.sin(2 * np.pi * seconds))
    high = pose(character, **both(shoulder_y=-170))
    return {
        "spin": spin,
        "crawl": crawl,
        "hop": hop,
        "lift overhead": through(stand, pose(character, **TOES), high),
        "a fall": through(stand, pose(character, pitch=90), move=0.3),
        "down and up": through(stand, down, stand),
    }
