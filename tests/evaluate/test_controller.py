"""Controllers examined: each measure on movements made by hand, then the stage."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from constructed import both, pose
from stand_ins import random_controller

from anyskill_brax import rotations
from anyskill_brax.character.kinematics import forward_kinematics
from anyskill_brax.evaluate.controller import coverage, frechet, imitation, movement, posing, robustness, sphere
from anyskill_brax.evaluate.controller.clips import Clips
from anyskill_brax.evaluate.controller.stage import RATE, Recording, Stage, held
from anyskill_brax.evaluate.controller.windows import pose_errors, unlikeness, windows
from anyskill_brax.low_level.reference import tracking_error
from anyskill_brax.motion.io import motion_bodies, motion_from_qpos
from anyskill_brax.motion.synthesis import builtin_motions
from anyskill_brax.networks import sample_latents
from anyskill_brax.physics.state import PhysicsState, joint_power

HEAD = 2


def recorded(character, qpos: np.ndarray) -> Recording:
    """Poses `[F, W, 35]` as if they had been played."""
    frames, worlds = qpos.shape[:2]
    flat = qpos.reshape(-1, 35).astype(np.float32)
    bodies, _ = motion_bodies(character, flat, np.zeros((len(flat), 34)))
    pos = np.asarray(bodies.pos).reshape(frames, worlds, -1, 3)
    return Recording(qpos, pos, np.zeros((frames, worlds)), np.zeros(worlds, bool), character.body("head"))


def heights(head: np.ndarray) -> Recording:
    """Only how high the head is, `[F, W]`."""
    pos = np.zeros((*head.shape, 3, 3))
    pos[..., HEAD, 2] = head
    return Recording(np.zeros((*head.shape, 35)), pos, np.zeros(head.shape), np.zeros(head.shape[1], bool), HEAD)


@pytest.fixture(scope="module")
def poses(character) -> np.ndarray:
    """Five that are far apart, `[5, 35]`."""
    wide, arms, up = both(shoulder_x=80), both(shoulder_y=-80), both(shoulder_y=-160)
    turned = pose(character, **wide)
    turned[3:7] = [0.0, 0.0, 0.0, 1.0]
    every = pose(character), turned, pose(character, **arms), pose(character, **up), pose(character, abdomen_y=60)
    return np.stack(every).astype(np.float32)


@pytest.fixture(scope="module")
def clips(character, poses) -> Clips:
    """Each of them held for a second."""
    motions = [
        motion_from_qpos(character, f"pose {i}", 30.0, np.repeat(p[None], 30, axis=0), category="still")
        for i, p in enumerate(poses)
    ]
    return Clips.create(character, motions, 3)


# -- windows ---------------------------------------------------------------------------------------------------------


def test_windows_forget_place_and_heading_and_measure_metres(character):
    (walk,) = builtin_motions(character, kinds=["walk"])
    turn = np.asarray(rotations.yaw_quat(jnp.asarray(1.2)))
    moved = walk.qpos.copy()
    moved[:, :3] = np.asarray(rotations.rotate(jnp.asarray(turn), jnp.asarray(moved[:, :3]))) + np.array([3.0, -2.0, 0])
    moved[:, 3:7] = np.asarray(rotations.quat_mul(jnp.asarray(turn), jnp.asarray(moved[:, 3:7])))
    here, there = (recorded(character, q[:, None]) for q in (walk.qpos, moved))
    seen = windows(here.qpos, here.pos, 3)
    assert seen.shape[1:] == (1, 4 * 15 * 3)
    assert windows(there.qpos, there.pos, 3) == pytest.approx(seen, abs=1e-5)
    higher = windows(here.qpos, here.pos + np.array([0, 0, 0.07]), 3)
    assert np.linalg.norm(higher - seen, axis=-1) == pytest.approx(0.07, abs=1e-5)
    standing = np.repeat(walk.qpos[:1], 40, axis=0)
    faster = standing.copy()
    faster[:, 0] += 0.3 * np.arange(40)  # 1.5 m in each sixth of a second
    still, fast = (recorded(character, q[:, None]) for q in (standing, faster))
    gap = windows(fast.qpos, fast.pos, 5) - windows(still.qpos, still.pos, 5)
    assert np.linalg.norm(gap, axis=-1) == pytest.approx(1.5 * np.sqrt((0 + 1 + 4 + 9) / 4), abs=1e-4)


def test_pose_errors_are_the_tracking_error_of_training(character, poses):
    bodies = [forward_kinematics(character, jnp.asarray(p), jnp.zeros(34)) for p in poses]
    for i, j in ((0, 1), (2, 4)):
        ours = pose_errors(poses[i], np.asarray(bodies[i].pos), poses[j], np.asarray(bodies[j].pos))
        assert ours == pytest.approx(float(tracking_error(bodies[i], bodies[j])), abs=1e-5)


def test_unlikeness_is_symmetric_and_blind_to_timing():
    a, b = np.random.default_rng(0).normal(size=(2, 12, 6))
    assert unlikeness(a, a[::-1]) == pytest.approx(0.0, abs=1e-6)
    assert unlikeness(a, b) == pytest.approx(unlikeness(b, a))
    assert unlikeness(np.zeros((1, 2)), np.array([[3.0, 4.0]])) == pytest.approx(5.0)


# -- coverage, Frechet distance --------------------------------------------------------------------------------------


def test_rollouts_that_are_the_clips_cover_all_of_them_evenly(character, poses, clips):
    same = recorded(character, np.repeat(poses[None], 75, axis=0))
    found = coverage.coverage(same, clips.atlas, 5, np.random.default_rng(0))
    assert (found.share, found.voted, found.votes) == (1.0, 5, (1,) * 5)
    assert found.entropy == pytest.approx(1.0)
    assert found.distance == pytest.approx(0.0, abs=1e-5) and found.distance_between_clips > 0.05
    assert found.uniform_share == pytest.approx(1 - 0.8**5, abs=0.03), "five draws among five"


def test_one_clip_again_and_again_covers_one(character, poses, clips):
    one = recorded(character, np.repeat(poses[None, [2] * 8], 75, axis=0))
    found = coverage.coverage(one, clips.atlas, 5, np.random.default_rng(0))
    assert found.share == pytest.approx(0.2) and found.entropy == 0.0 and found.nearest == (2,) * 8


def test_a_heap_on_the_floor_has_no_vote_but_a_roll_has(character, poses, clips):
    lying = pose(character, pitch=90)
    heap = np.repeat(poses[:1], 90, axis=0)
    heap[20:] = lying
    roll = np.repeat(poses[:1], 90, axis=0)
    roll[35:50] = lying
    nearest, _ = coverage.votes(recorded(character, np.stack([heap, roll], axis=1)), clips.atlas, 5)
    assert nearest.tolist() == [-1, 0]


def test_the_jackknife_is_what_leaving_each_draw_out_gives():
    counts = np.array([4, 1, 1, 0, 2])
    draws = np.repeat(np.arange(5), counts)
    for statistic in (coverage.share, coverage.entropy):
        left = np.array([statistic(np.bincount(np.delete(draws, i), minlength=5)) for i in range(8)])
        by_hand = np.sqrt(7 / 8 * ((left - left.mean()) ** 2).sum())
        assert coverage.jackknife(counts, statistic) == pytest.approx(by_hand)
    assert coverage.entropy(np.array([3, 3])) == pytest.approx(1.0) and coverage.entropy(np.zeros(4)) == 0.0


def test_frechet_distance_of_two_gaussians_in_closed_form():
    rng = np.random.default_rng(1)
    spin, _ = np.linalg.qr(rng.normal(size=(4, 4)))
    wide, narrow = np.array([4.0, 1.0, 0.25, 0.0]), np.array([1.0, 1.0, 1.0, 0.0])
    a = (np.zeros(4), spin @ np.diag(wide) @ spin.T)
    b = (np.array([3.0, 0, 0, 4.0]), spin @ np.diag(narrow) @ spin.T)
    assert frechet.between(a, b) == pytest.approx(np.sqrt(25 + 1 + 0 + 0.25), abs=1e-6)  # (2 - 1)^2, 0, (1/2 - 1)^2
    points = rng.normal(size=(500, 4))
    apart = [frechet.between(frechet.moments(points), frechet.moments(points + s)) for s in (0.0, 0.1, 0.5)]
    assert apart == pytest.approx([0.0, 0.2, 1.0], abs=1e-5)  # a shift of s in each of four dimensions
    mean, covariance = frechet.moments(points)
    assert covariance == pytest.approx(np.cov(points, rowvar=False, bias=True))
    assert mean == pytest.approx(points.mean(axis=0))


# -- staying up ------------------------------------------------------------------------------------------------------


def test_survival_and_recovery_of_heads_that_rise_and_fall():
    head = np.full((150, 4), 1.3)
    head[90:, 1] = 0.2  # falls at 3 s
    head[:60, 2] = 0.2  # lies for 2 s
    head[:, 3] = 0.2  # never rises
    found = robustness.survival(heights(head[:, :2]))
    assert (found.up.successes, found.up.episodes) == (1, 2)
    assert found.seconds_up.mean == pytest.approx((5 + 3) / 2) and found.curve == (1.0, 1.0, 1.0, 0.5, 0.5)
    got = robustness.recovery_of(heights(head), np.array([False, False, True, True]), 1.35)
    assert (got.got_up.successes, got.got_up.episodes, got.stayed_up.successes) == (1, 2, 1)
    assert got.time.mean == pytest.approx(2.5), "half a second of being up is part of it"
    assert got.curve == (0.0, 0.0, 0.0, 0.0, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5)
    briefly = np.full((60, 1), 0.2)
    briefly[20:30] = 1.3
    assert robustness.recovery_of(heights(briefly), np.array([True]), 1.35).got_up.successes == 0
    assert np.isnan(robustness.recovery_of(heights(briefly), np.array([False]), 1.35).got_up.share)


def test_the_push_that_fells_half_lies_between_two_speeds():
    assert robustness.half_speed([0, 1, 2], [1.0, 0.75, 0.25]) == pytest.approx(1.5)
    assert np.isnan(robustness.half_speed([0, 1], [1.0, 0.9]))


# -- the sphere ------------------------------------------------------------------------------------------------------


def test_consistency_of_latents_that_name_their_movement_and_of_some_that_do_not():
    first = np.random.default_rng(0).normal(size=(6, 5, 8))
    named = sphere.consistency_of(first, first + 1e-3)
    assert named.ratio > 50 and named.median_ratio > 50 and named.found_again.successes == 6
    assert sphere.consistency_of(first, np.roll(first, 1, axis=0)).found_again.successes == 0


def test_twice_as_fast_is_eight_times_the_jerk():
    time = np.arange(40.0)[:, None, None] / RATE
    slow, fast = (np.sin(w * time) * np.ones((1, 2, 3)) for w in (1.0, 2.0))
    every = np.ones(40, bool)
    assert imitation.jerk_ratio(slow, slow, every) == pytest.approx(1.0)
    assert imitation.jerk_ratio(2 * slow, slow, every) == pytest.approx(2.0)
    start = np.arange(40) < 6  # where both are straight in jerk
    assert imitation.jerk_ratio(fast, slow, start) == pytest.approx(8.0, rel=0.05)
    assert np.isnan(imitation.jerk_ratio(fast, 0 * slow, every))


def test_switches_count_only_worlds_that_were_up():
    source, target = np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1])
    ready, up = np.array([True, True, False, True]), np.array([True, False, False, True])
    found = sphere.transitions_of(("a", "b"), source, target, ready, up, 2.0, 3.0)
    assert found.share[0] == (1.0, 0.0) and np.isnan(found.share[1][0]) and found.share[1][1] == 1.0
    assert (found.up.successes, found.up.episodes, found.held.successes, found.held.episodes) == (0, 1, 2, 2)


def test_a_path_of_latents_stays_on_the_sphere_and_ends_where_it_should():
    a, b = np.asarray(sample_latents(jax.random.PRNGKey(0), (2, 3), 8))
    path = sphere.slerp_schedule(a, b, seconds=2.0, rest=1.0)
    assert path.shape == (6 + 12 + 6, 3, 8)
    assert np.linalg.norm(path, axis=-1) == pytest.approx(1.0, abs=1e-5)
    assert path[:6] == pytest.approx(np.stack([a] * 6), abs=1e-5) and path[-1] == pytest.approx(b, abs=1e-5)


# -- movement --------------------------------------------------------------------------------------------------------


def test_power_is_torque_times_velocity_within_the_limit(character):
    knee = character.joint_names.index("left_knee")
    kp, kd, limit = (float(getattr(character, name)[knee]) for name in ("kp", "kd", "torque_limit"))
    state = PhysicsState.create(jnp.asarray(character.default_qpos), jnp.zeros(34).at[6 + knee].set(-2.0))
    lead = jnp.zeros(28).at[knee]
    assert joint_power(character, state, lead.set(0.01)) == pytest.approx(2.0 * (kp * 0.01 + kd * 2.0))
    assert joint_power(character, state, lead.set(3.0)) == pytest.approx(2.0 * (limit + kd * 2.0))
    assert joint_power(character, state.replace(qvel=jnp.zeros(34)), lead.set(3.0)) == 0.0


def test_clips_beside_themselves_have_ratio_one(character):
    motions = builtin_motions(character, kinds=["walk"])
    clips = Clips.create(character, motions, 3)
    qpos, qvel, clip = motions[0].qpos, motions[0].qvel, np.zeros(motions[0].num_frames)
    same = recorded(character, qpos[:, None])
    same.power[:] = movement.reference_power(character, qpos, qvel, clip)[:, None]
    for measure in movement.movement(character, same, clips):
        assert measure.ratio == pytest.approx(1.0, abs=0.05) or measure.reference == 0.0, measure
    still = movement.reference_power(character, qpos[:1].repeat(9, axis=0), np.zeros((9, 34)), clip[:9])
    assert still == pytest.approx(0.0)


def test_a_clip_that_is_followed_exactly_has_no_error_and_a_fallen_one_is_lost(character, clips, poses):
    exact = recorded(character, np.repeat(poses[None, 3:4], 29, axis=0))
    other = recorded(character, np.repeat(poses[None, [0, 3]], 29, axis=0))
    stand = poses[0], recorded(character, poses[None, :1]).pos[0, 0]
    feet = character.feet
    found, best = imitation.measure(clips, 3, 29, exact, other, stand, feet, 0.35, 3)
    assert best == 1 and found["kept"] and found["kept_share"] == 1.0
    assert [found[k] for k in ("error", "following_unlikeness", "held_unlikeness")] == pytest.approx([0] * 3, abs=1e-5)
    assert found["standing_error"] > 0.05 and found["standing_unlikeness"] > 0.05
    fallen = np.repeat(poses[3:4], 29, axis=0)
    fallen[10:] = pose(character, pitch=90)
    found, _ = imitation.measure(clips, 3, 29, recorded(character, fallen[:, None]), other, stand, feet, 0.35, 3)
    assert not found["kept"] and found["kept_share"] == pytest.approx(10 / 29)


def test_who_only_stands_keeps_a_step_but_lifts_no_foot(character):
    step = np.stack([pose(character, right_hip_y=-40 * up, right_knee=80 * up) for up in np.hanning(60)])
    clips = Clips.create(character, [motion_from_qpos(character, "step", 30.0, step, category="step")], 3)
    stands, steps = (recorded(character, q[:, None]) for q in (np.repeat(step[:1], 59, axis=0), step[1:]))
    rest = recorded(character, step[:1, None])
    stand = rest.qpos[0, 0], rest.pos[0, 0]
    results = []
    for own in (stands, steps):
        found, _ = imitation.measure(clips, 0, 59, own, own, stand, character.feet, 0.35, 3)
        results.append(imitation.ClipResult("step", "step", True, **found, held_second=0.0))
    assert results[0].kept and results[0].lift > 0.15 and results[0].lifted == pytest.approx(0.0, abs=1e-3)
    assert results[1].lifted == pytest.approx(results[1].lift)
    assert imitation.summary(results).kept.successes == 2 and imitation.summary(results).feet_lifted.successes == 1


# -- the stage ----------------------------------------------------------------------------------------------------


def test_of_every_clip_the_pose_furthest_from_standing_is_asked_for(character, stage):
    motions = {motion.name: motion for motion in builtin_motions(character)}
    names = ("arms_v", "knee_raise_left", "walk")
    clips = Clips.create(character, [motions[name] for name in names], 3)
    rows, stance = posing.asked(stage, clips)
    clip = np.asarray(clips.reference.clip)[rows]
    assert 0 in clip[~stance] and 1 in clip[stance] and len(rows) <= 2 * len(names)
    away = posing.from_standing(stage, clips, rows)
    assert away[(clip == 0) & ~stance] > 0.8, "the hands"
    goal = np.asarray(clips.reference.qpos)[rows]
    exact = recorded(character, np.repeat(goal[None], 45, axis=0))
    assert posing.distances(clips, rows, exact).max() < 1e-4
    idle = recorded(character, np.tile(character.default_qpos, (45, len(rows), 1)))
    np.testing.assert_allclose(posing.distances(clips, rows, idle), away, atol=1e-3)


def test_a_pose_is_held_by_who_is_near_it_and_up():
    made = [
        posing.PoseResult("a", "-", 0.0, stance, off, 1.0, up)
        for stance, off, up in [(False, 0.01, True), (False, 0.01, False), (False, 0.5, True), (True, 0.1, True)]
    ]
    found = posing.summary(made, 5.0)
    assert (found.held.successes, found.held.episodes) == (1, 3) and found.stances_held.share == 1.0
    assert found.off.mean == pytest.approx(0.52 / 3) and found.stances_off.trials == 1
    assert posing.summary([], 5.0).held.episodes == 0


@pytest.fixture(scope="module")
def stage(character) -> Stage:
    return Stage.create(character, random_controller(character), "native", 4)


def test_worlds_do_not_know_their_neighbours(stage):
    latents = np.asarray(sample_latents(jax.random.PRNGKey(1), (6,), 8))
    starts = stage.stand(jax.random.PRNGKey(2), 6)
    all_of_them = stage.play(starts, held(latents, 1.5))
    last = stage.play(jax.tree.map(lambda x: x[5:], starts), held(latents[5:], 0.5))
    assert all_of_them.qpos.shape == (45, 6, 35) and not all_of_them.broken.any()
    np.testing.assert_array_equal(all_of_them.qpos[:15, 5:], last.qpos)
    assert (all_of_them.power > 0).all()
    assert stage.cost(6, 1.5) == 8 * 2.0


def test_a_push_is_a_change_of_velocity(stage):
    starts = jax.tree.map(lambda x: jnp.repeat(x[:1], 2, axis=0), stage.stand(jax.random.PRNGKey(3), 1))
    latents = np.repeat(np.asarray(sample_latents(jax.random.PRNGKey(4), (1,), 8)), 2, axis=0)
    push = np.array([[0.0, 0, 0], [0.0, 0.0, 2.0]])  # upwards, where no floor is in the way
    played = stage.play(starts, held(latents, 2.0), {1: push})
    np.testing.assert_array_equal(played.qpos[:RATE, 0], played.qpos[:RATE, 1])
    rise = played.pos[RATE + 2, :, 0, 2] - played.pos[RATE - 1, :, 0, 2]
    assert rise[1] - rise[0] > 0.1


@pytest.mark.slow
def test_a_controller_that_cannot_move_never_gets_up(character):
    limp = random_controller(character)
    limp = limp.replace(params=jax.tree.map(jnp.zeros_like, limp.params))
    stage = Stage.create(character, limp, "native", 4)
    found, played = robustness.recovery(stage, jax.random.PRNGKey(0), np.eye(4, 8), 1.0)
    assert found.got_up.successes == 0 and found.got_up.episodes == played.qpos.shape[1] >= 2
    assert found.time.trials == 0
