"""What a window of time shows: the attributes of `posecodes.py`, measured over N frames 1/6 s apart.

A held attribute counts by its mean over the window's later half, so that it pays soon after it is reached. A movement
counts by what the window as a whole does: which way it travels and turns, how far the body and the hands rise, how much
of a hand's path is to and fro. So a hand that is up is not a wave, and sitting down is not standing up.
Speeds [m/s], heights [m], rates [rad/s]; windows `[..., N, B, ...]`.
"""

import jax
import jax.numpy as jnp

from anyskill_brax.character.humanoid import Character
from anyskill_brax.character.kinematics import BodyState
from anyskill_brax.reward_model.posecodes import SIDES, Frame, all_of, frame_of, named_degrees, ramp

STRIKES = ("jump", "hop", "left_kick", "right_kick", "left_punch", "right_punch", "left_march", "right_march")
"""Over in an instant: the best frame counts."""


def _later(x: jax.Array) -> jax.Array:
    """Mean over the later half of the window's axis, the last."""
    return x[..., x.shape[-1] // 2 :].mean(axis=-1)


def _rise(x: jax.Array) -> jax.Array:
    """How much higher the window ends than it begins, two frames each."""
    return x[..., -2:].mean(axis=-1) - x[..., :2].mean(axis=-1)


def to_and_fro(vel: jax.Array) -> jax.Array:
    """Mean speed less the speed of the net displacement, `[..., N, 3] -> [...]`: 0 for a hand that goes one way."""
    return jnp.linalg.norm(vel, axis=-1).mean(axis=-1) - jnp.linalg.norm(vel.mean(axis=-2), axis=-1)


def _travel(f: Frame, standing: jax.Array) -> dict[str, jax.Array]:
    forward, left = (f.root_vel[..., i].mean(axis=-1) for i in range(2))
    turning = f.yaw_rate.mean(axis=-1)
    straight_on, not_along = ramp(jnp.abs(left), 0.7, 0.35), ramp(jnp.abs(forward), 0.7, 0.35)
    out = {
        "walk_forward": all_of(ramp(forward, 0.12, 0.5), ramp(forward, 2.5, 1.7), straight_on, standing),
        "walk_backward": all_of(ramp(-forward, 0.1, 0.4), straight_on, standing),
        "run": all_of(ramp(forward, 1.1, 2.1), straight_on, standing),
        "spin": all_of(ramp(jnp.abs(turning), 1.2, 2.6), standing),
        "still": all_of(ramp(f.speed.mean(axis=-1), 0.5, 0.15), ramp(jnp.abs(f.yaw_rate).mean(axis=-1), 1.0, 0.4)),
    }
    for side, sign in SIDES.items():
        out[f"sidestep_{side}"] = all_of(ramp(left * sign, 0.1, 0.35), not_along, standing)
        out[f"turn_{side}"] = all_of(ramp(turning * sign, 0.2, 0.8), standing)
    return out


def _rising(f: Frame) -> dict[str, jax.Array]:
    pelvis, grounded = f.pos["pelvis"][..., 2], ramp(f.clearance.max(axis=-1), 0.15, 0.06)
    up, low = _rise(pelvis), ramp(pelvis.min(axis=-1), 0.85, 0.72)
    left, right = (f.pos[f"{side}_hand"][..., 2] - f.pos[f"{side}_upper_arm"][..., 2] for side in SIDES)
    hands = 0.5 * (left + right)
    return {
        "rise": all_of(ramp(up, 0.05, 0.25), low, grounded),
        "lower": all_of(ramp(-up, 0.05, 0.25), low, grounded),
        "raising_arms": ramp(_rise(hands), 0.12, 0.5),
        "lowering_arms": ramp(-_rise(hands), 0.12, 0.5),
    }


def _hands(f: Frame) -> dict[str, jax.Array]:
    left, right = f.pos["left_hand"], f.pos["right_hand"]
    apart = jnp.linalg.norm(left - right, axis=-1)
    ahead = (0.5 * (left + right)[..., 0]).mean(axis=-1)
    clap = to_and_fro(f.vel["left_hand"] - f.vel["right_hand"])
    out = {"clapping": all_of(ramp(apart.min(axis=-1), 0.5, 0.25), ramp(clap, 0.3, 1.0), ramp(ahead, 0.0, 0.12))}
    for side, other in (("left", "right"), ("right", "left")):
        height, low = (f.pos[f"{s}_hand"][..., 2] - f.pos[f"{s}_upper_arm"][..., 2] for s in (side, other))
        out[f"{side}_wave"] = all_of(
            ramp(height.mean(axis=-1), -0.08, 0.12),
            ramp(low.mean(axis=-1), 0.1, -0.15),
            ramp(to_and_fro(f.vel[f"{side}_hand"]), 0.15, 0.6),
        )
    return out


def named_window_degrees(character: Character, bodies: BodyState) -> dict[str, jax.Array]:
    """Every attribute of a window of bodies `[..., N, B, ...]`, `[...]` each in [0, 1], sorted by name."""
    held = named_degrees(character, bodies)
    f = frame_of(character, bodies)
    standing = ramp(f.pos["pelvis"][..., 2].mean(axis=-1), 0.5, 0.7)
    moving = {**_travel(f, standing), **_rising(f), **_hands(f), **{n: held[n].max(axis=-1) for n in STRIKES}}
    return {name: moving.get(name, _later(degree)) for name, degree in held.items()}


MOVEMENTS = (
    "walk_forward",
    "walk_backward",
    "run",
    "spin",
    "still",
    "sidestep_left",
    "sidestep_right",
    "turn_left",
    "turn_right",
    "rise",
    "lower",
    "raising_arms",
    "lowering_arms",
    "clapping",
    "left_wave",
    "right_wave",
    *STRIKES,
)
"""Attributes that a window measures otherwise than an instant."""


def window_degrees(character: Character, bodies: BodyState) -> jax.Array:
    """`[..., A]` in the order of `posecodes.attribute_names`."""
    return jnp.stack(list(named_window_degrees(character, bodies).values()), axis=-1)
