"""The student learns what two teachers do, tells them apart by text, and a stopped run ends as if it had not been."""

import functools
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from constant_policy import constant_policy

from anyskill_brax.distill import train as distill
from anyskill_brax.types import UserError
from configs.distill import get_config

TEACHERS = {
    "wave your right hand": constant_policy([0.6, 0.8, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]),
    "squat low": constant_policy([0.0, 0.0, 0.0, 0.0, 0.0, 0.0, -0.6, 0.8]),
}


@pytest.fixture(scope="module")
def config():
    config = get_config("quicktest").to_dict()
    toy = {"rounds": 6, "num_envs": 4, "horizon": 5, "episode_length": 8, "memory": 6, "widths": (32,)}
    return config | toy | {"steps": 150, "batch": 32, "lr": 1e-2, "text_noise": 0.3}


@pytest.fixture(scope="module")
def run(config, env, low_level, words):
    return functools.partial(distill.train, config, env=env, low_level=low_level, teachers=TEACHERS, model=words)


@pytest.fixture(scope="module")
def straight_folder(tmp_path_factory):
    return tmp_path_factory.mktemp("straight")


@pytest.fixture(scope="module")
def straight(run, straight_folder):
    agreements = []
    student = run(straight_folder, report=lambda _, m: agreements.append(m["agreement"]))
    return student, np.array(agreements)


def test_the_student_reproduces_both_teachers(straight):
    student, agreements = straight
    assert agreements.shape == (6, 2)
    assert agreements[-1].min() > 0.92 > agreements[0].max()
    obs = jnp.zeros(223).at[0].set(0.9)
    for text, teacher in TEACHERS.items():
        answer = student.for_instruction(text).act((), obs)[0]
        np.testing.assert_allclose(jnp.linalg.norm(answer), 1.0, atol=1e-5)
        assert answer @ teacher.act((), obs)[0] > 0.95


def test_other_wordings_find_the_same_skill(straight, words):
    student, _ = straight
    obs = jnp.zeros(223).at[0].set(0.9)
    for text, near in (("wave your right hand", "wave the right hand"), ("squat low", "squat very low")):
        answer = student.for_text(words.embed_text([near])[0]).act((), obs)[0]
        assert answer @ TEACHERS[text].act((), obs)[0] > 0.9


@pytest.mark.slow
def test_a_stopped_run_resumes_to_the_same_bits(run, straight, tmp_path):
    rounds = []
    assert run(tmp_path, report=lambda done, _: rounds.append(done), should_stop=lambda: rounds[-1] == 2) is None
    resumed = run(tmp_path, report=lambda done, _: rounds.append(done))
    assert rounds == list(range(1, 7))
    for ours, theirs in zip(jax.tree.leaves(resumed), jax.tree.leaves(straight[0]), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_a_run_belongs_to_its_teachers(run, straight, straight_folder):
    written = json.loads((straight_folder / "config.json").read_text())
    assert set(written["teachers"]) == set(TEACHERS) and len(set(written["teachers"].values())) == 2
    others = {text: constant_policy(np.eye(8)[k]) for k, text in enumerate(TEACHERS)}
    with pytest.raises(UserError, match=r"another configuration \(teachers"):
        run(straight_folder, teachers=others)


def test_one_teacher_is_not_enough(run, tmp_path):
    with pytest.raises(UserError, match="at least 2"):
        run(tmp_path, teachers=dict(list(TEACHERS.items())[:1]))


def test_memory_keeps_the_last_rounds_and_samples_only_those():
    obs = jnp.zeros((3, 2, 2, 1, 5))
    memory = distill.Memory(obs, jnp.zeros((3, 2, 2, 1, 4)))
    for number in range(4):
        lesson = distill.Lesson(
            obs=jnp.full(obs.shape[1:], number + 1.0),
            latent=jnp.broadcast_to(jnp.arange(2.0)[None, :, None, None], (2, 2, 1, 4)),
            agreement=jnp.zeros((2, 2, 1)),
            fallen=jnp.zeros((2, 2, 1), bool),
        )
        memory = memory.insert(jnp.asarray(number % 3), lesson)
        seen, latent, owner = memory.sample(jax.random.key(number), 64, jnp.minimum(number + 1, 3))
        expected = {float(n + 1) for n in range(max(0, number - 2), number + 1)}
        assert set(np.asarray(seen[:, 0]).tolist()) == expected
        np.testing.assert_array_equal(latent[:, 0], owner)


def test_reworded_texts_stay_near_and_vary():
    text = jnp.eye(6).reshape(2, 3, 6)
    owner = jnp.repeat(jnp.arange(2), 200)
    rows = distill.reword(jax.random.key(0), text, owner, noise=0.3)
    np.testing.assert_allclose(jnp.linalg.norm(rows, axis=-1), 1.0, atol=1e-5)
    nearest = np.asarray(rows.argmax(axis=-1))
    assert set(nearest[:200]) == {0, 1, 2} and set(nearest[200:]) == {3, 4, 5}
    cosines = rows.max(axis=-1)
    assert 0.9 < float(cosines.mean()) < 0.99, "1 / sqrt(1 + 0.3 ** 2) = 0.958 on average"
