"""Kinds that go down to the floor: kneeling on one knee or both, sitting on the heels, sitting on the ground."""

from dataclasses import dataclass

import numpy as np

from anyskill_brax.motion.synthesis.footsteps import TOE, Place, Step
from anyskill_brax.motion.synthesis.gestures import hand
from anyskill_brax.motion.synthesis.ik import leg
from anyskill_brax.motion.synthesis.kinds import Cast, kind
from anyskill_brax.motion.synthesis.score import Score, arms, head, trunk

KNEE_HEIGHT = 0.055
"""Of the knee's hinge when the knee (a capsule's end) lies on the floor [m]."""
HIP_WIDTH = 0.0849


@dataclass(frozen=True)
class Kneel:
    """Where one kneeling leg is when its toes stay tucked: everything from the knee's place on the floor."""

    knee: float  # x [m]
    pitch: float  # of the foot [rad]
    foot: float  # x of the same foot if it were laid flat about its toes [m]
    thigh: float  # [m]

    def hip_x(self, height: float) -> float:
        """The hip's place behind the knee at `height` [m] above the floor, as the thigh tips back."""
        return self.knee - np.sqrt(max(self.thigh**2 - (height - KNEE_HEIGHT) ** 2, 0.0))

    @property
    def height(self) -> float:
        """Of the hip when the thigh stands a little behind upright [m]."""
        return KNEE_HEIGHT + self.thigh * np.cos(0.09)


def kneel_at(cast: Cast, knee: float, pitch: float = 1.35) -> Kneel:
    own = leg(cast.character, "right")
    edge = np.array([np.cos(pitch) * TOE[0] + np.sin(pitch) * TOE[2], -np.sin(pitch) * TOE[0] + np.cos(pitch) * TOE[2]])
    ankle_height = -edge[1]
    ankle = knee - np.sqrt(own.lower**2 - (ankle_height - KNEE_HEIGHT) ** 2)
    return Kneel(knee, pitch, float(ankle + edge[0] - TOE[0]), own.upper)


def down_foot(side: int, x: float) -> Place:
    return x, HIP_WIDTH if side else -HIP_WIDTH, 0.0


STRAIGHT = (down_foot(0, 0.0), down_foot(1, 0.0))


def half_kneel(cast: Cast, score: Score, kneel: Kneel, start: float) -> float:
    """The right foot goes back onto its toes, then its knee down to the floor; returns when it is there [s]."""
    landed = start + 1.9
    place = down_foot(0, kneel.foot)
    score.steps.append(Step(0, start, start + 0.75, place, lift=0.10, toe_off=0.15, strike=0.6, settle=0.6))
    score.move(
        start - 0.5, start + 0.8, arms("both", forward=20, out=12, bend=40), trunk(bend=14), height=0.74, pitch=0.12
    )
    score.through("root_x", [(start + 0.7, kneel.hip_x(kneel.height))])
    score.through("held", [(start + 0.75, 0.0), (landed, 1.0)])
    score.move(start + 0.8, landed, trunk(bend=4), height=kneel.height, pitch=0.02, right_heel=kneel.pitch - 0.6)
    return landed


def rise_from_half_kneel(score: Score, start: float) -> float:
    """The way back up onto the left foot, the right one beside it; returns when it stands [s]."""
    score.move(start, start + 0.6, trunk(bend=22), pitch=0.2)
    score.through("held", [(start + 0.1, 1.0), (start + 1.3, 0.0)])
    score.move(start + 0.1, start + 1.4, height=0.74, right_heel=0.0)
    score.steps.append(Step(0, start + 1.5, start + 2.2, STRAIGHT[0], lift=0.10, toe_off=0.7, strike=0.1))
    score.relax(start + 1.4, start + 2.6, *(n for n in score.keys if n not in ("held", "right_heel")))
    return start + 2.6


def both_knees(score: Score, kneel: Kneel, start: float) -> float:
    """The left leg joins the right one on the floor."""
    end = start + 1.0
    place = down_foot(1, kneel.foot)
    score.steps.append(Step(1, start, end, place, lift=0.05, toe_off=0.3, strike=kneel.pitch, settle=kneel.pitch))
    return end


def front_foot(score: Score, start: float) -> float:
    """The left foot comes forward again, flat on the floor."""
    score.steps.append(Step(1, start, start + 1.0, STRAIGHT[1], lift=0.07, toe_off=1.35, strike=0.05, rise=0.01))
    return start + 1.0


def sink(score: Score, kneel: Kneel, start: float, end: float, height: float) -> None:
    """Both thighs tip back about knees that stay on the floor, the hips on their arc."""
    first, part = score.keys["height"][-1][1], np.linspace(0, 1, 9)
    heights = first + (height - first) * part**3 * (10 - 15 * part + 6 * part**2)
    score.move(start, end, height=height)
    track = [(start + p * (end - start), float(kneel.hip_x(h))) for p, h in zip(part, heights)]
    score.through("root_x", track)


@kind(
    "kneel", "kneel", "kneel on your {side} knee", "kneel down on one knee", "go down on one knee", "propose marriage"
)
def kneel_one(cast: Cast) -> Score:
    score = Score(0.0, feet=STRAIGHT)
    down = half_kneel(cast, score, kneel_at(cast, -0.22), 1.0)
    score.move(down - 0.3, down + 0.3, arms("both", forward=32, out=8, bend=35))
    score.duration = rise_from_half_kneel(score, down + cast.about(1.8)) + 0.3
    return score


@kind("kneel_both", "kneel", "kneel down on both knees", "get down on your knees", "kneel upright on the floor")
def kneel_both(cast: Cast) -> Score:
    score, kneel = Score(0.0, feet=STRAIGHT), kneel_at(cast, -0.22)
    down = both_knees(score, kneel, half_kneel(cast, score, kneel, 1.0) + 0.1)
    score.duration = rise_from_half_kneel(score, front_foot(score, down + cast.about(1.8)) + 0.1) + 0.3
    return score


@kind("sit_on_heels", "sit", "sit on your heels", "kneel and sit back", "sit down in a kneeling position")
def sit_on_heels(cast: Cast) -> Score:
    score, kneel = Score(0.0, feet=STRAIGHT), kneel_at(cast, -0.22)
    t = both_knees(score, kneel, half_kneel(cast, score, kneel, 1.0) + 0.1)
    low = cast.about(0.31, 0.03)
    score.move(t, t + 1.0, arms("both", forward=30, out=6, bend=50), trunk(bend=10))
    sink(score, kneel, t + 0.05, t + 1.0, low)
    sink(score, kneel, t + 3.0, t + 4.0, kneel.height)
    score.duration = rise_from_half_kneel(score, front_foot(score, t + 4.1) + 0.1) + 0.3
    return score


SEAT = 0.027
"""Height of the hips when the pelvis rests on the floor, leaning back a little [m]."""


def floor_hands(cast: Cast, root_x: float, pitch: float, bend: float, x: float, y: float) -> dict[str, float]:
    """Both hands on the floor at `x`, `y` outwards [m]; pelvis and spine of the seat lean by `pitch`, `bend` [rad]."""
    spine = cast.character.offsets[cast.character.body("torso"), 2]
    across, up = x - root_x - spine * np.sin(pitch), 0.06 - SEAT - spine * np.cos(pitch)
    c, s = np.cos(pitch + bend), np.sin(pitch + bend)
    return hand(cast, "both", (c * across - s * up, y, s * across + c * up), (-1.0, 0.6, 0.2))


@kind(
    "sit",
    "sit",
    "go and sit on the floor",
    "sit on the ground",
    "take a seat on the floor with knees bent",
    "take a seat",
)
def sit(cast: Cast) -> Score:
    return seat(cast, hands_behind=False)


@kind(
    "sit_lean_back",
    "sit",
    "sit on the floor and lean back on your hands",
    "sit back and relax",
    "rest sitting on the ground",
)
def sit_lean_back(cast: Cast) -> Score:
    return seat(cast, hands_behind=True)


def seat(cast: Cast, hands_behind: bool) -> Score:
    """Squat, let the pelvis down behind the feet over the hands, stay, rock forward over the feet and stand up."""
    back, lean, bend = -0.50, -0.25, 0.1
    propped = floor_hands(cast, back, lean, bend, back - 0.24, 0.27)
    forward = {**arms("both", forward=80, out=6, bend=10), **trunk(bend=35), **head(nod=-10)}
    rest = {**arms("both", forward=62, out=8, bend=20), **trunk(bend=14)}
    stay = cast.about(2.2)
    score = Score(7.2 + stay, feet=STRAIGHT)
    score.move(0.4, 1.6, forward, height=0.42, pitch=0.5)
    up = 4.1 + stay
    # The hips swing back and down round the ankles, and up again the same way.
    arc = [(-0.12, 0.42), (-0.30, 0.34), (-0.42, 0.19), (back, SEAT)]
    score.through("held", [(1.0, 0.0), (1.7, 1.0), (up + 1.1, 1.0), (up + 1.8, 0.0)])
    for i, channel in enumerate(("root_x", "height")):
        down = [(1.65 + t, point[i]) for t, point in zip((0.0, 0.35, 0.65, 1.0), arc)]
        score.through(channel, down[i == 1 :])
        score.through(channel, [(up + t, point[i]) for t, point in zip((0.0, 0.35, 0.65, 1.0), arc[::-1])])
    score.move(1.6, 2.3, pitch=lean)
    score.move(1.6, 2.65, propped, trunk(bend=np.degrees(bend)))
    if not hands_behind:
        score.move(2.9, 3.3, arms("both", forward=-25, out=25, bend=75))
        score.move(3.3, 3.8, rest, head())
    score.move(up - 0.5, up - 0.1, arms("both", forward=-10, out=25, bend=80))
    score.move(up - 0.1, up + 0.5, forward)
    score.move(up + 0.2, up + 0.9, pitch=0.5)
    score.relax(up + 1.2, up + 2.7, *(n for n in score.keys if n != "held"))
    return score
