"""A zoo of one's own for every test."""

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
