"""Every predicate on motions that show it and on motions that do not, and the laws that all of them obey."""

import numpy as np
import pytest
from constructed import FPS, held, moving, pose

from anyskill_brax.evaluate.instructions import meaning, table
from anyskill_brax.evaluate.predicates import PREDICATES, predicate
from anyskill_brax.evaluate.track import Track, swings, then
from anyskill_brax.motion.synthesis import builtin_motions, mirror_qpos
from anyskill_brax.types import UserError

STANDING = {"arms_down", "arms_straight", "legs_straight", "still", "stays_up", "upright"}
"""True before and after almost every built-in motion; `test_standing` has them to itself."""

SHOWS: dict[str, str] = {
    "raise_both_arms": "both_arms_up lowering_arms raising_arms",
    "raise_arm_right": "one_arm_up right_arm_up",
    "arms_out": "arms_out",
    "arm_out_right": "head_turn_right right_arm_out",
    "arms_forward": "arms_forward",
    "arms_v": "arms_up_wide both_arms_up lowering_arms raising_arms",
    "point_forward_right": "one_arm_forward right_arm_forward",
    "hands_on_hips": "hands_on_hips",
    "fold_arms": "arms_crossed hands_on_chest",
    "pray": "elbows_bent hands_on_chest hands_together look_down",
    "hands_behind_head": "elbows_bent hands_on_head lowering_arms raising_arms",
    "hands_behind_back": "hands_behind_back",
    "flex": "arms_up_wide elbows_bent flexes_biceps lowering_arms raising_arms",
    "salute_right": "right_elbow_bent right_hand_at_face right_hand_on_head",
    "phone_right": "right_elbow_bent right_hand_on_head",
    "wave_right": "one_wave right_elbow_bent right_wave",
    "wave_both": "arms_up_wide busy_arms lowering_arms raising_arms wave_both",
    "clap": "busy_arms clapping elbows_bent",
    "push": "pushes",
    "arm_circles": "arm_circles arms_out busy_arms",
    "reach_up_right": "legs_straight look_up one_arm_up right_arm_up tiptoes",
    "reach_forward_right": "lean_forward",
    "look_aside_right": "head_turn_right",
    "look_up_down": "look_down look_up nods",
    "shake_head": "shakes_head",
    "kneel_right": "lean_forward lower one_knee_down right_knee_down rise",
    "kneel_both": "kneel lean_forward lower rise",
    "sit_on_heels": "kneel lean_forward lower rise",
    "sit": "hands_on_floor hands_on_knees knees_bent lower rise sit sit_knees_up sits_down squat",
    "sit_lean_back": "hands_on_floor hands_on_knees knees_bent lower rise sit sit_knees_up sits_down squat",
    "stand_on_one_leg_right": "one_foot_up right_arm_out right_foot_up",
    "knee_raise_right": "one_foot_up right_foot_up right_knee_up",
    "leg_back_right": "lean_forward one_foot_up right_foot_up right_heel_up right_leg_back",
    "leg_aside_right": "lean_left one_foot_up right_arm_out right_foot_up right_leg_out",
    "kick_right": "left_arm_forward one_arm_forward one_foot_up one_kick right_foot_up right_kick right_knee_up",
    "front_kick_right": "elbows_bent guard one_foot_up one_kick right_foot_up right_kick right_knee_up",
    "side_kick_right": "elbows_bent guard lean_left one_foot_up right_foot_up right_kick_sideways",
    "lunge_right": "lunge right_lunge right_step",
    "side_lunge_right": "feet_wide knees_bent lean_forward lunge_to_right",
    "step_forward_right": "right_step steps_forward",
    "jump": "jump knees_bent lean_forward lowering_arms raising_arms",
    "jump_forward": "jump jump_forward knees_bent lean_forward lowering_arms raising_arms",
    "jump_turn_right": "jump jump_turn_right knees_bent lean_forward turn_right",
    "hop": "busy_arms hops_repeatedly",
    "jumping_jacks": "busy_arms flaps hops_repeatedly jumping_jacks lowering_arms raising_arms",
    "shift_weight": "sways",
    "bow": "bow legs_straight",
    "nod_bow": "bow elbows_bent hands_on_chest hands_together lean_forward look_down",
    "touch_toes": "bow",
    "squat": "knees_bent squat",
    "squats": "knees_bent squat squats",
    "crouch": "hands_on_knees knees_bent lower rise squat",
    "side_bend_right": "lean_right left_arm_up legs_straight one_arm_up",
    "lean_back": "elbows_bent hands_behind_back hands_on_hips lean_back legs_straight look_up",
    "twist": "busy_arms shakes_head twist_left twist_right twists_to_and_fro",
    "look_behind_right": "head_turn_right twist_right",
    "tiptoe": "legs_straight tiptoes",
    "lift": "elbows_bent knees_bent lean_forward lifts lower rise",
    "reach_down_right": "right_reach_down",
    "guard": "elbows_bent guard lean_forward legs_straight",
    "punch_right": "lean_forward legs_straight right_punch",
    "boxing": "boxes busy_arms lean_forward legs_straight twist_right",
    "walk": "left_step steps_forward walk_forward",
    "walk_slowly": "right_step steps_forward walk_forward",
    "walk_fast": "right_step steps_forward walk_fast walk_forward",
    "walk_turn_right": "left_step turn_right walk_forward walk_turning_right",
    "walk_circle_right": "left_step turn_around turn_right walk_circle walk_forward walk_turning_right",
    "walk_backwards": "left_step walk_backward",
    "side_step_right": "lean_forward sidestep_right",
    "turn_around_right": "busy_arms turn_around turn_right",
    "turn_right": "turn_right",
    "sneak": "elbows_bent hands_on_chest lean_forward right_step sneaks steps_forward walk_forward",
    "march": "busy_arms left_march march right_march",
    "jog": "lean_forward right_step run steps_forward",
    "jog_in_place": "busy_arms jog_in_place",
}
"""Built-in motion -> all that it shows beside `STANDING`, looked through by hand. What is not listed must not hold.
The other side's motions are the mirror images of these, up to their dice: the mirror law covers them."""

CONSTRUCTED: dict[str, str] = {
    "arms back": "arms_back hands_behind_back",
    "left arm back": "left_arm_back left_hand_behind_back",
    "left arm across": "left_arm_across left_hand_on_chest",
    "feet together": "feet_together still",
    "legs crossed": "legs_crossed",
    "left leg forward": "left_foot_up left_knee_up left_leg_forward one_foot_up",
    "head to the left shoulder": "head_tilt_left still",
    "left hand behind back": "left_hand_behind_back",
    "left hand on the hip": "left_hand_on_hip",
    "hands at the face": "elbows_bent guard hands_at_face hands_on_head pushes",
    "left hand on the knee": "left_foot_up left_hand_on_knee left_knee_up one_foot_up",
    "legs out": "arms_forward lower rise sit sit_legs_out sits_down",
    "touching toes": "bow hands_on_knees touch_toes",
    "on the back": "hands_on_floor lie_back lies lies_down lower rise",
    "on the front": "lie_front lies lies_down lower rise",
    "on the left side": "left_hand_on_floor lie_left lies lies_down lower rise",
    "all fours": "all_fours hands_on_floor",
    "plank": "hands_on_floor lower plank rise",
    "left hand on the floor": "knees_bent left_reach_down lower right_arm_back right_hand_behind_back rise squat",
    "spin": "spin turn_around turn_left",
    "crawl": "all_fours crawls hands_on_floor",
    "hop": "hop hops_repeatedly left_foot_up left_heel_up left_leg_back one_foot_up",
    "lift overhead": "both_arms_up bow hands_on_knees lifts lifts_overhead raising_arms touch_toes",
    "a fall": "lie_front lies lies_down",
    "down and up": "knees_bent lower rise squat",
}

"""The same for `constructed.py`."""


def mirrored(name: str) -> str:
    return "_".join({"left": "right", "right": "left"}.get(word, word) for word in name.split("_"))


def stacked(clips: dict[str, np.ndarray]) -> np.ndarray:
    """`[F, N, 35]`: shorter ones stay in their last pose."""
    longest = max(map(len, clips.values()))
    return np.stack([clip[np.minimum(np.arange(longest), len(clip) - 1)] for clip in clips.values()], axis=1)


def shown(character, clips: dict[str, np.ndarray]) -> dict[str, set[str]]:
    """Name of a clip -> names of the predicates that hold."""
    track = Track.of(character, stacked(clips), FPS)
    answers = {name: entry(track) for name, entry in PREDICATES.items()}
    for name, answer in answers.items():
        assert answer.shape == (len(clips),) and answer.dtype == bool, name
    return {clip: {name for name, answer in answers.items() if answer[i]} for i, clip in enumerate(clips)}


@pytest.fixture(scope="module")
def clips(character):
    return {motion.name: motion.qpos for motion in builtin_motions(character)}


@pytest.fixture(scope="module")
def seen(character, clips):
    return shown(character, clips)


@pytest.fixture(scope="module")
def made(character):
    return held(character) | moving(character)


@pytest.fixture(scope="module")
def seen_made(character, made):
    return shown(character, made)


def check(expected: dict[str, str], found: dict[str, set[str]]) -> None:
    for name, facts in expected.items():
        assert found[name] - STANDING == set(facts.split()) - STANDING, name


@pytest.mark.optimised
def test_built_in_motions_show_what_they_are_and_nothing_else(seen):
    check(SHOWS, seen)
    assert not seen["stand"] - STANDING


def test_constructed_poses_and_movements(seen_made):
    check(CONSTRUCTED, seen_made)


def test_every_predicate_has_been_satisfied_and_not(seen, seen_made):
    everything = [*seen.values(), *seen_made.values()]
    for name in set(PREDICATES) - STANDING:
        held_by = sum(name in facts or mirrored(name) in facts for facts in everything)
        assert 0 < held_by < len(everything), name
    assert len({getattr(entry.rule, "func", entry.rule) for entry in PREDICATES.values()}) >= 60


def test_standing(character):
    def facts(**angles: float) -> set[str]:
        return shown(character, {"held": np.repeat(pose(character, **angles)[None], 75, axis=0)})["held"]

    assert facts() == STANDING
    assert facts(left_shoulder_y=-90) == {"left_arm_forward", "one_arm_forward"} | STANDING - {"arms_down"}
    assert not {"arms_straight", "arms_down"} & facts(left_elbow=-90)
    assert not {"upright", "legs_straight"} & facts(left_hip_y=-60, right_hip_y=-60, left_knee=90, right_knee=90)
    assert "upright" not in facts(abdomen_y=40)


def test_stays_up_and_still(seen, seen_made):
    assert "stays_up" not in seen_made["a fall"] and "stays_up" not in seen["sit"] and "stays_up" in seen["bow"]
    assert "still" not in seen_made["crawl"] and "still" not in seen_made["spin"]


def test_the_mirror_image_shows_the_mirrored_facts(character, clips, seen):
    assert all(mirrored(name) in PREDICATES for name in PREDICATES)
    flipped = shown(character, {name: mirror_qpos(character, qpos) for name, qpos in clips.items()})
    for name, facts in flipped.items():
        assert facts == {mirrored(fact) for fact in seen[name]}, name


def test_episodes_do_not_leak_and_place_and_heading_do_not_matter(character, clips, seen):
    some = {name: clips[name] for name in ("wave_right", "walk_backwards", "squats")}
    qpos = stacked(some)
    yaw, s = 2.0, np.sin(1.0)
    turn = np.array([[np.cos(yaw), -np.sin(yaw)], [np.sin(yaw), np.cos(yaw)]])
    w, x, y, z = np.moveaxis(qpos[..., 3:7], -1, 0)
    c = np.cos(1.0)
    quat = np.stack([c * w - s * z, c * x - s * y, c * y + s * x, c * z + s * w], axis=-1)
    moved = np.concatenate([qpos[..., :2] @ turn.T + 7.0, qpos[..., 2:3], quat, qpos[..., 7:]], axis=-1)
    alone = {name: Track.of(character, moved[:, i], FPS) for i, name in enumerate(some)}
    for name, track in alone.items():
        facts = {fact for fact, entry in PREDICATES.items() if entry(track)}
        assert facts - STANDING == seen[name] - STANDING


def test_nan_poses_are_masked_and_counted(character, clips):
    qpos = stacked({name: clips[name] for name in ("wave_right", "bow")})
    broken = qpos.copy()
    broken[0, 0], broken[20:23, 0, 9], broken[-1, 0] = np.nan, np.inf, np.nan
    track = Track.of(character, broken, FPS)
    np.testing.assert_array_equal(track.masked, [5, 0])
    assert np.isfinite(track.pos).all() and np.isfinite(track.vel).all()
    np.testing.assert_array_equal(track.pos[22, 0], track.pos[19, 0])
    np.testing.assert_array_equal(track.pos[0, 0], track.pos[1, 0])
    np.testing.assert_array_equal(PREDICATES["right_wave"](track), [True, False])
    broken[:, 1] = np.nan
    with pytest.raises(UserError, match="not one finite pose"):
        Track.of(character, broken, FPS)
    for bad in (qpos[:1], qpos[..., :30]):
        with pytest.raises(UserError, match="qpos"):
            Track.of(character, bad, FPS)


def test_swings_and_then_by_hand():
    signal = np.array([0.0, 0.5, 1.0, 0.4, 0.9, 0.0, 1.0, 1.0])
    assert swings(signal, 0.8) == 3  # up, down, up; 0.4 and 0.9 are too near
    assert swings(signal, 0.5) == 5
    assert swings(signal, 0.8, np.arange(8) != 5) == 1
    first, second = np.array([True, False, False]), np.array([True, False, True])
    assert then(first, second) and not then(second[::1] & ~first, first)


def test_lasts_counts_frames_on_end(character):
    track = Track.of(character, np.repeat(pose(character)[None], 10, axis=0), FPS)
    mask = np.array([0, 1, 1, 1, 0, 1, 1, 0, 1, 1], bool)
    assert track.lasts(mask, 3 / FPS) and not track.lasts(mask, 4 / FPS)
    np.testing.assert_array_equal(track.lately(mask, 1 / FPS), [0, 1, 1, 1, 1, 1, 1, 1, 1, 1])
    np.testing.assert_allclose(track.over(np.arange(10.0), 2 / FPS), 2.0)


def test_one_decorated_function_is_a_new_predicate(character):

    @predicate("hover over your {side} knee")
    def hover_side(track, side):
        """The {side} hand over its knee."""
        return track.lasts(track.height(f"{side}_hand") > track.height(f"{side}_shin"), 0.5)

    try:
        track = Track.of(character, np.repeat(pose(character)[None], 30, axis=0), FPS)
        found = meaning("please hover over your right knee")
        assert str(found) == "hover_right" and bool(found.holds(track))
        assert PREDICATES["hover_left"].says == "The left hand over its knee."
        with pytest.raises(ValueError, match="twice"):
            predicate()(hover_side)
    finally:
        del PREDICATES["hover_left"], PREDICATES["hover_right"]
    assert meaning("hover over your right knee") is None
    with pytest.raises(ValueError, match="docstring"):
        predicate()(lambda track: track.up)


@pytest.mark.parametrize(
    ("text", "means"),
    [
        ("Raise both arms!", "both_arms_up"),
        ("a person is raising their left arm", "left_arm_up"),
        ("a figure, bowing, then clapping", None),
        ("bow and clap", "bow and clapping"),
        ("walk backwards with your hands on your hips", "walk_backward and hands_on_hips"),
        ("wave goodbye while you stand on one leg", None),
        ("play the violin", None),
        ("don't raise your arms", None),
        ("raise your left arm and play the violin", None),
        ("", None),
        ("\U0001f938", None),
        ("raise " * 5000, None),
    ],
)
def test_the_table_knows_or_says_that_it_does_not(text, means):
    found = meaning(text)
    assert (found and str(found)) == means


def test_a_text_may_be_met_in_several_ways():
    found = meaning("stand on one leg")
    assert found is not None and set(found.groups[0]) == {"left_foot_up", "one_foot_up", "right_foot_up"}


def test_the_table_is_large_and_names_only_predicates():
    assert len(table()) > 1000
    assert {name for names in table().values() for name in names} == set(PREDICATES)


def test_instructions_of_the_configs_are_known(character, clips):
    """The demo's list and the method's own can be decided; a motion that does it does it."""
    assert str(meaning("bend forward and bow")) == "bow"
    track = Track.of(character, clips["bow"], FPS)
    assert meaning("bend forward and bow").holds(track) and not meaning("crouch down low").holds(track)
