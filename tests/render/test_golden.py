"""The default picture stays: the packaged image models were trained on it.

`python tests/render/test_golden.py` writes the pictures anew; then the image models must be trained anew too.
"""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from PIL import Image as Picture

from anyskill_brax.character.humanoid import Character, load_character
from anyskill_brax.character.kinematics import forward_kinematics
from anyskill_brax.render.camera import follow_camera
from anyskill_brax.render.raycast import make_renderer

GOLDEN = Path(__file__).parent / "golden"
SIZE = 64


def pictures(character: Character) -> np.ndarray:
    """Standing, kneeling with raised arms, lying; seen from three sides: uint8 `[3, 64, 64, 3]`."""
    qpos = np.tile(character.default_qpos, (3, 1))
    joint = {name: 7 + k for k, name in enumerate(character.joint_names)}
    qpos[1, [joint["right_shoulder_y"], joint["left_shoulder_x"]]] = -2.5, 1.2
    qpos[1, [joint["right_knee"], joint["left_knee"], 2]] = 1.8, 1.2, 0.6
    qpos[2, 2:7] = 0.12, 0.5**0.5, 0.0, 0.5**0.5, 0.0
    bodies = forward_kinematics(character, jnp.asarray(qpos), jnp.zeros((3, 34)))
    render = make_renderer(character, SIZE, SIZE)
    camera = follow_camera(bodies, jnp.array([0.6, -1.2, 2.0]), elevation=jnp.array([0.17, 0.05, 0.5]))
    rgb = jax.jit(lambda b: render(b, camera).rgb)(bodies)
    return np.asarray(jnp.round(255.0 * jnp.asarray(rgb)).astype(jnp.uint8))


def test_the_default_picture_is_the_one_that_image_models_were_trained_on(character):
    for number, picture in enumerate(pictures(character)):
        kept = np.asarray(Picture.open(GOLDEN / f"{number}.png")).astype(int)
        assert abs(picture.astype(int) - kept).max() <= 1, number


if __name__ == "__main__":
    for number, picture in enumerate(pictures(load_character())):
        Picture.fromarray(picture).save(GOLDEN / f"{number}.png")
