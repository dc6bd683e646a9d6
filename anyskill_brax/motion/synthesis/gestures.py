"""Kinds of the arms and the head, on two standing feet."""

from anyskill_brax.motion.synthesis.ik import arm_pose
from anyskill_brax.motion.synthesis.kinds import Cast, beat, hold, kind
from anyskill_brax.motion.synthesis.score import STAND_HEIGHT, Pose, Score, arms, head, tiptoes, trunk

Point = tuple[float, float, float]


def hand(cast: Cast, side: str, at: Point, elbow: Point) -> Pose:
    """The hand at `at` (forward, outward, up from the torso's joint) [m], the elbow pointing to `elbow`."""
    pose: Pose = {}
    for name, sign in (("right", -1.0), ("left", 1.0)):
        if side in (name, "both"):
            place, aim = ([x, sign * y, z] for x, y, z in (at, elbow))
            pose |= arm_pose(cast.character, name, place, aim)
    return pose


@kind(
    "raise_both_arms",
    "arms_up",
    "raise both arms",
    "put your hands up",
    "lift both arms overhead",
    "reach up with both arms",
)
def raise_both_arms(cast: Cast) -> Score:
    return hold(cast, arms("both", forward=cast.about(168, 0.04), out=cast.about(12), bend=cast.about(10)), stay=2.4)


@kind("raise_arm", "arms_up", "raise the {side} arm", "put your {side} hand up", "lift your {side} arm overhead")
def raise_arm(cast: Cast) -> Score:
    return hold(cast, arms("right", forward=cast.about(166, 0.04), out=10, bend=8), trunk(side=-4), stay=2.2)


@kind("arms_out", "arms_out", "hold both arms out to the sides", "stand in a T pose", "spread your arms wide")
def arms_out(cast: Cast) -> Score:
    return hold(cast, arms("both", out=cast.about(87, 0.05), bend=4), stay=2.4)


@kind("arm_out", "arms_out", "hold the {side} arm out to the side", "stretch your {side} arm sideways", "signal {side}")
def arm_out(cast: Cast) -> Score:
    return hold(cast, arms("right", out=cast.about(86, 0.05), bend=4), trunk(side=-3), head(turn=-25), stay=2.0)


@kind(
    "arms_forward", "arms_forward", "hold both arms straight out in front", "stretch your arms forward", "zombie arms"
)
def arms_forward(cast: Cast) -> Score:
    return hold(cast, arms("both", forward=cast.about(88, 0.05), out=3, bend=4), stay=2.2)


@kind(
    "arms_v", "arms_up", "raise your arms in a V", "celebrate with both arms in the air", "cheer with arms up and wide"
)
def arms_v(cast: Cast) -> Score:
    return hold(cast, arms("both", out=cast.about(138, 0.04), bend=8), head(nod=-12), rise=0.6, stay=2.0)


@kind(
    "point_forward",
    "point",
    "point forward with the {side} hand",
    "point straight ahead",
    "the {side} arm points ahead",
)
def point_forward(cast: Cast) -> Score:
    return hold(cast, arms("right", forward=cast.about(88, 0.05), out=2, bend=3), trunk(twist=8), rise=0.6, stay=2.0)


@kind(
    "hands_on_hips",
    "pose",
    "put your hands on your hips",
    "stand with the hands on the hips",
    "rest both hands at the waist",
)
def hands_on_hips(cast: Cast) -> Score:
    return hold(cast, hand(cast, "both", (0.03, 0.17, -0.17), (-0.3, 1.0, -0.1)), stay=2.6)


@kind("fold_arms", "pose", "fold your arms", "cross your arms over your chest", "stand with folded arms")
def fold_arms(cast: Cast) -> Score:
    right = hand(cast, "right", (0.20, -0.10, 0.08), (0.3, 0.5, -1.0))
    return hold(cast, right, hand(cast, "left", (0.24, -0.10, 0.04), (0.3, 0.6, -1.0)), stay=2.6)


@kind(
    "pray",
    "pose",
    "put your palms together in front of the chest",
    "hold the palms together in prayer",
    "hold your hands together",
)
def pray(cast: Cast) -> Score:
    return hold(cast, hand(cast, "both", (0.25, 0.035, 0.14), (0.0, 0.8, -1.0)), head(nod=18), stay=2.4)


@kind(
    "hands_behind_head", "pose", "put your hands behind your head", "clasp your hands behind the neck", "hands on head"
)
def hands_behind_head(cast: Cast) -> Score:
    return hold(cast, hand(cast, "both", (-0.08, 0.10, 0.42), (0.1, 1.0, 0.2)), stay=2.2)


@kind("hands_behind_back", "pose", "put your hands behind your back", "stand at ease", "clasp both hands behind you")
def hands_behind_back(cast: Cast) -> Score:
    return hold(cast, hand(cast, "both", (-0.17, 0.06, -0.12), (-0.4, 1.0, -0.6)), stay=2.4)


@kind("flex", "pose", "flex both biceps", "show off your muscles", "pose like a bodybuilder")
def flex(cast: Cast) -> Score:
    return hold(cast, hand(cast, "both", (0.05, 0.34, 0.44), (0.0, 1.0, 0.05)), rise=0.7, stay=2.2)


@kind("salute", "pose", "salute with the {side} hand", "give a military salute", "touch your brow with the {side} hand")
def salute(cast: Cast) -> Score:
    return hold(cast, hand(cast, "right", (0.12, 0.11, 0.44), (0.1, 1.0, 0.0)), rise=0.6, stay=2.0)


@kind("phone", "pose", "hold a phone to your {side} ear", "make a phone call", "talk on the phone")
def phone(cast: Cast) -> Score:
    return hold(cast, hand(cast, "right", (0.04, 0.13, 0.40), (0.4, 0.6, -1.0)), head(tilt=10), stay=2.4)


@kind(
    "wave",
    "wave",
    "wave with the {side} hand",
    "wave in greeting",
    "greet someone by waving the {side} arm",
    "wave goodbye",
)
def wave(cast: Cast) -> Score:
    inner = hand(cast, "right", (0.12, 0.22, 0.50), (0.1, 1.0, -0.2))
    outer = hand(cast, "right", (0.12, 0.46, 0.46), (0.1, 1.0, -0.2))
    period, count = cast.about(0.7, 0.15), int(cast.rng.integers(3, 5))
    score = Score(2.4 + period * count)
    score.move(0.4, 1.1, inner)
    end = beat(score, 1.1, period, count, inner, outer)
    score.relax(end, end + 0.8)
    return score


@kind("wave_both", "wave", "wave both arms over your head", "wave with both hands", "flag someone down with both arms")
def wave_both(cast: Cast) -> Score:
    inner, outer = arms("both", forward=0, out=165, bend=15), arms("both", forward=0, out=118, bend=15)
    period = cast.about(0.9)
    score = Score(2.4 + period * 4)
    score.move(0.4, 1.2, inner)
    end = beat(score, 1.2, period, 4, inner, outer)
    score.relax(end, end + 0.8)
    return score


@kind("clap", "clap", "clap the hands", "clap in applause", "clap several times in front of the chest")
def clap(cast: Cast) -> Score:
    open_hands = hand(cast, "both", (0.31, 0.20, 0.13), (-0.1, 0.8, -1.0))
    shut = hand(cast, "both", (0.31, 0.038, 0.13), (-0.1, 0.8, -1.0))
    period, count = cast.about(0.45), 7
    score = Score(2.3 + period * count)
    score.move(0.4, 1.0, open_hands)
    end = beat(score, 1.0, period, count, open_hands, shut)
    score.relax(end, end + 0.8)
    return score


@kind("push", "push", "push forward with both hands", "shove something away", "push an invisible wall")
def push(cast: Cast) -> Score:
    near = hand(cast, "both", (0.20, 0.18, 0.16), (-0.3, 0.8, -1.0))
    far = arms("both", forward=85, out=2, bend=8)
    score = Score(5.2)
    score.move(0.4, 1.1, near)
    for start in (1.2, 2.7):
        score.move(start, start + 0.4, far, trunk(bend=8))
        score.move(start + 0.8, start + 1.4, near, trunk())
    score.relax(4.1, 4.9)
    return score


@kind("arm_circles", "exercise", "make small circles with your arms", "circle both arms at the sides", "do arm circles")
def arm_circles(cast: Cast) -> Score:
    period = cast.about(0.9)
    corners = [arms("both", forward=f, out=o, bend=4) for f, o in ((0, 100), (14, 86), (0, 72), (-14, 86))]
    score = Score(2.2 + 5 * period)
    score.move(0.4, 1.2, corners[0])
    for name in ("right_shoulder_x", "right_shoulder_y", "left_shoulder_x", "left_shoulder_y"):
        turn = range(1, 21)
        score.through(name, [(1.2 + i * period / 4, corners[i % 4][name]) for i in turn])
    score.relax(1.2 + 5 * period, 2.0 + 5 * period)
    return score


@kind(
    "reach_up",
    "reach",
    "reach up high with the {side} hand",
    "take something from a high shelf",
    "stretch up on tiptoe",
)
def reach_up(cast: Cast) -> Score:
    up = arms("right", forward=172, out=4, bend=3)
    return hold(
        cast, up, trunk(side=-6), head(nod=-22), tiptoes(cast.about(0.3)), height=STAND_HEIGHT + 0.045, stay=1.7
    )


@kind(
    "reach_forward", "reach", "reach forward with the {side} hand", "reach out for something", "grab at something ahead"
)
def reach_forward(cast: Cast) -> Score:
    return hold(cast, arms("right", forward=82, out=0, bend=5), trunk(bend=18, twist=15), pitch=0.12, stay=1.6)


@kind("look_aside", "look", "look to the {side}", "turn your head {side}", "glance over the {side} shoulder")
def look_aside(cast: Cast) -> Score:
    return hold(cast, head(turn=-cast.about(40)), trunk(twist=-8), rise=0.6, stay=1.8)


@kind("look_up_down", "look", "look up and then down", "nod slowly", "raise your head and lower it again")
def look_up_down(cast: Cast) -> Score:
    score = Score(5.4)
    score.move(0.4, 1.1, head(nod=-35), trunk(bend=-6))
    score.move(2.6, 3.3, head(nod=40), trunk(bend=6))
    score.relax(4.3, 5.0)
    return score


@kind("shake_head", "look", "shake your head", "say no with your head", "turn the head from side to side")
def shake_head(cast: Cast) -> Score:
    score = Score(4.2)
    score.move(0.4, 0.7, head(turn=25))
    end = beat(score, 0.7, cast.about(0.7), 4, head(turn=25), head(turn=-25))
    score.relax(end, end + 0.35)
    return score
