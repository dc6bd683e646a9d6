"""What can be measured about a clip without an opinion: sliding feet, penetration, limits, speed, balance."""

import numpy as np

from anyskill_brax.character.humanoid import Character
from anyskill_brax.motion.io import Motion, motion_bodies

STANDING_HEIGHT = 0.01
"""A sole corner this close to the floor at two successive frames is standing on it [m]."""


def _geom_points(character: Character, motion: Motion) -> np.ndarray:
    """World positions of the points that every geom is swept from `[F, G, P, 3]` [m]."""
    bodies, _ = motion_bodies(character, motion.qpos, motion.qvel)
    pos, rot = (np.asarray(a)[:, character.geom_body, None] for a in (bodies.pos, bodies.rot))
    turn = 2 * np.cross(rot[..., 1:], character.geom_points)
    return pos + character.geom_points + rot[..., :1] * turn + np.cross(rot[..., 1:], turn)


def foot_slide(character: Character, motion: Motion) -> float:
    """p90 over standing feet of their fastest standing corner's speed along the floor [m/s]; 0 if none ever stands."""
    soles = [int(np.flatnonzero(character.geom_body == foot)[0]) for foot in character.feet]
    corners = _geom_points(character, motion)[:, soles]
    speed = np.linalg.norm(np.diff(corners[..., :2], axis=0), axis=-1) * motion.fps
    standing = np.maximum(corners[1:, ..., 2], corners[:-1, ..., 2]) < STANDING_HEIGHT
    fastest = np.where(standing, speed, -1.0).max(axis=-1)
    planted = fastest[fastest >= 0]
    return float(np.percentile(planted, 90)) if planted.size else 0.0


def quality(character: Character, motion: Motion) -> dict[str, float]:
    """The report of one clip, by name; metres, seconds and radians."""
    hinges = motion.qpos[:, 7:]
    low = _geom_points(character, motion)[..., 2].min(axis=-1) - character.geom_radius
    return {
        "seconds": round(motion.duration, 3),
        "foot_slide_mps": round(foot_slide(character, motion), 4),
        "penetration_m": round(float(max(0.0, -low.min())), 4),
        "limit_violation_rad": round(
            float(np.maximum(character.joint_low - hinges, hinges - character.joint_high).max().clip(0)), 4
        ),
        "max_hinge_speed": round(float(np.abs(motion.qvel[:, 6:]).max()), 2),
        "airborne": round(float((low.min(axis=1) > 0.01).mean()), 3),
    }
