"""Predicates of held arms. Whoever holds a pose holds it for a second, on feet, knees or seat."""

import numpy as np

from anyskill_brax.evaluate.predicates.register import predicate
from anyskill_brax.evaluate.track import Mask, Track

HOLD = 1.0
"""[s]"""
SIGN = {"left": 1.0, "right": -1.0}
OTHER = {"left": "right", "right": "left"}
ARM = 0.534
"""Shoulder to hand, straight [m]."""


def held(t: Track, mask: Mask) -> Mask:
    return t.lasts(mask & t.up, HOLD)


def distance(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.linalg.norm(a - b, axis=-1)


def direction(t: Track, side: str) -> np.ndarray:
    """Shoulder to hand as (ahead, left, up) of the heading, in arm's lengths: 1 is straight that way."""
    return t.heading.see(t.at(f"{side}_hand") - t.at(f"{side}_upper_arm")) / ARM


def elbow_bend(t: Track, side: str) -> np.ndarray:
    """0 straight, pi folded [rad]."""
    shoulder, elbow, hand = (t.at(f"{side}_{part}") for part in ("upper_arm", "lower_arm", "hand"))
    upper, lower = elbow - shoulder, hand - elbow
    cosine = (upper * lower).sum(-1) / np.maximum(distance(shoulder, elbow) * distance(elbow, hand), 1e-9)
    return np.arccos(np.clip(cosine, -1.0, 1.0))


def in_torso(t: Track, side: str, part: str = "hand") -> np.ndarray:
    """A point of the arm as (ahead, outward, up) of the torso, from the torso's joint (navel height) [m]."""
    return t.torso.see(t.at(f"{side}_{part}") - t.at("torso")) * np.array([1.0, SIGN[side], 1.0])


def is_up(t: Track, side: str) -> Mask:
    above = t.height(f"{side}_hand") - t.height("head_centre") > 0.15
    upright = t.torso.up[..., 2] > 0.3  # in a bridge the hands are above the head as well
    return above & upright & (t.height(f"{side}_lower_arm") > t.height(f"{side}_upper_arm"))


def is_out(t: Track, side: str) -> Mask:
    return direction(t, side)[..., 1] * SIGN[side] > 0.85


def is_forward(t: Track, side: str) -> Mask:
    return direction(t, side)[..., 0] > 0.85


def is_back(t: Track, side: str) -> Mask:
    behind = t.torso.see(t.at(f"{side}_hand") - t.at(f"{side}_upper_arm"))[..., 0] < -0.4 * ARM
    return behind & (elbow_bend(t, side) < 0.8)


def is_across(t: Track, side: str) -> Mask:
    hand = in_torso(t, side)
    return (hand[..., 1] < -0.01) & (hand[..., 0] > 0.08) & (hand[..., 2] < 0.35)


def is_on_hip(t: Track, side: str) -> Mask:
    hip = t.at("pelvis") + 0.16 * SIGN[side] * t.pelvis.left + 0.08 * t.pelvis.up
    elbow_out = in_torso(t, side, "lower_arm")[..., 1] - in_torso(t, side, "upper_arm")[..., 1] > 0.08
    return (distance(t.at(f"{side}_hand"), hip) < 0.17) & elbow_out & (elbow_bend(t, side) > 0.5)


def is_on_head(t: Track, side: str) -> Mask:
    return (distance(t.at(f"{side}_hand"), t.at("head_centre")) < 0.24) & (in_torso(t, side)[..., 2] > 0.33)


def is_at_face(t: Track, side: str) -> Mask:
    off = t.head.see(t.at(f"{side}_hand") - t.at("head_centre"))
    return (np.linalg.norm(off, axis=-1) < 0.28) & (off[..., 0] > 0.05)


def is_behind_back(t: Track, side: str) -> Mask:
    hand = in_torso(t, side)
    return (hand[..., 0] < -0.08) & (hand[..., 1] < 0.22) & (hand[..., 2] < 0.2)


def is_on_chest(t: Track, side: str) -> Mask:
    hand = in_torso(t, side)
    return (np.abs(hand[..., 0] - 0.16) < 0.14) & (hand[..., 1] < 0.2) & (np.abs(hand[..., 2] - 0.12) < 0.15)


def is_on_knee(t: Track, side: str) -> Mask:
    return distance(t.at(f"{side}_hand"), t.at(f"{side}_shin")) < 0.22


def is_guarding(t: Track, side: str) -> Mask:
    hand, shoulder = in_torso(t, side), in_torso(t, side, "upper_arm")
    raised = (hand[..., 2] - shoulder[..., 2] > -0.1) & (hand[..., 0] - shoulder[..., 0] > 0.1)
    return raised & (elbow_bend(t, side) > 1.0) & (hand[..., 2] < 0.4)


def both(rule, t: Track) -> Mask:
    return rule(t, "left") & rule(t, "right")


def only(rule, t: Track, side: str) -> Mask:
    return rule(t, side) & ~rule(t, OTHER[side])


@predicate("raise two arms", "raise both arms above the head", "stand up with both arms raised", "hands over the head")
def both_arms_up(t: Track) -> Mask:
    """Both hands above the top of the head, upper arms raised."""
    return held(t, both(is_up, t))


@predicate("raise the {side} arm straight up", "hold your {side} hand over your head")
def side_arm_up(t: Track, side: str) -> Mask:
    """The {side} hand above the top of the head, the {other} one not."""
    return held(t, only(is_up, t, side))


@predicate("put up one hand", "raise one arm", "raise one hand", "raise a hand")
def one_arm_up(t: Track) -> Mask:
    """One hand above the top of the head, the other not."""
    return held(t, is_up(t, "left") ^ is_up(t, "right"))


@predicate("celebrate with both arms in the air", "cheer with arms up and wide")
def arms_up_wide(t: Track) -> Mask:
    """Both hands above the head and over half a metre apart."""
    high = np.minimum(t.height("left_hand"), t.height("right_hand")) > t.height("head_centre")
    return held(t, high & (distance(t.at("left_hand"), t.at("right_hand")) > 0.55))


@predicate("stand in a T pose", "arms out like an airplane")
def arms_out(t: Track) -> Mask:
    """Both arms straight out to their sides, level."""
    return held(t, both(is_out, t))


@predicate("signal {side}", "point {side}", "point to the {side}")
def side_arm_out(t: Track, side: str) -> Mask:
    """The {side} arm straight out to its side, the {other} one not."""
    return held(t, only(is_out, t, side))


@predicate("hold both arms straight out in front", "zombie arms")
def arms_forward(t: Track) -> Mask:
    """Both arms straight ahead, level."""
    return held(t, both(is_forward, t))


@predicate("point forward with the {side} hand", "reach forward with the {side} hand")
def side_arm_forward(t: Track, side: str) -> Mask:
    """The {side} arm straight ahead, the {other} one not."""
    return held(t, only(is_forward, t, side))


@predicate("point straight ahead", "point forward")
def one_arm_forward(t: Track) -> Mask:
    """One arm straight ahead, the other not."""
    return held(t, is_forward(t, "left") ^ is_forward(t, "right"))


@predicate()
def arms_back(t: Track) -> Mask:
    """Both arms stretched behind the body."""
    return held(t, both(is_back, t))


@predicate()
def side_arm_back(t: Track, side: str) -> Mask:
    """The {side} arm stretched behind the body, the {other} one not."""
    return held(t, only(is_back, t, side))


@predicate("let your arms hang")
def arms_down(t: Track) -> Mask:
    """Both arms hang straight."""
    return held(t, (direction(t, "left")[..., 2] < -0.9) & (direction(t, "right")[..., 2] < -0.9))


@predicate("stand up with arms crossed", "fold one arm over the other", "fold your arms")
def arms_crossed(t: Track) -> Mask:
    """Each hand before the torso, on the other side of its middle."""
    return held(t, both(is_across, t))


@predicate()
def side_arm_across(t: Track, side: str) -> Mask:
    """The {side} hand before the torso's {other} half, the {other} one not across."""
    return held(t, only(is_across, t, side))


@predicate("put the hands on the hips", "rest both hands at the waist")
def hands_on_hips(t: Track) -> Mask:
    """Each hand at its hip, elbows bent outward."""
    return held(t, both(is_on_hip, t))


@predicate()
def side_hand_on_hip(t: Track, side: str) -> Mask:
    """The {side} hand at its hip, elbow bent outward; the {other} one not."""
    return held(t, only(is_on_hip, t, side))


@predicate("put your hands behind your head", "clasp your hands behind the neck")
def hands_on_head(t: Track) -> Mask:
    """Both hands on or behind the head."""
    return held(t, both(is_on_head, t))


@predicate("hold a phone to your {side} ear")
def side_hand_on_head(t: Track, side: str) -> Mask:
    """The {side} hand at the head, the {other} one not."""
    return held(t, only(is_on_head, t, side))


@predicate()
def hands_at_face(t: Track) -> Mask:
    """Both hands before the face."""
    return held(t, both(is_at_face, t))


@predicate("salute with the {side} hand", "touch your brow with the {side} hand")
def side_hand_at_face(t: Track, side: str) -> Mask:
    """The {side} hand before the face, the {other} one not."""
    return held(t, only(is_at_face, t, side))


@predicate("stand at ease", "clasp both hands behind you")
def hands_behind_back(t: Track) -> Mask:
    """Both hands behind the torso, at or under the waist."""
    return held(t, both(is_behind_back, t))


@predicate()
def side_hand_behind_back(t: Track, side: str) -> Mask:
    """The {side} hand behind the torso, the {other} one not."""
    return held(t, only(is_behind_back, t, side))


@predicate("hold the palms together in prayer", "put your palms together in front of the chest")
def hands_together(t: Track) -> Mask:
    """The hands together before the body."""
    near = distance(t.at("left_hand"), t.at("right_hand")) < 0.16
    return held(t, near & (in_torso(t, "left")[..., 0] > 0.08) & (in_torso(t, "right")[..., 0] > 0.08))


@predicate()
def hands_on_chest(t: Track) -> Mask:
    """Both hands on the chest."""
    return held(t, both(is_on_chest, t))


@predicate()
def side_hand_on_chest(t: Track, side: str) -> Mask:
    """The {side} hand on the chest, the {other} one not."""
    return held(t, only(is_on_chest, t, side))


@predicate()
def hands_on_knees(t: Track) -> Mask:
    """Each hand at its knee."""
    return held(t, both(is_on_knee, t))


@predicate()
def side_hand_on_knee(t: Track, side: str) -> Mask:
    """The {side} hand at its knee, the {other} one not."""
    return held(t, only(is_on_knee, t, side))


@predicate("stand in a fighting stance", "put up your guard")
def guard(t: Track) -> Mask:
    """Both fists raised before the shoulders, elbows bent."""
    return held(t, both(is_guarding, t))


@predicate("flex both biceps", "show off your muscles", "pose like a bodybuilder")
def flexes_biceps(t: Track) -> Mask:
    """Both upper arms out to the sides and level, the hands above the elbows."""

    def flexed(t: Track, side: str) -> Mask:
        shoulder, elbow, hand = (in_torso(t, side, part) for part in ("upper_arm", "lower_arm", "hand"))
        level = np.abs(elbow[..., 2] - shoulder[..., 2]) < 0.15
        return level & (elbow[..., 1] - shoulder[..., 1] > 0.18) & (hand[..., 2] - elbow[..., 2] > 0.12)

    return held(t, both(flexed, t))


@predicate()
def elbows_bent(t: Track) -> Mask:
    """Both elbows bent by a right angle or more."""
    return held(t, np.minimum(elbow_bend(t, "left"), elbow_bend(t, "right")) > 1.4)


@predicate()
def side_elbow_bent(t: Track, side: str) -> Mask:
    """The {side} elbow bent by a right angle or more, the {other} one not."""
    return held(t, (elbow_bend(t, side) > 1.4) & (elbow_bend(t, OTHER[side]) < 1.2))


@predicate()
def arms_straight(t: Track) -> Mask:
    """Both arms straight."""
    return held(t, np.maximum(elbow_bend(t, "left"), elbow_bend(t, "right")) < 0.4)
