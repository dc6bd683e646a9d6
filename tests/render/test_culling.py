"""What is drawn tile by tile is what is drawn ray by ray; no tile is left out that sees anything."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from solids import at_rest

from anyskill_brax.character.kinematics import forward_kinematics
from anyskill_brax.render import culling
from anyskill_brax.render.camera import Camera, follow_camera, look_at
from anyskill_brax.render.raycast import Image, make_renderer
from anyskill_brax.render.scene import BOX, CAPSULE, CYLINDER, ELLIPSOID, PLANE, SPHERE, WORLD, Scene


def crowd(rng: np.random.Generator, count: int, floor_z: float | None = 0.0) -> Scene:
    """Primitives of all kinds, everywhere around the origin; the planes have edges."""
    rot = rng.normal(size=(count, 4))
    return Scene(
        kind=np.resize([SPHERE, CAPSULE, BOX, ELLIPSOID, CYLINDER, PLANE], count),
        label=np.arange(count),
        body=np.full(count, WORLD),
        pos=rng.uniform([-1.5, -1.5, -0.2], [1.5, 1.5, 2.0], (count, 3)).astype(np.float32),
        rot=(rot / np.linalg.norm(rot, axis=1, keepdims=True)).astype(np.float32),
        size=rng.uniform(0.05, 0.4, (count, 3)).astype(np.float32),
        rgb=rng.uniform(size=(count, 3)).astype(np.float32),
        floor_rgb=np.full(3, 0.5, np.float32),
        floor_z=floor_z,
    )


def both(scene, width: int, height: int, bodies, camera: Camera, **options) -> list[Image]:
    """The pictures drawn tile by tile and ray by ray."""
    renders = (make_renderer(scene, width, height, tiles=tiles, **options) for tiles in (True, False))
    return [jax.jit(render)(bodies, camera) for render in renders]


OUTPUTS = ("rgb", "depth", "segmentation")


@pytest.mark.optimised
def test_a_character_is_drawn_the_same_by_tiles_and_by_rays(character):
    """From anywhere: over the horizon, from within, from above, lying, far and near."""
    rng = np.random.default_rng(0)
    qpos = np.tile(character.default_qpos, (24, 1))
    qpos[:, 7:] += rng.normal(0.0, 0.5, (24, character.action_dim))
    qpos[:, 3:7] = rng.normal(size=(24, 4))
    qpos[::3, 2] = 0.2
    bodies = forward_kinematics(character, jnp.asarray(qpos), jnp.zeros((24, 34)))
    eye = bodies.pos[:, 0] + rng.normal(0.0, 1.0, (24, 3)) * rng.choice([0.05, 1.0, 5.0], (24, 1))
    camera = look_at(eye, bodies.pos[:, 5] + rng.normal(0.0, 0.3, (24, 3)), rng.uniform(0.3, 1.6, 24))
    tiles, rays = both(character, 40, 32, bodies, camera, outputs=OUTPUTS, chunk=8)
    assert (tiles.segmentation >= 0).mean() > 0.05
    np.testing.assert_array_equal(tiles.segmentation, rays.segmentation)
    np.testing.assert_allclose(tiles.depth, rays.depth, rtol=1e-5)
    np.testing.assert_allclose(tiles.rgb, rays.rgb, atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize(("count", "floor_z"), [(6, 0.0), (40, 0.0), (12, None)])
def test_all_kinds_and_more_of_one_than_a_word_holds(count, floor_z):
    rng = np.random.default_rng(count)
    scene = crowd(rng, count, floor_z)
    if count == 40:
        scene.kind[:] = np.where(np.arange(count) < 35, CAPSULE, SPHERE)
    eye = rng.normal(size=(6, 3)) * [3.0, 3.0, 1.0] + [0.0, 0.0, 1.5]
    camera = look_at(jnp.asarray(eye), jnp.array([0.0, 0.0, 0.9]), 0.9)
    bodies = at_rest(np.zeros((6, 1, 3)))
    tiles, rays = both(scene, 32, 24, bodies, camera, outputs=OUTPUTS, supersample=2)
    assert len(np.unique(tiles.segmentation)) > 6
    # Where two surfaces are equally near, roundings may choose differently.
    assert (np.asarray(tiles.segmentation) != np.asarray(rays.segmentation)).mean() < 1e-3
    assert (np.abs(np.asarray(tiles.rgb) - np.asarray(rays.rgb)) > 1e-4).mean() < 2e-3


@pytest.mark.slow
@pytest.mark.optimised
def test_slopes_are_those_of_the_rays(character):
    qpos = jnp.asarray(np.tile(character.default_qpos, (2, 1))).at[:, 7:].add(0.2)

    def slope(tiles: bool) -> np.ndarray:
        render = make_renderer(character, 16, 16, tiles=tiles)

        def brightness(qpos: jax.Array) -> jax.Array:
            bodies = forward_kinematics(character, qpos, jnp.zeros((2, 34)))
            return (render(bodies, follow_camera(bodies)).rgb ** 2).mean()

        return np.asarray(jax.jit(jax.grad(brightness))(qpos))

    by_tiles, by_rays = slope(True), slope(False)
    assert np.abs(by_rays).max() > 0.0
    np.testing.assert_allclose(by_tiles, by_rays, rtol=1e-3, atol=1e-7)


def test_a_scene_without_primitives_is_a_floor_and_no_pictures_are_none():
    camera = look_at(jnp.array([[2.0, 0.0, 1.0]]), jnp.array([0.0, 0.0, 0.9]), 0.9)
    (image, _) = both(crowd(np.random.default_rng(0), 0), 16, 16, at_rest(np.zeros((1, 1, 3))), camera, outputs=OUTPUTS)
    assert set(np.unique(image.segmentation)) == {-1, -2} and np.isfinite(image.rgb).all()
    camera = jax.tree.map(lambda x: x[:0], camera)
    (image, _) = both(crowd(np.random.default_rng(0), 6), 16, 16, at_rest(np.zeros((0, 1, 3))), camera)
    assert image.rgb.shape == (0, 16, 16, 3)


def test_work_is_done_where_there_is_a_bit_and_nowhere_else(monkeypatch):
    monkeypatch.setattr(culling, "BLOCK", 16)
    rng = np.random.default_rng(1)
    words = [jnp.asarray(rng.integers(0, 1 << 31, 100) * (rng.random(100) < 0.3), jnp.int32) for _ in range(2)]

    def work(tiles, words):
        return jnp.stack([tiles, *words], axis=-1)

    found = np.asarray(jax.jit(lambda words: culling.over_tiles(words, work, -1))(words))
    has = np.asarray((words[0] | words[1]) != 0)
    assert 0.2 < has.mean() < 0.8
    np.testing.assert_array_equal(found[has], np.stack([np.arange(100), *words], axis=-1)[has])
    # A block that is not full shows some others, too.
    assert (found[~has] == -1).all(axis=1).mean() > 0.6


def test_a_fold_is_shown_every_bit():
    word = jnp.asarray([0b1011, 1 << 30, (1 << 31) - 1], jnp.int32)
    found = jax.jit(lambda word: culling.fold(word, lambda bit: 1 << bit, jnp.zeros_like(word), jnp.bitwise_or))(word)
    np.testing.assert_array_equal(found & word, word)
