"""A scene as one world's camera sees it: every primitive, the floor, the light, in the camera's frame.

There (right, up, forward) the rays are the same in every world.
"""

from collections.abc import Mapping, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from anyskill_brax import rotations
from anyskill_brax.render import primitives
from anyskill_brax.render.camera import Camera
from anyskill_brax.render.primitives import Hit, Vector, columns, dot, vector
from anyskill_brax.render.scene import BOX, CAPSULE, CYLINDER, ELLIPSOID, PLANE, SPHERE, WORLD, Look, Scene

FAR = 1000.0
"""Depth of the sky [m]."""
_BOTTOMLESS = 1e9
"""How high the camera is above a floor that is not there [m]."""


@struct.dataclass
class Placed:
    """The scene of one world in the camera's frame."""

    centre: jax.Array  # [P, 3]; of a capsule, its lower end
    axes: jax.Array  # [P, 3, 3] columns are the primitive's own x, y, z
    world: jax.Array  # [3, 3] columns are the world's x, y, z
    camera: jax.Array  # [3] the camera's position in the world
    height: jax.Array  # [] of the camera above the floor [m]
    light: jax.Array  # [3] unit, towards the light
    shade_x: jax.Array  # [3] unit; with shade_y it spans the plane that the light looks at
    shade_y: jax.Array  # [3]


def place(scene: Scene, look: Look, pos: jax.Array, rot: jax.Array, camera: Camera) -> Placed:
    """One world: where its bodies are, `[B, 3]` and `[B, 4]`, and one camera."""
    fixed = (scene.body == WORLD)[:, None]
    pos, rot = pos[scene.body], rot[scene.body]
    pos = jnp.where(fixed, scene.pos, pos + rotations.rotate(rot, jnp.asarray(scene.pos)))
    rot = jnp.where(fixed, scene.rot, rotations.quat_mul(rot, jnp.asarray(scene.rot)))
    view = jnp.stack([camera.right, camera.up, camera.forward])
    relative = pos - camera.pos
    centre = jnp.stack([jnp.sum(relative * row, axis=-1) for row in view], axis=-1)
    axes = jnp.einsum("ij,pjk->pik", view, rotations.to_matrix(rot), precision="highest")
    half = np.where(scene.kind == CAPSULE, scene.size[:, 1], 0.0).astype(np.float32)
    light = np.array(look.light) / np.linalg.norm(look.light)
    shade_x = np.cross(light, (0.0, 1.0, 0.0))
    shade_x /= np.linalg.norm(shade_x)
    light, shade_x, shade_y = (
        (view * jnp.asarray(v, jnp.float32)).sum(axis=-1) for v in (light, shade_x, np.cross(light, shade_x))
    )
    return Placed(
        centre=centre - half[:, None] * axes[:, :, 2],
        axes=axes,
        world=view,
        camera=camera.pos,
        height=jnp.float32(_BOTTOMLESS) if scene.floor_z is None else camera.pos[2] - scene.floor_z,
        light=light,
        shade_x=shade_x,
        shade_y=shade_y,
    )


def hit(scene: Scene, placed: Placed, ray: Vector, i: int, origin: Vector | None = None) -> Hit:
    """Distance to primitive `i` and a number that is positive where the ray's line meets it.

    Rays start in the camera, or in `origin`.
    """
    centre = vector(placed.centre[i])
    if origin is not None:
        centre = tuple(c - o for c, o in zip(centre, origin, strict=True))
    return meet(int(scene.kind[i]), ray, centre, columns(placed.axes[i]), scene.size[i].tolist())


def meet(kind: int, ray: Vector, centre: Vector, axes: Mapping[int, Vector] | Sequence[Vector], size: Sequence) -> Hit:
    """`hit` on a primitive of this kind, there, of MuJoCo's sizes; what is round needs axis 2 alone."""
    if kind == SPHERE:
        return primitives.sphere_hit(ray, centre, size[0])
    if kind == CAPSULE:
        return primitives.capsule_hit(ray, centre, axes[2], 2.0 * size[1], size[0])
    if kind == CYLINDER:
        return primitives.cylinder_hit(ray, centre, axes[2], size[0], size[1])
    solid = {BOX: primitives.box_hit, ELLIPSOID: primitives.ellipsoid_hit, PLANE: primitives.plane_hit}[kind]
    return solid(ray, centre, [axes[j] for j in range(3)], size)


def floor(placed: Placed, ray: Vector) -> tuple[jax.Array, jax.Array]:
    """Distance to the floor (FAR where the ray misses it) and the ray's climb (its world z)."""
    climb = dot(ray, vector(placed.world[:, 2]))
    falls = climb < -placed.height / FAR
    return jnp.where(falls, -placed.height / jnp.where(falls, climb, -1.0), FAR), climb
