"""Predicates of the trunk, the head, and of bodies on the floor."""

import numpy as np

from anyskill_brax.evaluate.predicates.arms import HOLD, SIGN, both, distance
from anyskill_brax.evaluate.predicates.legs import both_planted, knee_bend, knee_down, leg, planted, standing
from anyskill_brax.evaluate.predicates.register import predicate
from anyskill_brax.evaluate.track import Mask, Track


def tilt(t: Track) -> tuple[np.ndarray, np.ndarray]:
    """How far the spine leans ahead and to the left of the heading [rad]."""
    ahead, left, up = np.moveaxis(t.heading.see(t.torso.up), -1, 0)
    return np.arctan2(ahead, up), np.arcsin(np.clip(left, -1.0, 1.0))


@predicate("stand up", "stand upright", "stand up straight", "stand tall")
def upright(t: Track) -> Mask:
    """Standing on both feet, legs nearly straight, spine vertical."""
    straight = np.maximum(knee_bend(t, "left"), knee_bend(t, "right")) < 0.7
    return t.lasts((t.torso.up[..., 2] > 0.95) & straight & both_planted(t) & (t.height("pelvis") > 0.75), HOLD)


@predicate("bow at right angle", "take a bow", "bend forward and bow", "bow slightly with hands together")
def bow(t: Track) -> Mask:
    """Spine leaning forward by 30 degrees or more over legs that stand still and nearly straight."""
    calm = np.linalg.norm(t.velocity("pelvis"), axis=-1) < 0.4
    return t.lasts((tilt(t)[0] > 0.52) & (t.height("pelvis") > 0.7) & both_planted(t) & calm, 0.4)


@predicate()
def lean_forward(t: Track) -> Mask:
    """Spine leaning forward, less than a bow."""
    ahead, aside = tilt(t)
    return t.lasts((ahead > 0.15) & (ahead < 0.75) & (np.abs(aside) < 0.4) & standing(t), 0.7)


@predicate()
def lean_back(t: Track) -> Mask:
    """Spine leaning backward over standing legs."""
    return t.lasts((tilt(t)[0] < -0.15) & standing(t), 0.7)


@predicate("bend to the {side}")
def lean_side(t: Track, side: str) -> Mask:
    """Spine leaning to the {side} over standing legs."""
    ahead, left = tilt(t)
    return t.lasts((left * SIGN[side] > 0.2) & (np.abs(ahead) < 0.8) & standing(t), 0.7)


def twist(t: Track) -> np.ndarray:
    """Of the shoulders against the hips, to the left [rad]."""
    across = t.heading.see(t.torso.left)
    return np.arctan2(-across[..., 0], across[..., 1])


@predicate("look behind you over the {side} shoulder")
def twist_side(t: Track, side: str) -> Mask:
    """Shoulders turned to the {side} against the hips."""
    return t.lasts((twist(t) * SIGN[side] > 0.3) & standing(t), 0.3)


@predicate("twist your upper body from side to side")
def twists_to_and_fro(t: Track) -> Mask:
    """Shoulders turned left and right in turn."""
    return (twist_side(t, "left") & twist_side(t, "right")).astype(bool)


@predicate("look to the {side}", "glance over the {side} shoulder", "look {side}")
def head_turn_side(t: Track, side: str) -> Mask:
    """The face turned to the {side} of the chest."""
    return t.lasts((t.torso.see(t.head.ahead)[..., 1] * SIGN[side] > 0.3) & t.up, 0.5)


@predicate()
def head_tilt_side(t: Track, side: str) -> Mask:
    """The head tilted towards the {side} shoulder."""
    return t.lasts((t.torso.see(t.head.up)[..., 1] * SIGN[side] > 0.25) & t.up, 0.7)


@predicate()
def look_up(t: Track) -> Mask:
    """The face turned up, against the chest and against the level."""
    return t.lasts((t.torso.see(t.head.ahead)[..., 2] > 0.2) & (t.head.ahead[..., 2] > 0.2) & t.up, 0.7)


@predicate()
def look_down(t: Track) -> Mask:
    """The face turned down, against the chest and against the level."""
    return t.lasts((t.torso.see(t.head.ahead)[..., 2] < -0.25) & (t.head.ahead[..., 2] < -0.25) & t.up, 0.7)


@predicate("touch your toes", "hands to the feet with straight legs")
def touch_toes(t: Track) -> Mask:
    """Each hand within a foot's length of its ankle, over nearly straight legs."""
    near = both(lambda t, s: distance(t.at(f"{s}_hand"), t.at(f"{s}_foot")) < 0.3, t)
    straight = both(lambda t, s: knee_bend(t, s) < 0.8, t)
    return t.lasts(near & straight & (t.height("pelvis") > 0.55), 0.4)


@predicate("hands touching the ground")
def hands_on_floor(t: Track) -> Mask:
    """Both hands at the floor."""
    return t.lasts(np.maximum(t.height("left_hand"), t.height("right_hand")) < 0.15, 0.5)


@predicate()
def side_hand_on_floor(t: Track, side: str) -> Mask:
    """The {side} hand at the floor, the {other} one not."""
    other = "right" if side == "left" else "left"
    return t.lasts((t.height(f"{side}_hand") < 0.15) & (t.height(f"{other}_hand") > 0.25), 0.5)


def seated(t: Track) -> Mask:
    return (t.clearance("pelvis") < 0.06) & (t.torso.up[..., 2] > 0.5)


@predicate("go and sit on the floor", "sit down on the floor", "have a seat on the floor")
def sit(t: Track) -> Mask:
    """Seat on the floor, trunk up."""
    return t.lasts(seated(t), HOLD)


@predicate("sit on the ground with legs out")
def sit_legs_out(t: Track) -> Mask:
    """Seat on the floor, both legs straight ahead."""
    return t.lasts(seated(t) & both(lambda t, s: (leg(t, s)[..., 0] > 0.75) & (knee_bend(t, s) < 0.6), t), HOLD)


@predicate()
def sit_knees_up(t: Track) -> Mask:
    """Seat on the floor, feet planted, knees up."""
    return t.lasts(seated(t) & both(lambda t, s: planted(t, s) & (t.height(f"{s}_shin") > 0.25), t), HOLD)


def lying(t: Track) -> Mask:
    return (t.height("head") < 0.35) & (t.height("pelvis") < 0.3)


@predicate("lie down face up")
def lie_back(t: Track) -> Mask:
    """Head and hips on the floor, chest up."""
    return t.lasts(lying(t) & (t.torso.ahead[..., 2] > 0.6), HOLD)


@predicate("lie down face down", "lie on your belly")
def lie_front(t: Track) -> Mask:
    """Head and hips on the floor, chest down."""
    return t.lasts(lying(t) & (t.torso.ahead[..., 2] < -0.6), HOLD)


@predicate()
def lie_side(t: Track, side: str) -> Mask:
    """Head and hips on the floor, {side} shoulder down."""
    return t.lasts(lying(t) & (t.torso.left[..., 2] * SIGN[side] < -0.6), HOLD)


@predicate("lie down", "lie on the floor", "lie on the ground")
def lies(t: Track) -> Mask:
    """Head and hips on the floor, in whatever way."""
    return t.lasts(lying(t), HOLD)


def on_all_fours(t: Track) -> Mask:
    hands = np.maximum(t.height("left_hand"), t.height("right_hand")) < 0.2
    return hands & (t.torso.ahead[..., 2] < -0.4) & (t.height("pelvis") > 0.25)


@predicate("hands and knees on the ground", "crawl position")
def all_fours(t: Track) -> Mask:
    """Hands and knees on the floor, chest down, hips up."""
    return t.lasts(on_all_fours(t) & both(knee_down, t), HOLD)


@predicate()
def plank(t: Track) -> Mask:
    """Hands on the floor, body straight from head to heel, knees and hips off the floor."""
    straight = both(lambda t, s: (knee_bend(t, s) < 0.5) & ~knee_down(t, s), t)
    spine = (t.torso.up * t.pelvis.up).sum(-1) > 0.85
    return t.lasts(on_all_fours(t) & straight & spine & (t.height("pelvis") < 0.65), HOLD)
