"""The low-level stage from its door: resuming, publishing what continues, and what its worlds promise."""

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
from anyskill_brax.low_level.settings import LowLevelSettings
from anyskill_brax.types import UserError
from anyskill_brax.workdir import Workdir

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def updates(quick_config):
    """`updates(n)`: the smoke test's config for that many updates."""
    return lambda n: quick_config("quicktest", {"total_samples": n * 160})


@pytest.fixture(scope="module")
def setup(updates):
    return run._Setup.create(updates(1))


@pytest.fixture(scope="module")
def straight(updates, tmp_path_factory):
    return run.train(updates(4), tmp_path_factory.mktemp("straight") / "run", report=lambda line: None)


def test_stopping_and_resuming_changes_no_bit(updates, straight, tmp_path):
    """Four updates straight are two, a stop, and two more."""
    config, done = updates(4), []

    def note(line: str) -> None:
        if line.startswith("update"):
            done.append(line.split()[1])

    assert run.train(config, tmp_path / "run", report=note, should_stop=lambda: len(done) == 2) is None
    resumed = run.train(config, tmp_path / "run", report=note)
    assert resumed is not None and done == ["1/4", "2/4", "3/4", "4/4"]
    assert resumed.tensors.keys() == straight.tensors.keys()
    for name, value in straight.tensors.items():
        np.testing.assert_array_equal(resumed.tensors[name], value, err_msg=name)


def test_a_finished_run_is_loaded_as_it_ended(straight, updates, tmp_path):
    config = updates(4)
    trained = run.train(config, tmp_path / "run", report=lambda line: None)
    loaded = run.load(tmp_path / "run")
    assert (loaded.updates, loaded.samples) == (4, 640)
    for name, value in trained.tensors.items():
        np.testing.assert_array_equal(loaded.tensors[name], value)
    np.testing.assert_allclose(jnp.linalg.norm(loaded.controller.motion_latents, axis=-1), 1.0, atol=1e-5)
    assert len(loaded.controller.motion_names) == 8
    assert [row["update"] for row in loaded.metrics] == [1, 2, 3, 4]


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
    fallen = worlds.drop_fall_states(jax.random.PRNGKey(0), setup.env, 8)
    started = jax.jit(
        lambda key: worlds.start(key, setup.env, setup.reference, fallen, settings.start, jnp.asarray(0.5), 8, 2000)
    )(jax.random.PRNGKey(1))
    follows = np.asarray(started.follows)
    recovering = np.asarray(started.grace) > 0
    assert follows.mean() == pytest.approx(0.5, abs=0.05)
    assert recovering[~follows].mean() == pytest.approx(settings.start.fall_share, abs=0.03)
    assert not recovering[follows].any()
    standing = np.all(np.asarray(started.humanoid.physics.qpos) == setup.env.character.default_qpos, axis=-1)
    assert standing[~follows].mean() == pytest.approx(settings.start.default_share, abs=0.05)
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


@pytest.mark.slow
def test_the_tool_stops_on_sigterm_with_a_checkpoint(motions, tmp_path):
    command = [
        sys.executable, str(ROOT / "tools/train_low_level.py"), "--config", "configs/low_level.py:quicktest",
        "--set", f"motions=('{motions}',)", "--set", "total_samples=10000000", "--workdir", str(tmp_path / "run"),
    ]  # fmt: skip
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=ROOT)
    metrics = tmp_path / "run" / "metrics.jsonl"
    deadline = time.monotonic() + 240
    while not (metrics.exists() and metrics.read_text()) and time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.2)
    process.terminate()
    out = process.communicate(timeout=60)[0]
    assert process.returncode == 143, out
    assert run.load(tmp_path / "run").updates >= 1
