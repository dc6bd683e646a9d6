"""The ray caster against MuJoCo's own renderer, against hand-worked rays, and under JAX's transformations."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from solids import MujocoRenderer, at_rest, single

from anyskill_brax.character.humanoid import Character
from anyskill_brax.character.kinematics import BodyState, forward_kinematics
from anyskill_brax.render.camera import follow_camera, look_at, side_by_side
from anyskill_brax.render.raycast import make_renderer
from anyskill_brax.render.scene import BOX, SKY, SPHERE, Look
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
    reference = MujocoRenderer(character.xml, size, fovy)
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


@pytest.mark.optimised
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


def test_a_size_below_one_is_refused(character):
    with pytest.raises(UserError, match="width, height"):
        make_renderer(character, 0, 8)


def test_several_cameras_per_world_are_as_many_pictures(character):
    """Bodies `[W, 1]` with cameras `[W, V]`: a fixed one and a following one; each picture is what it is alone."""
    bodies = poses(character, random_qpos(character, 2))
    fixed = look_at(jnp.array([4.0, 0.0, 1.5]), jnp.array([0.0, 0.0, 1.0]), 0.8)
    cameras = side_by_side(fixed, follow_camera(bodies))
    render = jax.jit(make_renderer(character, 16, 16, outputs=("depth",)))
    image = render(jax.tree.map(lambda x: x[:, None], bodies), cameras)
    assert image.depth is not None and image.depth.shape == (2, 2, 16, 16)
    np.testing.assert_allclose(render(bodies, fixed).depth, image.depth[:, 0], rtol=1e-4)
    np.testing.assert_allclose(render(bodies, follow_camera(bodies)).depth, image.depth[:, 1], rtol=1e-4)


def test_a_pose_that_is_not_a_number_shows_an_empty_floor_and_is_counted():
    """One broken world, one broken camera: both pictures are whole, the third is as if it were alone."""
    bodies = at_rest(np.array([[[np.nan, 0.0, 1.0]], [[0.0, 0.0, 1.0]], [[0.0, 0.0, 1.0]]]))
    eye = jnp.array([[2.0, 0.0, 1.0], [jnp.nan, 0.0, 1.0], [2.0, 0.0, 1.0]])
    cameras = look_at(eye, jnp.array([0.0, 0.0, 1.0]), 0.8)
    scene = single(SPHERE, (0.25,), pos=(0.0, 0.0, 0.0), body=0)
    image = jax.jit(make_renderer(scene, 16, 16, outputs=("rgb", "depth", "segmentation")))(bodies, cameras)
    assert image.valid.tolist() == [False, False, True]
    assert np.isfinite(image.rgb).all() and np.isfinite(image.depth).all()
    assert [int((picture == 7).sum()) > 0 for picture in image.segmentation] == [False, True, True]


@pytest.mark.parametrize("kind", [SPHERE, BOX])
def test_inside_a_primitive_one_sees_what_is_outside(kind):
    scene = single(kind, (0.3, 0.3, 0.3))
    render = make_renderer(scene, 8, 8, outputs=("segmentation",))
    image = render(at_rest([[0.0, 0.0, 0.0]]), look_at(jnp.array([0.0, 0.0, 1.0]), jnp.array([1.0, 0.0, 1.0]), 0.8))
    assert image.segmentation is not None
    assert set(np.unique(image.segmentation)) == {-1, SKY}


def test_memory_does_not_grow_with_the_number_of_worlds():
    """Pictures of 512 px: four times the worlds need four times the output and no more to work in."""
    scene = single(SPHERE, (0.25,))
    render = make_renderer(scene, 512, 512)
    view = look_at(jnp.array([2.0, 0.0, 1.0]), jnp.array([0.0, 0.0, 1.0]), 0.8)

    def working(worlds: int) -> int:
        bodies = at_rest(np.zeros((worlds, 1, 3)))
        return jax.jit(lambda b: render(b, view).rgb).lower(bodies).compile().memory_analysis().temp_size_in_bytes

    picture = 512 * 512 * 3 * 4
    few, many = working(4), working(16)
    assert many - few < picture
    assert many < 8 * picture
