"""Kinds that lift a foot, step out and back, or leave the floor."""

import numpy as np

from anyskill_brax.motion.synthesis.footsteps import GRAVITY, Place, Step, Via
from anyskill_brax.motion.synthesis.kinds import Cast, kind
from anyskill_brax.motion.synthesis.score import FEET, STAND_HEIGHT, Pose, Score, arms, head, trunk

LIFT = 1.0
"""When a lone foot leaves the floor: the weight needs the time before to cross to the other one [s]."""


def one_leg(duration: float, end: float, *via: Via, poses: Pose, toe_off: float = 0.15, **channels: float) -> Score:
    """Balance on the left, the right foot through `via`, down again at `end` [s]; `poses` from lift-off till then."""
    score = Score(duration)
    score.move(0.3, LIFT, height=STAND_HEIGHT - 0.012)
    score.steps.append(Step(0, LIFT, end, FEET[0], toe_off=toe_off, strike=0.05, via=via))
    score.move(LIFT - 0.2, via[0][0], poses, **channels)
    score.relax(via[-1][0], end + 0.3)
    return score


@kind(
    "stand_on_one_leg",
    "one_leg",
    "stand on your {other} leg",
    "balance on one foot",
    "hold the {side} foot off the floor",
)
def stand_on_one_leg(cast: Cast) -> Score:
    stay = cast.about(2.0)
    aside = {**arms("both", out=cast.about(62), bend=8), "roll": -0.05}
    foot = (0.0, 0.02, cast.about(0.22), 0.35)
    return one_leg(5.0 + stay, 3.4 + stay, (2.0, *foot), (2.0 + stay, *foot), poses=aside)


@kind("knee_raise", "one_leg", "raise your {side} knee", "lift the {side} knee up high", "hold one knee up")
def knee_raise(cast: Cast) -> Score:
    stay = cast.about(1.8)
    foot = (0.24, 0.0, cast.about(0.42, 0.06), 0.25)
    aside = {**arms("both", forward=15, out=28, bend=35), **trunk(bend=3)}
    return one_leg(4.6 + stay, 2.9 + stay, (1.8, *foot), (1.8 + stay, *foot), poses=aside)


@kind(
    "leg_back", "one_leg", "lift your {side} leg behind you", "balance with the {side} leg stretched back", "arabesque"
)
def leg_back(cast: Cast) -> Score:
    stay = cast.about(1.7)
    foot = (-0.46, 0.02, cast.about(0.30), 0.9)
    reach = {**arms("both", forward=55, out=30, bend=5), **trunk(bend=10), **head(nod=-20), "pitch": 0.5}
    return one_leg(5.2 + stay, 3.4 + stay, (2.2, *foot), (2.2 + stay, *foot), poses=reach)


@kind("leg_aside", "one_leg", "lift your {side} leg out to the side", "raise the {side} leg sideways", "side leg raise")
def leg_aside(cast: Cast) -> Score:
    stay = cast.about(1.6)
    foot = (0.0, -cast.about(0.42), 0.26, 0.05)
    aside = {**arms("both", out=55, bend=8), "roll": -0.12, **trunk(side=-8)}
    return one_leg(4.8 + stay, 3.1 + stay, (1.9, *foot), (1.9 + stay, *foot), poses=aside)


@kind("kick", "kick", "kick with the {side} foot", "kick forward", "give a ball a hard kick with the {side} leg")
def kick(cast: Cast) -> Score:
    high = cast.about(0.45, 0.12)
    guard = {**arms("left", forward=45, out=20, bend=40), **arms("right", forward=-20, out=25, bend=30), "pitch": -0.12}
    via = ((1.45, -0.28, 0.0, 0.22, 0.75), (1.80, 0.30, 0.0, 0.26, 0.3), (1.98, 0.68, 0.0, high, -0.35))
    return one_leg(4.4, 2.9, *via, (2.35, 0.15, 0.0, 0.20, 0.2), poses=guard, toe_off=0.4)


@kind(
    "front_kick",
    "kick",
    "raise the knee and snap a front kick",
    "karate kick to the front",
    "front kick with the {side} leg",
)
def front_kick(cast: Cast) -> Score:
    high = cast.about(0.60, 0.06)
    fists = {**arms("both", forward=35, out=12, bend=105), **trunk(bend=4), "pitch": -0.22}
    chamber = (0.28, 0.0, 0.42, 0.35)
    return one_leg(4.6, 3.1, (1.55, *chamber), (1.78, 0.68, 0.0, high, -0.2), (2.1, *chamber), poses=fists)


@kind("side_kick", "kick", "kick sideways with the {side} leg", "side kick", "strike out to the {side} with your foot")
def side_kick(cast: Cast) -> Score:
    fists = {**arms("both", forward=30, out=20, bend=100), "roll": -0.28, **trunk(side=-10)}
    chamber = (0.16, -0.10, 0.34, 0.2)
    return one_leg(4.8, 3.3, (1.6, *chamber), (1.9, 0.02, -0.56, 0.40, 0.1), (2.3, *chamber), poses=fists)


def shifted(foot: Place, ahead: float = 0.0, aside: float = 0.0) -> Place:
    return foot[0] + ahead, foot[1] + aside, foot[2]


@kind("lunge", "lunge", "lunge forward with the {side} leg", "take a deep step forward", "do a forward lunge")
def lunge(cast: Cast) -> Score:
    ahead, low = cast.about(0.60, 0.06), cast.about(0.60, 0.04)
    score = Score(6.4)
    score.steps += [
        Step(0, 1.0, 1.6, shifted(FEET[0], ahead), lift=0.10, toe_off=0.2, strike=-0.15),
        Step(0, 4.2, 4.9, FEET[0], lift=0.10, toe_off=-0.05, strike=0.1),
    ]
    score.move(1.1, 2.2, arms("both", forward=15, out=20, bend=45), height=low)
    score.move(1.05, 1.75, left_heel=0.8)
    score.move(3.2, 4.1, height=STAND_HEIGHT - 0.08)
    score.move(3.6, 4.3, left_heel=0.0)
    score.relax(4.4, 5.6)
    return score


@kind("side_lunge", "lunge", "lunge to the {side}", "step wide to the {side} and bend that knee", "do a side lunge")
def side_lunge(cast: Cast) -> Score:
    score = Score(6.6)
    score.steps += [
        Step(0, 1.0, 1.6, shifted(FEET[0], 0.0, -cast.about(0.42)), toe_off=0.05, strike=0.0),
        Step(0, 4.4, 5.0, FEET[0], toe_off=0.1, strike=0.0),
    ]
    score.move(1.3, 2.3, arms("both", forward=70, out=5, bend=40), trunk(bend=20), height=0.66, pitch=0.3, lean_y=-0.12)
    score.move(3.4, 4.4, height=STAND_HEIGHT - 0.04, lean_y=0.0, pitch=0.05)
    score.relax(4.4, 5.4)
    return score


@kind("step_forward", "step", "take one step forward", "step forward with the {side} foot", "move a pace ahead")
def step_forward(cast: Cast) -> Score:
    ahead = cast.about(0.42)
    score = Score(4.4, flow=0.08, arm_swing=0.5)
    score.steps += [
        Step(0, 1.0, 1.5, shifted(FEET[0], ahead), toe_off=0.25, strike=-0.15),
        Step(1, 1.75, 2.25, shifted(FEET[1], ahead), toe_off=0.35, strike=-0.05),
    ]
    score.move(0.4, 1.2, height=0.85)
    score.relax(2.2, 3.0)
    return score


def leap(
    score: Score, start: float, low: float, rise: float, land: float = 0.845, dip: float = 0.66
) -> tuple[float, float]:
    """Crouch, take off at 0.90 m with what `rise` [m] needs, fly, land at `land`, sink to `dip`, stand.

    Returns the times of take-off and landing [s]. The flight is the parabola itself, as a quintic with its ends.
    """
    high = 0.90
    speed = np.sqrt(2 * GRAVITY * rise)
    leave = start + 0.85
    touch = leave + (speed + np.sqrt(speed**2 + 2 * GRAVITY * (high - land))) / GRAVITY
    down = speed - GRAVITY * (touch - leave)
    score.through("height", [(start, score.keys["height"][-1][1]), (start + 0.55, low)])
    score.through("height", [(leave, high, speed, -GRAVITY), (touch, land, down, -GRAVITY), (touch + 0.24, dip)])
    score.through("height", [(touch + 0.9, STAND_HEIGHT)])
    return float(leave), float(touch)


def jump(cast: Cast, rise: float, ahead: float = 0.0, turn: float = 0.0, reach: float = 110.0) -> Score:
    """Both feet leave and land together, `ahead` [m] and `turn` [rad] away."""
    score = Score(4.0)
    leave, touch = leap(score, 0.5, cast.about(0.60, 0.05), rise)
    for side, foot in enumerate(FEET):
        c, s = np.cos(turn), np.sin(turn)
        place = (ahead + c * foot[0] - s * foot[1], s * foot[0] + c * foot[1], foot[2] + turn)
        half = (0.5 * ahead, 0.0, 0.9 * rise, 0.5)
        score.steps.append(
            Step(side, leave, touch, place, toe_off=0.6, strike=0.22, rise=0.22, via=((0.5 * (leave + touch), *half),))
        )
    score.move(0.4, 0.95, arms("both", forward=-35, out=8, bend=15), trunk(bend=25), head(nod=-15), pitch=0.35)
    score.move(0.95, leave + 0.15, arms("both", forward=reach, out=8, bend=25), trunk(), head(), pitch=0.0)
    score.move(touch - 0.15, touch + 0.24, arms("both", forward=35, out=15, bend=30), trunk(bend=18), pitch=0.28)
    score.relax(touch + 0.3, touch + 0.9, *(n for n in score.keys if n != "height"))
    score.duration = touch + 1.6
    return score


@kind("jump", "jump", "jump", "jump up in the air", "leap straight up", "jump on the spot with both feet")
def jump_up(cast: Cast) -> Score:
    return jump(cast, cast.about(0.24, 0.15), reach=cast.about(140))


@kind("jump_forward", "jump", "jump forward", "leap ahead with both feet", "do a standing long jump")
def jump_forward(cast: Cast) -> Score:
    return jump(cast, cast.about(0.18, 0.1), ahead=cast.about(0.55, 0.15))


@kind(
    "jump_turn",
    "jump",
    "jump and turn to the {side}",
    "jump with a quarter turn to the {side}",
    "spin {side} in the air",
)
def jump_turn(cast: Cast) -> Score:
    return jump(cast, 0.20, turn=-0.5 * np.pi, reach=60)


@kind("hop", "jump", "hop up and down", "make small hops", "bounce on both feet", "skip rope")
def hop(cast: Cast) -> Score:
    return bounce(cast, 7, cast.about(0.05), {}, arms("both", forward=10, out=16, bend=70), 0.0)


@kind("jumping_jacks", "exercise", "do jumping jacks", "jump while spreading arms and legs", "star jumps")
def jumping_jacks(cast: Cast) -> Score:
    return bounce(cast, 8, cast.about(0.06), arms("both", out=150, bend=8), arms("both", out=12, bend=8), 0.17)


def bounce(cast: Cast, count: int, rise: float, open_arms: Pose, closed: Pose, spread: float) -> Score:
    """`count` small leaps in a row, feet alternately `spread` [m] further out and back."""
    stance, high = cast.about(0.30, 0.05), 0.83
    speed = np.sqrt(2 * GRAVITY * rise)
    flight = 2 * speed / GRAVITY
    score = Score(1.0 + count * (stance + flight) + 1.4)
    score.move(0.2, 0.8, closed)
    score.through("height", [(0.3, STAND_HEIGHT), (0.8, 0.79)])
    t = 1.0
    for i in range(count):
        wide = spread * ((i + 1) % 2) if i < count - 1 or not spread else 0.0
        score.through("height", [(t, high, speed, -GRAVITY), (t + flight, high, -speed, -GRAVITY)])
        for side, foot in enumerate(FEET):
            place = shifted(foot, 0.0, wide if side else -wide)
            score.steps.append(Step(side, t, t + flight, place, 0.8 * rise + 0.01, toe_off=0.35, strike=0.15, rise=0.1))
        score.move(t - 0.12, t + flight + 0.05, open_arms if wide else closed)
        t += stance + flight
    score.through("height", [(t, 0.78), (t + 0.5, STAND_HEIGHT)])
    score.relax(t, t + 0.7, *(n for n in score.keys if n != "height"))
    return score
