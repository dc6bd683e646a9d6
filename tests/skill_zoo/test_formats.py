"""Every format version ever written loads, for ever.

`formats/vN` was written by the code of its time and is never rewritten; a new format version adds a folder with
`formats/write.py`.
"""

import shutil
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from zoo_objects import LATENT, make_controller, make_skill

import skill_zoo
from skill_zoo.manifest import FORMAT_VERSION, Manifest

FORMATS = Path(__file__).parent / "formats"
VERSIONS = range(1, FORMAT_VERSION + 1)


@pytest.mark.parametrize("version", VERSIONS)
def test_every_kind_of_every_format_loads_and_works(version, zoo):
    folder = FORMATS / f"v{version}"
    found = {entry.kind: entry for entry in skill_zoo.list_skills(zoo=folder)}
    assert set(found) == {"low_level", "skill", "multi_skill", "reward_model"}
    assert {entry.manifest.format_version for entry in found.values()} == {version}
    assert all(report.ok for report in skill_zoo.verify(zoo=folder))
    loaded = {kind: skill_zoo.load(entry.id, folder) for kind, entry in found.items()}
    obs = jnp.asarray(np.random.default_rng(0).normal(size=223), jnp.float32)
    controller = make_controller(0)  # the seeds of the fixture
    latent = jnp.eye(LATENT)[0]
    np.testing.assert_allclose(loaded["low_level"].act(obs, latent), controller.act(obs, latent), atol=1e-6)
    expected = make_skill(controller, "wave your right hand").act((), obs)[0]
    np.testing.assert_allclose(loaded["skill"].act((), obs)[0], expected, atol=1e-6)
    multi = loaded["multi_skill"]
    assert multi.act(multi.init(jax.random.key(0)), obs)[0].shape == (LATENT,)
    assert found["skill"].manifest.admission["status"] == "unverified"
    assert found["low_level"].manifest.admission["status"] == "exempt"


@pytest.mark.parametrize("version", VERSIONS)
def test_archives_of_every_format_are_imported_as_they_are(version, zoo):
    skill_zoo.import_archive(FORMATS / f"v{version}.tar", zoo)
    original = FORMATS / f"v{version}/entries/humanoid/wave/v1/manifest.json"
    assert (zoo / "entries/humanoid/wave/v1/manifest.json").read_bytes() == original.read_bytes()
    assert skill_zoo.load("humanoid/wave", zoo).instruction == "wave your right hand"


@pytest.mark.parametrize("version", VERSIONS)
def test_an_old_zoo_takes_new_versions(version, zoo):
    shutil.copytree(FORMATS / f"v{version}", zoo)
    assert str(skill_zoo.save(make_controller(5), "low-level")) == "humanoid/low-level-v2"
    assert skill_zoo.describe("humanoid/low-level").format_version == FORMAT_VERSION
    assert skill_zoo.describe("humanoid/low-level-v1").format_version == version
    data = (zoo / "entries/humanoid/wave/v1/manifest.json").read_bytes()
    assert Manifest.from_bytes(data, "a test").to_bytes() == data
