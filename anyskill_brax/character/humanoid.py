"""The humanoid: one MJCF file read once into index tables, limits, gains and the action map."""

import functools
import hashlib
from dataclasses import dataclass
from importlib import resources

import mujoco
import numpy as np

CONTROL_DT = 1.0 / 30.0
"""Control step [s]."""
SUBSTEPS = 4
"""Simulation steps per control step (120 Hz)."""
LATENT_STEPS = 5
"""Control steps a latent is held (6 Hz)."""

KEY_BODIES = ("right_hand", "left_hand", "right_foot", "left_foot")
FEET = ("right_foot", "left_foot")


@dataclass(frozen=True, eq=False)
class Character:
    """What the rest of the code needs to know of the MJCF; plain numpy, hashable by `sha256`.

    Bodies are counted without the world, so `pelvis` is 0 and B = 15. J = 28 hinges in MJCF order, which is also
    the order of actuators, of `qpos[7:]`, of `qvel[6:]` and of actions.
    """

    sha256: str
    xml: str
    model: mujoco.MjModel
    body_names: tuple[str, ...]
    joint_names: tuple[str, ...]
    parents: np.ndarray  # [B] int, -1 for the pelvis
    offsets: np.ndarray  # [B, 3] in the parent's frame [m]
    body_hinges: tuple[tuple[int, ...], ...]  # per body, its hinges' indices into [J]; (), one (y) or three (x y z)
    joint_low: np.ndarray  # [J] [rad]
    joint_high: np.ndarray  # [J] [rad]
    kp: np.ndarray  # [J] [Nm/rad]
    kd: np.ndarray  # [J] [Nm s/rad]
    torque_limit: np.ndarray  # [J] [Nm]
    action_offset: np.ndarray  # [J] PD target at action 0 [rad]
    action_scale: np.ndarray  # [J] PD target per unit action [rad]
    default_qpos: np.ndarray  # [35] standing
    key_bodies: np.ndarray  # [K] body indices: hands, feet
    feet: np.ndarray  # [2] body indices: right, left
    geom_body: np.ndarray  # [G] body of each geom (floor excluded)
    geom_points: np.ndarray  # [G, P, 3] in the body frame: the points whose lowest z, minus radius, is the geom's
    geom_radius: np.ndarray  # [G] [m]

    def __hash__(self) -> int:
        return hash(self.sha256)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Character) and other.sha256 == self.sha256

    @property
    def num_bodies(self) -> int:
        return len(self.body_names)

    @property
    def action_dim(self) -> int:
        return len(self.joint_names)

    def body(self, name: str) -> int:
        """Index of a body by name; KeyError names what exists."""
        if name not in self.body_names:
            raise KeyError(f"no body {name!r}; the character has {', '.join(self.body_names)}")
        return self.body_names.index(name)

    @property
    def mass(self) -> float:
        """Of all bodies [kg]."""
        return float(self.model.body_mass.sum())

    @property
    def standing_head(self) -> float:
        """Height of the head's origin in the default pose, whose hinges are all at zero [m]."""
        height, body = float(self.default_qpos[2]), self.body("head")
        while body > 0:
            height, body = height + float(self.offsets[body, 2]), int(self.parents[body])
        return height

    def pd_target(self, action):
        """Action in [-1, 1]^J -> PD target [rad] (`action` is clipped)."""
        return self.action_offset + self.action_scale * action.clip(-1.0, 1.0)

    def action_for(self, target):
        """The action whose PD target is `target` [rad]; the inverse of `pd_target`, not clipped."""
        return (target - self.action_offset) / self.action_scale


def _geom_table(model: mujoco.MjModel) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Each geom as points swept by a radius: a sphere is one, a capsule two, a box its eight corners (radius 0)."""
    bodies, points, radii = [], [], []
    for g in range(model.ngeom):
        if model.geom_bodyid[g] == 0:
            continue
        rotation = np.zeros(9)
        mujoco.mju_quat2Mat(rotation, model.geom_quat[g])
        rotation, size = rotation.reshape(3, 3), model.geom_size[g]
        kind = model.geom_type[g]
        if kind == mujoco.mjtGeom.mjGEOM_SPHERE:
            local, radius = np.zeros((1, 3)), size[0]
        elif kind == mujoco.mjtGeom.mjGEOM_CAPSULE:
            local, radius = np.array([[0, 0, size[1]], [0, 0, -size[1]]]), size[0]
        elif kind == mujoco.mjtGeom.mjGEOM_BOX:
            local = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)]) * size
            radius = 0.0
        else:
            raise ValueError(f"geom {g}: spheres, capsules and boxes are understood, not type {kind}")
        local = model.geom_pos[g] + local @ rotation.T
        points.append(local[np.arange(8) % len(local)])
        bodies.append(model.geom_bodyid[g] - 1)
        radii.append(radius)
    return np.array(bodies), np.array(points, np.float32), np.array(radii, np.float32)


@functools.cache
def load_character() -> Character:
    """The packaged humanoid (28 DoF, 15 bodies, 48.9 kg, 1.62 m)."""
    xml = (resources.files("anyskill_brax.character") / "humanoid.xml").read_text()
    model = mujoco.MjModel.from_xml_string(xml)
    bodies = tuple(model.body(i).name for i in range(1, model.nbody))
    joints = tuple(model.joint(i).name for i in range(1, model.njnt))
    low, high = model.jnt_range[1:].T
    hinges = tuple(
        tuple(int(j) - 1 for j in np.flatnonzero(model.jnt_bodyid == b + 1) if j > 0) for b in range(len(bodies))
    )
    single = np.array([sum(joint in own for own in hinges if len(own) == 1) > 0 for joint in range(len(joints))])
    geom_body, geom_points, geom_radius = _geom_table(model)
    return Character(
        sha256=hashlib.sha256(xml.encode()).hexdigest(),
        xml=xml,
        model=model,
        body_names=bodies,
        joint_names=joints,
        parents=model.body_parentid[1:] - 1,
        offsets=np.concatenate([np.zeros((1, 3)), model.body_pos[2:]]).astype(np.float32),
        body_hinges=hinges,
        joint_low=low.astype(np.float32),
        joint_high=high.astype(np.float32),
        kp=model.actuator_gainprm[:, 0].astype(np.float32),
        kd=model.dof_damping[6:].astype(np.float32),
        torque_limit=model.actuator_forcerange[:, 1].astype(np.float32),
        # ASE's action map on hinges: 1-DoF joints mid-range +- 0.7 range, others 0 +- min(1.2 max|limit|, pi).
        action_offset=np.where(single, 0.5 * (low + high), 0.0).astype(np.float32),
        action_scale=np.where(
            single, 0.7 * (high - low), np.minimum(1.2 * np.maximum(abs(low), abs(high)), np.pi)
        ).astype(np.float32),
        default_qpos=model.qpos0.astype(np.float32),
        key_bodies=np.array([bodies.index(n) for n in KEY_BODIES]),
        feet=np.array([bodies.index(n) for n in FEET]),
        geom_body=geom_body,
        geom_points=geom_points,
        geom_radius=geom_radius,
    )
