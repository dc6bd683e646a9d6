"""Built-in motions: planted feet, limits, balance, flights that fall at g, and the pieces they are made of."""

import re

import numpy as np
import pytest

from anyskill_brax.motion.io import load_motion_folder, motion_bodies, motion_from_qpos, save_motion_folder
from anyskill_brax.motion.library import MotionLibrary
from anyskill_brax.motion.quality import quality
from anyskill_brax.motion.synthesis import KINDS, builtin_motions, mirror_qpos
from anyskill_brax.motion.synthesis.curves import curve
from anyskill_brax.motion.synthesis.footsteps import GRAVITY, pendulum
from anyskill_brax.motion.synthesis.ik import arm, arm_pose, leg, solve_limb
from anyskill_brax.types import UserError


@pytest.fixture(scope="module")
def motions(character):
    return builtin_motions(character)


def centre_of_mass(character, motion):
    """[F, 3] from the MJCF's body masses."""
    bodies, _ = motion_bodies(character, motion.qpos, motion.qvel)
    w, u = bodies.rot[..., :1], bodies.rot[..., 1:]
    inertial = np.broadcast_to(character.model.body_ipos[1:], u.shape)
    t = 2 * np.cross(u, inertial)
    centres = bodies.pos + inertial + w * t + np.cross(u, t)
    mass = character.model.body_mass[1:]
    return np.einsum("b,fbi->fi", mass / mass.sum(), centres)


def named(motions, name):
    return next(motion for motion in motions if motion.name == name)


def test_enough_kinds_clips_and_captions(motions):
    assert len(KINDS) >= 24 and len(motions) == sum(1 + kind.sided for kind in KINDS.values())
    assert len({motion.name for motion in motions}) == len(motions)
    for motion in motions:
        assert len(set(motion.captions)) >= 3 and not any("{" in caption for caption in motion.captions)
        assert 3.0 <= motion.duration <= 13.0 and motion.fps == 30


def test_every_clip_keeps_its_bounds(character, motions):
    for motion in motions:
        report = quality(character, motion)
        assert report["foot_slide_mps"] <= 0.03, (motion.name, report)
        assert report["penetration_m"] <= 0.01, (motion.name, report)
        assert report["limit_violation_rad"] == 0.0, (motion.name, report)
        assert report["max_hinge_speed"] <= 16.0, (motion.name, report)


def test_clips_begin_and_end_standing_still(character, motions):
    for motion in motions:
        for frame in (0, -1):
            assert motion.contact[frame].all(), motion.name
            assert 0.8 < motion.qpos[frame, 2] < 0.9, motion.name
            assert np.abs(motion.qvel[frame]).max() < 0.5, motion.name


SLOW = re.compile(
    "stand|raise|arm|point|hands|fold|pray|flex|salute|phone|bow|squat|touch|side_bend|lean|tiptoe|reach|leg_"
)


def test_slow_clips_keep_the_centre_of_mass_over_their_feet(character, motions):
    """Within the feet's bounding box on every frame, give or take 2 cm of honest dynamics."""
    checked = 0
    for motion in motions:
        if not SLOW.match(motion.name):
            continue
        checked += 1
        bodies, _ = motion_bodies(character, motion.qpos, motion.qvel)
        feet, com = np.asarray(bodies.pos)[:, character.feet], centre_of_mass(character, motion)
        down = feet[..., 2] < 0.14  # flat, or on the toes
        low = np.where(down[..., None], feet - [0.0435, 0.045, 0], np.inf).min(axis=1)
        high = np.where(down[..., None], feet + [0.1335, 0.045, 0], -np.inf).max(axis=1)
        outside = np.maximum(low - com, com - high)[:, :2].max()
        assert outside < 0.02, (motion.name, outside)
    assert checked > 30


def test_a_jump_falls_at_g(character, motions):
    motion = named(motions, "jump")
    com = centre_of_mass(character, motion)
    bodies, _ = motion_bodies(character, motion.qpos, motion.qvel)
    flying = np.flatnonzero(np.asarray(bodies.pos)[:, character.feet, 2].min(axis=1) > 0.16)
    assert len(flying) >= 6
    fit = np.polyfit(flying / motion.fps, com[flying, 2], 2)
    assert 2 * fit[0] == pytest.approx(-GRAVITY, rel=0.25)  # arms and legs move against the pelvis's exact parabola


def test_walks_go_where_they_say(motions):
    for name, low, high in (("walk_slowly", 0.35, 0.7), ("walk", 0.7, 1.2), ("walk_fast", 0.9, 1.5), ("jog", 1.5, 2.4)):
        qvel = named(motions, name).qvel
        assert low < np.percentile(qvel[:, 0], 75) < high, name
    assert named(motions, "walk_backwards").qpos[-1, 0] < -1.5
    assert named(motions, "side_step_right").qpos[-1, 1] < -0.8 and named(motions, "side_step_left").qpos[-1, 1] > 0.8
    yaw = {name: 2 * np.arctan2(*named(motions, name).qpos[-1, [6, 3]]) for name in ("turn_left", "turn_right")}
    assert yaw["turn_left"] == pytest.approx(np.pi / 2, abs=0.1)
    assert yaw["turn_right"] == pytest.approx(-np.pi / 2, abs=0.1)


def test_poses_are_what_their_names_say(character, motions):
    def at_middle(name):
        motion = named(motions, name)
        bodies, _ = motion_bodies(character, motion.qpos, motion.qvel)
        return {body: np.asarray(bodies.pos)[motion.num_frames // 2, i] for i, body in enumerate(character.body_names)}

    up, one = at_middle("raise_both_arms"), at_middle("raise_arm_left")
    assert min(up["right_hand"][2], up["left_hand"][2]) > up["head"][2] + 0.3
    assert one["left_hand"][2] > one["head"][2] + 0.3 and one["right_hand"][2] < one["pelvis"][2] + 0.1
    kneel = at_middle("kneel_right")
    assert 0.04 < kneel["right_shin"][2] < 0.07 and kneel["left_shin"][2] > 0.3
    assert max(at_middle("kneel_both")[f"{side}_shin"][2] for side in ("right", "left")) < 0.07
    assert at_middle("sit")["pelvis"][2] < 0.04
    assert at_middle("squat")["pelvis"][2] < 0.6
    balance = at_middle("stand_on_one_leg_right")
    assert balance["right_foot"][2] > 0.2 and balance["left_foot"][2] < 0.06


def test_same_seed_same_motions_other_seed_others(character):
    kinds = ["wave", "squat"]
    one, again, other = (builtin_motions(character, seed, kinds=kinds) for seed in (3, 3, 4))
    for a, b, c in zip(one, again, other, strict=True):
        np.testing.assert_array_equal(a.qpos, b.qpos)
        assert a.qpos.shape != c.qpos.shape or np.abs(a.qpos - c.qpos).max() > 1e-3


def test_variants_differ_and_unknown_kinds_are_named(character):
    one, two = builtin_motions(character, variants=2, kinds=["squat"])
    assert (one.name, two.name) == ("squat_0", "squat_1") and abs(one.qpos[:, 2].min() - two.qpos[:, 2].min()) > 1e-3
    with pytest.raises(UserError, match=r"no built-in motion kind cartwheel; there is .*squat"):
        builtin_motions(character, kinds=["cartwheel"])


def test_the_mirror_swaps_sides(character, motions):
    motion = named(motions, "kick_right")
    mirrored = motion_from_qpos(character, "m", 30, mirror_qpos(character, motion.qpos))
    np.testing.assert_array_equal(mirrored.contact, motion.contact[:, ::-1])
    np.testing.assert_allclose(mirror_qpos(character, mirrored.qpos), motion.qpos, atol=1e-6)
    (here, _), (there, _) = (motion_bodies(character, m.qpos, m.qvel) for m in (motion, mirrored))
    right, left = character.body("right_hand"), character.body("left_hand")
    np.testing.assert_allclose(here.pos[:, right] * [1, -1, 1], there.pos[:, left], atol=1e-5)


def test_the_set_fills_a_library_and_a_folder(motions, tmp_path):
    save_motion_folder(tmp_path, motions[:3])
    loaded = load_motion_folder(tmp_path, split="train")
    assert [m.captions for m in loaded] == [m.captions for m in motions[:3]]
    assert MotionLibrary.create(motions).num_motions == len(motions)


def test_a_lone_move_is_minimum_jerk_and_keys_are_met():
    t = np.linspace(0, 1, 101)
    np.testing.assert_allclose(curve(t, [(0.0, 0.0), (1.0, 2.0)]), 2 * (10 * t**3 - 15 * t**4 + 6 * t**5), atol=1e-12)
    keys = [(0.0, 0.0), (0.3, 1.0), (0.6, 1.5), (1.0, 1.5)]
    path = curve(t, keys)
    np.testing.assert_allclose(path[[0, 30, 60, 100]], [0, 1, 1.5, 1.5], atol=1e-12)
    assert (np.diff(path) >= -1e-12).all() and path.max() <= 1.5 + 1e-12


def test_a_quintic_with_a_parabolas_ends_is_the_parabola():
    t = np.linspace(0, 0.4, 50)
    v = 2.0
    flight = curve(t, [(0.0, 0.9, v, -GRAVITY), (0.4, 0.9 + 0.4 * v - 0.08 * GRAVITY, v - 0.4 * GRAVITY, -GRAVITY)])
    np.testing.assert_allclose(flight, 0.9 + v * t - 0.5 * GRAVITY * t**2, atol=1e-12)


def test_the_pendulum_obeys_its_equation_and_flies_straight():
    dt, frames = 1 / 30, 90
    pressure = np.stack([np.where(np.arange(frames) < 45, 0.0, 0.3), np.zeros(frames)], axis=1)
    stiffness = np.full(frames, GRAVITY / 0.95)
    stiffness[50:56] = 0.0
    com = pendulum(pressure, stiffness, dt)
    acceleration = np.diff(com, 2, axis=0) / dt**2
    np.testing.assert_allclose(acceleration, (stiffness[:, None] * (com - pressure))[1:-1], atol=1e-8)
    np.testing.assert_allclose(acceleration[50:54], 0.0, atol=1e-8)
    assert com[0, 0] < 0.01 and com[-1, 0] == pytest.approx(0.3, abs=0.01) and com[44, 0] > 0.1  # it leans in ahead


@pytest.mark.parametrize("side", ["right", "left"])
def test_leg_ik_agrees_with_forward_kinematics(character, side):
    rng = np.random.default_rng(0)
    own = leg(character, side)
    target = np.array([0.0, 0.0, -0.6]) + rng.uniform(-0.15, 0.15, (40, 3))
    qpos = np.tile(character.default_qpos, (40, 1)).astype(float)
    qpos[:, [7 + j for j in own.hinges]] = np.stack(solve_limb(own, target, rng.uniform(-0.3, 0.3, 40), 1), axis=1)
    bodies, _ = motion_bodies(character, qpos, np.zeros((40, 34)))
    hip, ankle = (np.asarray(bodies.pos)[:, character.body(f"{side}_{part}")] for part in ("thigh", "foot"))
    np.testing.assert_allclose(ankle - hip, target, atol=1e-5)


def test_arm_poses_put_the_hand_there(character):
    hand, qpos = [0.25, 0.1, 0.2], character.default_qpos[None].astype(float)
    pose = arm_pose(character, "left", hand, [0.0, 1.0, -1.0])
    assert len(pose) == len(arm(character, "left").hinges)
    for name, angle in pose.items():
        qpos[0, 7 + character.joint_names.index(name)] = angle
    bodies, _ = motion_bodies(character, qpos.repeat(2, axis=0), np.zeros((2, 34)))
    torso, at = (np.asarray(bodies.pos)[0, character.body(body)] for body in ("torso", "left_hand"))
    np.testing.assert_allclose(at - torso, hand, atol=1e-5)
    assert np.asarray(bodies.pos)[0, character.body("left_lower_arm")][1] > 0.2
