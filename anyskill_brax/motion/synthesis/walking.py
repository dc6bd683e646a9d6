"""Kinds that travel: walks, turns, side steps, marching and a jog, from footstep plans."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from anyskill_brax.motion.synthesis.curves import Key
from anyskill_brax.motion.synthesis.footsteps import GRAVITY, Place, Step, Via
from anyskill_brax.motion.synthesis.gestures import hand
from anyskill_brax.motion.synthesis.kinds import Cast, kind
from anyskill_brax.motion.synthesis.score import FEET, STAND_HEIGHT, Score, arms, head, trunk

START = 0.8
"""Time to shift the weight before the first foot leaves the floor [s]."""


def path(steps: int, length: float, turn: float = 0.0, aside: float = 0.0) -> list[Place]:
    """Body places after each step: `length` ahead, `aside` to the left [m] and `turn` [rad] per step, along an arc."""
    x = y = yaw = 0.0
    places = []
    for i in range(steps):
        part = 0.7 if i == 0 else 1.0
        mid = yaw + 0.5 * part * turn
        x += part * (length * np.cos(mid) - aside * np.sin(mid))
        y += part * (length * np.sin(mid) + aside * np.cos(mid))
        yaw += part * turn
        places.append((float(x), float(y), float(yaw)))
    return places


def foot_place(body: Place, side: int, width: float = 0.16, toe_out: float = 0.06) -> Place:
    """Where a foot goes when the body stands at `body`."""
    sign = 1.0 if side else -1.0
    x, y, yaw = body
    return x - sign * 0.5 * width * np.sin(yaw), y + sign * 0.5 * width * np.cos(yaw), yaw + sign * toe_out


def stride(
    score: Score,
    bodies: Sequence[Place],
    period: float,
    lead: int = 0,
    double: float = 0.28,
    width=0.16,
    **style: Any,
) -> None:
    """Alternate feet through `bodies`, one step per `period` [s]; the last foot closes up beside the other.

    `double` is the part of a step's time that both feet stand. `style` goes to each Step.
    """
    t = START
    for i, body in enumerate([*bodies, bodies[-1]]):
        side = (lead + i) % 2
        wide = 0.18 if i >= len(bodies) - 1 else width
        place = foot_place(body, side, wide)
        score.steps.append(Step(side, t, t + (1 - double) * period, place, **style))
        t += period
    score.duration = t + 0.9


def walk(cast: Cast, speed: float, steps: int, turn: float = 0.0, height: float = 0.852) -> Score:
    """A walk at `speed` [m/s]: longer and quicker steps with speed, knees soft, arms against the legs."""
    length = 0.57 * speed**0.55
    score = Score(0.0, arm_swing=0.35 + 0.35 * speed, flow=0.11)
    score.move(0.2, START + 0.5, trunk(bend=3), height=height, pitch=0.02 + 0.03 * speed)
    toe_off = 0.30 + 0.2 * min(speed, 1.2)
    stride(score, path(steps, length, turn), length / speed, int(cast.rng.integers(2)), toe_off=toe_off, strike=-0.22)
    score.relax(score.duration - 1.6, score.duration - 0.6, "height", "pitch", "abdomen_y")
    return score


@kind("walk", "walk", "walk forward", "walk at a normal pace", "a person walks straight ahead", "take a stroll")
def walk_normal(cast: Cast) -> Score:
    return walk(cast, cast.about(1.0, 0.06), 7)


@kind("walk_slowly", "walk", "walk slowly", "walk forward at a slow pace", "stroll along without hurry")
def walk_slowly(cast: Cast) -> Score:
    return walk(cast, cast.about(0.6, 0.08), 6)


@kind("walk_fast", "walk", "walk fast", "walk briskly", "hurry along on foot", "stride forward quickly")
def walk_fast(cast: Cast) -> Score:
    return walk(cast, cast.about(1.35, 0.05), 9)


@kind(
    "walk_turn",
    "walk_turn",
    "walk in a curve to the {side}",
    "walk and turn {side}",
    "walk around a bend to the {side}",
)
def walk_turn(cast: Cast) -> Score:
    return walk(cast, cast.about(0.85, 0.05), 8, turn=-cast.about(0.24, 0.15))


@kind(
    "walk_circle", "walk_turn", "walk in a circle", "walk round in a tight circle to the {side}", "circle to the {side}"
)
def walk_circle(cast: Cast) -> Score:
    return walk(cast, 0.7, 12, turn=-cast.about(0.5, 0.05))


@kind("walk_backwards", "walk_back", "walk backward", "step backwards", "back away slowly", "retreat without turning")
def walk_backwards(cast: Cast) -> Score:
    length = -cast.about(0.36)
    score = Score(0.0, arm_swing=0.4, flow=0.11)
    score.move(0.2, START + 0.5, trunk(bend=6), height=0.848, pitch=0.04)
    stride(score, path(6, length), 0.68, int(cast.rng.integers(2)), toe_off=0.05, strike=0.2, lift=0.07)
    score.relax(score.duration - 1.6, score.duration - 0.6)
    return score


@kind("side_step", "side_step", "step sideways to the {side}", "side step to the {side}", "shuffle to the {side}")
def side_step(cast: Cast) -> Score:
    width = cast.about(0.30)
    bodies: list[Place] = [(0.0, -width * (1 + i // 2), 0.0) for i in range(7)]
    score = Score(0.0, flow=0.09)
    score.move(0.2, START, arms("both", out=14, bend=35), trunk(bend=6), height=0.83, pitch=0.05)
    stride(score, bodies, 0.55, lead=0, toe_off=0.05, strike=0.05, lift=0.05, width=0.18)
    score.relax(score.duration - 1.2, score.duration - 0.4)
    return score


@kind("turn_around", "turn", "turn around to the {side}", "turn to face the other way", "spin around on the spot")
def turn_around(cast: Cast) -> Score:
    score = Score(0.0, flow=0.08)
    score.move(0.2, START, height=0.85, pitch=0.04)
    bodies = [(0.0, 0.0, -np.pi * part) for part in (0.2, 0.4, 0.6, 0.8, 1.0)]
    stride(score, bodies, cast.about(0.52), lead=0, toe_off=0.1, strike=0.03, width=0.2, rise=0.15)
    score.relax(score.duration - 1.2, score.duration - 0.4)
    return score


@kind(
    "turn", "turn", "turn {side}", "turn to the {side} on the spot", "face {side}", "make a quarter turn to the {side}"
)
def turn_quarter(cast: Cast) -> Score:
    score = Score(0.0, flow=0.08)
    score.move(0.2, START, height=0.855)
    stride(score, [(0.0, 0.0, -np.pi * part) for part in (0.2, 0.36, 0.5)], 0.6, toe_off=0.1, strike=0.03, width=0.2)
    score.relax(score.duration - 1.2, score.duration - 0.4)
    return score


@kind("sneak", "walk_style", "sneak forward", "creep along in a crouch", "tiptoe stealthily with bent knees")
def sneak(cast: Cast) -> Score:
    paws = hand(cast, "both", (0.26, 0.16, 0.10), (-0.3, 0.8, -1.0))
    score = Score(0.0, arm_swing=0.15, flow=0.11)
    score.move(0.2, START + 0.3, paws, trunk(bend=24), head(nod=-18), height=0.70, pitch=0.25)
    stride(score, path(6, cast.about(0.4)), 0.78, int(cast.rng.integers(2)), toe_off=0.35, strike=0.12, lift=0.12)
    score.relax(score.duration - 1.6, score.duration - 0.4)
    return score


@kind(
    "march",
    "march",
    "march on the spot",
    "march without moving away",
    "lift your knees high in turn",
    "march with high knees",
)
def march(cast: Cast) -> Score:
    period = cast.about(0.62, 0.05)
    score = Score(START + 8 * period + 0.9, flow=0.05)
    score.move(0.2, START, arms("both", bend=70))
    for i in range(8):
        side, t = i % 2, START + i * period
        top = t + 0.38 * period
        score.steps.append(
            Step(
                side,
                t,
                t + 0.76 * period,
                FEET[side],
                toe_off=0.25,
                strike=0.1,
                rise=0.12,
                via=((top, 0.20, 0, 0.36, 0.25),),
            )
        )
        # The arm across the body from the rising knee comes forward.
        forward, back = ("left", "right") if side == 0 else ("right", "left")
        score.move(t, top, arms(forward, forward=45, bend=75), arms(back, forward=-25, bend=60))
    score.relax(score.duration - 1.0, score.duration - 0.3)
    return score


def run_in(score: Score, period: float, stance: float, places: Sequence[Place], lift: float, height: float) -> None:
    """Running steps: foot i lands at START + 0.3 + i `period` [s], stands for `stance`, and the body flies between."""
    first = START + 0.3
    landing = [first + i * period for i in range(len(places))]
    rise = 0.5 * GRAVITY * (period - stance)
    heights: list[Key] = [(0.3, STAND_HEIGHT), (START, height - 0.02)]
    for i, (t, place) in enumerate(zip(landing, places)):
        leave = START if i == 0 else landing[0] + 0.05 if i == 1 else landing[i - 2] + stance
        away = t - leave
        score.steps.append(_running_step(i, leave, t, away, place, places, lift))
        if 1 <= i < len(places) - 1:
            heights.append((t, height, -rise if i > 1 else 0.0, -GRAVITY if i > 1 else 0.0))
            heights.append((t + stance, height, rise, -GRAVITY) if i < len(places) - 2 else (t + stance, height))
    score.through("height", heights)
    score.duration = landing[-1] + 1.3
    score.move(landing[-1] + 0.1, landing[-1] + 0.7, height=STAND_HEIGHT)


def _running_step(
    i: int, leave: float, land: float, away: float, place: Place, places: Sequence[Place], lift: float
) -> Step:
    side = i % 2
    old = places[i - 2] if i > 1 else FEET[side]
    ahead = place[0] - old[0]
    short = i in (0, len(places) - 1)
    mid: Via = (leave + 0.45 * away, 0.45 * ahead, 0.0, 0.08 if short else lift, 0.3 if short else 0.9)
    off: Via = (leave + 0.06, 0.01 * ahead, 0.0, 0.035, 0.75)
    via = (mid,) if short else (off, mid, (land - 0.07, 0.96 * ahead, 0.0, 0.04, 0.05))
    return Step(side, leave, land, place, toe_off=0.25 if short else 0.55, strike=0.02, rise=0.13, via=via)


@kind("jog", "run", "jog", "jog forward", "run at an easy pace", "a person jogs straight ahead", "go for a run")
def jog(cast: Cast) -> Score:
    period, speed = 0.36, cast.about(1.9, 0.06)
    reach = np.cumsum([0.25, 0.45] + [speed * period] * 7 + [0.35, 0.0])
    places = [foot_place((float(x), 0.0, 0.0), i % 2, 0.12 if 0 < i < 9 else 0.18) for i, x in enumerate(reach)]
    score = Score(0.0, arm_swing=0.75, flow=0.07)
    score.move(0.2, START + 0.3, arms("both", forward=5, bend=75), trunk(bend=6), pitch=0.08)
    run_in(score, period, 0.26, places, 0.20, 0.80)
    score.relax(score.duration - 1.2, score.duration - 0.3, *(n for n in score.keys if n != "height"))
    return score


@kind("jog_in_place", "run", "jog in place", "run on the spot", "jog without moving forward")
def jog_in_place(cast: Cast) -> Score:
    score = Score(0.0, flow=0.05)
    places = [foot_place((0.0, 0.0, 0.0), i % 2, 0.16) for i in range(13)]
    score.move(0.2, START + 0.3, arms("both", forward=10, bend=85), trunk(bend=4))
    period = cast.about(0.36, 0.04)
    for i in range(12):
        t = START + 0.3 + i * period
        near, far = ("right", "left") if i % 2 else ("left", "right")
        score.move(t, t + 0.9 * period, arms(near, forward=35, bend=90), arms(far, forward=-25, bend=75))
    run_in(score, period, 0.26, places, 0.20, 0.81)
    score.relax(score.duration - 1.2, score.duration - 0.3, *(n for n in score.keys if n != "height"))
    return score
