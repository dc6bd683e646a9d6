"""The warm start stopped, killed and resumed: the same bits as straight through."""

import functools
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from anyskill_brax.low_level import warm_start
from anyskill_brax.low_level.pauses import Pauses
from anyskill_brax.low_level.run import _Setup
from anyskill_brax.low_level.state import init_params, reference_normalizers
from anyskill_brax.low_level.team import Team
from anyskill_brax.workdir import Workdir


@pytest.fixture(scope="module")
def setup(quick_config) -> _Setup:
    steps = {"warm_start.encoder_steps": warm_start.CHUNK + 5, "warm_start.rounds": 4, "warm_start.memory": 2}
    return _Setup.create(quick_config("quicktest", steps))


@pytest.fixture(scope="module")
def fit(setup):
    """`fit(resume, pause)`: always the same warm start."""
    key = jax.random.PRNGKey(0)
    normalizers = reference_normalizers(key, setup.env, setup.reference, setup.settings.networks.num_frames)
    params = init_params(key, setup.settings, setup.env)
    return functools.partial(
        warm_start.fit, key, setup.settings, setup.env, setup.reference, params, *normalizers, lambda *line: None
    )


@pytest.mark.slow
def test_a_warm_start_killed_after_a_save_ends_in_the_same_bits(fit, tmp_path: Path):
    """What a process leaves that is killed after the fourth of six pieces is the folder with that piece in it."""
    said: list[str] = []

    def open_run() -> tuple[Workdir, Pauses]:
        folder = Workdir(tmp_path / "run", {})
        return folder, Pauses(folder, "warm_start", 0.0, lambda: False, said.append, Team.of_one())

    folder, pauses = open_run()
    assert fit(pauses.resume, lambda progress: True) is None, "stopped"
    straight = fit(pauses.resume, lambda progress: int(progress.done) == 4 and pauses.pause(progress))
    pauses.close()
    folder.close()
    folder, pauses = open_run()
    resumed = fit(pauses.resume, pauses.pause)
    pauses.close()
    folder.close()
    assert said == ["resumed in warm_start after 4 pieces"] and straight is not None
    jax.tree.map(np.testing.assert_array_equal, resumed, straight)


@pytest.mark.slow
def test_a_world_that_breaks_begins_anew_and_is_counted(setup, monkeypatch):
    """The sixth world's physics diverges at every step of a round."""
    import mujoco.batch

    env, reference, nets = setup.env, setup.reference, setup.settings.networks
    normalizer, _ = reference_normalizers(jax.random.PRNGKey(0), env, reference, nets.num_frames)
    latents = lambda rows: jnp.ones((*rows.shape, nets.latent_dim)) / nets.latent_dim**0.5  # noqa: E731
    pupil = warm_start.Pupil(setup.settings, env, reference, latents, normalizer)
    step = mujoco.batch.Batch.step

    def diverge(batch, **kwargs):
        step(batch, **kwargs)
        batch.qvel[5] = np.nan

    monkeypatch.setattr(mujoco.batch.Batch, "step", diverge)
    actor = init_params(jax.random.PRNGKey(0), setup.settings, env).actor
    key = jax.random.PRNGKey(1)
    room, lesson, broken = jax.jit(pupil.round)(key, actor, pupil.start(key), jnp.zeros(()))
    assert int(broken) == setup.settings.warm_start.horizon and np.asarray(lesson.ended)[:, 5].all()
    assert int(room.age[5]) == 0, "a new episode"
    assert all(np.isfinite(np.asarray(leaf)).all() for leaf in jax.tree.leaves((room, lesson)))


def test_a_stop_saves_and_what_is_due_is_saved(tmp_path: Path):
    folder, stop = Workdir(tmp_path / "run", {}), [False]
    pauses = Pauses(folder, "warm_start", 1e9, lambda: stop[0], lambda line: None, Team.of_one())
    progress = warm_start.Progress(jnp.asarray(3), *({"x": jnp.arange(2.0)} for _ in range(7)))  # pyright: ignore
    assert not pauses.pause(progress) and pauses.resume(progress) is None, "neither due nor asked to stop"
    stop[0] = True
    assert pauses.pause(progress)
    jax.tree.map(np.testing.assert_array_equal, pauses.resume(progress), progress)
    pauses.close()
    eager = Pauses(folder, "warm_start", 0.0, lambda: False, lambda line: None, Team.of_one())
    assert not eager.pause(progress.replace(done=jnp.asarray(4)))
    assert int(eager.resume(progress).done) == 4  # pyright: ignore[reportOptionalMemberAccess]
    eager.close()
    folder.close()


def test_a_kept_folder_is_forgotten(tmp_path: Path):
    folder = Workdir(tmp_path / "run", {})
    aside = folder.aside("warm_start")
    aside.save(1, {"x": jnp.arange(3)})
    aside.close()
    assert (tmp_path / "run" / "warm_start").is_dir()
    folder.forget("warm_start")
    folder.forget("warm_start")  # twice does no harm
    assert not (tmp_path / "run" / "warm_start").exists()
    folder.close()


def test_the_memory_is_a_ring_that_begins_full_of_its_first_lesson():
    lesson = lambda n: warm_start.Lesson(*(jnp.full((2, 1), float(n)) for _ in range(4)))  # noqa: E731
    memory, held = warm_start.Lesson(*(jnp.zeros((3, 2, 1)) for _ in range(4))), []
    for n in range(5):
        memory = warm_start.remember(memory, lesson(10 + n), n)
        held.append([int(x) for x in memory.action[:, 0, 0]])
    assert held == [[10, 10, 10], [10, 11, 11], [10, 11, 12], [13, 11, 12], [13, 14, 12]]
