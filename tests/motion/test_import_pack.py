"""The traps of the source formats, on the real files of the motion pack."""

import numpy as np
import pytest

from anyskill_brax.motion.importers import read_source
from anyskill_brax.types import UserError


def test_pack_bvh_frames(motion_pack):
    kept = {path.name: read_source(path).num_frames for path in sorted((motion_pack / "raw" / "bvh").iterdir())}
    # Only the MotionBuilder flavour begins with an added T-pose: 524 frames in the file.
    expected = {"cmu_12_01_walk.mb.bvh": 523, "cmu_131_03_hop.max.bvh": 1102, "cmu_jumping_jacks.max30.bvh": 125}
    assert kept == {**expected, "fair1_wave_hello.zup.bvh": 839}


def test_pack_cmu_bvh_lost_the_thorax(motion_pack):
    """Shoulders sit one vertebra low, so retargeting may use no shoulder or head position: torso and head turn only."""
    motion = read_source(motion_pack / "raw" / "bvh" / "cmu_12_01_walk.mb.bvh")
    assert motion.joints[motion.joint_of("torso")] == "Spine1"
    np.testing.assert_array_equal(motion.offsets[motion.joints.index("Neck")], 0)
    amc = read_source(motion_pack / "raw" / "asf_amc" / "02_01.amc")
    assert np.linalg.norm(amc.offsets[amc.joints.index("lowerneck")]) > 2


def test_pack_amc_without_its_own_skeleton(motion_pack):
    folder = motion_pack / "raw" / "asf_amc"
    with pytest.raises(UserError, match=r"13\.asf beside it; there is 02\.asf.*--asf"):
        read_source(folder / "13_30.amc")
    assert read_source(folder / "13_30.amc", asf=folder / "02.asf").duration == pytest.approx(20.58, abs=0.5)


def test_pack_poselib_duplicates(motion_pack):
    rates = {path.stem: read_source(path).fps for path in (motion_pack / "isaacgymenvs_amp").glob("*.npy")}
    assert len(rates) == 6 and rates.pop("amp_humanoid_backflip") == 16 and set(rates.values()) == {30.0}


def test_pack_backflip_is_the_same_from_two_formats(motion_pack):
    poselib = read_source(motion_pack / "isaacgymenvs_amp" / "amp_humanoid_backflip.npy")
    deepmimic = read_source(motion_pack / "deepmimic" / "humanoid3d_backflip.txt")
    assert poselib.fps == deepmimic.fps
    for a, b in zip(poselib.forward_kinematics(), deepmimic.forward_kinematics(), strict=True):
        same = np.minimum(np.abs(a - b), np.abs(a + b)) if a.shape[-1] == 4 else np.abs(a - b)
        assert same.max() < 1e-3


def test_pack_deepmimic_rates(motion_pack):
    motions = [read_source(path) for path in sorted((motion_pack / "deepmimic").glob("*.txt"))]
    assert {round(motion.fps) for motion in motions} == {16, 24, 30, 60, 120}
    for motion in motions:
        np.testing.assert_allclose(np.linalg.norm(motion.local_rot, axis=-1), 1, atol=1e-9)
        knees = [motion.joint_of(f"{side}_shin") for side in ("right", "left")]
        assert np.median(motion.local_rot[:, knees, 2]) > 0  # knees bend one way
