"""A recorded movement on its own skeleton: what every importer returns and `retarget` reads.

Axes are already the humanoid's (z up, x forward, y left); lengths are still the file's. In the rest pose (all local
rotations identity) the figure stands facing +x, so a body's world rotation says the same thing on every skeleton.
"""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.interpolate import CubicSpline
from scipy.spatial.transform import Rotation, Slerp

from anyskill_brax.types import UserError

_SIDED = {
    "upper_arm": ("humerus", "Arm", "UpArm", "UpperArm", "Shoulder"),
    "lower_arm": ("radius", "ForeArm", "LowArm", "LowerArm", "Elbow"),
    "hand": ("wrist", "Hand", "Wrist"),
    "thigh": ("femur", "UpLeg", "Thigh", "UpperLeg", "Hip"),
    "shin": ("tibia", "Leg", "LowLeg", "LowerLeg", "Shin", "Knee"),
    "foot": ("foot", "Foot", "Ankle"),
}
JOINT_ALIASES: dict[str, tuple[str, ...]] = {
    "pelvis": ("pelvis", "Hips", "root", "Hip"),
    # The bone that carries the shoulders: the last of the spine.
    "torso": (
        "torso",
        "thorax",
        "Spine3",
        "Spine2",
        "Spine1",
        "Chest4",
        "Chest3",
        "Chest2",
        "UpperChest",
        "Chest",
        "Spine",
    ),
    "head": ("head", "Head"),
    **{
        f"{side}_{body}": (f"{side}_{body}", *(f"{mark}{word}" for word in words for mark in (side.title(), side[0])))
        for side in ("right", "left")
        for body, words in _SIDED.items()
    },
}
"""Humanoid body -> names its joint has in files, best first (LeftShoulder is a collar where there is a LeftArm, else
the shoulder). Case, '_' and anything up to a ':' do not count."""


@dataclass(frozen=True, eq=False)
class SourceMotion:
    """Joint angles over time of one figure. `Jn` joints, parents before children."""

    name: str
    fps: float
    joints: tuple[str, ...]
    parents: np.ndarray  # [Jn] int, -1 for the root
    offsets: np.ndarray  # [Jn, 3] in the parent's frame, the file's length unit
    root_pos: np.ndarray  # [F, 3]
    local_rot: np.ndarray  # [F, Jn, 4] wxyz, relative to the parent
    same_skeleton: bool = False  # joints and lengths are the humanoid's own, so rotations carry over one to one

    @property
    def num_frames(self) -> int:
        return len(self.root_pos)

    @property
    def duration(self) -> float:
        """From the first frame to the last [s]."""
        return (self.num_frames - 1) / self.fps

    def forward_kinematics(self) -> tuple[np.ndarray, np.ndarray]:
        """World positions `[F, Jn, 3]` and rotations `[F, Jn, 4]` of every joint."""
        pos = np.empty((*self.local_rot.shape[:2], 3))
        rot: list[Rotation] = []
        for joint, parent in enumerate(self.parents):
            local = Rotation.from_quat(self.local_rot[:, joint], scalar_first=True)
            rot.append(local if parent < 0 else rot[parent] * local)
            pos[:, joint] = self.root_pos if parent < 0 else pos[:, parent] + rot[parent].apply(self.offsets[joint])
        return pos, np.stack([r.as_quat(scalar_first=True) for r in rot], axis=1)

    def joint_of(self, body: str) -> int:
        """Index of the joint that moves a humanoid body."""
        return find_joint(self.name, self.joints, body)

    def window(self, start: float = 0.0, end: float | None = None) -> "SourceMotion":
        """The frames with `start <= t < end` [s]."""
        first = round(start * self.fps)
        last = self.num_frames if end is None else min(round(end * self.fps), self.num_frames)
        if not 0 <= first < last - 1:
            raise UserError(f"{self.name}: no frames in [{start}, {end}] s; the motion lasts {self.duration:.2f} s")
        return dataclasses.replace(self, root_pos=self.root_pos[first:last], local_rot=self.local_rot[first:last])

    def resample(self, fps: float) -> "SourceMotion":
        """The same movement at another rate: root on a cubic through the frames, joints along great circles."""
        times = np.arange(self.num_frames) / self.fps
        return self._at(times, np.arange(int(self.duration * fps + 1e-6) + 1) / fps, fps)

    def _at(self, times: np.ndarray, wanted: np.ndarray, fps: float) -> "SourceMotion":
        wanted = np.clip(wanted, times[0], times[-1])
        turns = [
            Slerp(times, Rotation.from_quat(quats, scalar_first=True))(wanted).as_quat(scalar_first=True)
            for quats in self.local_rot.swapaxes(0, 1)
        ]
        root = CubicSpline(times, self.root_pos)(wanted)
        return dataclasses.replace(self, fps=fps, root_pos=root, local_rot=np.stack(turns, axis=1))

    def retimed(self, times: np.ndarray, fps: float) -> "SourceMotion":
        """Frames that were taken at `times [F]` [s], brought to a constant rate."""
        span = times[-1] - times[0]
        return self._at(times, times[0] + np.arange(int(span * fps + 1e-6) + 1) / fps, fps)


def find_joint(path: str, joints: Sequence[str], body: str) -> int:
    """Index of the joint that moves a humanoid body, by `JOINT_ALIASES`; `path` begins the message if there is none."""
    known = {_plain(joint): index for index, joint in reversed(list(enumerate(joints)))}
    for alias in JOINT_ALIASES[body]:
        if _plain(alias) in known:
            return known[_plain(alias)]
    raise UserError(
        f"{path}: no joint for {body!r}; expected one named {', '.join(JOINT_ALIASES[body])}; "
        f"the file has {', '.join(joints)}"
    )


def rest_positions(parents: Sequence[int] | np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """`[Jn, 3]` with every rotation zero and the root at the origin."""
    pos = np.zeros_like(offsets, dtype=np.float64)
    for joint, parent in enumerate(parents):
        if parent >= 0:
            pos[joint] = pos[parent] + offsets[joint]
    return pos


def standing_axes(path: str, joints: Sequence[str], rest_pos: np.ndarray) -> np.ndarray:
    """Rows forward, left, up `[3, 3]` of the file's axes, read off a figure standing at rest.

    `rest_pos [Jn, 3]`. Files do not say which way is up (z in some BVHs, y in most) nor where the figure faces.
    """
    landmarks = ("head", "left_thigh", "right_thigh", "left_foot", "right_foot")
    at = {body: rest_pos[find_joint(path, joints, body)] for body in landmarks}
    hips = 0.5 * (at["left_thigh"] + at["right_thigh"])
    up = _nearest_axis(at["head"] - 0.5 * (at["left_foot"] + at["right_foot"]))
    left = _nearest_axis(at["left_thigh"] - at["right_thigh"])
    if abs(up @ left) > 0.5 or up @ (at["head"] - hips) <= 0 or up @ (hips - at["left_foot"]) <= 0:
        raise UserError(
            f"{path}: the rest pose (all rotations zero) must be a standing figure, head over hips over feet, to tell "
            f"the axes; here the head is at {at['head'].round(2)}, a foot at {at['left_foot'].round(2)} from the hips' "
            f"{hips.round(2)}. Export it with a T-pose as rest pose"
        )
    return np.stack([np.cross(left, up), left, up])


def in_axes(axes: np.ndarray, local: Rotation) -> Rotation:
    """Rotations `[...]` given in the file's axes, seen in the humanoid's."""
    turn = Rotation.from_matrix(axes)
    return turn * local * turn.inv()


def _plain(name: str) -> str:
    return name.rsplit(":", 1)[-1].replace("_", "").lower()


def _nearest_axis(v: np.ndarray) -> np.ndarray:
    axis = np.zeros(3)
    axis[np.abs(v).argmax()] = np.sign(v[np.abs(v).argmax()])
    return axis
