"""The low-level stage from its door: resuming, publishing what continues, and what its worlds promise."""

import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from anyskill_brax.envs.humanoid_env import HumanoidEnv
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
def test_twenty_updates_straight_are_the_same_bits_as_with_a_signal_and_a_kill_between(updates, straight, tmp_path):
    """SIGTERM after some updates: saved, exit code 143; the same command goes on; kill -9; and on to the end."""
    config, workdir = updates(20), tmp_path / "run"
    command = [
        sys.executable, str(ROOT / "tools/train_low_level.py"), "--config", "configs/low_level.py:quicktest",
        "--set", f"motions=('{config.motions[0]}',)", "--set", "total_samples=3200", "--set", "save_every_seconds=0.0",
        "--workdir", str(workdir),
    ]  # fmt: skip

    def run_until(update: int, number: signal.Signals) -> tuple[int, str]:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=ROOT)
        deadline = time.monotonic() + 500
        while not any(row["update"] >= update for row in read_metrics(workdir)) and time.monotonic() < deadline:
            assert process.poll() is None, process.communicate()[0]
            time.sleep(0.01)
        process.send_signal(number)
        return process.wait(timeout=120), process.communicate()[0]

    assert run_until(2, signal.SIGTERM)[0] == 143
    stopped_at = run.load(workdir).updates
    assert 2 <= stopped_at < 20
    code, said = run_until(stopped_at + 2, signal.SIGKILL)
    assert code == -signal.SIGKILL and f"resumed at update {stopped_at}" in said
    lines: list[str] = []
    with config.unlocked():
        config.save_every_seconds = 0.0
    resumed = run.train(config, workdir, report=lines.append)
    assert int(lines[0].removeprefix("resumed at update ")) > stopped_at
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


def test_a_run_goes_on_with_a_larger_budget_and_never_with_one_that_is_used_up(
    updates, straight, straight_folder, tmp_path
):
    workdir, lines = tmp_path / "run", []
    shutil.copytree(straight_folder, workdir)
    with pytest.raises(UserError, match="holds 3200 samples already"):
        run.train(updates(19), workdir, report=lines.append)
    kept = lambda: json.loads((workdir / "config.json").read_text())["total_samples"]  # noqa: E731
    assert kept() == 3200 and not lines, "refused, so nothing is changed"
    resumed = run.train(updates(21), workdir, report=lines.append)
    assert lines[:2] == ["resumed with total_samples 3360, was 3200", "resumed at update 20"]
    assert resumed is not None and resumed.updates == 21 and kept() == 3360
    assert [row["update"] for row in resumed.metrics] == list(range(1, 22))


def test_other_settings_are_adopted_only_when_told_and_the_rest_is_refused(updates, tmp_path):
    config, may = updates(1).to_dict(), ("backend", "save_every_seconds")
    Workdir(tmp_path / "run", config).close()
    folder = Workdir(tmp_path / "run", {**config, "backend": "mjx"}, may_differ=may)
    assert folder.changed == {"backend": ("native", "mjx")}
    kept = lambda: json.loads((tmp_path / "run" / "config.json").read_text())["backend"]  # noqa: E731
    assert kept() == "native"
    folder.adopt()
    folder.close()
    assert kept() == "mjx"
    with pytest.raises(UserError, match=r"\(seed: was 0, now 1\).*only backend, save_every_seconds may differ"):
        Workdir(tmp_path / "run", {**config, "seed": 1}, may_differ=may)


def test_worlds_of_one_backend_are_worlds_of_another(character):
    """A step of either takes and gives the same arrays, so a checkpoint goes on with any."""
    after = []
    for backend in ("native", "mjx"):
        env = HumanoidEnv(character, num_frames=2, backend=backend)
        before = jax.eval_shape(lambda: env.place_default((3,)))  # noqa: B023
        after += [before, jax.eval_shape(env.advance, before, jnp.zeros((3, character.action_dim)))]
    described = [jax.tree.map(lambda x: (x.shape, x.dtype), state) for state in after]
    assert all(one == described[0] for one in described)


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
