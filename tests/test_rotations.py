"""Hand-worked rotations, the laws they obey, and parity with scipy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.spatial.transform import Rotation, Slerp

from anyskill_brax import rotations

R = float(np.sqrt(0.5))
QUARTER = {
    "x": np.array([R, R, 0, 0], np.float32),
    "y": np.array([R, 0, R, 0], np.float32),
    "z": np.array([R, 0, 0, R], np.float32),
}


def random_quats(seed: int, count: int = 200) -> np.ndarray:
    q = np.random.default_rng(seed).normal(size=(count, 4)).astype(np.float32)
    return q / np.linalg.norm(q, axis=-1, keepdims=True)


def scipy(q) -> Rotation:
    return Rotation.from_quat(np.asarray(q, np.float64), scalar_first=True)


# -- by hand -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("axis", "vector", "turned"),
    [
        ("x", (0, 1, 0), (0, 0, 1)),
        ("y", (0, 0, 1), (1, 0, 0)),
        ("z", (1, 0, 0), (0, 1, 0)),
        ("z", (0, 0, 1), (0, 0, 1)),
    ],
)
def test_quarter_turns(axis, vector, turned):
    v = jnp.array(vector, jnp.float32)
    np.testing.assert_allclose(rotations.rotate(QUARTER[axis], v), turned, atol=1e-6)
    np.testing.assert_allclose(rotations.rotate_inverse(QUARTER[axis], jnp.array(turned, float)), vector, atol=1e-6)


def test_the_right_factor_acts_first():
    """x -> (about z) y -> (about x) z."""
    both = rotations.quat_mul(QUARTER["x"], QUARTER["z"])
    np.testing.assert_allclose(both, [0.5, 0.5, -0.5, 0.5], atol=1e-6)
    np.testing.assert_allclose(rotations.rotate(both, jnp.array([1.0, 0, 0])), [0, 0, 1], atol=1e-6)


def test_six_d_is_the_first_and_last_column():
    """A quarter turn about z: columns (0 1 0), (-1 0 0), (0 0 1)."""
    np.testing.assert_allclose(rotations.to_6d(QUARTER["z"]), [0, 1, 0, 0, 0, 1], atol=1e-6)


def test_heading_is_the_yaw_of_the_x_axis():
    np.testing.assert_allclose(rotations.heading(QUARTER["z"]), np.pi / 2, atol=1e-6)
    np.testing.assert_allclose(rotations.heading(QUARTER["x"]), 0, atol=1e-6)
    leaning = rotations.quat_mul(rotations.yaw_quat(jnp.array(2.0)), rotations.from_hinges_xyz(jnp.array([0, 0.5, 0])))
    np.testing.assert_allclose(rotations.heading(leaning), 2.0, atol=1e-6)


def test_exp_map_of_a_quarter_turn():
    np.testing.assert_allclose(rotations.to_exp_map(QUARTER["y"]), [0, np.pi / 2, 0], atol=1e-6)
    np.testing.assert_allclose(rotations.to_exp_map(-QUARTER["y"]), [0, np.pi / 2, 0], atol=1e-6)


def test_slerp_of_latents_goes_half_way_and_keeps_antipodes_apart():
    a, b = jnp.eye(5)[0], jnp.eye(5)[1]
    np.testing.assert_allclose(rotations.slerp(a, b, 0.5), [R, R, 0, 0, 0], atol=1e-6)
    np.testing.assert_allclose(rotations.slerp(a, -b, 1.0), -b, atol=1e-6)
    q = jnp.asarray(QUARTER["z"], jnp.float32)
    np.testing.assert_allclose(rotations.slerp(q, -q, 0.3), q, atol=1e-6)  # one rotation, two signs


# -- laws ----------------------------------------------------------------------------------------------------------


def test_group_axioms():
    a, b, c = (random_quats(seed) for seed in (0, 1, 2))
    mul = rotations.quat_mul
    np.testing.assert_allclose(mul(mul(a, b), c), mul(a, mul(b, c)), atol=1e-6)
    np.testing.assert_allclose(mul(a, rotations.quat_conj(a)), np.tile([1.0, 0, 0, 0], (200, 1)), atol=1e-6)
    np.testing.assert_allclose(jnp.linalg.norm(mul(a, b), axis=-1), 1.0, atol=1e-6)


def test_there_and_back():
    q = random_quats(3)
    assert rotations.angle_between(rotations.from_exp_map(rotations.to_exp_map(q)), q).max() < 2e-3
    angles = np.random.default_rng(4).uniform([-3, -1.5, -3], [3, 1.5, 3], (200, 3)).astype(np.float32)
    np.testing.assert_allclose(rotations.to_hinges_xyz(rotations.from_hinges_xyz(angles)), angles, atol=2e-3)


def test_removing_the_heading_leaves_none():
    q = random_quats(5)
    level = rotations.quat_mul(rotations.yaw_quat(-rotations.heading(q)), q)
    np.testing.assert_allclose(rotations.heading(level), 0.0, atol=1e-5)


def test_small_angles_have_finite_gradients():
    """At the identity, where the formulas divide by the angle."""
    gradient = jax.jit(jax.jacfwd(rotations.from_exp_map))(jnp.full(3, 1e-8))
    np.testing.assert_allclose(gradient[1:], 0.5 * np.eye(3), atol=1e-5)


# -- the same function from another source -------------------------------------------------------------------------


def test_equals_scipy():
    a, b = random_quats(6), random_quats(7)
    v = np.random.default_rng(8).normal(size=(200, 3)).astype(np.float32)
    np.testing.assert_allclose(rotations.rotate(a, v), scipy(a).apply(v), atol=1e-5)
    np.testing.assert_allclose(rotations.to_matrix(a), scipy(a).as_matrix(), atol=1e-6)
    np.testing.assert_allclose(
        rotations.to_6d(a), scipy(a).as_matrix()[:, :, [0, 2]].swapaxes(1, 2).reshape(-1, 6), atol=1e-6
    )
    np.testing.assert_allclose(rotations.to_exp_map(a), scipy(a).as_rotvec(), atol=1e-4)
    np.testing.assert_allclose(
        rotations.to_matrix(rotations.from_exp_map(v)), Rotation.from_rotvec(v).as_matrix(), atol=1e-5
    )
    np.testing.assert_allclose(
        rotations.to_matrix(rotations.from_hinges_xyz(v)), Rotation.from_euler("XYZ", v).as_matrix(), atol=1e-5
    )
    np.testing.assert_allclose(rotations.angle_between(a, b), (scipy(a).inv() * scipy(b)).magnitude(), atol=1e-4)
    axis = v / np.linalg.norm(v, axis=-1, keepdims=True)
    angle = np.linspace(-3, 3, 200, dtype=np.float32)
    np.testing.assert_allclose(
        rotations.to_matrix(rotations.from_axis_angle(axis, angle)),
        Rotation.from_rotvec(axis * angle[:, None]).as_matrix(),
        atol=1e-5,
    )


def test_slerp_equals_scipy():
    a, b = random_quats(9, 20), random_quats(10, 20)
    for i, t in enumerate(np.linspace(0, 1, 20, dtype=np.float32)):
        mid = Slerp([0, 1], scipy(np.stack([a[i], b[i]])))(t)
        np.testing.assert_allclose(rotations.to_matrix(rotations.slerp(a[i], b[i], t)), mid.as_matrix(), atol=1e-4)
