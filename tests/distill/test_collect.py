"""Labels come from the teacher whose world it is, whoever drives."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from constant_policy import constant_policy
from flax import struct
from stand_ins import LATENT_DIM
from zoo_objects import parameters

from anyskill_brax.distill.collect import Teachers, blank_worlds, collect
from anyskill_brax.envs.humanoid_env import HumanoidEnv
from anyskill_brax.envs.latent_env import LatentEnv
from anyskill_brax.networks import LatentHead
from anyskill_brax.policies import MultiSkillPolicy

AXES = np.eye(LATENT_DIM, dtype=np.float32)


@struct.dataclass
class Counting:
    """Turns from its first latent to its second at its second latent step: a teacher with memory."""

    latents: jax.Array  # [2, L]

    def init(self, key):
        del key
        return jnp.zeros((), jnp.int32)

    def act(self, state, obs):
        del obs
        return self.latents[jnp.minimum(state, 1)], state + 1


def test_teachers_of_different_shapes_answer_in_their_own_rows():
    teachers = Teachers.create(
        [
            constant_policy(AXES[0]),
            constant_policy(AXES[1], widths=(5, 2)),
            Counting(jnp.asarray(AXES[2:4])),
            constant_policy(AXES[3]),
        ]
    )
    assert teachers.count == 4 and sorted(map(len, teachers.rows)) == [1, 1, 2]
    states = teachers.init(jnp.zeros((4, 2, 2), jnp.uint32))
    obs = jax.random.normal(jax.random.key(1), (4, 2, 223))
    first, states = teachers.act(states, obs)
    assert np.asarray(first).argmax(-1).tolist() == [[0, 0], [1, 1], [2, 2], [3, 3]]
    done = jnp.zeros((4, 2), bool).at[2, 1].set(True)
    states = teachers.restart(states, done, jnp.zeros((4, 2, 2), jnp.uint32))
    assert np.asarray(teachers.act(states, obs)[0]).argmax(-1).tolist() == [[0, 0], [1, 1], [3, 2], [3, 3]]


class Alike(HumanoidEnv):
    """Every start is the same: only who drives can make a difference."""

    def standing(self, key, lead=()):
        return self.place_default(lead)


@pytest.fixture(scope="module")
def played(character, low_level):
    """Two latent steps: in column 0 the teachers drive, in column 1 the student; no noise on the latent."""
    env = Alike(character, num_frames=low_level.style.num_frames)
    teachers = Teachers.create([constant_policy(AXES[0]), constant_policy(-AXES[0])])
    params = parameters(LatentHead(LATENT_DIM, (6,)), 5, jnp.zeros(223), jnp.zeros(3))
    student = MultiSkillPolicy(params, low_level.normalizer, jnp.eye(2, 3), (), LATENT_DIM, (6,))
    latent_env = LatentEnv(env, low_level, episode_length=50, axis="vmap")
    text = jnp.broadcast_to(jnp.eye(2, 3)[:, None], (2, 2, 3))
    drives = jnp.array([[True, False], [True, False]])

    @jax.jit
    def go(key):
        worlds = blank_worlds(latent_env, teachers, 2)
        return collect(key, latent_env, teachers, student, text, drives, worlds, horizon=2, drive_noise=0.0)

    return student, text, go(jax.random.PRNGKey(0))


def test_every_world_is_labelled_by_its_own_teacher(played):
    _, _, (_, lesson) = played
    expected = np.stack([AXES[0], -AXES[0]])[None, :, None]
    np.testing.assert_allclose(lesson.latent, np.broadcast_to(expected, (2, 2, 2, LATENT_DIM)), atol=1e-6)


def test_agreement_is_the_cosine_of_student_and_label(played):
    student, text, (_, lesson) = played
    answer = student.latent(lesson.obs, jnp.broadcast_to(text, (2, *text.shape)))
    np.testing.assert_allclose(lesson.agreement, (answer * lesson.latent).sum(-1), atol=1e-5)


def test_the_driver_decides_where_the_world_goes(played):
    _, _, (worlds, lesson) = played
    obs = np.asarray(lesson.obs)
    np.testing.assert_allclose(obs[0, :, 0], obs[0, :, 1], atol=1e-4)
    assert np.abs(obs[1, :, 0] - obs[1, :, 1]).max() > 0.01, "teacher and student steer differently"
    assert np.abs(obs[1, 0, 0] - obs[1, 1, 0]).max() > 0.01, "so do two teachers"
    assert worlds.env.elapsed.tolist() == [[2, 2], [2, 2]]
