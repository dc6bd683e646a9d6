"""Scenes of one primitive that stands in the world, and MuJoCo's renderer to hold the ray caster against."""

import mujoco
import numpy as np
import pytest

from anyskill_brax.character.kinematics import BodyState
from anyskill_brax.render.camera import Camera
from anyskill_brax.render.scene import SKY, WORLD, Scene


def single(kind: int, size: tuple[float, ...], pos=(0.0, 0.0, 1.0), rot=(1.0, 0.0, 0.0, 0.0), body=WORLD) -> Scene:
    """A scene of one red primitive, labelled 7."""
    row = lambda *v: np.array([v], np.float32)  # noqa: E731
    return Scene(
        kind=np.array([kind]),
        label=np.array([7]),
        body=np.array([body]),
        pos=row(*pos),
        rot=row(*rot),
        size=row(*(*size, 0.0, 0.0)[:3]),
        rgb=row(1.0, 0.0, 0.0),
        floor_rgb=np.array([0.5, 0.5, 0.5], np.float32),
    )


def at_rest(pos, rot=(1.0, 0.0, 0.0, 0.0)) -> BodyState:
    """Bodies `[..., B]` at `pos [..., B, 3]`, all turned by `rot [4]`."""
    pos = np.asarray(pos, np.float32)
    rots = np.broadcast_to(np.asarray(rot, np.float32), (*pos.shape[:-1], 4))
    return BodyState(*map(np.asarray, (pos, rots, 0 * pos, 0 * pos, rots)))


class MujocoRenderer:
    """MuJoCo's OpenGL renderer with round things tessellated finely, seen through our `Camera`."""

    def __init__(self, xml: str, size: int, fovy: float):
        self.model = mujoco.MjModel.from_xml_string(xml)
        self.model.vis.global_.fovy = np.degrees(fovy)
        self.model.vis.quality.numslices = self.model.vis.quality.numstacks = 96
        self.model.vis.quality.offsamples = 0
        self.data = mujoco.MjData(self.model)
        try:
            self.renderer = mujoco.Renderer(self.model, size, size)
        except Exception as error:  # mujoco raises whatever its GL backend raises
            pytest.skip(f"no software GL for mujoco.Renderer ({error}); set MUJOCO_GL=osmesa and install libosmesa6")

    def __call__(self, qpos: np.ndarray, view: Camera) -> tuple[np.ndarray, np.ndarray]:
        """Segmentation in our labels (moving bodies' indices, -1 the world's own geoms) and depth [m] of one pose."""
        self.data.qpos[:] = qpos
        mujoco.mj_forward(self.model, self.data)
        camera = mujoco.MjvCamera()
        forward = np.asarray(view.forward, float)
        camera.lookat[:] = np.asarray(view.pos, float) + forward
        camera.distance = 1.0
        camera.azimuth = np.degrees(np.arctan2(forward[1], forward[0]))
        camera.elevation = np.degrees(np.arcsin(forward[2]))
        self.renderer.update_scene(self.data, camera)
        self.renderer.enable_segmentation_rendering()
        geom, kind = np.moveaxis(self.renderer.render(), -1, 0)
        self.renderer.disable_segmentation_rendering()
        self.renderer.enable_depth_rendering()
        depth = self.renderer.render().copy()
        self.renderer.disable_depth_rendering()
        return np.where(kind == mujoco.mjtObj.mjOBJ_GEOM, self.model.geom_bodyid[geom] - 1, SKY), depth
