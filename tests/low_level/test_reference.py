"""Which frames of the motions are poses to be held, and how often."""

import jax
import numpy as np
import pytest

from anyskill_brax.character.humanoid import Character
from anyskill_brax.character.kinematics import forward_kinematics
from anyskill_brax.low_level.reference import Reference
from anyskill_brax.low_level.still_poses import APPROACH, LOW_PELVIS, LOW_SHARE, RAISED, RAISED_SHARE
from anyskill_brax.motion.io import Motion
from anyskill_brax.motion.library import MotionLibrary
from anyskill_brax.motion.synthesis import builtin_motions


@pytest.fixture(scope="module")
def motions(character) -> dict[str, Motion]:
    return {motion.name: motion for motion in builtin_motions(character)}


def reference_of(character: Character, motions: dict[str, Motion], *names: str) -> Reference:
    return Reference.create(character, MotionLibrary.create([motions[name] for name in names]))


def test_low_poses_are_repeated_until_they_have_their_share(character, motions):
    reference = reference_of(
        character, motions, "hands_on_hips", "arms_out", "pray", "fold_arms", "flex", "stand", "crouch"
    )
    pelvis = np.asarray(reference.qpos)[np.asarray(reference.still), 2]
    assert (pelvis < LOW_PELVIS).mean() == pytest.approx(LOW_SHARE, abs=0.02)
    assert len(np.unique(reference.still[pelvis < LOW_PELVIS])) < (pelvis < LOW_PELVIS).sum()
    head = np.asarray(reference.head)[np.asarray(reference.still)] / character.standing_head
    assert head[pelvis < LOW_PELVIS].max() < 0.8 and np.median(head[pelvis >= LOW_PELVIS]) == pytest.approx(
        1.0, abs=0.05
    )


def test_poses_with_both_arms_raised_are_repeated_until_they_have_their_share(character, motions):
    reference = reference_of(character, motions, "hands_on_hips", "arms_out", "pray", "stand", "squat", "arms_v")
    rows = np.asarray(reference.still)
    bodies = forward_kinematics(character, reference.qpos[rows], reference.qvel[rows])
    hands = np.asarray(bodies.pos)[:, [character.body("right_hand"), character.body("left_hand")], 2].min(axis=-1)
    raised = hands - np.asarray(bodies.pos)[:, character.body("head"), 2] > RAISED
    assert raised.mean() == pytest.approx(RAISED_SHARE, abs=0.02)
    assert len(np.unique(rows[raised])) < raised.sum() and len(np.unique(rows[~raised])) > 0.5 * (~raised).sum()


def test_who_sits_or_moves_holds_no_pose(character, motions):
    reference = reference_of(character, motions, "sit_on_heels", "jumping_jacks", "hands_on_hips")
    still = np.asarray(reference.still)
    speed = np.sqrt(np.mean(np.asarray(reference.qvel)[still, 6:] ** 2, axis=-1))
    assert speed.max() < 0.4 and np.asarray(reference.qpos)[still, 2].min() > 0.4
    assert len(np.unique(still)) < 0.8 * len(reference.qpos)


def test_who_stands_on_one_leg_or_apart_is_arrived_at_by_its_own_motion(character, motions):
    reference = reference_of(character, motions, "stand", "knee_raise_left", "arms_out")
    rows = np.asarray(reference.arrivals)
    names = np.array(["stand", "knee_raise_left", "arms_out"])[np.asarray(reference.clip)[rows]]
    assert set(names) == {"knee_raise_left"} and not np.isin(rows, np.asarray(reference.still)).any()
    feet = np.asarray(reference.bodies(character, rows, False).pos)[:, character.feet, 2]
    assert np.median(np.ptp(feet, axis=-1)) > 0.2, "one foot is up"
    pose, moment = map(np.asarray, reference.sample_arrival(jax.random.PRNGKey(0), (500,)))
    assert np.isin(pose, rows).all() and (moment <= pose).all() and (pose - moment).max() <= APPROACH
    assert (np.asarray(reference.clip)[pose] == np.asarray(reference.clip)[moment]).all()
    begins = np.asarray(reference.way)[pose]
    assert 0.4 < (moment == begins).mean() < 0.6 and (pose - begins).min() > 10
    assert np.isin(begins, np.asarray(reference.still)).all(), "the last frame of rest before it"


def test_motions_without_such_poses_have_their_first_frame(character, motions):
    reference = reference_of(character, motions, "stand", "arms_out")
    assert np.asarray(reference.arrivals).tolist() == [0]
