"""Posecodes: rule-based attributes of a body state, each a degree in [0, 1] measured by geometry (after PoseScript).

A degree climbs along a ramp from "clearly not" to "clearly so"; above one half the attribute holds. Ramps instead of
yes or no, because a reward fitted to them keeps a slope on the way to the goal. A one-sided attribute ("left arm up")
asks that the other side does not do the same; the two-sided one ("both arms up") takes the weaker side.
Distances [m], speeds [m/s], angles [rad]; left is +y and ahead +x of the pelvis' heading.
"""

import functools
from dataclasses import dataclass

import jax
import jax.numpy as jnp

from anyskill_brax import rotations
from anyskill_brax.character.humanoid import Character
from anyskill_brax.character.kinematics import BodyState, forward_kinematics, lowest_points

SIDES = {"left": 1.0, "right": -1.0}
SOLE = 0.055
"""Height of the foot's origin when the sole is flat on the floor [m]."""
HEAD_CENTRE = 0.175
"""Height of the head's sphere above the neck, along the head's own z [m]."""
ARM_LENGTH = 0.534


def ramp(x: jax.Array, no: float, yes: float) -> jax.Array:
    """0 up to `no`, 1 from `yes` on, a line between; `no > yes` falls instead."""
    return jnp.clip((x - no) / (yes - no), 0.0, 1.0)


def _dot(a: jax.Array, b: jax.Array) -> jax.Array:
    return jnp.sum(a * b, axis=-1)


def _length(v: jax.Array) -> jax.Array:
    return jnp.sqrt(_dot(v, v) + 1e-12)


def _unit(v: jax.Array) -> jax.Array:
    return v / _length(v)[..., None]


def all_of(*degrees: jax.Array) -> jax.Array:
    """The weakest condition decides."""
    return jnp.stack(jnp.broadcast_arrays(*degrees)).min(axis=0)


@dataclass(frozen=True)
class Frame:
    """What the rules read: points and axes of the body, all `[..., 3]`, world frame turned and moved to the heading."""

    pos: dict[str, jax.Array]
    vel: dict[str, jax.Array]  # minus the pelvis' velocity
    axes: dict[str, tuple[jax.Array, ...]]  # x y z of a body
    root_vel: jax.Array
    yaw_rate: jax.Array
    speed: jax.Array  # mean over bodies [m/s]
    clearance: jax.Array  # of the lowest point of the body [m]


def frame_of(character: Character, bodies: BodyState) -> Frame:
    turn = rotations.yaw_quat(-rotations.heading(bodies.rot[..., 0, :]))[..., None, :]
    floor = bodies.pos[..., :1, :] * jnp.array([1.0, 1.0, 0.0])
    pos = rotations.rotate(turn, bodies.pos - floor)
    vel = rotations.rotate(turn, bodies.linvel)
    rot = rotations.quat_mul(turn, bodies.rot)
    matrix = rotations.to_matrix(rot)
    names = character.body_names
    axes = {n: tuple(matrix[..., i, :, k] for k in range(3)) for i, n in enumerate(names)}
    points = {n: pos[..., i, :] for i, n in enumerate(names)}
    points["head_centre"] = points["head"] + HEAD_CENTRE * axes["head"][2]
    return Frame(
        pos=points,
        vel={n: vel[..., i, :] - vel[..., 0, :] for i, n in enumerate(names)},
        axes=axes,
        root_vel=vel[..., 0, :],
        yaw_rate=bodies.angvel[..., 0, 2],
        speed=_length(vel).mean(axis=-1),
        clearance=lowest_points(character, bodies).min(axis=-1),
    )


def _arm(f: Frame, side: str) -> dict[str, jax.Array]:
    """What one arm does, whatever the other does."""
    sign = SIDES[side]
    shoulder, elbow, hand = (f.pos[f"{side}_{part}"] for part in ("upper_arm", "lower_arm", "hand"))
    knee, foot, pelvis, torso = f.pos[f"{side}_shin"], f.pos[f"{side}_foot"], f.pos["pelvis"], f.pos["torso"]
    tx, ty, tz = f.axes["torso"]
    _, py, pz = f.axes["pelvis"]
    arm = _unit(hand - shoulder)
    bend = _dot(_unit(elbow - shoulder), _unit(hand - elbow))  # 1 straight, -1 folded
    reach = _length(hand - shoulder) / ARM_LENGTH
    extended = ramp(reach, 0.65, 0.9)
    at_hip = ramp(_length(hand - (pelvis + 0.16 * sign * py + 0.1 * pz)), 0.34, 0.14)
    elbow_out = ramp(_dot(elbow - shoulder, ty) * sign, 0.0, 0.12)
    head = hand - f.pos["head_centre"]
    off_torso = hand - torso
    ahead, aside, height = _dot(off_torso, tx), _dot(off_torso, ty) * sign, _dot(off_torso, tz)
    head_x, _, head_z = f.axes["head"]
    away = hand[..., 2] - shoulder[..., 2]
    return {
        "arm_up": all_of(ramp(arm[..., 2], 0.1, 0.9), ramp(head[..., 2], -0.2, 0.25), ramp(reach, 0.4, 0.85)),
        "arm_out": all_of(ramp(_dot(arm, ty) * sign, 0.4, 0.95), extended),
        "arm_forward": all_of(ramp(arm[..., 0], 0.4, 0.95), extended),
        "arm_back": all_of(ramp(-arm[..., 0], 0.15, 0.6), ramp(bend, 0.3, 0.8)),
        "arm_down": all_of(ramp(-arm[..., 2], 0.5, 0.95), extended),
        "arm_across": all_of(ramp(aside, 0.1, -0.08), ramp(ahead, 0.0, 0.12)),
        "hand_on_hip": all_of(at_hip, elbow_out, ramp(bend, 0.95, 0.6)),
        "hand_on_head": all_of(ramp(_length(head), 0.4, 0.16), ramp(_dot(head, head_z), -0.15, 0.05)),
        "hand_at_face": all_of(ramp(_length(head - 0.1 * head_x), 0.42, 0.14), ramp(_dot(head, head_x), -0.02, 0.1)),
        "hand_behind_back": all_of(ramp(ahead, -0.02, -0.14), ramp(aside, 0.3, 0.16), ramp(height, 0.3, 0.1)),
        "hand_on_chest": ramp(_length(off_torso - 0.14 * tx - 0.1 * tz), 0.38, 0.16),
        "hand_on_knee": ramp(_length(hand - knee), 0.4, 0.14),
        "hand_to_foot": ramp(_length(hand - foot), 0.55, 0.18),
        "hand_on_floor": ramp(hand[..., 2], 0.4, 0.1),
        "elbow_bent": ramp(bend, 0.6, -0.2),
        "arm_straight": ramp(bend, 0.6, 0.95),
        "fist_raised": all_of(
            ramp(_length(hand - shoulder - 0.22 * tx), 0.4, 0.2), ramp(bend, 0.5, 0.0), ramp(away, -0.2, -0.08)
        ),
    }


def _leg(f: Frame, side: str) -> dict[str, jax.Array]:
    """What one leg does, whatever the other does."""
    sign = SIDES[side]
    hip, knee, foot = (f.pos[f"{side}_{part}"] for part in ("thigh", "shin", "foot"))
    _, py, _ = f.axes["pelvis"]
    leg, thigh, shin = _unit(foot - hip), _unit(knee - hip), _unit(foot - knee)
    bend = _dot(thigh, shin)
    lifted = ramp(foot[..., 2] - SOLE, 0.04, 0.2)
    return {
        "planted": ramp(foot[..., 2] - SOLE, 0.14, 0.04),
        "foot_up": lifted,
        "knee_up": all_of(ramp(knee[..., 2] - hip[..., 2], -0.35, -0.03), ramp(thigh[..., 0], 0.2, 0.7), lifted),
        "leg_forward": all_of(ramp(leg[..., 0], 0.2, 0.75), ramp(bend, 0.3, 0.8), lifted),
        "leg_back": all_of(ramp(-leg[..., 0], 0.15, 0.6), lifted),
        "leg_out": all_of(ramp(_dot(leg, py) * sign, 0.2, 0.65), lifted),
        "heel_up": all_of(ramp(bend, 0.5, -0.2), ramp(-thigh[..., 2], 0.5, 0.85), lifted),
        "knee_down": ramp(knee[..., 2], 0.32, 0.09),
        "knee_off": ramp(knee[..., 2], 0.12, 0.3),
        "knee_bent": ramp(bend, 0.92, 0.5),
        "leg_straight": ramp(bend, 0.75, 0.97),
        "toes_down": ramp(-f.axes[f"{side}_foot"][0][..., 2], 0.2, 0.6),
    }


ARM_PAIRS = {
    "arm_up": "both_arms_up",
    "arm_out": "arms_out",
    "arm_forward": "arms_forward",
    "arm_back": "arms_back",
    "arm_down": "arms_down",
    "arm_across": "arms_crossed",
    "hand_on_hip": "hands_on_hips",
    "hand_on_head": "hands_on_head",
    "hand_at_face": "hands_at_face",
    "hand_behind_back": "hands_behind_back",
    "hand_on_chest": "hands_on_chest",
    "hand_on_knee": "hands_on_knees",
    "hand_on_floor": "hands_on_floor",
    "elbow_bent": "elbows_bent",
    "arm_straight": "arms_straight",
    "fist_raised": "guard",
}
"""One-sided rule of `_arm` -> the name of its two-sided attribute."""
# One-sided, these say nothing that a person would ask for: an arm hanging or stretched is what the other one is not.
_ONLY_BOTH = {"arm_down", "arm_straight", "fist_raised"}


def _arms(f: Frame) -> dict[str, jax.Array]:
    arm = {side: _arm(f, side) for side in SIDES}
    out = {both: all_of(arm["left"][one], arm["right"][one]) for one, both in ARM_PAIRS.items()}
    for side, other in (("left", "right"), ("right", "left")):
        for one in ARM_PAIRS:
            if one not in _ONLY_BOTH:
                out[f"{side}_{one}"] = all_of(arm[side][one], 1.0 - arm[other][one])
    left, right = f.pos["left_hand"], f.pos["right_hand"]
    apart = _length(left - right)
    ahead = 0.5 * (left + right)[..., 0]
    out["hands_together"] = all_of(ramp(apart, 0.45, 0.12), ramp(ahead, -0.05, 0.08))
    out["arms_up_wide"] = all_of(out["both_arms_up"], ramp(apart, 0.45, 0.75))
    legs_straight = jnp.minimum(*(_leg(f, side)["leg_straight"] for side in SIDES))
    reach = all_of(arm["left"]["hand_to_foot"], arm["right"]["hand_to_foot"])
    out["touch_toes"] = all_of(reach, legs_straight, ramp(f.pos["pelvis"][..., 2], 0.4, 0.6))
    closing = jnp.abs(_dot(f.vel["left_hand"] - f.vel["right_hand"], _unit(left - right)))
    out["clapping"] = all_of(ramp(apart, 0.7, 0.35), ramp(closing, 0.3, 1.2), ramp(ahead, 0.0, 0.12))
    rising = 0.5 * (f.vel["left_hand"] + f.vel["right_hand"])[..., 2]
    out["raising_arms"], out["lowering_arms"] = ramp(rising, 0.3, 1.2), ramp(-rising, 0.3, 1.2)
    for side, other in (("left", "right"), ("right", "left")):
        hand, shoulder, vel = f.pos[f"{side}_hand"], f.pos[f"{side}_upper_arm"], f.vel[f"{side}_hand"]
        above = ramp((hand - shoulder)[..., 2], -0.05, 0.15)
        other_low = ramp((f.pos[f"{other}_hand"] - f.pos[f"{other}_upper_arm"])[..., 2], 0.1, -0.15)
        out[f"{side}_wave"] = all_of(above, other_low, ramp(_length(vel), 0.3, 1.2))
        level = ramp(jnp.abs((hand - shoulder)[..., 2]), 0.4, 0.15)
        out[f"{side}_punch"] = all_of(ramp(vel[..., 0], 0.5, 2.0), level, ramp((hand - shoulder)[..., 0], 0.0, 0.25))
    return out


def _legs(f: Frame, standing: jax.Array) -> dict[str, jax.Array]:
    leg = {side: _leg(f, side) for side in SIDES}
    both = {rule: jnp.minimum(leg["left"][rule], leg["right"][rule]) for rule in leg["left"]}
    height = f.pos["pelvis"][..., 2]
    gap = f.pos["left_foot"] - f.pos["right_foot"]
    tz = f.axes["torso"][2]
    torso_up = ramp(tz[..., 2], 0.5, 0.85)
    out = {
        "kneel": all_of(both["knee_down"], ramp(height, 0.2, 0.38), ramp(tz[..., 2], 0.3, 0.7)),
        "squat": all_of(
            ramp(height, 0.75, 0.45), both["planted"], both["knee_off"], torso_up, ramp(height, 0.15, 0.25)
        ),
        "knees_bent": all_of(both["knee_bent"], both["planted"], ramp(height, 0.45, 0.6), torso_up),
        "legs_straight": all_of(both["leg_straight"], both["planted"], standing),
        "feet_wide": all_of(ramp(gap[..., 1], 0.35, 0.65), both["planted"], standing),
        "feet_together": all_of(ramp(_length(gap[..., :2]), 0.3, 0.16), both["planted"], standing),
        "legs_crossed": all_of(ramp(gap[..., 1], 0.06, -0.06), both["planted"], standing),
        "tiptoes": all_of(both["toes_down"], ramp(height, 0.8, 0.9), ramp(f.clearance, 0.1, 0.05)),
    }
    for side, other in (("left", "right"), ("right", "left")):
        sign, mine, its = SIDES[side], leg[side], leg[other]
        support = all_of(its["planted"], standing)
        for rule in ("foot_up", "knee_up", "leg_forward", "leg_back", "leg_out", "heel_up"):
            out[f"{side}_{rule}"] = all_of(mine[rule], support)
        ahead = gap[..., 0] * sign
        out[f"{side}_knee_down"] = all_of(
            mine["knee_down"], its["knee_off"], its["planted"], torso_up, ramp(height, 0.2, 0.38)
        )
        out[f"{side}_step"] = all_of(ramp(ahead, 0.1, 0.4), both["planted"], standing)
        low = all_of(ramp(height, 0.86, 0.66), ramp(height, 0.35, 0.5))
        out[f"{side}_lunge"] = all_of(ramp(ahead, 0.25, 0.6), mine["knee_bent"], mine["planted"], low, torso_up)
        swing = f.vel[f"{side}_foot"]
        out[f"{side}_kick"] = all_of(ramp(swing[..., 0], 0.6, 2.2), mine["foot_up"], support)
        out[f"{side}_march"] = all_of(out[f"{side}_knee_up"], ramp(_length(f.vel[f"{side}_shin"]), 0.2, 0.8))
    return out


def _trunk(f: Frame, standing: jax.Array) -> dict[str, jax.Array]:
    height = f.pos["pelvis"][..., 2]
    tx, ty, tz = f.axes["torso"]
    head_x, _, head_z = f.axes["head"]
    legs = {side: _leg(f, side) for side in SIDES}
    knees_off, knees_down = (jnp.minimum(legs["left"][r], legs["right"][r]) for r in ("knee_off", "knee_down"))
    legs_ahead = jnp.minimum(*(_unit(f.pos[f"{s}_foot"] - f.pos[f"{s}_thigh"])[..., 0] for s in SIDES))
    straight = jnp.minimum(legs["left"]["leg_straight"], legs["right"]["leg_straight"])
    hands_low = jnp.minimum(*(ramp(f.pos[f"{s}_hand"][..., 2], 0.35, 0.12) for s in SIDES))
    planted = jnp.minimum(legs["left"]["planted"], legs["right"]["planted"])
    knee_height = jnp.minimum(f.pos["left_shin"][..., 2], f.pos["right_shin"][..., 2])
    head_low = ramp(f.pos["head_centre"][..., 2], 0.6, 0.3)
    seated = all_of(ramp(height, 0.34, 0.14), ramp(tz[..., 2], 0.4, 0.8))
    prone = ramp(-tx[..., 2], 0.3, 0.75)
    pitch, roll = tz[..., 0], tz[..., 1]
    not_tilted = ramp(jnp.abs(roll), 0.5, 0.3)
    out = {
        "upright": all_of(ramp(tz[..., 2], 0.8, 0.97), ramp(height, 0.7, 0.85), planted, straight),
        "bow": all_of(ramp(pitch, 0.3, 0.85), ramp(height, 0.5, 0.65), planted),
        "lean_forward": all_of(ramp(pitch, 0.12, 0.32), ramp(pitch, 0.75, 0.55), standing, not_tilted),
        "lean_back": all_of(ramp(-pitch, 0.08, 0.35), ramp(height, 0.5, 0.7), not_tilted),
        "sit": seated,
        "sit_legs_out": all_of(seated, ramp(legs_ahead, 0.6, 0.9), straight),
        "sit_knees_up": all_of(seated, knees_off, planted),
        "lie_back": all_of(ramp(tx[..., 2], 0.3, 0.85), head_low, ramp(height, 0.4, 0.2)),
        "lie_front": all_of(ramp(-tx[..., 2], 0.3, 0.85), ramp(height, 0.3, 0.16), head_low),
        "all_fours": all_of(prone, knees_down, hands_low, ramp(height, 0.22, 0.34)),
        "plank": all_of(prone, ramp(knee_height, 0.1, 0.16), hands_low, straight, ramp(height, 0.7, 0.5)),
        "look_down": all_of(ramp(-_dot(head_x, tz), 0.15, 0.5)),
        "look_up": all_of(ramp(_dot(head_x, tz), 0.12, 0.4)),
    }
    for side, sign in SIDES.items():
        out[f"lean_{side}"] = all_of(ramp(roll * sign, 0.1, 0.4), ramp(height, 0.5, 0.7))
        out[f"twist_{side}"] = all_of(
            ramp(jnp.arctan2(tx[..., 1], tx[..., 0]) * sign, 0.15, 0.5), ramp(tz[..., 2], 0.6, 0.85)
        )
        out[f"head_turn_{side}"] = ramp(_dot(head_x, ty) * sign, 0.12, 0.5)
        out[f"head_tilt_{side}"] = ramp(_dot(head_z, ty) * sign, 0.15, 0.45)
        out[f"lie_{side}"] = all_of(ramp(-ty[..., 2] * sign, 0.4, 0.85), head_low, ramp(height, 0.4, 0.2))
    return out


def _movement(f: Frame, standing: jax.Array) -> dict[str, jax.Array]:
    forward, left, up = (f.root_vel[..., i] for i in range(3))
    straight_on, not_along = ramp(jnp.abs(left), 0.7, 0.35), ramp(jnp.abs(forward), 0.7, 0.35)
    height = f.pos["pelvis"][..., 2]
    legs = jnp.stack([f.pos["left_foot"][..., 2], f.pos["right_foot"][..., 2]], axis=-1) - SOLE
    airborne = all_of(ramp(f.clearance, 0.02, 0.12), ramp(f.axes["torso"][2][..., 2], 0.3, 0.7))
    launch = all_of(ramp(up, 0.5, 1.4), ramp(height, 0.7, 0.85), ramp(f.axes["torso"][2][..., 2], 0.5, 0.8))
    jump = jnp.maximum(airborne, launch)
    low = all_of(ramp(height, 0.92, 0.82), ramp(f.clearance, 0.1, 0.04))
    out = {
        "walk_forward": all_of(ramp(forward, 0.15, 0.7), ramp(forward, 2.5, 1.7), straight_on, standing),
        "walk_backward": all_of(ramp(-forward, 0.1, 0.55), straight_on, standing),
        "run": all_of(ramp(forward, 1.2, 2.4), straight_on, standing),
        "jump": jump,
        "hop": all_of(jump, ramp(jnp.abs(legs[..., 0] - legs[..., 1]), 0.1, 0.25)),
        "spin": all_of(ramp(jnp.abs(f.yaw_rate), 1.5, 3.5), standing),
        "rise": all_of(ramp(up, 0.1, 0.5), low),
        "lower": all_of(ramp(-up, 0.1, 0.5), low),
        "still": all_of(ramp(f.speed, 0.5, 0.15), ramp(jnp.abs(f.yaw_rate), 1.0, 0.4)),
    }
    for side, sign in SIDES.items():
        out[f"sidestep_{side}"] = all_of(ramp(left * sign, 0.1, 0.5), not_along, standing)
        out[f"turn_{side}"] = all_of(ramp(f.yaw_rate * sign, 0.3, 1.2), standing)
    return out


def named_degrees(character: Character, bodies: BodyState) -> dict[str, jax.Array]:
    """Every attribute's degree in [0, 1], `[...]` each, sorted by name."""
    f = frame_of(character, bodies)
    standing = ramp(f.pos["pelvis"][..., 2], 0.5, 0.7)
    out = {**_arms(f), **_legs(f, standing), **_trunk(f, standing), **_movement(f, standing)}
    return dict(sorted(out.items()))


@functools.cache
def attribute_names(character: Character) -> tuple[str, ...]:
    """The A attributes, sorted."""

    def one(qpos: jax.Array, qvel: jax.Array) -> dict[str, jax.Array]:
        return named_degrees(character, forward_kinematics(character, qpos, qvel))

    return tuple(jax.eval_shape(one, jnp.zeros(35), jnp.zeros(34)))


def degrees(character: Character, bodies: BodyState) -> jax.Array:
    """`[..., A]` in the order of `attribute_names`."""
    return jnp.stack(list(named_degrees(character, bodies).values()), axis=-1)


def posecodes(character: Character, bodies: BodyState) -> jax.Array:
    """Which attributes hold, bool `[..., A]`."""
    return degrees(character, bodies) > 0.5


def mirror_name(name: str) -> str:
    """The attribute of the mirrored body: left and right exchanged."""
    return "_".join({"left": "right", "right": "left"}.get(word, word) for word in name.split("_"))
