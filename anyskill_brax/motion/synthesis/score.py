"""A score: what a movement asks for, written as curves and steps, and its realisation as whole-body poses."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy.ndimage import gaussian_filter1d, maximum_filter1d
from scipy.spatial.transform import Rotation

from anyskill_brax.character.humanoid import Character
from anyskill_brax.motion.io import motion_bodies
from anyskill_brax.motion.synthesis.curves import Key, curve
from anyskill_brax.motion.synthesis.footsteps import GRAVITY, Foot, Place, Step, foot_track, pendulum, pressure_point
from anyskill_brax.motion.synthesis.ik import leg, solve_limb

STAND_HEIGHT = 0.868
"""Pelvis height of an easy stand, knees bent by some 20 degrees [m]."""
FEET: tuple[Place, Place] = ((0.0, -0.09, -0.07), (0.0, 0.09, 0.07))
SIDES = ("right", "left")

Pose = dict[str, float]
"""Channel -> value. Channels: the hinges above the hips by name [rad]; the pelvis `height` [m], `pitch`, `roll`, `turn`
[rad] (turn: away from the feet's mean heading); `right_heel`, `left_heel`: a standing foot's rise onto its toes [rad];
`lean_x`, `lean_y`: the pressure point's shift [m]; and `root_x`, `root_y` [m], which replace balance to the part `held`
(0..1) where the body rests on more than its feet."""


def arms(side: str, forward=0.0, out=6.0, twist=0.0, bend=15.0) -> Pose:
    """One arm's hinges from degrees; `forward` and `out` raise it from hanging. `side` "both" makes the two alike."""
    pose = {}
    for name, sign in (("right", -1.0), ("left", 1.0)):
        if side in (name, "both"):
            pose[f"{name}_shoulder_x"] = np.radians(sign * out)
            pose[f"{name}_shoulder_y"] = np.radians(-forward)
            pose[f"{name}_shoulder_z"] = np.radians(sign * twist)
            pose[f"{name}_elbow"] = np.radians(-bend)
    return pose


def trunk(bend=0.0, side=0.0, twist=0.0) -> Pose:
    """Spine hinges from degrees: bend forward, to the right, twist to the left."""
    return dict(zip(("abdomen_y", "abdomen_x", "abdomen_z"), np.radians([bend, side, twist])))


def head(nod=0.0, tilt=0.0, turn=0.0) -> Pose:
    """Neck hinges from degrees: nod down, tilt to the right, turn to the left."""
    return dict(zip(("neck_y", "neck_x", "neck_z"), np.radians([nod, tilt, turn])))


def tiptoes(angle: float) -> Pose:
    """Both heels off the floor [rad]."""
    return {"right_heel": angle, "left_heel": angle}


STAND: Pose = {**arms("both"), **trunk(), **head(), "height": STAND_HEIGHT, "pitch": 0.02, "roll": 0.0, "turn": 0.0}
STAND |= {"right_heel": 0.0, "left_heel": 0.0, "lean_x": 0.0, "lean_y": 0.0, "held": 0.0, "root_x": 0.0, "root_y": 0.0}


@dataclass
class Score:
    """A movement being written down: every channel starts at the stand and moves when told to."""

    duration: float  # [s]
    feet: tuple[Place, Place] = FEET
    arm_swing: float = 0.0  # shoulder angle per metre between the feet [rad/m]
    flow: float = 0.0  # how far the weight's shifts are smoothed out, as in walking [s]
    steps: list[Step] = field(default_factory=list)
    keys: dict[str, list[Key]] = field(default_factory=lambda: {name: [(0.0, v)] for name, v in STAND.items()})

    def move(self, start: float, end: float, *poses: Pose, **channels: float) -> None:
        """From wherever each channel is, to its new value, between `start` and `end` [s]; there it stays."""
        for pose in (*poses, channels):
            for name, value in pose.items():
                track = self.keys[name]
                if track[-1][0] < start:
                    track.append((start, track[-1][1]))
                track.append((end, float(value)))

    def through(self, name: str, keys: Sequence[Key]) -> None:
        """Let a channel run through `keys`, after those it has."""
        self.keys[name] += keys

    def relax(self, start: float, end: float, *names: str) -> None:
        """Return the named channels, or all but the lasting ones, to the stand."""
        self.move(start, end, {n: STAND[n] for n in (names or self.keys) if not n.startswith("root")})


def realise(character: Character, score: Score, fps: float) -> np.ndarray:
    """Poses `[F, 35]` of a score: feet where its steps put them, the centre of mass where balance wants it.

    The pelvis is moved until the body's centre of mass (FK, body masses) follows the pendulum's solution; legs by
    closed-form IK; the pelvis sinks where a standing leg would be too short.
    """
    times = np.arange(round(score.duration * fps) + 1) / fps
    value = {name: curve(times, keys) for name, keys in score.keys.items()}
    feet = [
        foot_track(times, score.feet[i], [s for s in score.steps if s.side == i], value[f"{SIDES[i]}_heel"])
        for i in range(2)
    ]
    heading = 0.5 * (feet[0].yaw + feet[1].yaw)
    swing = _feet_apart(feet, heading) * score.arm_swing
    value["right_shoulder_y"] = value["right_shoulder_y"] - swing
    value["left_shoulder_y"] = value["left_shoulder_y"] + swing
    for side in SIDES:
        value[f"{side}_elbow"] = value[f"{side}_elbow"] - 0.4 * np.abs(swing)

    ahead, aside = value["lean_x"], value["lean_y"]
    cos, sin = np.cos(heading), np.sin(heading)
    pressure = pressure_point(times, *feet) + np.stack([cos * ahead - sin * aside, sin * ahead + cos * aside], axis=1)
    if score.flow:
        pressure = gaussian_filter1d(pressure, score.flow * fps, axis=0, mode="nearest")
    lift = np.gradient(np.gradient(value["height"], 1 / fps), 1 / fps)
    stiffness = np.maximum(GRAVITY + lift, 0.0) / np.maximum(value["height"] + 0.08, 0.3)
    balanced = pendulum(pressure, stiffness, 1 / fps)

    turned = np.stack([heading + value["turn"], value["pitch"], value["roll"]], axis=1)
    rot = Rotation.from_euler("ZYX", turned)
    held, prescribed = value["held"][:, None], np.stack([value["root_x"], value["root_y"]], axis=1)
    hinges = np.stack([value.get(name, np.zeros(len(times))) for name in character.joint_names], axis=1)
    mass = character.model.body_mass[1:] / character.model.body_mass.sum()
    place = balanced.copy()
    for _ in range(6):
        root = np.concatenate([(1 - held) * place + held * prescribed, value["height"][:, None]], axis=1)
        root[:, 2] -= _shortfall(character, root, rot, feet)
        for side, foot in zip(SIDES, feet):
            hinges[:, list(_leg_hinges(character, side))] = _leg_angles(character, side, root, rot, turned[:, 0], foot)
        qpos = np.concatenate([root, rot.as_quat(scalar_first=True), hinges], axis=1)
        bodies, _ = motion_bodies(character, qpos, np.zeros((len(qpos), 34)))
        centres = np.asarray(bodies.pos) + _rotate(np.asarray(bodies.rot), character.model.body_ipos[1:])
        place = place + balanced - np.einsum("b,fbi->fi", mass, centres)[:, :2]
    qpos[:, 7:] = np.clip(qpos[:, 7:], character.joint_low, character.joint_high)
    return qpos


def _feet_apart(feet: list[Foot], heading: np.ndarray) -> np.ndarray:
    """How far the left ankle is in front of the right `[F]` [m]."""
    apart = feet[1].ankle - feet[0].ankle
    return np.cos(heading) * apart[:, 0] + np.sin(heading) * apart[:, 1]


def _shortfall(character: Character, root: np.ndarray, rot: Rotation, feet: list[Foot]) -> np.ndarray:
    """How much lower the pelvis must be for both standing feet to be in reach `[F]` [m], smooth in time."""
    short = np.zeros(len(root))
    for side, foot in zip(SIDES, feet):
        own = leg(character, side)
        hip = root + rot.apply(own.offset)
        across = np.linalg.norm(hip[:, :2] - foot.ankle[:, :2], axis=1)
        highest = foot.ankle[:, 2] + np.sqrt(np.maximum(own.reach**2 - across**2, 0.05))
        short = np.maximum(short, np.where(foot.grounded, hip[:, 2] - highest, 0.0))
    return gaussian_filter1d(maximum_filter1d(short, 9), 1.6, truncate=2.5)


def _leg_hinges(character: Character, side: str) -> tuple[int, ...]:
    return leg(character, side).hinges + character.body_hinges[character.body(f"{side}_foot")]


def _leg_angles(
    character: Character, side: str, root: np.ndarray, rot: Rotation, yaw: np.ndarray, foot: Foot
) -> np.ndarray:
    """Hip x y z, knee, ankle x y z `[F, 7]` that put the foot where it belongs."""
    own = leg(character, side)
    target = rot.inv().apply(foot.ankle - root) - own.offset
    z = own.hinges[2]
    twist = np.clip((foot.yaw - yaw + np.pi) % (2 * np.pi) - np.pi, character.joint_low[z], character.joint_high[z])
    a, b, c, knee = solve_limb(own, target, twist, bend_sign=1)
    shin = rot * Rotation.from_euler("XYZ", np.stack([a, b, c], axis=1)) * Rotation.from_euler("Y", knee[:, None])
    return np.column_stack([a, b, c, knee, (shin.inv() * foot.rot).as_euler("XYZ")])


def _rotate(quat: np.ndarray, vector: np.ndarray) -> np.ndarray:
    """`vector [B, 3]` turned by `quat [F, B, 4]` wxyz."""
    w, u = quat[..., :1], quat[..., 1:]
    t = 2 * np.cross(u, vector)
    return vector + w * t + np.cross(u, t)
