"""The low-level stage from its door: resuming, publishing what continues, and what its worlds promise."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from anyskill_brax.low_level import run, worlds
from anyskill_brax.low_level import train as trainer
from anyskill_brax.low_level.falls import drop_fall_states
from anyskill_brax.low_level.settings import LowLevelSettings
from anyskill_brax.types import UserError
from anyskill_brax.workdir import Workdir, read_metrics

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def updates(quick_config):
    """`updates(n)`: the smoke test's config for that many updates."""
    return lambda n: quick_config("quicktest", {"total_samples": n * 160})


@pytest.fixture(scope="module")
def setup(updates):
    return run._Setup.create(updates(1))


@pytest.fixture(scope="module")
def straight_folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("straight") / "run"


@pytest.fixture(scope="module")
def straight(updates, straight_folder) -> run.TrainedController:
    trained = run.train(updates(20), straight_folder, report=lambda line: None)
    assert trained is not None
    return trained


@pytest.mark.slow
def test_twenty_updates_straight_are_the_same_bits_as_with_a_kill_between(updates, straight, tmp_path):
    """kill -9 after some updates, and on to the end. (What SIGTERM does is in test_team.py, by the same command.)"""
    config, workdir = updates(20), tmp_path / "run"
    command = [
        sys.executable, str(ROOT / "tools/train_low_level.py"), "--config", "configs/low_level.py:quicktest",
        "--set", f"motions=('{config.motions[0]}',)", "--set", "total_samples=3200", "--set", "save_every_seconds=0.0",
        "--workdir", str(workdir),
    ]  # fmt: skip
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=ROOT)
    deadline = time.monotonic() + 500
    while not any(row["update"] >= 3 for row in read_metrics(workdir)) and time.monotonic() < deadline:
        assert process.poll() is None, process.communicate()[0]
        time.sleep(0.01)
    process.kill()
    assert process.wait(timeout=120) == -signal.SIGKILL
    killed_at = run.load(workdir).updates
    assert 2 <= killed_at < 20
    lines: list[str] = []
    with config.unlocked():
        config.save_every_seconds = 0.0
    resumed = run.train(config, workdir, report=lines.append)
    assert lines[0] == f"resumed at update {killed_at}"
    assert resumed is not None and resumed.tensors.keys() == straight.tensors.keys()
    for name, value in straight.tensors.items():
        np.testing.assert_array_equal(resumed.tensors[name], value, err_msg=name)
    assert [row["update"] for row in resumed.metrics] == list(range(1, 21))
    assert (workdir / "curves.png").read_bytes().startswith(b"\x89PNG")


def test_a_finished_run_is_loaded_as_it_ended(straight, straight_folder):
    loaded = run.load(straight_folder)
    assert (loaded.updates, loaded.samples) == (20, 3200)
    for name, value in straight.tensors.items():
        np.testing.assert_array_equal(loaded.tensors[name], value)
    np.testing.assert_allclose(jnp.linalg.norm(loaded.controller.motion_latents, axis=-1), 1.0, atol=1e-5)
    assert len(loaded.controller.motion_names) == 8
    assert [row["update"] for row in loaded.metrics] == list(range(1, 21))


def test_training_continues_from_published_tensors(setup, straight, updates, tmp_path):
    again = run.train(updates(1), tmp_path / "run", init_from=straight.tensors, report=lambda line: None)
    name = "actor/params/trunk/layer_0/kernel"
    moved = np.abs(again.tensors[name] - straight.tensors[name]).max()
    assert 0.0 < moved < 0.01, "one update away from where the published networks were"
    like, *_ = run.read_training_tensors(
        straight.tensors, trainer.init_params(jax.random.PRNGKey(0), setup.settings, setup.env)
    )
    with pytest.raises(UserError, match="other sizes"):
        run.read_training_tensors(straight.tensors | {name: np.zeros((3, 3), np.float32)}, like)


def test_a_folder_belongs_to_one_configuration(updates, tmp_path):
    Workdir(tmp_path / "run", updates(1).to_dict()).close()
    with pytest.raises(UserError, match=r"another configuration \(seed: was 0, now 1"):
        Workdir(tmp_path / "run", {**updates(1).to_dict(), "seed": 1})
    with pytest.raises(UserError, match="no run in"):
        run.load(tmp_path / "nowhere")


def test_starts_come_in_the_configured_shares(setup):
    settings: LowLevelSettings = setup.settings
    fallen = drop_fall_states(jax.random.PRNGKey(0), setup.env, 8)
    started = jax.jit(
        lambda key: worlds.start(
            key, setup.env, setup.reference, fallen, None, settings.start, jnp.asarray(0.5), 8, 2000
        )
    )(jax.random.PRNGKey(1))
    follows = np.asarray(started.follows)
    recovering = np.asarray(started.grace) > 0
    assert follows.mean() == pytest.approx(0.5, abs=0.05)
    assert recovering[~follows].mean() == pytest.approx(settings.start.fall_share, abs=0.03)
    assert not recovering[follows].any()
    # Standing is never twice alike, as when policies are graded.
    joints = np.asarray(started.humanoid.physics.qpos)[:, 7:]
    on_reference = (joints == np.asarray(setup.reference.qpos)[np.asarray(started.row), 7:]).all(axis=-1)
    standing = ~follows & ~recovering & ~on_reference
    assert standing[~follows].mean() == pytest.approx(settings.start.default_share, abs=0.05)
    off = joints[standing] - setup.env.character.default_qpos[7:]
    assert np.abs(off).max() < 0.3
    assert (off.std(axis=0) > 0.02).all()
    # A followed motion starts on its reference, window included.
    row = np.asarray(started.row)[follows]
    np.testing.assert_array_equal(np.asarray(started.humanoid.physics.qpos)[follows], setup.reference.qpos[row])
    np.testing.assert_array_equal(
        np.asarray(started.humanoid.window)[follows], setup.reference.window(jnp.asarray(row), setup.env.num_frames)
    )


def test_reference_windows_never_cross_clips(setup):
    reference = setup.reference
    first_of_second = int(reference.start[1])
    window = np.asarray(reference.window(jnp.asarray(first_of_second), 4))
    np.testing.assert_array_equal(window, np.tile(reference.disc[first_of_second], (4, 1)))
    assert int(reference.ahead(jnp.asarray(first_of_second - 1), 5)) == first_of_second - 1
