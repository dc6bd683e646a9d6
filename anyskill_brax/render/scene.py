"""What the renderer draws, as data: a table of primitives riding on bodies, and the look of it all."""

from dataclasses import dataclass, replace

import mujoco
import numpy as np

from anyskill_brax.character.humanoid import Character
from anyskill_brax.types import UserError

_GEOM = mujoco.mjtGeom
PLANE, SPHERE, CAPSULE, ELLIPSOID, CYLINDER, BOX = (
    int(k)
    for k in (
        _GEOM.mjGEOM_PLANE,
        _GEOM.mjGEOM_SPHERE,
        _GEOM.mjGEOM_CAPSULE,
        _GEOM.mjGEOM_ELLIPSOID,
        _GEOM.mjGEOM_CYLINDER,
        _GEOM.mjGEOM_BOX,
    )
)
KINDS = {PLANE: "plane", SPHERE: "sphere", CAPSULE: "capsule", ELLIPSOID: "ellipsoid", CYLINDER: "cylinder", BOX: "box"}
WORLD = -1
"""The `body` of a primitive that stands still."""
FLOOR, SKY, STANDING = -1, -2, -3
"""Labels in a segmentation image of the floor, the sky and what stands still; all others are body indices."""
_UNPAINTED = np.array([0.5, 0.5, 0.5, 1.0], np.float32)
"""MuJoCo's colour of a geom that was given none: its material decides."""


@dataclass(frozen=True, eq=False)
class Scene:
    """P primitives and a floor. Sizes are MuJoCo's.

    Sphere (radius), capsule and cylinder (radius, half length; along z), ellipsoid (semi-axes), box (half sizes),
    plane (half sizes along x and y, 0 for endless; normal z, seen from both sides).
    """

    kind: np.ndarray  # [P] PLANE, SPHERE, CAPSULE, ELLIPSOID, CYLINDER or BOX
    label: np.ndarray  # [P] what a segmentation image says there: the body index, or STANDING
    body: np.ndarray  # [P] the body it rides on, or WORLD
    pos: np.ndarray  # [P, 3] in that body's frame [m]
    rot: np.ndarray  # [P, 4] wxyz in that body's frame
    size: np.ndarray  # [P, 3] [m]
    rgb: np.ndarray  # [P, 3] in 0..1
    floor_rgb: np.ndarray  # [3]
    floor_z: float | None = 0.0  # height of the endless level floor [m]; None where there is none

    def __len__(self) -> int:
        return len(self.kind)


def index_mask(scene: Scene) -> int:
    """The lowest bits of an int32, enough for the index of a primitive, of the floor (P) and of the sky (P + 1)."""
    return (1 << (len(scene) + 1).bit_length()) - 1


ROWS = ("kind", "label", "body", "pos", "rot", "size", "rgb")
"""The fields of a scene that have a row per primitive."""


@dataclass(frozen=True, eq=False)
class Look:
    """Light, sky and floor. The defaults are what the built-in image encoder was trained on."""

    light: tuple[float, float, float] = (0.35, -0.45, 1.0)  # towards the light, world frame
    ambient: float = 0.46
    diffuse: float = 0.52  # Lambert term
    skylight: float = 0.14  # brighter where the surface faces up
    gloss: float = 0.35  # highlight
    shadow: float = 0.5  # how much of the light a shadow takes; 0 leaves the shadow pass out
    hard_shadow: bool = False  # sharp, and on everything; otherwise soft outlines on the floor alone
    horizon: tuple[float, float, float] = (0.87, 0.91, 0.95)
    zenith: tuple[float, float, float] = (0.42, 0.6, 0.82)
    tile: float = 1.0  # edge of a floor tile [m], checkered or pictured
    checker: float = 0.09  # the tiles' contrast
    haze: float = 11.0  # distance [m] at which the floor is half lost in the horizon
    floor_texture: np.ndarray | None = None  # [h, w, 3] in 0..1 on every tile, in place of colour and checkers
    sky_texture: np.ndarray | None = None  # [h, w, 3] in 0..1, equirectangular: rows zenith to nadir, middle +x

    def __post_init__(self) -> None:
        for name in ("floor_texture", "sky_texture"):
            picture = getattr(self, name)
            if picture is not None and (np.ndim(picture) != 3 or picture.shape[2] != 3 or 0 in picture.shape):
                raise UserError(f"{name} is a picture [h, w, 3] of numbers in 0..1, not {np.shape(picture)}")
        if self.light[2] <= 0.0:
            raise UserError(f"the light stands above the floor: light z > 0, not {self.light}")


def character_scene(character: Character) -> Scene:
    """The character's geoms, in MJCF order, on its floor."""
    return model_scene(character.model)


def model_scene(model: mujoco.MjModel) -> Scene:
    """Every visible geom of a model (groups 0 to 2, alpha > 0); body indices count without the world, as everywhere.

    The first endless level plane of the world is the floor. Meshes, height fields and the like have no closed-form hit:
    a `UserError` names the first.
    """
    material = np.where(model.geom_matid >= 0, model.geom_matid, 0)
    painted = (model.geom_matid < 0) | (model.geom_rgba != _UNPAINTED).any(axis=1)
    rgba = model.geom_rgba if model.nmat == 0 else np.where(painted[:, None], model.geom_rgba, model.mat_rgba[material])
    seen = (model.geom_group < 3) & (rgba[:, 3] > 0.0)
    for geom in np.flatnonzero(seen & ~np.isin(model.geom_type, list(KINDS))):
        name, kind = (
            model.geom(geom).name or f"number {geom}",
            _GEOM(model.geom_type[geom]).name.removeprefix("mjGEOM_"),
        )
        raise UserError(
            f"geom {name} is a {kind.lower()}; the ray caster draws {', '.join(KINDS.values())}. "
            "Fit a primitive to it, or put it into group 3 to leave it out"
        )
    standing = model.body_weldid[model.geom_bodyid] == 0
    endless = (model.geom_type == PLANE) & (model.geom_size[:, :2] == 0.0).all(axis=1)
    level = np.abs(model.geom_quat[:, 1:3]).max(axis=1, initial=0.0) < 1e-6
    floors = np.flatnonzero(seen & endless & level & (model.geom_bodyid == 0))[:1]
    geoms = np.setdiff1d(np.flatnonzero(seen), floors)
    return Scene(
        kind=model.geom_type[geoms].astype(int),
        label=np.where(standing[geoms], STANDING, model.geom_bodyid[geoms] - 1),
        body=model.geom_bodyid[geoms] - 1,  # the world's own geoms: WORLD
        pos=model.geom_pos[geoms].astype(np.float32),
        rot=model.geom_quat[geoms].astype(np.float32),
        size=model.geom_size[geoms].astype(np.float32),
        rgb=rgba[geoms, :3].astype(np.float32),
        floor_rgb=rgba[floors[0] if len(floors) else 0, :3].astype(np.float32),
        floor_z=float(model.geom_pos[floors[0], 2]) if len(floors) else None,
    )


def join(scene: Scene, objects: Scene, bodies: int) -> Scene:
    """`scene` and a task's `objects` as one scene, on the floor of `scene`.

    The bodies of `objects` follow the `bodies` of `scene`: concatenate their poses in that order. What stands still
    needs none.
    """
    rides = objects.body >= 0
    objects = replace(
        objects,
        body=np.where(rides, objects.body + bodies, WORLD),
        label=np.where(rides, objects.label + bodies, objects.label),
    )
    both = {name: np.concatenate([getattr(scene, name), getattr(objects, name)]) for name in ROWS}
    return replace(scene, **both)
