"""The teacher of the warm start keeps a reference up that the bare PD drives let fall."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from anyskill_brax.envs.humanoid_env import HumanoidEnv
from anyskill_brax.low_level.reference import Reference
from anyskill_brax.low_level.teacher import Teacher
from anyskill_brax.motion.io import motion_from_qpos
from anyskill_brax.motion.library import MotionLibrary

GAINS = ((1.9, 0.7, 0.8, 0), (0.4, 0, 0.4, 0), (0.2, 0.6, 0.2, 0.1), (-0.7, 0, -0.3, -0.1),
         (-1.3, -0.6, 0, 0), (0.2, 0.7, 0, 0), (1, 0.6, 0, 0.1), (-0.4, -0.1, -0.6, -0.1))  # fmt: skip


@pytest.fixture(scope="module")
def reference(character) -> Reference:
    """One arm goes up and stays up."""
    qpos = np.tile(character.default_qpos, (150, 1))
    angle = -1.5 * np.clip(np.arange(150) / 45.0, 0.0, 1.0)
    qpos[:, 7 + character.joint_names.index("right_shoulder_x")] = angle
    return Reference.create(
        character, MotionLibrary.create([motion_from_qpos(character, "arm", 30.0, qpos, category="gesture")])
    )


def seconds_up(character, reference, teacher, follows: bool) -> np.ndarray:
    """Of five, for eight worlds pushed a little at the start."""
    env, worlds = HumanoidEnv(character), 8
    followers = jnp.full(worlds, follows)
    qvel = 0.15 * jax.random.normal(jax.random.PRNGKey(0), (worlds, 34))
    start = env.place(jnp.tile(reference.qpos[0], (worlds, 1)), qvel)

    @jax.jit
    def run():
        def step(carry, t):
            state, up = carry
            row = jnp.full(worlds, jnp.minimum(t, 149) if follows else 149)
            state = env.advance(state, teacher.action(character, reference, state.bodies, row, followers))
            up &= ~env.has_fallen(state.bodies)
            return (state, up), up

        return jax.lax.scan(step, (start, jnp.ones(worlds, bool)), jnp.arange(150))[1]

    return np.asarray(run()).sum(axis=0) / 30.0


@pytest.mark.parametrize("follows", [True, False], ids=["following", "holding"])
def test_the_teacher_stays_up_where_bare_drives_fall(character, reference, follows):
    teacher = Teacher.create(character, reference, GAINS)
    bare = jax.tree.map(jnp.zeros_like, teacher)
    taught, untaught = (seconds_up(character, reference, t, follows) for t in (teacher, bare))
    assert taught.mean() > 4.5 > 4.0 > untaught.mean()
