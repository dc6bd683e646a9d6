"""Predicates of the whole body's movement: walking, turning, jumping, going down and getting up."""

import numpy as np

from anyskill_brax.evaluate.predicates.arms import HOLD, OTHER, SIGN
from anyskill_brax.evaluate.predicates.legs import ahead_of_other, both_planted, knee_bend, standing
from anyskill_brax.evaluate.predicates.register import predicate
from anyskill_brax.evaluate.predicates.trunk import lying, on_all_fours, seated
from anyskill_brax.evaluate.track import Mask, Track, swings, then

STRIDES = 2.0
"""Walking is judged over stretches of this length [s]."""


def progress(t: Track, seconds: float = STRIDES) -> np.ndarray:
    """Mean velocity (ahead, left) over each stretch, seen from the body itself all the while `[F', ..., 2]` [m/s]."""
    own = t.heading.see(t.velocity("pelvis"))[..., :2]
    path = np.cumsum(own, axis=0) / t.fps
    n = min(t.frames(seconds), len(path) - 1)
    return t.over(path, seconds) * t.fps / n


def up_throughout(t: Track, seconds: float = STRIDES) -> Mask:
    """Per stretch, whether the body stands all the while `[F', ...]`."""
    down = np.cumsum(~standing(t), axis=0)
    return t.over(down, seconds) == 0


def steps(t: Track) -> Mask:
    """At least two steps: the feet overtake each other twice."""
    return swings(ahead_of_other(t, "left"), 0.12) >= 3


@predicate("move forward", "walk slowly", "walk straight ahead", "take a walk")
def walk_forward(t: Track) -> Mask:
    """Steps that carry the body forward at 0.3 to 2 m/s for two seconds."""
    ahead, aside = np.moveaxis(progress(t), -1, 0)
    along = (ahead > 0.3) & (ahead < 2.0) & (np.abs(aside) < 0.5 * ahead)
    return (along & up_throughout(t)).any(axis=0) & steps(t) & ~flies(t)


@predicate("walk fast")
def walk_fast(t: Track) -> Mask:
    """Steps that carry the body forward at 1.1 to 2.2 m/s for two seconds."""
    ahead = progress(t)[..., 0]
    return ((ahead > 1.1) & (ahead < 2.2) & up_throughout(t)).any(axis=0) & steps(t) & ~flies(t)


@predicate("walk backward", "back up slowly", "retreat step by step")
def walk_backward(t: Track) -> Mask:
    """Steps that carry the body backward, over 0.2 m/s for two seconds."""
    ahead, aside = np.moveaxis(progress(t), -1, 0)
    return ((ahead < -0.2) & (np.abs(aside) < -0.5 * ahead) & up_throughout(t)).any(axis=0) & steps(t)


@predicate("step sideways to the {side}", "shuffle {side}")
def sidestep_side(t: Track, side: str) -> Mask:
    """The body goes to its {side}, over 0.2 m/s for two seconds, and stays there, on its feet."""
    ahead, aside = np.moveaxis(progress(t), -1, 0)
    going = (aside * SIGN[side] > 0.2) & (np.abs(ahead) < 0.5 * np.abs(aside))
    whole = t.heading.see(t.velocity("pelvis"))[..., 1].sum(axis=0) / t.fps * SIGN[side]
    return (going & up_throughout(t)).any(axis=0) & (whole > 0.3)


@predicate("jog", "run energetically and brake abruptly", "sprint forward", "jog along")
def run(t: Track) -> Mask:
    """Forward faster than 1.4 m/s for a second, with moments when both feet are off the floor."""
    ahead = progress(t, 1.0)[..., 0]
    return ((ahead > 1.4) & up_throughout(t, 1.0)).any(axis=0) & flies(t)


def airborne(t: Track) -> Mask:
    return (np.minimum(t.clearance("left_foot"), t.clearance("right_foot")) > 0.012) & standing(t)


def flies(t: Track) -> Mask:
    """Whether both feet are off the floor now and then, which tells running from walking `[...]`."""
    n = min(t.frames(1.0), len(t.pos) - 1)
    return np.asarray((t.over(np.cumsum(airborne(t), axis=0), 1.0) > 0.05 * n).any(axis=0))


@predicate("turn {side}", "turn to the {side}", "turn around to the {side}", "make a {side} turn")
def turn_side(t: Track, side: str) -> Mask:
    """The heading ends 40 degrees or more to the {side} of where it began, on its feet."""
    turned = (t.yaw[-1] - t.yaw[0]) * SIGN[side] > 0.7
    return turned & standing(t).all(axis=0)


@predicate("turn around", "look behind you")
def turn_around(t: Track) -> Mask:
    """The heading ends 120 degrees or more from where it began, on its feet."""
    return (np.abs(t.yaw[-1] - t.yaw[0]) > 2.1) & standing(t).all(axis=0)


@predicate("turn a full circle", "pirouette", "spin around")
def spin(t: Track) -> Mask:
    """A whole turn within three seconds, on its feet."""
    return np.asarray(((np.abs(t.over(t.yaw, 3.0)) > 5.7) & up_throughout(t, 3.0)).any(axis=0))


@predicate("walk in a circle")
def walk_circle(t: Track) -> Mask:
    """A path of two metres or more that turns by 270 degrees or more, on its feet."""
    path = np.linalg.norm(np.diff(t.at("pelvis")[..., :2], axis=0), axis=-1).sum(axis=0)
    return (path > 2.0) & (np.abs(t.yaw[-1] - t.yaw[0]) > 4.7) & standing(t).all(axis=0) & steps(t)


@predicate("walk in a curve to the {side}", "a precise {side} turn during walking")
def walk_turning_side(t: Track, side: str) -> Mask:
    """Walking forward while the heading turns 40 degrees or more to the {side}."""
    return np.asarray(walk_forward(t) & turn_side(t, side))


@predicate("sneak forward", "sneak", "walk in a crouch")
def sneaks(t: Track) -> Mask:
    """Forward with low hips, at 0.15 to 1 m/s for two seconds, a foot always on the floor."""
    high = np.cumsum(t.height("pelvis") > 0.82, axis=0)
    ahead = progress(t)[..., 0]
    low = (t.over(high, STRIDES) == 0) & (ahead > 0.15) & (ahead < 1.0)
    return (low & up_throughout(t)).any(axis=0) & steps(t) & ~flies(t)


@predicate("crawl", "crawl forward", "crawl on hands and knees")
def crawls(t: Track) -> Mask:
    """On hands and knees, 0.3 m further within two seconds."""
    n = min(t.frames(2.0), len(t.pos) - 1)
    moved = np.linalg.norm(t.over(t.at("pelvis")[..., :2], 2.0), axis=-1) > 0.3
    down = t.over(np.cumsum(on_all_fours(t), axis=0), 2.0) > 0.6 * n
    return np.asarray((moved & down).any(axis=0))


@predicate("stand quietly", "stand still", "stay where you are")
def still(t: Track) -> Mask:
    """No part of the body faster than 0.3 m/s for two seconds, on both feet."""
    speed = np.linalg.norm(t.vel, axis=-1).max(axis=-1)
    return t.lasts((speed < 0.3) & both_planted(t) & standing(t), 2.0)


@predicate("stay on your feet", "keep your balance", "do not fall")
def stays_up(t: Track) -> Mask:
    """The head never comes under half a metre."""
    return np.asarray(t.up.all(axis=0))


@predicate("jump up", "leap into the air", "spring off both feet")
def jump(t: Track) -> Mask:
    """Both feet well off the floor at once, after an upward push of the hips."""
    push = np.logical_or.accumulate(t.velocity("pelvis")[..., 2] > 0.8, axis=0)
    high = np.minimum(t.clearance("left_foot"), t.clearance("right_foot")) > 0.06
    return np.asarray((push & high & standing(t)).any(axis=0))


@predicate("jump forward", "jump forward with both legs after taking a run-up")
def jump_forward(t: Track) -> Mask:
    """A jump that lands a quarter of a metre further ahead."""
    ahead = np.cumsum(t.heading.see(t.velocity("pelvis"))[..., 0], axis=0) / t.fps
    far = (t.over(ahead, 1.0) > 0.25).any(axis=0)
    return np.asarray(jump(t) & far & ~steps(t))


@predicate("jump and turn to the {side}")
def jump_turn_side(t: Track, side: str) -> Mask:
    """A jump that ends 40 degrees or more to the {side}."""
    return np.asarray(jump(t) & turn_side(t, side))


def hops(t: Track) -> np.ndarray:
    """How often both feet leave the floor."""
    off = airborne(t)
    return (off[1:] & ~off[:-1]).sum(axis=0)


@predicate("hop up and down", "jump up and down")
def hops_repeatedly(t: Track) -> Mask:
    """Both feet leave the floor three times or more, hardly travelling."""
    far = np.linalg.norm(t.at("pelvis")[-1, ..., :2] - t.at("pelvis")[0, ..., :2], axis=-1)
    return (hops(t) >= 3) & (far < 1.0) & ~steps(t)


@predicate("hop on one foot", "jump on one leg")
def hop(t: Track) -> Mask:
    """In the air twice, the same foot higher by 0.12 m each time."""
    gap = t.height("left_foot") - t.height("right_foot")
    one = [airborne(t) & (gap * SIGN[s] > 0.12) for s in SIGN]
    return np.asarray(np.stack([(m[1:] & ~m[:-1]).sum(axis=0) >= 2 for m in one]).any(axis=0))


def knees_in_turn(t: Track) -> np.ndarray:
    """How often a bent knee comes up, the two taking turns."""
    lift = t.height("left_foot") - t.height("right_foot")
    return swings(lift, 0.2, standing(t))


def on_the_spot(t: Track) -> Mask:
    path = t.at("pelvis")[..., :2]
    return np.linalg.norm(path - path[:1], axis=-1).max(axis=0) < 0.5


@predicate("march on the spot", "march in place", "walk on the spot lifting your knees", "march")
def march(t: Track) -> Mask:
    """Knees come up in turn, four times or more, without getting anywhere."""
    return (knees_in_turn(t) >= 4) & on_the_spot(t) & ~flies(t)


@predicate("jog in place", "run on the spot", "jog on the spot")
def jog_in_place(t: Track) -> Mask:
    """Feet leave the floor in turn, four times or more, with moments in the air, without getting anywhere."""
    in_turn = swings(t.height("left_foot") - t.height("right_foot"), 0.1, standing(t)) >= 4
    return in_turn & on_the_spot(t) & (hops(t) >= 2)


@predicate("sit down", "lower yourself to the floor", "go from standing to sitting")
def sits_down(t: Track) -> Mask:
    """From standing to seat on the floor, or on a low squat's way there."""
    return then(standing(t) & (t.height("pelvis") > 0.75), seated(t))


@predicate("get up from the floor", "rise to your feet", "get up")
def rise(t: Track) -> Mask:
    """From sitting, kneeling, lying or a low squat to standing for half a second."""
    tall = (t.height("pelvis") > 0.78) & (t.torso.up[..., 2] > 0.85) & t.up
    n = t.frames(0.5)
    run = np.cumsum(tall, axis=0)
    stood = np.zeros_like(tall)
    stood[n:] = (run[n:] - run[:-n]) == n
    return then(t.height("pelvis") < 0.5, stood)


@predicate("go down", "get low")
def lower(t: Track) -> Mask:
    """From standing to hips under half a metre, on purpose: slower than a fall."""
    falling = (t.velocity("pelvis")[..., 2] < -2.0).any(axis=0)
    return then(t.height("pelvis") > 0.75, t.height("pelvis") < 0.5) & ~falling


@predicate("lie down on the floor", "go from standing to lying")
def lies_down(t: Track) -> Mask:
    """From standing to lying for a second."""
    return then(standing(t), lying(t)) & t.lasts(lying(t), HOLD)


@predicate("take one step forward", "move a pace ahead", "step forward", "take a step forward")
def steps_forward(t: Track) -> Mask:
    """The body ends 0.15 m or more ahead of where it began, on its feet, without turning away."""
    way = t.at("pelvis")[-1] - t.at("pelvis")[0]
    ahead = (way * t.heading.ahead[0]).sum(-1)
    turned = np.abs(t.yaw[-1] - t.yaw[0])
    return (ahead > 0.15) & (turned < 0.8) & standing(t).all(axis=0)


@predicate()
def side_march(t: Track, side: str) -> Mask:
    """Knees come up in turn, the {side} one among them, four times or more, without getting anywhere."""
    bent = (knee_bend(t, side) > 0.9) & (t.clearance(f"{side}_foot") > 0.08) & (knee_bend(t, OTHER[side]) < 0.9)
    return np.asarray(march(t) & bent.any(axis=0))
