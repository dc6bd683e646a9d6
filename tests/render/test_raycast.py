"""The ray caster against MuJoCo's own renderer, against hand-worked rays, and under JAX's transformations."""

import jax
import jax.numpy as jnp
import mujoco
import numpy as np
import pytest

from anyskill_brax.character.humanoid import Character
from anyskill_brax.character.kinematics import BodyState, forward_kinematics
from anyskill_brax.render.camera import Camera, follow_camera, look_at
from anyskill_brax.render.raycast import FAR, make_renderer
from anyskill_brax.render.scene import BOX, CAPSULE, FLOOR, SKY, SPHERE, WORLD, Look, Scene
from anyskill_brax.types import UserError


def random_qpos(character: Character, count: int, seed: int = 0) -> np.ndarray:
    """Poses within the joint limits, roots turned and tipped at random, `[count, 35]`."""
    rng = np.random.default_rng(seed)
    qpos = np.tile(character.default_qpos, (count, 1))
    qpos[:, :2] = rng.uniform(-3.0, 3.0, (count, 2))
    qpos[:, 2] = rng.uniform(0.7, 1.1, count)
    tilt = rng.normal(size=(count, 4)) * (1.0, 0.15, 0.15, 1.0)
    qpos[:, 3:7] = tilt / np.linalg.norm(tilt, axis=1, keepdims=True)
    qpos[:, 7:] = rng.uniform(0.6 * character.joint_low, 0.6 * character.joint_high, (count, character.action_dim))
    return qpos.astype(np.float32)


def poses(character: Character, qpos: np.ndarray) -> BodyState:
    return forward_kinematics(character, jnp.asarray(qpos), jnp.zeros((len(qpos), 34)))


class MujocoRenderer:
    """MuJoCo's OpenGL renderer with round things tessellated finely, seen through our `Camera`."""

    def __init__(self, character: Character, size: int, fovy: float):
        self.model = mujoco.MjModel.from_xml_string(character.xml)
        self.model.vis.global_.fovy = np.degrees(fovy)
        self.model.vis.quality.numslices = self.model.vis.quality.numstacks = 96
        self.model.vis.quality.offsamples = 0
        self.data = mujoco.MjData(self.model)
        self.renderer = mujoco.Renderer(self.model, size, size)

    def __call__(self, qpos: np.ndarray, view: Camera) -> tuple[np.ndarray, np.ndarray]:
        """Segmentation in our labels and depth [m] of one pose."""
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
        label = np.where(kind == mujoco.mjtObj.mjOBJ_GEOM, self.model.geom_bodyid[geom] - 1, SKY)
        return label, depth


@pytest.mark.slow
def test_segmentation_and_depth_agree_with_mujoco(character: Character):
    """100 random poses and cameras: every body's IoU >= 0.99 and its depth within 1 cm."""
    count, size, fovy = 100, 160, 0.6
    qpos, rng = random_qpos(character, count), np.random.default_rng(1)
    bodies = poses(character, qpos)
    azimuth, elevation = rng.uniform(-np.pi, np.pi, count), rng.uniform(0.0, 0.6, count)
    camera = follow_camera(bodies, azimuth, elevation=elevation, fovy=fovy)
    render = make_renderer(character, size, size, outputs=("depth", "segmentation"), chunk=10)
    image = jax.jit(render)(bodies, camera)
    try:
        reference = MujocoRenderer(character, size, fovy)
    except Exception as error:  # mujoco raises whatever its GL backend raises
        pytest.skip(f"no software GL for mujoco.Renderer ({error}); set MUJOCO_GL=osmesa and install libosmesa6")
    both, either = np.zeros(character.num_bodies), np.zeros(character.num_bodies)
    errors = []
    for i in range(count):
        label, depth = reference(qpos[i], jax.tree.map(lambda x, i=i: x[i], camera))
        ours, our_depth = np.asarray(image.segmentation[i]), np.asarray(image.depth[i])
        for body in range(character.num_bodies):
            both[body] += np.sum((ours == body) & (label == body))
            either[body] += np.sum((ours == body) | (label == body))
        agreed = (ours == label) & (label >= 0)
        errors.append(np.abs(our_depth - depth)[agreed])
    assert (both / either).min() >= 0.99, dict(zip(character.body_names, both / either, strict=True))
    errors = np.concatenate(errors)
    # Where two geoms of one body overlap in the picture, a boundary pixel may carry the same label at two depths.
    assert np.mean(errors < 0.01) > 0.9995
    assert errors.mean() < 0.0005


def single(kind: int, size: tuple[float, ...], pos=(0.0, 0.0, 1.0), rot=(1.0, 0.0, 0.0, 0.0)) -> Scene:
    """A scene of one red primitive that stands in the world."""
    row = lambda *v: np.array([v], np.float32)  # noqa: E731
    return Scene(
        kind=np.array([kind]),
        label=np.array([7]),
        body=np.array([WORLD]),
        pos=row(*pos),
        rot=row(*rot),
        size=row(*(*size, 0.0, 0.0)[:3]),
        rgb=row(1.0, 0.0, 0.0),
        floor_rgb=np.array([0.5, 0.5, 0.5], np.float32),
    )


@pytest.mark.parametrize(
    ("kind", "size", "rot", "depth"),
    [
        (SPHERE, (0.25,), (1.0, 0.0, 0.0, 0.0), 1.75),
        (CAPSULE, (0.2, 0.3), (1.0, 0.0, 0.0, 0.0), 1.8),  # upright, seen from its side
        (CAPSULE, (0.2, 0.3), (0.5**0.5, 0.0, 0.5**0.5, 0.0), 1.5),  # lying towards the camera: half length and cap
        (BOX, (0.4, 0.1, 0.1), (1.0, 0.0, 0.0, 0.0), 1.6),
        (BOX, (0.1, 0.1, 0.1), (np.cos(np.pi / 8), 0.0, 0.0, np.sin(np.pi / 8)), 2.0 - 0.1 * 2**0.5),  # edge first
    ],
)
def test_the_middle_ray_meets_each_primitive_where_geometry_says(character, kind, size, rot, depth):
    """The camera stands on +x, 2 m from the centre, at its height."""
    bodies = poses(character, character.default_qpos[None])
    camera = look_at(jnp.array([2.0, 0.0, 1.0]), jnp.array([0.0, 0.0, 1.0]), 0.8)
    render = make_renderer(character, 33, 33, outputs=("depth", "segmentation"), scene=single(kind, size, rot=rot))
    image = jax.jit(render)(bodies, camera)
    assert image.rgb is None
    assert float(image.depth[0, 16, 16]) == pytest.approx(depth, abs=1e-4)
    assert int(image.segmentation[0, 16, 16]) == 7
    assert int(image.segmentation[0, 0, 0]) == SKY
    assert float(image.depth[0, 0, 0]) == FAR
    assert int(image.segmentation[0, 32, 16]) == FLOOR
    # The lowest row looks down by tan(0.4) 32/33 and meets the floor, one metre below, at 1 / slope.
    assert float(image.depth[0, 32, 16]) == pytest.approx(33 / 32 / np.tan(0.4), rel=1e-4)


@pytest.fixture(scope="module")
def small(character):
    """A 24 px picture renderer, jitted, with chunks smaller than the batches below."""
    return jax.jit(make_renderer(character, 24, 24, chunk=2, look=Look(shadow=0.0)))


def test_worlds_do_not_leak_into_each_other(character, small):
    """A batch of five in chunks of two gives what each world alone gives, in [0, 1] and not all alike."""
    bodies = poses(character, random_qpos(character, 5))
    together = small(bodies, follow_camera(bodies)).rgb
    assert together.shape == (5, 24, 24, 3)
    assert 0.0 <= float(together.min()) < float(together.max()) <= 1.0
    for i in (0, 4):
        alone = jax.tree.map(lambda x, i=i: x[i : i + 1], bodies)
        np.testing.assert_allclose(small(alone, follow_camera(alone)).rgb[0], together[i], atol=2e-3)
    assert float(jnp.abs(together[0] - together[1]).max()) > 0.1


def test_vmap_and_scan_are_the_batch(character):
    bodies = poses(character, random_qpos(character, 4))
    pairs = jax.tree.map(lambda x: x.reshape(2, 2, *x.shape[1:]), bodies)
    render = make_renderer(character, 24, 24, outputs=("depth",), chunk=2)

    def shoot(b: BodyState) -> jax.Array:
        return render(b, follow_camera(b)).depth

    batch = jax.jit(shoot)(bodies)
    mapped = jax.jit(jax.vmap(shoot))(pairs)
    _, scanned = jax.lax.scan(lambda carry, b: (carry, shoot(b)), 0, pairs)
    np.testing.assert_allclose(mapped.reshape(batch.shape), batch, rtol=1e-4)
    np.testing.assert_allclose(scanned.reshape(batch.shape), batch, rtol=1e-4)


def test_depth_has_the_slope_of_the_geometry(character):
    """A sphere that comes 1 m closer is 1 m nearer in its middle pixel; sideways the middle pixel does not care."""
    render = make_renderer(character, 9, 9, outputs=("depth",), scene=single(SPHERE, (0.25,)))
    bodies = poses(character, character.default_qpos[None])

    def middle(eye: jax.Array) -> jax.Array:
        return render(bodies, look_at(eye, eye - jnp.array([2.0, 0.0, 0.0]), 0.8)).depth[0, 4, 4]

    slope = jax.jit(jax.grad(middle))(jnp.array([2.0, 0.0, 1.0]))
    np.testing.assert_allclose(slope, [1.0, 0.0, 0.0], atol=1e-3)


@pytest.mark.slow
def test_gradients_of_a_picture_are_finite(character):
    render = make_renderer(character, 16, 16)
    qpos = jnp.asarray(random_qpos(character, 2))

    def brightness(qpos: jax.Array) -> jax.Array:
        bodies = forward_kinematics(character, qpos, jnp.zeros((2, 34)))
        return render(bodies, follow_camera(bodies)).rgb.mean()

    slope = np.asarray(jax.jit(jax.grad(brightness))(qpos))
    assert np.isfinite(slope).all() and np.abs(slope).max() > 0.0


def test_a_camera_inside_the_body_still_gives_a_picture(character):
    """From the middle of the torso: finite colours, distances ahead of the camera, labels that exist."""
    render = make_renderer(character, 16, 16, outputs=("rgb", "depth", "segmentation"))
    bodies = poses(character, character.default_qpos[None])
    eye = bodies.pos[:, character.body("torso")]
    image = jax.jit(render)(bodies, look_at(eye, eye + jnp.array([1.0, 0.2, 0.0]), 0.9))
    assert image.rgb is not None and image.depth is not None and image.segmentation is not None
    assert np.isfinite(image.rgb).all() and image.rgb.min() >= 0.0 and image.rgb.max() <= 1.0
    assert np.isfinite(image.depth).all() and image.depth.min() > 0.0
    assert image.segmentation.min() >= SKY and image.segmentation.max() < character.num_bodies


def test_an_unknown_output_is_refused_by_name(character):
    with pytest.raises(UserError, match=r"normals.*rgb, depth, segmentation"):
        make_renderer(character, 8, 8, outputs=("rgb", "normals"))
