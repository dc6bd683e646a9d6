"""Every primitive: hand-worked rays, MuJoCo's own renderer, slopes against finite differences."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from solids import MujocoRenderer, at_rest, single

from anyskill_brax import rotations
from anyskill_brax.render.camera import look_at
from anyskill_brax.render.raycast import FAR, make_renderer
from anyskill_brax.render.scene import (
    BOX,
    CAPSULE,
    CYLINDER,
    ELLIPSOID,
    FLOOR,
    PLANE,
    SKY,
    SPHERE,
    STANDING,
    Look,
    join,
    model_scene,
)

NOWHERE = at_rest([[[0.0, 0.0, 0.0]]])
UPRIGHT = (1.0, 0.0, 0.0, 0.0)
LYING = (0.5**0.5, 0.0, 0.5**0.5, 0.0)  # z towards the camera on +x
EIGHTH = (np.cos(np.pi / 8), 0.0, 0.0, np.sin(np.pi / 8))
TIPPED = (np.cos(np.pi / 8), 0.0, np.sin(np.pi / 8), 0.0)  # z half way to +x


@pytest.mark.parametrize(
    ("kind", "size", "rot", "depth"),
    [
        (SPHERE, (0.25,), UPRIGHT, 1.75),
        (CAPSULE, (0.2, 0.3), UPRIGHT, 1.8),  # seen from its side
        (CAPSULE, (0.2, 0.3), LYING, 1.5),  # half length and cap
        (CYLINDER, (0.2, 0.3), UPRIGHT, 1.8),
        (CYLINDER, (0.2, 0.3), LYING, 1.7),  # its flat end
        (CYLINDER, (0.1, 0.3), TIPPED, 2.0 - 0.1 * 2**0.5),  # the ray crosses the side at 45 degrees
        (ELLIPSOID, (0.1, 0.2, 0.3), UPRIGHT, 1.9),
        (ELLIPSOID, (0.1, 0.2, 0.3), LYING, 1.7),
        (ELLIPSOID, (0.3, 0.1, 0.2), EIGHTH, 2.0 - (2 / (1 / 0.3**2 + 1 / 0.1**2)) ** 0.5),  # the radius at 45 degrees
        (BOX, (0.4, 0.1, 0.1), UPRIGHT, 1.6),
        (BOX, (0.1, 0.1, 0.1), EIGHTH, 2.0 - 0.1 * 2**0.5),  # edge first
        (PLANE, (0.2, 0.2), LYING, 2.0),
        (PLANE, (0.2, 0.2), TIPPED, 2.0),
        (PLANE, (0.2, 0.2), (0.5**0.5, 0.0, -(0.5**0.5), 0.0), 2.0),  # from behind
    ],
)
def test_the_middle_ray_meets_each_primitive_where_geometry_says(kind, size, rot, depth):
    """The camera stands on +x, 2 m from the centre, at its height."""
    camera = look_at(jnp.array([2.0, 0.0, 1.0]), jnp.array([0.0, 0.0, 1.0]), 0.8)
    render = make_renderer(single(kind, size, rot=rot), 33, 33, outputs=("depth", "segmentation"))
    image = jax.jit(render)(NOWHERE, camera)
    assert image.rgb is None
    assert float(image.depth[0, 16, 16]) == pytest.approx(depth, abs=1e-4)
    assert int(image.segmentation[0, 16, 16]) == 7
    assert int(image.segmentation[0, 0, 0]) == SKY
    assert float(image.depth[0, 0, 0]) == FAR
    assert int(image.segmentation[0, 32, 16]) == FLOOR
    # The lowest row looks down by tan(0.4) 32/33 and meets the floor, one metre below, at 1 / slope.
    assert float(image.depth[0, 32, 16]) == pytest.approx(33 / 32 / np.tan(0.4), rel=1e-4)


ALL_KINDS = """
<mujoco>
  <worldbody>
    <geom type="plane" size="0 0 1"/>
    <geom type="plane" size="0.3 0.2 1" pos="-0.6 0.5 0.6" euler="0 70 20"/>
    <geom type="box" size="0.1 0.6 0.2" pos="-0.9 0 0.2"/>
    <body name="a"><freejoint/><geom type="sphere" size="0.15"/></body>
    <body name="b"><freejoint/><geom type="capsule" size="0.08 0.2"/></body>
    <body name="c"><freejoint/><geom type="ellipsoid" size="0.1 0.25 0.15" euler="10 20 30"/></body>
    <body name="d"><freejoint/><geom type="cylinder" size="0.12 0.2"/></body>
    <body name="e"><freejoint/><geom type="box" size="0.1 0.15 0.2" pos="0.02 0 0"/></body>
  </worldbody>
</mujoco>
"""


def test_every_kind_agrees_with_mujoco():
    """Eight scenes of all kinds, strewn and turned: each body's IoU >= 0.98, every depth within 5 mm."""
    worlds, size, fovy, rng = 8, 128, 0.8, np.random.default_rng(0)
    reference = MujocoRenderer(ALL_KINDS, size, fovy)
    pos = rng.uniform((-0.6, -0.7, 0.3), (0.6, 0.7, 1.3), (worlds, 5, 3)).astype(np.float32)
    rot = rng.normal(size=(worlds, 5, 4)).astype(np.float32)
    rot /= np.linalg.norm(rot, axis=-1, keepdims=True)
    azimuth = rng.uniform(-0.8, 0.8, worlds)
    eye = np.stack([3 * np.cos(azimuth), 3 * np.sin(azimuth), rng.uniform(0.6, 2.0, worlds)], axis=-1)
    cameras = look_at(jnp.asarray(eye), jnp.array([0.0, 0.0, 0.7]), fovy)
    render = make_renderer(model_scene(reference.model), size, size, outputs=("depth", "segmentation"))
    image = jax.jit(render)(at_rest(pos).replace(rot=rot), cameras)
    assert image.depth is not None and image.segmentation is not None
    ours = np.asarray(jnp.where(image.segmentation == STANDING, FLOOR, image.segmentation))
    both, either, errors = np.zeros(5), np.zeros(5), []
    for i in range(worlds):
        qpos = np.concatenate([pos[i], rot[i]], axis=-1).ravel()
        label, depth = reference(qpos, jax.tree.map(lambda x, i=i: x[i], cameras))
        for body in range(5):
            both[body] += np.sum((ours[i] == body) & (label == body))
            either[body] += np.sum((ours[i] == body) | (label == body))
        near = (ours[i] == label) & (depth < 4.0)
        errors.append(np.abs(image.depth[i] - depth)[near])
    assert (both / either).min() > 0.98, both / either
    assert np.mean(np.concatenate(errors) < 0.005) > 0.995


SOLIDS = {
    SPHERE: (0.4,),
    CAPSULE: (0.25, 0.3),
    ELLIPSOID: (0.3, 0.4, 0.5),
    CYLINDER: (0.3, 0.4),
    BOX: (0.3, 0.3, 0.3),
    PLANE: (0.5, 0.5),
}


@pytest.mark.slow
def test_depth_and_shading_have_the_slopes_of_finite_differences():
    """In the middle of each primitive, tipped: all six directions in which its body can move. A camera for each."""
    count = len(SOLIDS)
    scene = functools.reduce(
        lambda scene, item: join(scene, single(*item, pos=(0.0, 0.0, 0.0), body=0), len(scene)),
        list(SOLIDS.items())[1:],
        single(SPHERE, SOLIDS[SPHERE], pos=(0.0, 0.0, 0.0), body=0),
    )
    render = make_renderer(scene, 1, 1, outputs=("rgb", "depth"), look=Look(shadow=0.0))
    home = np.stack([np.zeros(count), 10.0 * np.arange(count), np.ones(count)], axis=1).astype(np.float32)
    views = look_at(jnp.asarray(home) + jnp.array([2.0, 0.0, 0.0]), jnp.asarray(home), 0.1)
    tipped = jnp.array([0.9, 0.1, 0.35, -0.2]) / jnp.linalg.norm(jnp.array([0.9, 0.1, 0.35, -0.2]))

    def seen(moves: jax.Array) -> jax.Array:
        """Moves `[P, 6]` -> depth and brightness `[2, P]`."""
        turn = rotations.quat_normalize(jnp.concatenate([jnp.ones((count, 1)), 0.5 * moves[:, 3:]], axis=-1))
        rot = rotations.quat_mul(turn, jnp.broadcast_to(tipped, (count, 4)))
        bodies = at_rest(home).replace(pos=home + moves[:, :3], rot=rot)
        image = render(bodies, views)
        assert image.depth is not None and image.rgb is not None
        return jnp.stack([image.depth[:, 0, 0], image.rgb[:, 0, 0, 0]])

    # Each picture shows one primitive, so the slope of the sum over pictures holds each primitive's own.
    slopes = jax.jit(lambda m: jnp.stack([jax.grad(lambda m, k=k: seen(m)[k].sum())(m) for k in range(2)]))
    slopes, look, step = slopes(jnp.zeros((count, 6))), jax.jit(seen), 4e-3
    shifts = [jnp.tile(step * jnp.eye(6)[k], (count, 1)) for k in range(6)]
    differences = jnp.stack([(look(s) - look(-s)) / (2.0 * step) for s in shifts], axis=-1)
    np.testing.assert_allclose(slopes, differences, atol=0.01)
    for k, kind in enumerate(SOLIDS):
        assert float(jnp.abs(slopes[0, k]).max()) > 0.5, kind
    assert float(jnp.abs(slopes[1]).max()) > 0.1
