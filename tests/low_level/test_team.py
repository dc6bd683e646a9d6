"""Several processes train one controller: the same gradients as one device, one folder, any number to resume it."""

import json
import os
import signal
import socket
import subprocess
import sys
import time

import jax
import numpy as np
import pytest
from quick_runs import ROOT

from anyskill_brax.low_level import run
from anyskill_brax.low_level.settings import LowLevelSettings
from anyskill_brax.low_level.team import Team
from anyskill_brax.types import UserError

PATH = os.pathsep.join([str(ROOT), str(ROOT / "tests" / "low_level")])
ENVIRONMENT = os.environ | {"PYTHONPATH": PATH, "JAX_PLATFORMS": "cpu"}


def free_port() -> str:
    with socket.socket() as s:
        s.bind(("localhost", 0))
        return f"localhost:{s.getsockname()[1]}"


def start(command: list[str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, *command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT, env=ENVIRONMENT
    )


@pytest.mark.slow
def test_two_processes_compute_the_gradients_of_one_device(motions):
    address = free_port()
    both = [start(["tests/low_level/two_processes.py", address, str(i), str(motions)]) for i in range(2)]
    results = [process.communicate(timeout=600) for process in both]
    assert [p.returncode for p in both] == [0, 0], results[0][1][-2000:] + results[1][1][-2000:]
    for out, _ in results:
        for variant, networks in json.loads(out.splitlines()[-1]).items():
            assert sorted(networks) == ["actor", "critic", "disc", "encoder"]
            for name, (norm, difference) in networks.items():
                assert norm > 1e-3 and difference < 1e-5 * max(norm, 1.0), (variant, name, norm, difference)


@pytest.mark.slow
def test_a_stop_of_one_stops_all_and_one_device_resumes(quick_config, motions, tmp_path):
    """Two processes train; a signal to one ends both, saved; the folder goes on with a single device."""
    address, workdir = free_port(), tmp_path / "run"
    command = [
        "tools/train_low_level.py", "--config", "configs/low_level.py:quicktest", "--workdir", str(workdir),
        "--set", f"motions=('{motions}',)", "--set", "total_samples=10000000", "--set", "save_every_seconds=0.0",
        "--coordinator", address, "--processes", "2", "--process",
    ]  # fmt: skip
    both = [start([*command, str(i)]) for i in range(2)]
    metrics, deadline = workdir / "metrics.jsonl", time.monotonic() + 540
    while not (metrics.exists() and metrics.read_text()) and time.monotonic() < deadline:
        assert all(p.poll() is None for p in both), [p.communicate()[1][-2000:] for p in both]
        time.sleep(0.2)
    both[1].send_signal(signal.SIGTERM)
    out = [process.communicate(timeout=120) for process in both]
    assert [process.returncode for process in both] == [143, 143], out
    said = [[line for line in text.splitlines() if not line.startswith("[Gloo]")] for text, _ in out]
    assert said[0][-1].startswith("stopped at update") and not said[1], "one speaks"
    lines: list[str] = []
    config = quick_config("quicktest", {"total_samples": 10_000_000, "save_every_seconds": 0.0})
    run.train(config, workdir, report=lines.append, should_stop=lambda: any("M samples" in line for line in lines))
    saved = int(lines[0].removeprefix("resumed at update "))
    assert saved >= 1 and lines[-1].startswith(f"stopped at update {saved + 1};")


def test_what_devices_cannot_share_evenly_is_refused(quick_config):
    class Three(Team):
        @property
        def count(self) -> int:
            return 3

    settings = LowLevelSettings.from_config(quick_config("quicktest"))
    with pytest.raises(UserError, match=r"3 devices cannot share learner.num_worlds \(16\)"):
        Three(Team.of_one().mesh).check(settings)


def test_one_device_is_a_team_of_one(quick_ase):
    team = Team.of_one()
    tree = {"a": jax.numpy.arange(3.0), "b": jax.numpy.ones(2)}
    host = team.to_host(tree)
    assert all(isinstance(x, np.ndarray) for x in jax.tree.leaves(host)) and team.leads
    assert team.agree(True, False) == (True, False) and team.as_leader(host) is host
