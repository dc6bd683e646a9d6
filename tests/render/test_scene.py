"""Scenes read from any model, joined; looks: shadows, ambient light, textures; what stands still drawn once."""

import jax
import jax.numpy as jnp
import mujoco
import numpy as np
import pytest
from solids import at_rest, single

from anyskill_brax.render.camera import look_at
from anyskill_brax.render.raycast import make_renderer
from anyskill_brax.render.scene import (
    BOX,
    FLOOR,
    SPHERE,
    STANDING,
    WORLD,
    Look,
    character_scene,
    join,
    model_scene,
)
from anyskill_brax.types import UserError

ROOM = """
<mujoco>
  <asset><material name="brick" rgba="0.8 0.3 0.2 1"/></asset>
  <worldbody>
    <geom type="plane" size="0 0 1" pos="0 0 0.1" rgba="0.2 0.4 0.2 1"/>
    <geom name="wall" type="box" size="0.1 1 0.5" pos="-1 0 0.5" material="brick"/>
    <geom name="ghost" type="box" size="1 1 1" rgba="1 1 1 0"/>
    <geom name="hidden" type="box" size="1 1 1" group="3"/>
    <body name="ball" pos="0 0 1"><freejoint/><geom type="sphere" size="0.2" rgba="1 0 0 1"/></body>
  </worldbody>
</mujoco>
"""
MESH = """
<mujoco><asset><mesh name="m" vertex="0 0 0 1 0 0 0 1 0 0 0 1"/></asset>
<worldbody><geom name="statue" type="mesh" mesh="m"/></worldbody></mujoco>
"""


def test_a_model_is_read_with_its_materials_and_without_what_is_hidden():
    scene = model_scene(mujoco.MjModel.from_xml_string(ROOM))
    assert scene.kind.tolist() == [BOX, SPHERE]
    assert scene.label.tolist() == [STANDING, 0] and scene.body.tolist() == [WORLD, 0]
    np.testing.assert_allclose(scene.rgb, [[0.8, 0.3, 0.2], [1.0, 0.0, 0.0]])
    np.testing.assert_allclose(scene.floor_rgb, [0.2, 0.4, 0.2])
    assert scene.floor_z == pytest.approx(0.1)


def test_a_mesh_is_refused_by_name():
    with pytest.raises(UserError, match=r"statue is a mesh.*sphere.*group 3"):
        model_scene(mujoco.MjModel.from_xml_string(MESH))


def test_objects_join_a_character(character):
    """Their bodies count on after the character's; what stands still needs no pose; the floor is the character's."""
    both = join(character_scene(character), model_scene(mujoco.MjModel.from_xml_string(ROOM)), character.num_bodies)
    assert both.label[-2:].tolist() == [STANDING, character.num_bodies] and both.body[-2:].tolist() == [WORLD, 15]
    assert both.floor_z == 0.0 and len(both) == len(character_scene(character)) + 2


def test_left_and_right_limbs_have_colours_of_their_own(character):
    scene = character_scene(character)
    for left, name in enumerate(character.body_names):
        if name.startswith("left_"):
            right = character.body(name.replace("left", "right"))
            assert np.abs(scene.rgb[scene.body == left] - scene.rgb[scene.body == right]).max() > 0.3, name


VIEW = look_at(jnp.array([2.5, 0.0, 2.0]), jnp.array([0.0, 0.0, 0.4]), 0.8)
OVERHEAD = (0.0, 1e-3, 1.0)


def shoot(scene, bodies, size: int = 33, **options) -> np.ndarray:
    image = jax.jit(make_renderer(scene, size, size, **options))(bodies, VIEW)
    assert image.rgb is not None
    return np.asarray(image.rgb)


def test_a_hard_shadow_falls_on_things_too():
    """A box over a larger box, the light overhead: the lower one's top is dark in the middle, sunlit at its rim."""
    low, high = single(BOX, (0.5, 0.5, 0.1), pos=(0.0, 0.0, 0.3)), single(BOX, (0.1, 0.1, 0.1), pos=(0.0, 0.0, 3.0))
    bodies, scene = at_rest([[0.0, 0.0, 0.0]]), join(low, high, 0)
    with_hard = shoot(scene, bodies, look=Look(light=OVERHEAD, hard_shadow=True, shadow=1.0, gloss=0.0, skylight=0.0))
    with_none = shoot(scene, bodies, look=Look(light=OVERHEAD, shadow=0.0, gloss=0.0, skylight=0.0))
    change = (with_none - with_hard)[..., 0]
    # The camera looks at (0, 0, 0.4), the middle of the top.
    assert change[16, 16] == pytest.approx(0.52, abs=0.01)  # all of the Lambert term on a red top
    assert change[16, 22] == 0.0  # the rim
    assert 0.0 < (change > 0.1).mean() < 0.1


def test_a_hard_shadow_on_the_floor_is_sharp_where_a_soft_one_is_not():
    scene, bodies = single(SPHERE, (0.4,)), at_rest([[0.0, 0.0, 0.0]])
    bare = shoot(scene, bodies, look=Look(shadow=0.0, checker=0.0))
    kinds = {hard: shoot(scene, bodies, look=Look(hard_shadow=hard, checker=0.0)) for hard in (True, False)}
    label = np.asarray(make_renderer(scene, 33, 33, outputs=("segmentation",))(bodies, VIEW).segmentation)
    loss = {hard: (1.0 - rgb[label == FLOOR] / bare[label == FLOOR]).max(axis=-1) for hard, rgb in kinds.items()}
    between = {hard: int(((v > 0.02) & (v < 0.2)).sum()) for hard, v in loss.items()}
    assert between[True] == 0 < between[False]
    assert (loss[True] > 0.2).sum() > 20


def test_ambient_light_alone_is_flat():
    rgb = shoot(
        single(SPHERE, (0.4,)),
        at_rest([[0.0, 0.0, 0.0]]),
        look=Look(ambient=0.7, diffuse=0.0, gloss=0.0, skylight=0.0, shadow=0.0),
    )
    red = (rgb[..., 1] == 0.0) & (rgb[..., 0] > 0.0)
    assert red.sum() > 20
    np.testing.assert_allclose(rgb[red][:, 0], 0.7, atol=1e-6)


def test_floor_and_sky_take_textures():
    """A two-coloured tile: x in [0, 1/2) of each metre green, the rest blue; a sky red ahead (-x), black behind."""
    floor = np.zeros((1, 2, 3))
    floor[0, 0, 1] = floor[0, 1, 2] = 1.0
    sky = np.zeros((2, 4, 3))
    sky[:, [0, 3], 0] = 1.0  # the picture's two ends meet at -x
    scene, eye = single(SPHERE, (0.01,), pos=(0.0, 0.0, 50.0)), jnp.array([0.25, 0.0, 1.0])
    look = Look(floor_texture=floor, sky_texture=sky, haze=1e6)
    render = jax.jit(make_renderer(scene, 9, 9, look=look))
    down = render(at_rest([[0.0, 0.0, 0.0]]), look_at(eye, jnp.array([0.25, 0.001, 0.0]), 0.2)).rgb
    beside = render(at_rest([[0.0, 0.0, 0.0]]), look_at(eye + 0.5, jnp.array([0.75, 0.501, 0.0]), 0.2)).rgb
    assert down is not None and beside is not None
    np.testing.assert_allclose(down[4, 4], [0.0, 1.0, 0.0], atol=1e-5)
    np.testing.assert_allclose(beside[4, 4], [0.0, 0.0, 1.0], atol=1e-5)
    for ahead, red in ((-1.0, 1.0), (1.0, 0.0)):
        up = render(at_rest([[0.0, 0.0, 0.0]]), look_at(eye, eye + jnp.array([ahead, 0.0, 0.5]), 0.2)).rgb
        assert up is not None
        np.testing.assert_allclose(up[4, 4], [red, 0.0, 0.0], atol=1e-5)


def test_a_texture_that_is_no_picture_is_refused():
    with pytest.raises(UserError, match=r"floor_texture is a picture \[h, w, 3\]"):
        Look(floor_texture=np.zeros((4, 4)))


def test_antialiasing_is_the_mean_of_finer_rays():
    scene, bodies = single(SPHERE, (0.4,)), at_rest([[0.0, 0.0, 0.0]])
    look = Look(checker=0.0)
    smooth, fine = shoot(scene, bodies, 8, supersample=3, look=look), shoot(scene, bodies, 24, look=look)
    np.testing.assert_allclose(smooth, fine.reshape(8, 3, 8, 3, 3).mean(axis=(1, 3)), atol=1e-5)


@pytest.mark.parametrize("hard_shadow", [False, True])
def test_a_fixed_camera_gives_the_same_picture_from_its_backdrop(hard_shadow):
    """A ball before a wall, above a floor: drawn whole, and drawn onto what was drawn once."""
    scene, look = model_scene(mujoco.MjModel.from_xml_string(ROOM)), Look(hard_shadow=hard_shadow)
    bodies = at_rest([[[0.0, 0.0, 1.0]], [[-0.4, 0.3, 0.4]], [[-3.0, 0.0, 0.5]]])
    outputs = ("rgb", "depth", "segmentation")
    whole = jax.jit(make_renderer(scene, 32, 32, look=look, outputs=outputs, supersample=2))(bodies, VIEW)
    render = make_renderer(scene, 32, 32, look=look, outputs=outputs, supersample=2, camera=VIEW)
    onto = jax.jit(render)(bodies)
    np.testing.assert_allclose(onto.rgb, whole.rgb, atol=2e-5)
    np.testing.assert_array_equal(onto.segmentation, whole.segmentation)
    np.testing.assert_allclose(onto.depth, whole.depth, rtol=1e-5)


def test_a_renderer_has_one_camera_or_is_given_one():
    scene, bodies = single(SPHERE, (0.4,)), at_rest([[0.0, 0.0, 0.0]])
    with pytest.raises(UserError, match="give `render` a camera"):
        make_renderer(scene, 8, 8)(bodies)
    with pytest.raises(UserError, match="give `render` a camera"):
        make_renderer(scene, 8, 8, camera=VIEW)(bodies, VIEW)
