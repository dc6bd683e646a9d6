"""The steering task's reward, worked by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from anyskill_brax.character.kinematics import BodyState
from anyskill_brax.envs.tasks.steering import Steering, SteeringState


def figure(x: float, y: float, yaw: float) -> BodyState:
    """One body at `x, y` [m] facing `yaw` [rad]."""
    zero = jnp.zeros((1, 3))
    rot = jnp.array([[np.cos(yaw / 2), 0.0, 0.0, np.sin(yaw / 2)]], jnp.float32)
    return BodyState(pos=jnp.array([[x, y, 0.9]]), rot=rot, linvel=zero, angvel=zero, joint_rot=rot)


def target(direction: float, facing: float, speed: float) -> SteeringState:
    return SteeringState(
        direction=jnp.array([np.cos(direction), np.sin(direction)], jnp.float32),
        facing=jnp.array([np.cos(facing), np.sin(facing)], jnp.float32),
        speed=jnp.array(speed),
    )


@pytest.mark.parametrize(
    ("move", "yaw", "velocity", "facing"),
    [
        ((1.5 / 30, 0.0), 0.0, 0.7, 0.3),  # exactly as asked
        ((0.0, 0.0), 0.0, 0.7 * np.exp(-0.25 * 1.5**2), 0.3),  # standing still
        ((1.5 / 30, 2.0 / 30), np.pi / 3, 0.7 * np.exp(-0.025 * 2.0**2), 0.15),  # drifting left, looking left
        ((1.5 / 30, 0.0), np.pi, 0.7, 0.0),  # walking backwards
    ],
)
def test_reward_by_hand(move, yaw, velocity, facing):
    terms = Steering().reward_terms(target(0.0, 0.0, 1.5), figure(0.0, 0.0, yaw), figure(*move, yaw))
    assert float(terms["velocity"]) == pytest.approx(velocity, abs=1e-5)
    assert float(terms["facing"]) == pytest.approx(facing, abs=1e-5)


def test_the_target_is_seen_in_the_heading_frame():
    """Going to +y while facing +y: straight ahead."""
    seen = Steering().observe(target(np.pi / 2, np.pi, 1.0), figure(3.0, 2.0, np.pi / 2))
    np.testing.assert_allclose(seen, [1.0, 0.0, 0.0, 1.0, 1.0], atol=1e-6)


def test_targets_are_unit_and_in_range():
    task = Steering(min_speed=0.5, max_speed=1.0)
    drawn = jax.vmap(lambda key: task.reset(key, figure(0.0, 0.0, 0.0)))(jax.random.split(jax.random.PRNGKey(0), 100))
    np.testing.assert_allclose(jnp.linalg.norm(drawn.direction, axis=-1), 1.0, atol=1e-6)
    assert 0.5 <= float(drawn.speed.min()) < 0.6 < 0.9 < float(drawn.speed.max()) <= 1.0
