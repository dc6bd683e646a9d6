"""Kinds of the whole body that keep both feet where they stand."""

import numpy as np

from anyskill_brax.motion.synthesis.gestures import hand
from anyskill_brax.motion.synthesis.kinds import Cast, beat, hold, kind
from anyskill_brax.motion.synthesis.score import STAND_HEIGHT, Score, arms, head, tiptoes, trunk


@kind("stand", "stand", "stand quietly", "stand and wait", "stay standing in place", "a person stands upright")
def stand(cast: Cast) -> Score:
    score = Score(5.0)
    sway = cast.rng.uniform(0.008, 0.015)
    t = np.arange(1, 5)
    score.through("lean_y", [(1.0 * i, sway * (-1.0) ** i) for i in t])
    score.through("abdomen_y", [(1.2 * i, np.radians(1.5 * (i % 2))) for i in t])
    score.through("neck_z", [(1.2 * i, np.radians(cast.rng.uniform(-10, 10))) for i in t])
    return score


@kind("shift_weight", "stand", "shift your weight from foot to foot", "sway from side to side", "rock left and right")
def shift_weight(cast: Cast) -> Score:
    period, sway = cast.about(2.0), cast.about(0.065)
    score = Score(1.0 + 3 * period)
    t = 0.5 + period * (0.25 + 0.5 * np.arange(6))
    score.through("lean_y", [(0.5, 0.0)] + [(s, sway * (-1.0) ** i) for i, s in enumerate(t)] + [(t[-1] + 0.5, 0.0)])
    score.through("roll", [(0.5, 0.0)] + [(s, -0.04 * (-1.0) ** i) for i, s in enumerate(t)] + [(t[-1] + 0.5, 0.0)])
    return score


@kind("bow", "bow", "bow", "make a bow", "bend forward politely", "a person bows in greeting")
def bow(cast: Cast) -> Score:
    return hold(cast, trunk(bend=cast.about(34)), head(nod=12), arms("both", forward=22, bend=10), pitch=0.5, rise=1.1)


@kind("nod_bow", "bow", "bow slightly with hands together", "give a small bow with the palms pressed", "thank someone")
def nod_bow(cast: Cast) -> Score:
    palms = hand(cast, "both", (0.24, 0.035, 0.13), (0.0, 0.8, -1.0))
    return hold(cast, palms, trunk(bend=18), head(nod=20), pitch=0.25, rise=1.0, stay=1.7)


@kind("touch_toes", "bend", "touch your toes", "bend down and reach for your feet", "fold forward with hanging arms")
def touch_toes(cast: Cast) -> Score:
    down = trunk(bend=cast.about(78, 0.05))
    return hold(cast, down, arms("both", forward=80, out=4, bend=3), pitch=1.0, height=0.82, rise=1.5, stay=1.7)


@kind(
    "squat",
    "squat",
    "go down into a squat",
    "do a squat",
    "bend your knees and sit back",
    "lower into a squat and stand up",
)
def squat(cast: Cast) -> Score:
    balance = arms("both", forward=82, out=3, bend=5)
    low = cast.about(0.50, 0.08)
    return hold(cast, balance, trunk(bend=18), head(nod=-15), height=low, pitch=0.35, rise=1.3, stay=1.6)


@kind("squats", "squat", "do several squats", "squat up and down", "exercise with repeated squats")
def squats(cast: Cast) -> Score:
    down = {
        **arms("both", forward=80, out=3, bend=5),
        **trunk(bend=15),
        "height": cast.about(0.54, 0.05),
        "pitch": 0.35,
    }
    up = {**arms("both", forward=10), **trunk(), "height": STAND_HEIGHT, "pitch": 0.02}
    score = Score(7.2)
    end = beat(score, 0.4, cast.about(2.0, 0.05), 3, up, down)
    score.relax(end, end + 0.4)
    return score


@kind("crouch", "squat", "crouch low", "duck down", "hide by crouching", "get down into a low crouch")
def crouch(cast: Cast) -> Score:
    knees = arms("both", forward=50, out=12, bend=50)
    low = cast.about(0.42, 0.05)
    return hold(cast, knees, trunk(bend=35), head(nod=-25), height=low, pitch=0.45, rise=1.1, stay=2.0)


@kind("side_bend", "bend", "bend to the {side}", "lean sideways to the {side}", "do a side bend to the {side}")
def side_bend(cast: Cast) -> Score:
    over = arms("left", forward=0, out=168, bend=20)
    score = hold(cast, over, trunk(side=cast.about(30)), head(tilt=12), roll=0.08, rise=1.2, stay=1.7)
    score.feet = ((0.0, -0.16, -0.12), (0.0, 0.16, 0.12))
    return score


@kind("lean_back", "bend", "lean back", "arch your back and look up", "stretch backwards with hands on the hips")
def lean_back(cast: Cast) -> Score:
    hips = hand(cast, "both", (-0.10, 0.13, -0.14), (-0.5, 1.0, -0.1))
    return hold(cast, hips, trunk(bend=-cast.about(25)), head(nod=-22), pitch=-0.12, rise=1.2, stay=1.6)


@kind(
    "twist", "twist", "twist your upper body from side to side", "rotate your torso left and right", "do trunk twists"
)
def twist(cast: Cast) -> Score:
    period = cast.about(1.8)
    wide = arms("both", out=80, bend=8)
    one, two = ({**trunk(twist=s * 38), **head(turn=s * 10), "turn": s * 0.25} for s in (1, -1))
    score = Score(2.2 + 3 * period)
    score.move(0.4, 1.0, wide, one)
    end = beat(score, 1.0, period, 3, one, two)
    score.relax(end, end + 0.8)
    score.feet = ((0.0, -0.14, -0.1), (0.0, 0.14, 0.1))
    return score


@kind(
    "look_behind",
    "twist",
    "turn around to look behind you over the {side} shoulder",
    "twist to the {side}",
    "look back {side}",
)
def look_behind(cast: Cast) -> Score:
    return hold(cast, trunk(twist=-40), head(turn=-42), arms("both", out=14, bend=30), turn=-0.3, rise=0.9, stay=1.6)


@kind("tiptoe", "tiptoe", "stand on tiptoe", "rise onto your toes", "do a calf raise and hold it")
def tiptoe(cast: Cast) -> Score:
    aside = arms("both", out=25, bend=10)
    return hold(cast, aside, tiptoes(cast.about(0.45)), height=STAND_HEIGHT + 0.055, rise=0.9, stay=1.7)


@kind(
    "lift", "lift", "lift a heavy box", "pick something up from the floor with both hands", "squat down and lift a load"
)
def lift(cast: Cast) -> Score:
    low, carry = arms("both", forward=62, out=2, bend=8), arms("both", forward=18, out=4, bend=85)
    score = Score(7.0)
    score.move(0.4, 1.7, low, trunk(bend=45), height=0.47, pitch=0.55)
    score.move(2.1, 3.4, carry, trunk(bend=-4), height=STAND_HEIGHT, pitch=0.0)
    score.move(4.6, 5.6, arms("both", forward=30, bend=40), trunk(bend=15), height=0.80, pitch=0.2)
    score.relax(5.7, 6.6)
    return score


@kind(
    "reach_down", "reach", "reach down with the {side} hand", "pick something up off the ground", "bend down and grab"
)
def reach_down(cast: Cast) -> Score:
    down = {**arms("right", forward=78, out=3, bend=3), **arms("left", forward=-5, out=20, bend=40)}
    bent = trunk(bend=48, side=8, twist=14)
    return hold(cast, down, bent, head(nod=-5), height=0.58, pitch=0.75, rise=1.3, stay=1.5)


@kind("guard", "fight", "stand in a fighting stance", "raise your fists in a boxing guard", "guard your face")
def guard(cast: Cast) -> Score:
    fists = hand(cast, "both", (0.25, 0.10, 0.30), (0.0, 0.4, -1.0))
    score = hold(cast, fists, trunk(bend=8, twist=-12), height=0.82, pitch=0.1, rise=0.7, stay=2.4)
    score.feet = FIGHT
    return score


FIGHT = ((-0.14, -0.12, -0.5), (0.14, 0.10, -0.05))


def jab(score: Score, cast: Cast, side: str, start: float) -> float:
    """One straight punch out of the guard and back; returns when it ends [s]."""
    turn = 1 if side == "right" else -1
    out = arms(side, forward=88, out=-4, bend=4)
    back = hand(cast, side, (0.25, 0.10, 0.28), (0.0, 0.4, -1.0))
    score.move(start, start + 0.24, out, trunk(bend=8, twist=22 * turn), turn=0.25 * turn)
    score.move(start + 0.30, start + 0.66, back, trunk(bend=8, twist=-6), turn=0.0)
    return start + 0.66


@kind("punch", "fight", "punch with the {side} fist", "throw a {side} cross", "hit something with a straight punch")
def punch(cast: Cast) -> Score:
    score = guarded(cast, 4.6)
    for start in (1.3, 2.5):
        jab(score, cast, "right", cast.about(start, 0.02))
    score.relax(3.5, 4.3)
    return score


@kind("boxing", "fight", "box", "throw a combination of punches", "punch with the left and right fist in turn")
def boxing(cast: Cast) -> Score:
    score = guarded(cast, 6.4)
    t = 1.2
    for side in ("left", "right", "left", "left", "right"):
        t = jab(score, cast, side, t) + cast.rng.uniform(0.04, 0.12)
    score.relax(t + 0.1, t + 0.9)
    return score


def guarded(cast: Cast, duration: float) -> Score:
    score = Score(duration, feet=FIGHT)
    fists = hand(cast, "both", (0.25, 0.10, 0.28), (0.0, 0.4, -1.0))
    score.move(0.3, 1.0, fists, trunk(bend=8, twist=-6), height=0.83, pitch=0.06)
    return score
