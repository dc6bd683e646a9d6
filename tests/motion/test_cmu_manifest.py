"""The list of CMU trials: what it holds, which files it finds, what it refuses."""

import json
from pathlib import Path

import pytest

from anyskill_brax.motion.importers.manifest import find_trials, read_manifest
from anyskill_brax.types import UserError

CMU_MANIFEST = Path(__file__).parents[2] / "configs" / "motions" / "cmu.json"


def test_manifest_lists_the_packs_cmu_trials(motion_pack):
    clips = {clip.name: clip for clip in read_manifest(CMU_MANIFEST)}
    records = json.loads((motion_pack / "index.json").read_text())["clips"]
    named = {r["id"]: r for r in records if r["id"].startswith("cmu_") and r["cmu_trial"]}
    assert clips.keys() == named.keys()
    for name, clip in clips.items():
        record = named[name]
        assert clip.captions == tuple(record["captions"]) and clip.weight == record["weight"]
        assert (clip.trial, clip.fps, clip.category) == (record["cmu_trial"], record["source_fps"], record["category"])
        assert [clip.start, clip.end] == pytest.approx([w for w in record["source_window_s"]], abs=1e-3)


def test_manifest_finds_trials_at_any_depth_and_prefers_amc(tmp_path):
    (tmp_path / "subjects" / "02").mkdir(parents=True)
    clips = read_manifest(CMU_MANIFEST)
    for name in ("subjects/02/02_01.amc", "02_01.bvh", "12_01.bvh", "99_99.amc", "02.asf"):
        (tmp_path / name).touch()
    found = {trial: path.name for trial, path in find_trials(tmp_path, clips).items()}
    assert found == {"02_01": "02_01.amc", "12_01": "12_01.bvh"}
    with pytest.raises(UserError, match="no such folder"):
        find_trials(tmp_path / "nowhere", clips)


def test_manifest_bad_input_is_explained(tmp_path):
    def write(manifest: dict) -> Path:
        (tmp_path / "m.json").write_text(json.dumps(manifest))
        return tmp_path / "m.json"

    good = json.loads(CMU_MANIFEST.read_text())
    with pytest.raises(UserError, match="no such manifest"):
        read_manifest(tmp_path / "none.json")
    with pytest.raises(UserError, match=r"clip 1: id and trial are letters.*'\.\./x'"):
        read_manifest(write({"clips": [good["clips"][0], good["clips"][1] | {"id": "../x"}]}))
    with pytest.raises(UserError, match=r"clip 0: expected name, trial, fps.*KeyError\('start'\)"):
        clip = {key: value for key, value in good["clips"][0].items() if key != "start"}
        read_manifest(write({"clips": [clip]}))
