"""Windows of time: what they show by hand-made motions, played backwards, and what the eyes remember of a world."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from anyskill_brax.character.kinematics import forward_kinematics
from anyskill_brax.clip.towers import POSE_FEATURES
from anyskill_brax.high_level.eyes import Eyes
from anyskill_brax.motion.io import finite_difference
from anyskill_brax.reward_model.motioncodes import MOVEMENTS, to_and_fro, window_degrees
from anyskill_brax.reward_model.posecodes import attribute_names, mirror_name
from anyskill_brax.reward_model.poses import mirror
from anyskill_brax.reward_model.windows import backwards, make_windows, random_windows, starting

N, STEP = 8, 1.0 / 6.0


@functools.cache
def _degrees(character):
    return jax.jit(lambda qpos, qvel: window_degrees(character, forward_kinematics(character, qpos, qvel)))


def path(character, move) -> tuple[np.ndarray, np.ndarray]:
    """A window `[1, N, ...]`: `move(qpos, t)` changes standing, t [s] at 30 frames a second."""
    times = np.arange((N - 1) * 5 + 1) / 30.0
    qpos = np.tile(np.asarray(character.default_qpos, np.float64), (len(times), 1))
    for pose, t in zip(qpos, times, strict=True):
        move(pose, t)
    qvel = finite_difference(qpos, 30.0)
    return qpos[None, ::5].astype(np.float32), qvel[None, ::5].astype(np.float32)


def shown(character, qpos, qvel) -> set[str]:
    held = np.asarray(_degrees(character)(qpos, qvel))[0] > 0.5
    return {name for name, holds in zip(attribute_names(character), held, strict=True) if holds}


def hinge(character, name: str) -> int:
    return 7 + character.joint_names.index(name)


def travel(axis: int, speed: float):
    def move(pose, t):
        pose[axis] += speed * t

    return move


@pytest.mark.parametrize(
    ("axis", "speed", "name"),
    [(0, 1.0, "walk_forward"), (0, -0.6, "walk_backward"), (1, 0.5, "sidestep_left"), (1, -0.5, "sidestep_right")],
)
def test_travel(character, axis, speed, name):
    ways = {"walk_forward", "walk_backward", "sidestep_left", "sidestep_right", "still"}
    window = path(character, travel(axis, speed))
    assert shown(character, *window) & ways == {name}
    other = {"walk_forward": "walk_backward", "walk_backward": "walk_forward"}.get(name) or mirror_name(name)
    assert shown(character, *backwards(*window)) & ways == {other}


def test_turning_and_standing_still(character):
    def turn(pose, t):
        pose[3:7] = [np.cos(t / 2), 0, 0, np.sin(t / 2)]

    assert shown(character, *path(character, turn)) & {"turn_left", "turn_right", "still"} == {"turn_left"}
    assert "still" in shown(character, *path(character, lambda pose, t: None))


def test_sitting_down_backwards_is_standing_up(character):
    """From standing into a squat: the body sinks; the same film backwards, it rises."""
    bent = {"left_hip_y": -1.6, "right_hip_y": -1.6, "left_knee": 1.9, "right_knee": 1.9}

    def sink(pose, t):
        part = min(t, 1.0)
        pose[2] -= 0.4 * part
        for name, angle in bent.items():
            pose[hinge(character, name)] = part * angle

    down = path(character, sink)
    assert shown(character, *down) & {"lower", "rise"} == {"lower"}
    assert shown(character, *backwards(*down)) & {"lower", "rise"} == {"rise"}


def test_a_wave_is_an_arm_up_that_goes_to_and_fro(character):
    def arm(swing: float):
        def move(pose, t):
            pose[hinge(character, "right_shoulder_x")] = -2.4 + swing * np.sin(2 * np.pi * 1.5 * t)

        return move

    held, waved = (shown(character, *path(character, arm(swing))) for swing in (0.0, 0.4))
    assert "right_arm_up" in held and "right_wave" not in held
    assert "right_wave" in waved and "left_wave" not in waved


def test_to_and_fro_by_hand():
    """Speed 2 there and 2 back: all of it; 2 all the way: nothing."""
    vel = jnp.array([[2.0, 0, 0], [-2.0, 0, 0]])
    assert to_and_fro(vel) == pytest.approx(2.0) and to_and_fro(jnp.abs(vel)) == pytest.approx(0.0)


@pytest.mark.slow
def test_the_mirrored_window_shows_the_mirrored_attributes(character):
    qpos, qvel = random_windows(character, N, 40, seed=3)
    flat = mirror(character, qpos.reshape(-1, 35), qvel.reshape(-1, 34))
    ours = np.asarray(_degrees(character)(qpos, qvel))
    theirs = np.asarray(_degrees(character)(flat[0].reshape(qpos.shape), flat[1].reshape(qvel.shape)))
    names = attribute_names(character)
    swapped = [names.index(mirror_name(name)) for name in names]
    np.testing.assert_allclose(theirs[:, swapped], ours, atol=2e-3)
    assert set(MOVEMENTS) <= set(names)


def test_random_windows_move_as_their_velocities_say(character):
    qpos, qvel = random_windows(character, N, 60, seed=1)
    assert np.isfinite(qpos).all() and np.isfinite(qvel).all() and qpos[..., 2].min() > 0.0
    way = np.diff(qpos[..., 0], axis=1)
    mean = 0.5 * (qvel[:, 1:, 0] + qvel[:, :-1, 0]) * STEP
    assert np.corrcoef(way.ravel(), mean.ravel())[0, 1] > 0.98


def test_a_window_at_a_start_repeats_its_first_frame():
    qpos = np.arange(N, dtype=np.float32)[None, :, None] * np.ones((50, 1, 35), np.float32)
    filled, _ = starting(qpos, qpos[..., :34], 1.0, np.random.default_rng(0))
    first = filled[:, 0, 0]
    assert (first >= 1).all()
    np.testing.assert_array_equal(filled[:, :, 0], np.maximum(np.arange(N), first[:, None]))


@pytest.mark.slow
def test_windows_come_with_their_reversal_and_held_still(character):
    data = make_windows(character, POSE_FEATURES["positions"], [], N, 0, 30, 0.0, seed=2)
    assert data.features.shape[:2] == (90, N) and data.number == 30
    forwards, backwards, held = np.split(data.features[..., 0], 3)
    np.testing.assert_allclose(backwards, forwards[:, ::-1], atol=1e-6)
    np.testing.assert_allclose(held, np.repeat(forwards[:, -1:], N, axis=1), atol=1e-6)
    names = attribute_names(character)
    moving = [names.index(name) for name in MOVEMENTS if name != "still"]
    assert data.degrees[60:, moving].max() < 0.5 <= data.degrees[:60, moving].max()
    assert data.degrees[60:, names.index("still")].min() > 0.9


class Recorder:
    """Remembers the pelvis height of three latent steps, and answers with their mean, as an angle."""

    name, dim, sha256, needs_images, image_size, window = "recorder", 2, "", False, 0, 3

    def embed_poses(self, bodies):
        return self.embed_window(jnp.stack([self.state_features(bodies)] * 3, axis=-2))

    def state_features(self, bodies):
        return bodies.pos[..., 0, 2:]

    def embed_window(self, features):
        angle = features.mean(axis=(-2, -1))
        return jnp.stack([jnp.cos(angle), jnp.sin(angle)], axis=-1)


@pytest.mark.parametrize("axis", ["map", "vmap"])
def test_eyes_remember_and_forget(character, axis):
    """Heights 1, 2, 3 and a new episode at 7: means 1, 4/3, 2 and 7; a whole film is seen as it was step by step."""
    still = forward_kinematics(character, jnp.asarray(character.default_qpos), jnp.zeros(34))

    def bodies(heights):
        lifted = jax.tree.map(lambda x: jnp.broadcast_to(x, (1, 2, *x.shape)), still)
        return lifted.replace(pos=lifted.pos.at[..., 0, 2].set(jnp.asarray(heights, jnp.float32)))

    eyes = Eyes.create(Recorder(), (), axis)  # pyright: ignore[reportArgumentType]
    memory = eyes.blank(bodies([0, 0]))
    assert memory.instants is None and memory.window is not None
    assert memory.window.features.shape == (1, 2, 3, 1)
    angles = []
    for heights, fresh in (([1, 1], [1, 1]), ([2, 2], [0, 0]), ([3, 3], [0, 0]), ([7, 7], [1, 0])):
        memory, seen = eyes.see(memory, bodies(heights), jnp.array([fresh], bool))
        angles.append(np.arctan2(seen[0, :, 1], seen[0, :, 0]) % (2 * np.pi))
    first, second = np.array(angles).T
    np.testing.assert_allclose(first, np.array([1, 4 / 3, 2, 7]) % (2 * np.pi), rtol=1e-5)
    np.testing.assert_allclose(second, np.array([1, 4 / 3, 2, 4]) % (2 * np.pi), rtol=1e-5)
    film = jax.tree.map(lambda *x: jnp.concatenate(x), *(bodies([h, h]) for h in (1, 2, 3, 7)))
    watched = eyes.watch(film)
    np.testing.assert_allclose(np.arctan2(watched[..., 1], watched[..., 0])[:, 1] % (2 * np.pi), second, rtol=1e-5)
