"""Retargeting: laws on movements made here, and the real files against the pack's own retargeted clips."""

import dataclasses
import json

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from anyskill_brax.motion.hinges import hinge_angles
from anyskill_brax.motion.importers import read_source
from anyskill_brax.motion.io import load_motion, motion_bodies
from anyskill_brax.motion.retarget import FEET, LIMBS, heading_forward, on_floor, retarget
from anyskill_brax.motion.skeleton import SourceMotion
from anyskill_brax.types import UserError


def bone_directions(character, motion) -> np.ndarray:
    """Upper and lower arms, thighs and shins `[F, 8, 3]` in the world."""
    bodies, _ = motion_bodies(character, motion.qpos, motion.qvel)
    limbs = [character.body(limb) for limb in LIMBS]
    bones = bodies.pos[:, limbs] - bodies.pos[:, character.parents[limbs]]
    return bones / np.linalg.norm(bones, axis=-1, keepdims=True)


def degrees_apart(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    frames = min(len(a), len(b))
    return np.degrees(np.arccos(np.clip(np.sum(a[:frames] * b[:frames], axis=-1), -1, 1)))


def stance_speeds(character, motion) -> np.ndarray:
    """How fast planted feet travel over the floor [m/s]."""
    bodies, contact = motion_bodies(character, motion.qpos, motion.qvel)
    return np.linalg.norm(bodies.linvel[:, character.feet, :2], axis=-1)[contact > 0]


def waving(character, seconds: float = 1.5, fps: float = 120.0) -> np.ndarray:
    """Hinge angles `[F, J]`, each on its own slow sine well inside its range."""
    rng = np.random.default_rng(1)
    t = np.arange(int(seconds * fps))[:, None] / fps
    middle, reach = (
        0.5 * (character.joint_low + character.joint_high),
        0.2 * (character.joint_high - character.joint_low),
    )
    return middle + reach * np.sin(2 * np.pi * (rng.uniform(0.3, 0.8, 28) * t + rng.uniform(0, 1, 28)))


def local_rotations(character, angles: np.ndarray) -> np.ndarray:
    """`[F, B, 4]` from hinge angles, by scipy's intrinsic x y z."""
    local = np.zeros((len(angles), character.num_bodies, 4))
    local[..., 0] = 1.0
    for body, hinges in enumerate(character.body_hinges):
        if len(hinges) == 3:
            turn = Rotation.from_euler("XYZ", angles[:, list(hinges)])
        elif len(hinges) == 1:
            turn = Rotation.from_rotvec(angles[:, list(hinges)] * [0, 1, 0])
        else:
            continue
        local[:, body] = turn.as_quat(scalar_first=True)
    return local


def own_motion(character, angles: np.ndarray) -> SourceMotion:
    root = np.tile([3.0, -2.0, 0.9], (len(angles), 1))
    rot = local_rotations(character, angles)
    rot[:, 0] = Rotation.from_euler("z", 1.0).as_quat(scalar_first=True)
    return SourceMotion("own", 120.0, character.body_names, character.parents, character.offsets, root, rot, True)


def test_hinges_come_back_from_rotations(character):
    angles = waving(character)
    np.testing.assert_allclose(hinge_angles(character, local_rotations(character, angles)), angles, atol=1e-6)


def test_hinges_pass_half_a_turn_without_a_jump(character):
    """The left arm swings up sideways, past the point where the middle angle's arcsine folds over."""
    angles = np.zeros((200, 28))
    shoulder = character.body_hinges[character.body("left_upper_arm")]
    angles[:, shoulder[1]] = np.linspace(0, np.radians(-170), 200)
    found = hinge_angles(character, local_rotations(character, angles))
    assert np.abs(np.diff(found, axis=0)).max() < np.radians(2)
    np.testing.assert_allclose(found, angles, atol=1e-6)


def test_own_skeleton_in_range_is_kept_exactly(character):
    angles = waving(character)
    motion = retarget(character, own_motion(character, angles), category="test")
    assert (motion.fps, motion.category) == (30, "test")
    np.testing.assert_allclose(motion.qpos[:, 7:], angles[::4], atol=1e-3)
    # At x = y = 0, heading +x, wherever the file began.
    np.testing.assert_allclose(motion.qpos[0, [0, 1, 3]], [0, 0, 1], atol=1e-5)


def test_own_skeleton_out_of_range_is_brought_in(character):
    angles = waving(character)
    knee = character.joint_names.index("right_knee")
    angles[:, knee] = -0.4 * np.sin(np.linspace(0, 2 * np.pi, len(angles)))  # half the time it bends the wrong way
    motion = retarget(character, own_motion(character, angles))
    assert (motion.qpos[:, 7:] >= character.joint_low - 1e-6).all()
    assert (motion.qpos[:, 7:] <= character.joint_high + 1e-6).all()
    others = np.delete(np.arange(28), [knee, *character.body_hinges[character.body("right_thigh")],
                                       *character.body_hinges[character.body("right_foot")]])  # fmt: skip
    assert np.abs(motion.qpos[:, 7 + others] - angles[::4][:, others]).max() < np.radians(6)


def test_other_lengths_units_and_names_give_the_same_directions(character):
    """The humanoid itself, its limbs longer by a fifth, in centimetres, with another program's joint names."""
    names = {"pelvis": "Hips", "torso": "Spine", "head": "Head"}
    for side in ("right", "left"):
        for body, word in zip(("upper_arm", "lower_arm", "hand", "thigh", "shin", "foot"),
                              ("Arm", "ForeArm", "Hand", "UpLeg", "Leg", "Foot")):  # fmt: skip
            names[f"{side}_{body}"] = f"mixamorig:{side.title()}{word}"
    own = own_motion(character, waving(character))
    offsets = 100 * character.offsets
    offsets[[character.body(limb) for limb in LIMBS]] *= 1.2
    joints = tuple(names[body] for body in own.joints)
    other = dataclasses.replace(own, joints=joints, offsets=offsets, root_pos=120 * own.root_pos, same_skeleton=False)
    expected, found = retarget(character, own), retarget(character, other)
    apart = degrees_apart(bone_directions(character, found), bone_directions(character, expected))
    assert np.median(apart) < 1.0 and np.percentile(apart, 95) < 4.0
    assert np.abs(found.qpos[:, 2] - expected.qpos[:, 2]).max() < 0.03


def test_heading_and_floor(character):
    qpos = np.tile(character.default_qpos, (200, 1)).astype(np.float64)
    qpos[:, :3] = [4.0, 5.0, 3.0]
    qpos[:, 0] += np.linspace(0, 1, 200)
    qpos[:, 3:7] = Rotation.from_euler("z", 2.0).as_quat(scalar_first=True)
    out = heading_forward(on_floor(character, qpos))
    np.testing.assert_allclose(out[:, 2], character.default_qpos[2], atol=0.06)  # soles on the floor
    np.testing.assert_allclose(out[0, :2], 0, atol=1e-9)
    np.testing.assert_allclose(out[-1, :2], [np.cos(-2.0), np.sin(-2.0)], atol=1e-9)


def test_floor_lifts_what_sinks_in_and_leaves_jumps_alone(character):
    qpos = np.tile(character.default_qpos, (240, 1)).astype(np.float64)
    qpos[100:140, 2] += 0.5  # a jump
    qpos[200, 2] -= 0.1  # one frame sinks in
    out = on_floor(character, qpos)
    standing = out[0, 2]
    np.testing.assert_allclose(out[100:140, 2] - standing, 0.5, atol=1e-3)
    assert out[200, 2] - standing > -0.03


def test_too_short_is_explained(character):
    with pytest.raises(UserError, match=r"own: too short to retarget, 2 frames at 120 fps"):
        retarget(character, own_motion(character, waving(character)[:2]))


REAL = {
    "cmu_02_01_walk": "raw/asf_amc/02_01.amc",
    "cmu_02_04_jump_balance": "raw/asf_amc/02_04.amc",
    "cmu_13_30_squat": "raw/asf_amc/13_30.amc",
    "cmu_12_01_walk": "raw/bvh/cmu_12_01_walk.mb.bvh",
    "cmu_131_03_mj_hop": "raw/bvh/cmu_131_03_hop.max.bvh",
    "cmu_jumping_jacks": "raw/bvh/cmu_jumping_jacks.max30.bvh",
    "fair1_wave_hello": "raw/bvh/fair1_wave_hello.zup.bvh",
    "dm_walk": "deepmimic/humanoid3d_walk.txt",
    "dm_jump": "deepmimic/humanoid3d_jump.txt",
    "dm_getup_facedown": "deepmimic/humanoid3d_getup_facedown.txt",
    "dm_cartwheel": "deepmimic/humanoid3d_cartwheel.txt",
}


@pytest.mark.parametrize("clip", REAL)
def test_real_files_against_the_packs_clips(character, motion_pack, clip):
    """Same source, two retargeters: ours and the one that made the pack."""
    (record,) = [r for r in json.loads((motion_pack / "index.json").read_text())["clips"] if r["id"] == clip]
    asf = motion_pack / "raw" / "asf_amc" / "02.asf" if REAL[clip].endswith(".amc") else None
    source = read_source(motion_pack / REAL[clip], asf=asf).window(*record["source_window_s"])
    motion, reference = retarget(character, source), load_motion(motion_pack / record["file"])
    assert abs(motion.num_frames - reference.num_frames) <= 1
    apart = degrees_apart(bone_directions(character, motion), bone_directions(character, reference))
    assert np.median(apart) <= 3.0
    assert np.median(stance_speeds(character, motion)) <= 0.1
    assert (motion.qpos[:, 7:] >= character.joint_low).all() and (motion.qpos[:, 7:] <= character.joint_high).all()
    if not source.same_skeleton:  # soles lie as flat as the pack's, though CMU skeletons rest with splayed legs
        frames = min(len(motion.qpos), len(reference.qpos))
        ours, theirs = (motion_bodies(character, m.qpos[:frames], m.qvel[:frames])[0] for m in (motion, reference))
        feet = [character.body(foot) for foot in FEET]
        cosine = np.abs(np.sum(ours.rot[:, feet] * theirs.rot[:, feet], axis=-1))
        assert np.degrees(2 * np.median(np.arccos(np.clip(cosine, 0, 1)))) < 5


def test_real_poselib_walk_is_kept(character, motion_pack):
    """On the humanoid's own skeleton: every joint's rotation comes through, at 30 fps as in the file."""
    source = read_source(motion_pack / "isaacgymenvs_amp" / "amp_humanoid_walk.npy")
    motion = retarget(character, source)
    assert motion.num_frames == source.num_frames
    bodies, _ = motion_bodies(character, motion.qpos, motion.qvel)
    dots = np.abs(np.sum(bodies.joint_rot[:, 1:] * source.local_rot[:, 1:], axis=-1))
    assert np.degrees(2 * np.arccos(np.clip(dots, 0, 1))).max() < 1.0
