"""What the renderer draws, as data: a table of spheres, capsules and boxes riding on bodies, and the look of it all."""

from dataclasses import dataclass

import mujoco
import numpy as np

from anyskill_brax.character.humanoid import Character

SPHERE, CAPSULE, BOX = (
    int(k) for k in (mujoco.mjtGeom.mjGEOM_SPHERE, mujoco.mjtGeom.mjGEOM_CAPSULE, mujoco.mjtGeom.mjGEOM_BOX)
)
WORLD = -1
"""The `body` of a primitive that stands still."""
FLOOR, SKY = -1, -2
"""Their labels in a segmentation image; every other pixel carries its primitive's `label`."""


@dataclass(frozen=True, eq=False)
class Scene:
    """P primitives. Sizes are MuJoCo's: sphere (radius), capsule (radius, half length; along z), box (half sizes)."""

    kind: np.ndarray  # [P] SPHERE, CAPSULE or BOX
    label: np.ndarray  # [P] int >= 0, what a segmentation image says there: the body index
    body: np.ndarray  # [P] the body it rides on, or WORLD
    pos: np.ndarray  # [P, 3] in that body's frame [m]
    rot: np.ndarray  # [P, 4] wxyz in that body's frame
    size: np.ndarray  # [P, 3] [m]
    rgb: np.ndarray  # [P, 3] in 0..1
    floor_rgb: np.ndarray  # [3]

    def __len__(self) -> int:
        return len(self.kind)


@dataclass(frozen=True)
class Look:
    """Light, sky and floor. The defaults are what the built-in image encoder was trained on."""

    light: tuple[float, float, float] = (0.35, -0.45, 1.0)  # towards the light, world frame
    ambient: float = 0.46
    diffuse: float = 0.52  # Lambert term
    skylight: float = 0.14  # brighter where the surface faces up
    gloss: float = 0.35  # highlight
    shadow: float = 0.5  # how much of the floor's light a shadow takes; 0 leaves the shadow pass out
    horizon: tuple[float, float, float] = (0.87, 0.91, 0.95)
    zenith: tuple[float, float, float] = (0.42, 0.6, 0.82)
    tile: float = 1.0  # edge of a checker tile [m]
    checker: float = 0.09  # the tiles' contrast
    haze: float = 11.0  # distance [m] at which the floor is half lost in the horizon


def character_scene(character: Character) -> Scene:
    """The character's geoms, in MJCF order."""
    model = character.model
    geoms = np.flatnonzero(model.geom_bodyid > 0)
    floor = np.flatnonzero(model.geom_type == mujoco.mjtGeom.mjGEOM_PLANE)
    return Scene(
        kind=model.geom_type[geoms].astype(int),
        label=model.geom_bodyid[geoms] - 1,
        body=model.geom_bodyid[geoms] - 1,
        pos=model.geom_pos[geoms].astype(np.float32),
        rot=model.geom_quat[geoms].astype(np.float32),
        size=model.geom_size[geoms].astype(np.float32),
        rgb=model.geom_rgba[geoms, :3].astype(np.float32),
        floor_rgb=model.geom_rgba[floor[0], :3].astype(np.float32),
    )
