"""Shared fixtures, and type checks that only tests pay for: jaxtyping shapes and annotations, enforced by beartype."""

import atexit
import ctypes.util
import os
import runpy
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import jaxtyping
import pytest

if ctypes.util.find_library("OSMesa"):
    os.environ.setdefault("MUJOCO_GL", "osmesa")  # MuJoCo's own renderer without a display

# Most of the time goes into compiling what then runs for a moment: compile quickly, and nothing twice. Set before JAX
# is imported, for this process, its workers and every process that a test starts. (The pinned JAX knows these flags.)
QUICKLY, WELL = (f"--xla_backend_optimization_level={level} --xla_cpu_use_fusion_emitters=false" for level in (0, 1))
os.environ.setdefault("XLA_FLAGS", QUICKLY)
if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
    _compiled = tempfile.mkdtemp(prefix="compiled-")
    atexit.register(shutil.rmtree, _compiled, ignore_errors=True)
    os.environ["JAX_COMPILATION_CACHE_DIR"] = _compiled
    os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0.2"
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # every program loaded says at length that it was compiled here

with jaxtyping.install_import_hook(["anyskill_brax", "skill_zoo"], "typecheck.annotations"):
    from anyskill_brax.character.humanoid import Character, load_character


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with the most slow tests first, so that at the end no worker is left alone with a long one."""
    slow = Counter(item.path for item in items if item.get_closest_marker("slow"))
    items.sort(key=lambda item: -slow[item.path])


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """What is marked `optimised` compares roundings or computes for long: it gets its own process, compiled well."""
    if pyfuncitem.get_closest_marker("optimised") is None or os.environ["XLA_FLAGS"] != QUICKLY:
        return None
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", pyfuncitem.nodeid],
        cwd=pyfuncitem.config.rootpath, env=inherited | {"XLA_FLAGS": WELL}, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0 and "1 passed" in done.stdout, done.stdout + done.stderr
    return True


@pytest.fixture(scope="session")
def character() -> Character:
    return load_character()


@pytest.fixture
def tool(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """Runs `tools/<TOOL>.py`, named by the test module's `TOOL`, in this process; returns its exit code."""
    file = Path(__file__).parents[1] / "tools" / f"{request.module.TOOL}.py"
    monkeypatch.syspath_prepend(str(file.parent))

    def run(*arguments: object) -> int:
        monkeypatch.setattr("sys.argv", [str(file), *map(str, arguments)])
        with pytest.raises(SystemExit) as stopped:
            runpy.run_path(str(file), run_name="__main__")
        return int(stopped.value.code or 0)

    return run


@pytest.fixture(scope="session")
def motion_pack() -> Path:
    """The folder of real motion clips: `ANYSKILL_MOTIONS`, or `../shared/motions` beside the repository."""
    folder = Path(os.environ.get("ANYSKILL_MOTIONS", Path(__file__).parents[2] / "shared" / "motions"))
    if not (folder / "index.json").is_file():
        pytest.skip(f"no motion pack at {folder} (set ANYSKILL_MOTIONS)")
    return folder
