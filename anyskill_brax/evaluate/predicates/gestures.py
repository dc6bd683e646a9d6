"""Predicates of arms, legs and head in movement: what one frame cannot show."""

import numpy as np

from anyskill_brax.evaluate.predicates.arms import OTHER, SIGN, both, direction, distance, in_torso, is_up
from anyskill_brax.evaluate.predicates.legs import lifted, planted, squatting, standing
from anyskill_brax.evaluate.predicates.register import predicate
from anyskill_brax.evaluate.track import Mask, Track, swings, then


def waves(t: Track, side: str, others: Mask) -> Mask:
    """Two times to and fro sideways, the hand above the shoulder while `others` holds."""
    hand = in_torso(t, side)
    raised = (t.height(f"{side}_hand") > t.height(f"{side}_upper_arm") + 0.05) & t.up & others
    return swings(hand[..., 1], 0.12, raised) >= 4


@predicate("wave with the {side} hand", "greet someone by waving the {side} arm", "wave goodbye with your {side} hand")
def side_wave(t: Track, side: str) -> Mask:
    """The {side} hand, above its shoulder, goes to and fro sideways twice; the {other} hand is low."""
    return waves(t, side, t.height(f"{OTHER[side]}_hand") < t.height(f"{OTHER[side]}_upper_arm"))


@predicate("wave", "wave a hand", "wave hello", "wave goodbye", "wave in greeting", "greet somebody by waving")
def one_wave(t: Track) -> Mask:
    """One hand, above its shoulder, goes to and fro sideways twice."""
    return np.asarray(side_wave(t, "left") | side_wave(t, "right"))


@predicate("wave both arms over your head", "wave with both hands", "flag someone down with both arms")
def wave_both(t: Track) -> Mask:
    """Both hands, above their shoulders, go to and fro sideways twice."""
    up = both(lambda t, s: t.height(f"{s}_hand") > t.height(f"{s}_upper_arm") + 0.05, t)
    return np.asarray(waves(t, "left", up) & waves(t, "right", up))


@predicate("clap the hands", "clap in applause", "clap your hands")
def clapping(t: Track) -> Mask:
    """Before the body, the hands meet and part three times."""
    gap = distance(t.at("left_hand"), t.at("right_hand"))
    ahead = np.minimum(in_torso(t, "left")[..., 0], in_torso(t, "right")[..., 0]) > 0.08
    meets = (gap < 0.2) & ahead
    return (swings(gap, 0.12, ahead & t.up & (gap < 0.7)) >= 6) & meets.any(axis=0)


@predicate("make big circles in the air with both hands", "do arm circles", "circle both arms at the sides")
def arm_circles(t: Track) -> Mask:
    """Both arms out, each hand goes round its shoulder's axis twice."""

    def turns(side: str) -> np.ndarray:
        out = direction(t, side)[..., 1] * SIGN[side] > 0.5
        hand = in_torso(t, side) - in_torso(t, side, "upper_arm")
        weight = out[..., None] / np.maximum(out.sum(axis=0), 1)[..., None]
        off = hand - (hand * weight).sum(axis=0)
        angle = np.unwrap(np.arctan2(off[..., 2], off[..., 0]), axis=0)
        step = np.diff(angle, axis=0) * out[1:] * (np.linalg.norm(off[..., [0, 2]], axis=-1) > 0.03)[1:]
        return np.abs(step.sum(axis=0)) / (2 * np.pi)

    return (turns("left") > 2.0) & (turns("right") > 2.0)


@predicate("waving its arms up and down in a flying motion", "flap your arms", "flap your arms like wings")
def flaps(t: Track) -> Mask:
    """Both hands, out to the sides, go up and down together twice."""
    up = [direction(t, s)[..., 2] for s in SIGN]
    together = np.abs(up[0] - up[1]) < 0.5
    away = both(lambda t, s: in_torso(t, s)[..., 1] > 0.15, t) & t.up
    return swings(0.5 * (up[0] + up[1]), 0.8, together & away) >= 4


def thrusts(t: Track, side: str) -> np.ndarray:
    """Frames at which the arm is nearly straight ahead, having been drawn back within the last 0.7 s `[F, ...]`."""
    way = direction(t, side)
    drawn = (np.linalg.norm(way, axis=-1) < 0.72) & (np.abs(way[..., 2]) < 0.25) & (way[..., 0] > -0.3)
    return t.lately(drawn, 0.7) & (way[..., 0] > 0.8) & (np.abs(way[..., 2]) < 0.45) & t.up


@predicate("throw a {side} punch", "punch with the {side} fist", "jab with the {side} fist")
def side_punch(t: Track, side: str) -> Mask:
    """The {side} hand shoots ahead from a bent arm, faster than 1.5 m/s, the {other} one does not."""
    mine, other = (_fast(t, s) & thrusts(t, s) for s in (side, OTHER[side]))
    return np.asarray(mine.any(axis=0) & ~other.any(axis=0))


def _fast(t: Track, side: str) -> Mask:
    speed = t.heading.see(t.velocity(f"{side}_hand") - t.velocity("pelvis"))[..., 0]
    return t.lately(speed > 1.5, 0.3)


@predicate("boxing", "box", "throw punches", "punch left and right")
def boxes(t: Track) -> Mask:
    """Both fists shoot ahead, one after the other."""
    left, right = (_fast(t, s) & thrusts(t, s) for s in SIGN)
    return np.asarray((left & ~right).any(axis=0) & (right & ~left).any(axis=0))


@predicate("push forward with both hands", "shove something away", "push an invisible wall")
def pushes(t: Track) -> Mask:
    """Both hands go ahead together, from bent arms to straight ones."""
    return np.asarray((thrusts(t, "left") & thrusts(t, "right")).any(axis=0))


@predicate()
def raising_arms(t: Track) -> Mask:
    """Both hands go from hip height to above the shoulders."""
    return then(both(lambda t, s: direction(t, s)[..., 2] < -0.7, t), both(_above, t) & t.up)


@predicate()
def lowering_arms(t: Track) -> Mask:
    """Both hands go from above the shoulders to hip height."""
    return then(both(_above, t) & t.up, both(lambda t, s: direction(t, s)[..., 2] < -0.7, t) & t.up)


def _above(t: Track, side: str) -> Mask:
    return direction(t, side)[..., 2] > 0.3


@predicate("lift a heavy box", "pick a box up from the floor", "pick something up")
def lifts(t: Track) -> Mask:
    """Both hands, close together, go from under knee height to above the hips."""
    hands = np.maximum(t.height("left_hand"), t.height("right_hand"))
    near = distance(t.at("left_hand"), t.at("right_hand")) < 0.6
    high = np.minimum(t.height("left_hand"), t.height("right_hand")) > 0.85
    ahead = np.minimum(direction(t, "left")[..., 0], direction(t, "right")[..., 0]) > 0.25
    return then((hands < 0.45) & near & t.up, high & near & ahead & t.up)


@predicate("lift something heavy above its head", "lift something heavy over your head")
def lifts_overhead(t: Track) -> Mask:
    """Both hands go from under knee height to above the head, close together."""
    hands = np.maximum(t.height("left_hand"), t.height("right_hand"))
    near = distance(t.at("left_hand"), t.at("right_hand")) < 0.7
    return then((hands < 0.45) & near, both(is_up, t) & near)


@predicate("reach down with the {side} hand", "pick something up with the {side} hand")
def side_reach_down(t: Track, side: str) -> Mask:
    """The {side} hand goes under knee height while the {other} one stays above it; on two feet."""
    low = (t.height(f"{side}_hand") < 0.35) & (t.height(f"{OTHER[side]}_hand") > 0.4)
    return t.lasts(low & (t.clearance("pelvis") > 0.15), 0.3)


@predicate("kick with the {side} foot", "kick with your {side} leg", "front kick with the {side} leg")
def side_kick(t: Track, side: str) -> Mask:
    """The {side} foot shoots forward, faster than 1.5 m/s and off the floor, from the planted {other} leg."""
    speed = t.heading.see(t.velocity(f"{side}_foot") - t.velocity("pelvis"))[..., 0]
    reach = t.heading.see(t.at(f"{side}_foot") - t.at("pelvis"))[..., 0]
    shot = np.logical_or.accumulate((speed > 1.5) & lifted(t, side), axis=0)
    return np.asarray((shot & lifted(t, side) & (reach > 0.35) & (t.clearance(f"{side}_foot") > 0.25)).any(axis=0))


@predicate("kick", "kick forward", "raise one leg and kick it forward", "give a ball a hard kick")
def one_kick(t: Track) -> Mask:
    """One foot shoots forward off the floor."""
    return np.asarray(side_kick(t, "left") | side_kick(t, "right"))


@predicate("kick sideways with the {side} leg", "strike out to the {side} with your foot")
def side_kick_sideways(t: Track, side: str) -> Mask:
    """The {side} foot shoots out to its side, faster than 1 m/s and off the floor."""
    outward = t.heading.see(t.velocity(f"{side}_foot") - t.velocity("pelvis"))[..., 1] * SIGN[side]
    reach = t.heading.see(t.at(f"{side}_foot") - t.at("pelvis"))[..., 1] * SIGN[side]
    shot = np.logical_or.accumulate((outward > 1.0) & lifted(t, side), axis=0)
    return np.asarray((shot & lifted(t, side) & (reach > 0.4)).any(axis=0))


@predicate("do several squats", "do squats")
def squats(t: Track) -> Mask:
    """Down into a squat and up again, twice, feet on the floor."""
    low = squatting(t)
    on_floor = np.maximum(t.clearance("left_foot"), t.clearance("right_foot")) < 0.06
    return (swings(t.height("pelvis"), 0.2, t.up & on_floor) >= 4) & ((low[1:] & ~low[:-1]).sum(axis=0) >= 2)


@predicate("do jumping jacks", "jumping jacks", "do star jumps")
def jumping_jacks(t: Track) -> Mask:
    """Twice: arms above the shoulders with the feet wide, then arms low with the feet together."""
    gap = np.abs(t.heading.see(t.at("left_foot") - t.at("right_foot"))[..., 1])
    arms = 0.5 * (direction(t, "left")[..., 2] + direction(t, "right")[..., 2])
    star = (arms > 0.3) & (gap > 0.35)
    return (swings(arms, 0.8, standing(t)) >= 4) & (swings(gap, 0.2, standing(t)) >= 3) & star.any(axis=0)


@predicate("nod", "nod your head", "nod slowly", "look up and then down")
def nods(t: Track) -> Mask:
    """The face goes up and down and up, or down and up and down."""
    return swings(t.torso.see(t.head.ahead)[..., 2], 0.3, t.up) >= 3


@predicate("shake your head", "say no with your head", "turn the head from side to side")
def shakes_head(t: Track) -> Mask:
    """The face goes left and right twice."""
    return swings(t.torso.see(t.head.ahead)[..., 1], 0.3, t.up) >= 4


@predicate("shift your weight from foot to foot", "sway from side to side")
def sways(t: Track) -> Mask:
    """The hips go left and right over planted feet."""
    middle = 0.5 * (t.at("left_foot") + t.at("right_foot"))
    aside = t.heading.see(t.at("pelvis") - middle)[..., 1]
    calm = both(lambda t, s: planted(t, s) & (np.linalg.norm(t.velocity(f"{s}_foot"), axis=-1) < 0.3), t)
    return swings(aside, 0.06, standing(t) & calm) >= 3


@predicate("dance with arms", "move your arms a lot")
def busy_arms(t: Track) -> Mask:
    """Both hands keep moving for two seconds, over 0.5 m/s at least every half second, while the hips go nowhere."""
    fast = both(lambda t, s: t.lately(np.linalg.norm(t.velocity(f"{s}_hand"), axis=-1) > 0.5, 0.5), t)
    return t.lasts(fast & (np.linalg.norm(t.velocity("pelvis")[..., :2], axis=-1) < 0.4) & t.up, 2.0)
