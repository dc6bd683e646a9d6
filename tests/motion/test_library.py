"""The library: exact at frames, spherical between them, clamped at the ends, never reading a neighbour's frames."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from anyskill_brax.motion.io import Motion
from anyskill_brax.motion.library import MotionLibrary
from anyskill_brax.types import UserError

# One compilation each instead of one per operation.
at = jax.jit(MotionLibrary.at)
window = jax.jit(MotionLibrary.window, static_argnums=(3, 4))


def spin(name, frames, level, fps=30.0, weight=1.0):
    """Yaw grows by 0.1 rad per frame; every hinge equals `level + frame`; qvel equals the frame number."""
    frame = np.arange(frames, dtype=np.float32)
    yaw = 0.1 * frame
    qpos = np.zeros((frames, 35), np.float32)
    qpos[:, 3], qpos[:, 6] = np.cos(yaw / 2), np.sin(yaw / 2)
    qpos[:, 7:] = level + frame[:, None]
    return Motion(
        name,
        fps,
        qpos,
        np.tile(frame[:, None], (1, 34)),
        np.zeros((frames, 2), np.uint8),
        weight=weight,
        captions=(name,),
    )


@pytest.fixture(scope="module")
def library():
    return MotionLibrary.create([spin("a", 5, 0.0), spin("b", 8, 100.0, weight=3.0), spin("c", 2, 200.0, weight=0.0)])


def test_tables(library):
    assert library.names == ("a", "b", "c") and library.captions[1] == ("b",)
    np.testing.assert_array_equal(library.start, [0, 5, 13])
    np.testing.assert_allclose(library.weight, [0.25, 0.75, 0.0])
    np.testing.assert_allclose(library.duration(jnp.arange(3)), [4 / 30, 7 / 30, 1 / 30], rtol=1e-6)


def test_exact_at_frames_and_linear_between(library):
    ids = jnp.array([0, 1, 1, 2])
    qpos, qvel = at(library, ids, jnp.array([3.0, 6.0, 2.25, 0.5]) / 30)
    np.testing.assert_allclose(qpos[:, 7], [3.0, 106.0, 102.25, 200.5], rtol=1e-5)
    np.testing.assert_allclose(qvel[:, 0], [3.0, 6.0, 2.25, 0.5], rtol=1e-4)
    np.testing.assert_allclose(2 * jnp.arctan2(qpos[:, 6], qpos[:, 3]), [0.3, 0.6, 0.225, 0.05], atol=1e-5)
    np.testing.assert_allclose(jnp.linalg.norm(qpos[:, 3:7], axis=-1), 1.0, atol=1e-6)


def test_opposite_signs_of_a_quaternion_do_not_matter(library):
    flipped = library.replace(qpos=library.qpos.at[3, 3:7].multiply(-1.0))
    there, here = (at(lib, jnp.array(0), jnp.array(2.5 / 30))[0][3:7] for lib in (library, flipped))
    np.testing.assert_allclose(abs(jnp.dot(there, here)), 1.0, atol=1e-6)


def test_times_are_clamped_to_the_motion(library):
    qpos, _ = at(library, jnp.array([1, 1, 0]), jnp.array([-5.0, 99.0, 99.0]))
    np.testing.assert_allclose(qpos[:, 7], [100.0, 107.0, 4.0], rtol=1e-6)


def test_window_ends_at_t_and_repeats_the_first_frame(library):
    qpos, qvel = window(library, jnp.array([1, 0]), jnp.array([5.0, 1.0]) / 30, 4, 1 / 30)
    assert qpos.shape == (2, 4, 35) and qvel.shape == (2, 4, 34)
    np.testing.assert_allclose(qpos[0, :, 7], [102, 103, 104, 105], rtol=1e-5)
    np.testing.assert_allclose(qpos[1, :, 7], [0, 0, 0, 1], atol=1e-4)


def test_vmap_equals_the_batch(library):
    ids, t = jnp.array([0, 1, 2, 1]), jnp.array([0.01, 0.2, 0.0, 0.1])
    for one, batch in zip(jax.vmap(at, in_axes=(None, 0, 0))(library, ids, t), at(library, ids, t), strict=True):
        np.testing.assert_allclose(one, batch, rtol=1e-6)


def test_sampling_follows_weights_and_stays_inside(library):
    ids = library.sample_motions(jax.random.key(0), (4000,))
    assert not (ids == 2).any() and abs(float((ids == 1).mean()) - 0.75) < 0.03
    t = library.sample_times(jax.random.key(1), ids)
    assert (t >= 0).all() and (t <= library.duration(ids)).all()
    assert float(t[ids == 1].mean()) == pytest.approx(3.5 / 30, rel=0.05)


def test_mixed_rates_doubles_and_zero_weights_are_refused():
    with pytest.raises(UserError, match="one frame rate per library, found a 30, b 60 fps"):
        MotionLibrary.create([spin("a", 3, 0.0), spin("b", 3, 0.0, fps=60.0)])
    with pytest.raises(UserError, match="more than once: a"):
        MotionLibrary.create([spin("a", 3, 0.0), spin("a", 3, 0.0)])
    with pytest.raises(UserError, match="weight 0"):
        MotionLibrary.create([spin("a", 3, 0.0, weight=0.0)])
    with pytest.raises(UserError, match="at least one motion"):
        MotionLibrary.create([])
