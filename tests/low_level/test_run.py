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

import skill_zoo
from anyskill_brax.envs.humanoid_env import HumanoidEnv
from anyskill_brax.low_level import run, worlds
from anyskill_brax.low_level import train as trainer
from anyskill_brax.low_level.falls import drop_fall_states
from anyskill_brax.low_level.settings import LowLevelSettings
from anyskill_brax.types import UserError
from anyskill_brax.workdir import Workdir, read_metrics
from skill_zoo import controllers
from skill_zoo.codecs import weights_sha256
from skill_zoo.controllers import measure
from skill_zoo.lineage import Lineage, behind, lineage, note_origin
from skill_zoo.reproduce import commands_to_run

ROOT = Path(__file__).parents[2]
TOOL = "publish_low_level"


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


@pytest.fixture(scope="module")
def examined(straight) -> dict:
    """The parts of an eval.json that go with a controller."""
    rate = {"successes": 3, "episodes": 4}
    return {
        "about": {"weights_sha256": weights_sha256(straight.controller)},
        "survival": {"up": rate},
        "coverage": {"share": 0.5, "entropy": 0.6},
        "recovery": {"got_up": rate},
        "movement": [{"name": "median jerk", "ratio": None}],
    }


@pytest.fixture(scope="module")
def zoo(straight, straight_folder, examined, tmp_path_factory) -> Path:
    """What was trained straight, published as `humanoid/toy-v1`."""
    folder = tmp_path_factory.mktemp("zoo")
    note_origin(straight_folder, None)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(controllers, "measure", lambda trained: measure(trained, episodes=2, seconds=0.5))
        controllers.publish_controller(
            straight, folder, "toy", {"other clips": "drawn by this test"}, "A note.",
            ["tools/train_low_level.py", "--set", "total_samples=3200", "&&", "tools/publish_low_level.py"],
            "commit 0123456789ab", behind(straight_folder, ()), examined,
        )  # fmt: skip
    return folder


def test_what_is_published_says_what_made_it(zoo):
    manifest, card = skill_zoo.describe("humanoid/toy-v1", zoo), skill_zoo.read_file("humanoid/toy-v1", "card.md", zoo)
    metrics, practised = manifest.metrics, 2 * 8 * 5  # the warm start's rounds, worlds and steps
    assert (metrics["samples"], metrics["practice_samples"], metrics["lineage"]) == (3200, practised, "")
    assert metrics["lineage_samples"] == 3200 + practised and metrics["training_seconds"] > 0
    assert 0 <= metrics["survival_random_latents_10s"] <= 1
    assert metrics["exam_recovery"] == 0.75 and "exam_jerk_ratio" not in metrics, "what was not measured is left out"
    assert manifest.code_version.endswith(", commit 0123456789ab")
    assert manifest.motions == {"other clips": "drawn by this test"}
    text = card.decode()
    for said in ("(ASE", "tools/train_low_level.py --set total_samples=3200\n", "commit 0123456789ab", "A note.",
                 "- other clips: drawn by this test", "- exam_coverage: 0.5", "continued from: nothing"):  # fmt: skip
        assert said in text, said


def test_a_run_is_refused_without_terms_and_with_the_evaluation_of_another(straight, examined, tmp_path):
    with pytest.raises(UserError, match="no licence is known of other clips"):
        controllers.publish_controller(straight, tmp_path, "toy", {})
    terms = {"other clips": "mine"}
    for evaluation, says in (({}, "lacks 'about'"), (examined | {"about": {"weights_sha256": "0" * 64}}, "0000")):
        with pytest.raises(UserError, match=says):
            controllers.publish_controller(straight, tmp_path, "toy", terms, evaluation=evaluation)
    assert not list(tmp_path.iterdir())


def test_the_tool_publishes_with_an_evaluation(tool, straight_folder, examined, tmp_path, monkeypatch, capsys):
    of = ("survival_random_latents_10s", "seconds_up_random_latents")
    measured = dict.fromkeys([*of, *(name.replace("random", "motion") for name in of)], 0.5)
    monkeypatch.setattr(controllers, "measure", lambda trained: measured)
    (tmp_path / "eval.json").write_text(json.dumps(examined))
    command = ["--workdir", straight_folder, "--zoo", tmp_path / "zoo", "--licence", "other clips=mine", "--evaluation"]
    assert tool(*command, tmp_path / "nowhere.json") == 2
    assert "expected an eval.json" in capsys.readouterr().err and not (tmp_path / "zoo").exists()
    assert tool(*command, tmp_path / "eval.json") == 0
    manifest = skill_zoo.describe("humanoid/low-level-v1", tmp_path / "zoo")
    assert manifest.metrics["exam_entropy"] == 0.6 and manifest.motions == {"other clips": "mine"}
    assert commands_to_run(skill_zoo.search.find("humanoid/low-level", tmp_path / "zoo"), Path("/out"))


def test_a_run_can_be_examined_before_it_is_published(straight, straight_folder, zoo, monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "tools")
    from _sources import find_controller

    found, published = find_controller(str(straight_folder), None), find_controller("humanoid/toy", zoo)
    assert found.name.endswith("run after 20 updates") and found.config["seed"] == straight.config["seed"]
    assert found.weights_sha256 == published.weights_sha256 == weights_sha256(straight.controller)


def test_training_continues_from_what_is_published(setup, straight, zoo, updates, tmp_path, monkeypatch):
    monkeypatch.setenv("SKILL_ZOO_PATH", str(zoo))
    published = controllers.read_training("humanoid/toy-v1")
    assert published.keys() == straight.tensors.keys()
    shown: list[Path] = []
    again = run.train(updates(1), tmp_path / "run", init_from=published, report=lambda line: None, note=shown.append)
    assert shown == [tmp_path / "run"]
    note_origin(shown[0], "humanoid/toy")
    note_origin(shown[0], None)  # as when it is resumed: it has begun already
    before = 3200 + 2 * 8 * 5
    assert lineage(str(shown[0])) == Lineage(160 + before, ("run", "humanoid/toy-v1")), "cloned by its parent alone"
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
    Workdir(tmp_path / "other", {"seed": 0}).close()
    with pytest.raises(UserError, match="trains no low-level controller"):
        run.load(tmp_path / "other")


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
