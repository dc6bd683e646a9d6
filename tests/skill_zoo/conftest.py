"""A zoo of one's own for every test."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from zoo_objects import make_controller

from anyskill_brax.policies import LowLevelController


@pytest.fixture(scope="session")
def controller() -> LowLevelController:
    return make_controller(0)


@pytest.fixture
def zoo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty zoo folder that is the whole search path, so that nothing on this machine is seen or touched."""
    folder = tmp_path / "zoo"
    monkeypatch.setenv("SKILL_ZOO_PATH", str(folder))
    monkeypatch.setattr("skill_zoo.search.PACKAGED", tmp_path / "packaged")
    monkeypatch.setattr("skill_zoo.search.CACHE", tmp_path / "cache")
    return folder


@pytest.fixture
def memory_folder() -> Iterator[Path]:
    """A folder where fsync costs nothing, for the tests that publish hundreds of times."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        yield Path(folder)
