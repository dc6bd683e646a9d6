"""Predicates of held legs and of the stances that they make."""

import numpy as np

from anyskill_brax.evaluate.predicates.arms import HOLD, OTHER, SIGN, distance
from anyskill_brax.evaluate.predicates.register import predicate
from anyskill_brax.evaluate.track import Mask, Track

ANKLE = 0.05
"""Height of the ankle over a sole that is flat on the floor [m]."""


def knee_bend(t: Track, side: str) -> np.ndarray:
    """0 straight, pi folded [rad]."""
    hip, knee, foot = (t.at(f"{side}_{part}") for part in ("thigh", "shin", "foot"))
    upper, lower = knee - hip, foot - knee
    cosine = (upper * lower).sum(-1) / np.maximum(distance(hip, knee) * distance(knee, foot), 1e-9)
    return np.arccos(np.clip(cosine, -1.0, 1.0))


def leg(t: Track, side: str, end: str = "foot") -> np.ndarray:
    """Hip to foot (or knee, "shin") as a unit vector (ahead, outward, up) of the heading."""
    v = t.heading.see(t.at(f"{side}_{end}") - t.at(f"{side}_thigh")) * np.array([1.0, SIGN[side], 1.0])
    return v / np.maximum(np.linalg.norm(v, axis=-1, keepdims=True), 1e-9)


def planted(t: Track, side: str) -> Mask:
    """The sole near the floor and not on its toes."""
    return (t.clearance(f"{side}_foot") < 0.04) & (t.height(f"{side}_foot") < ANKLE + 0.06)


def standing(t: Track) -> Mask:
    return (t.height("pelvis") > 0.6) & t.up


def lifted(t: Track, side: str) -> Mask:
    """This foot well off the floor, the other planted under a standing body."""
    return (t.clearance(f"{side}_foot") > 0.08) & planted(t, OTHER[side]) & standing(t)


def both_planted(t: Track) -> Mask:
    return planted(t, "left") & planted(t, "right")


def trunk_upright(t: Track) -> Mask:
    return t.torso.up[..., 2] > 0.6


def ahead_of_other(t: Track, side: str) -> np.ndarray:
    """How far this foot is ahead of the other [m]."""
    return t.heading.see(t.at(f"{side}_foot") - t.at(f"{OTHER[side]}_foot"))[..., 0]


@predicate("stand on your {other} leg", "balance on the {other} foot", "stand on the {other} foot")
def side_foot_up(t: Track, side: str) -> Mask:
    """The {side} foot off the floor, the {other} one planted."""
    return t.lasts(lifted(t, side), HOLD)


@predicate("stand on one leg", "stand on one foot", "balance on one leg", "balance on one foot", "raise one leg")
def one_foot_up(t: Track) -> Mask:
    """One foot off the floor, the other planted; the same one for a second."""
    return np.asarray(side_foot_up(t, "left") | side_foot_up(t, "right"))


@predicate("lift the {side} knee up high")
def side_knee_up(t: Track, side: str) -> Mask:
    """The {side} knee raised towards hip height, standing on the {other} leg."""
    return t.lasts(lifted(t, side) & (leg(t, side, "shin")[..., 2] > -0.55) & (leg(t, side, "shin")[..., 0] > 0.4), 0.7)


@predicate()
def side_leg_forward(t: Track, side: str) -> Mask:
    """The {side} leg straight and raised to the front."""
    return t.lasts(lifted(t, side) & (leg(t, side)[..., 0] > 0.45) & (knee_bend(t, side) < 0.7), 0.7)


@predicate("lift your {side} leg behind you", "balance with the {side} leg stretched back")
def side_leg_back(t: Track, side: str) -> Mask:
    """The {side} leg raised behind the body."""
    return t.lasts(lifted(t, side) & (leg(t, side)[..., 0] < -0.4), 0.7)


@predicate("lift your {side} leg out to the side", "raise the {side} leg sideways")
def side_leg_out(t: Track, side: str) -> Mask:
    """The {side} leg raised out to its side."""
    return t.lasts(lifted(t, side) & (leg(t, side)[..., 1] > 0.4), 0.7)


@predicate()
def side_heel_up(t: Track, side: str) -> Mask:
    """The {side} knee folded, thigh hanging, heel towards the seat."""
    hanging = leg(t, side, "shin")[..., 2] < -0.85
    return t.lasts(lifted(t, side) & (knee_bend(t, side) > 1.3) & hanging & trunk_upright(t), 0.7)


def squatting(t: Track) -> Mask:
    knees_off = np.minimum(t.height("left_shin"), t.height("right_shin")) > 0.2
    low = (t.height("pelvis") < 0.62) & (t.height("pelvis") > 0.12)
    return both_planted(t) & knees_off & low & (t.torso.up[..., 2] > 0.3)


@predicate("crouch low", "crouch down low", "go down into a squat", "crouch down")
def squat(t: Track) -> Mask:
    """Hips low over two planted feet, knees off the floor, trunk not flat."""
    return t.lasts(squatting(t), 0.7)


@predicate()
def knees_bent(t: Track) -> Mask:
    """Both knees clearly bent over planted feet."""
    bent = np.minimum(knee_bend(t, "left"), knee_bend(t, "right")) > 0.7
    return t.lasts(bent & both_planted(t) & t.up & (t.torso.up[..., 2] > 0.3), 0.7)


@predicate()
def legs_straight(t: Track) -> Mask:
    """Standing on straight legs."""
    straight = np.maximum(knee_bend(t, "left"), knee_bend(t, "right")) < 0.3
    return t.lasts(straight & both_planted(t) & standing(t), HOLD)


@predicate()
def feet_wide(t: Track) -> Mask:
    """Both feet planted, over half a metre apart sideways."""
    aside = np.abs(t.heading.see(t.at("left_foot") - t.at("right_foot"))[..., 1])
    return t.lasts((aside > 0.5) & both_planted(t) & standing(t), 0.7)


@predicate()
def feet_together(t: Track) -> Mask:
    """Both feet planted side by side, closer than the hips."""
    gap = t.heading.see(t.at("left_foot") - t.at("right_foot"))
    return t.lasts((np.abs(gap[..., 1]) < 0.15) & (np.abs(gap[..., 0]) < 0.1) & both_planted(t) & standing(t), HOLD)


@predicate()
def legs_crossed(t: Track) -> Mask:
    """Standing with the left foot to the right of the right one."""
    aside = t.heading.see(t.at("left_foot") - t.at("right_foot"))[..., 1]
    return t.lasts((aside < -0.03) & both_planted(t) & standing(t), 0.7)


@predicate("stand on tiptoe", "stretch up on tiptoe")
def tiptoes(t: Track) -> Mask:
    """Both heels off the floor and the toes on it."""
    toes = np.maximum(t.clearance("left_foot"), t.clearance("right_foot")) < 0.04
    heels = np.minimum(t.height("left_foot"), t.height("right_foot")) > ANKLE + 0.025
    return t.lasts(toes & heels & (t.height("pelvis") > 0.8), 0.7)


def knee_down(t: Track, side: str) -> Mask:
    return t.height(f"{side}_shin") < 0.15


@predicate("kneeling", "kneel down on both knees", "sit on your heels")
def kneel(t: Track) -> Mask:
    """Both knees on the floor, trunk upright."""
    return t.lasts(knee_down(t, "left") & knee_down(t, "right") & trunk_upright(t) & (t.height("pelvis") > 0.2), HOLD)


@predicate("get down on your {side} knee")
def side_knee_down(t: Track, side: str) -> Mask:
    """The {side} knee on the floor, the {other} foot planted before the body, trunk upright."""
    front = planted(t, OTHER[side]) & (t.height(f"{OTHER[side]}_shin") > 0.3)
    return t.lasts(knee_down(t, side) & front & trunk_upright(t), HOLD)


@predicate("kneel on one knee", "get down on one knee", "one knee on the ground", "go down on one knee")
def one_knee_down(t: Track) -> Mask:
    """One knee on the floor, the other foot planted before the body."""
    return np.asarray(side_knee_down(t, "left") | side_knee_down(t, "right"))


@predicate("lunge forward with the {side} leg", "take a deep step forward with the {side} leg")
def side_lunge(t: Track, side: str) -> Mask:
    """The {side} foot planted far ahead of the other, its knee bent, hips low; no knee ever on the floor."""
    low = (t.height("pelvis") < 0.78) & (t.height("pelvis") > 0.3)
    deep = (ahead_of_other(t, side) > 0.45) & planted(t, side) & (knee_bend(t, side) > 0.6)
    return t.lasts(deep & low & trunk_upright(t), 0.7) & ~(knee_down(t, "left") | knee_down(t, "right")).any(axis=0)


@predicate("lunge forward", "do a forward lunge", "take a deep step forward", "do a lunge", "lunge")
def lunge(t: Track) -> Mask:
    """One foot planted far ahead, its knee bent, hips low."""
    return np.asarray(side_lunge(t, "left") | side_lunge(t, "right"))


@predicate("lunge to the {side}", "step wide to the {side} and bend that knee")
def lunge_to_side(t: Track, side: str) -> Mask:
    """Feet wide, the {side} knee bent, hips low and nearer to the {side} foot."""
    apart = t.heading.see(t.at(f"{side}_foot") - t.at(f"{OTHER[side]}_foot"))[..., 1] * SIGN[side]
    over = t.heading.see(t.at("pelvis") - t.at(f"{OTHER[side]}_foot"))[..., 1] * SIGN[side] > 0.66 * apart
    low = (knee_bend(t, side) > 0.7) & (t.height("pelvis") < 0.72)
    return t.lasts((apart > 0.45) & both_planted(t) & over & low, 0.5)


@predicate("step forward with the {side} foot")
def side_step(t: Track, side: str) -> Mask:
    """The {side} foot goes from beside the other to a planted place well ahead of it."""
    ahead, two = ahead_of_other(t, side), both_planted(t) & standing(t)
    from_beside = np.logical_or.accumulate((np.abs(ahead) < 0.12) & two, axis=0)
    other_first = np.logical_or.accumulate((ahead < -0.2) & two, axis=0)
    return t.lasts(from_beside & ~other_first & (ahead > 0.2) & two, 0.1)
