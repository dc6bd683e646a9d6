"""The search that found the keyframes of `anyskill_brax/low_level/routines.py`; results in getting-up.md.

    python docs/experiments/rising_search.py back --generations 100 --seconds 3.5
    python docs/experiments/rising_search.py front --generations 60 --seconds 3.0

A cross-entropy search: candidates are six keyframes, alike on both sides, and how long each takes. Graded by the head's
height with an upright trunk and by the feet being under the body, in the last two thirds of a second and, half as much,
in the second half. It begins from a guess at each routine; the last keyframe is standing.
"""

import argparse
import time

import jax
import jax.numpy as jnp
import numpy as np

from anyskill_brax.character.humanoid import CONTROL_DT, load_character
from anyskill_brax.character.kinematics import BodyState
from anyskill_brax.envs.humanoid_env import HumanoidEnv, HumanoidState
from anyskill_brax.low_level.falls import drop_fall_states
from anyskill_brax.low_level.routines import HINGES, both_sides, chest_up

POPULATION, ELITES, ONE_START = 128, 16, 40  # generations in which all candidates begin from one fall
GUESSES = {
    "back": (
        dict(abdomen_y=40, neck_y=40, shoulder_y=40, shoulder_x=20, elbow=-30, hip_y=-120, knee=150, ankle_y=-30),
        dict(abdomen_y=60, neck_y=40, shoulder_y=-60, elbow=-10, hip_y=-120, knee=150, ankle_y=-45),
        dict(abdomen_y=60, neck_y=10, shoulder_y=-90, hip_y=-130, knee=150, ankle_y=-45),
        dict(abdomen_y=40, shoulder_y=-90, hip_y=-110, knee=120, ankle_y=-40),
        dict(abdomen_y=20, shoulder_y=-50, hip_y=-60, knee=70, ankle_y=-25),
        dict(),
    ),
    "front": (
        dict(shoulder_y=-40, shoulder_x=40, elbow=-120, hip_y=-20, knee=30, neck_y=-30),
        dict(shoulder_y=-80, shoulder_x=20, elbow=-30, hip_y=-60, knee=60, ankle_y=-30, neck_y=-30),
        dict(shoulder_y=-90, hip_y=-130, knee=130, ankle_y=-45, abdomen_y=40),
        dict(shoulder_y=-60, hip_y=-130, knee=140, ankle_y=-45, abdomen_y=50),
        dict(abdomen_y=20, shoulder_y=-30, hip_y=-60, knee=70, ankle_y=-25),
        dict(),
    ),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("routine", choices=GUESSES)
    parser.add_argument("--generations", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=3.5)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    rng, search = np.random.default_rng(options.seed), Search(options.seconds)
    starts = search.stretched_out(options.routine)
    mean, spread = first_guess(search, options.routine)
    began = time.monotonic()
    for number in range(options.generations):
        candidates = mean + spread * rng.standard_normal((POPULATION, mean.size))
        candidates[0] = mean
        rows = rng.choice(starts.physics.qpos.shape[0], POPULATION) if number > ONE_START else np.zeros(POPULATION, int)
        score, head = search.grade(candidates, jax.tree.map(lambda x: x[rows], starts))  # noqa: B023
        best = candidates[np.argsort(-score)[:ELITES]]
        mean, spread = best.mean(axis=0), 0.7 * spread + 0.3 * np.maximum(best.std(axis=0), 0.03)
        if number % 10 == 9:
            line = f"best {score.max():.3f}, the mean's {score[0]:.3f}, up in the end {np.mean(head > 0.9):.2f}"
            print(f"{number + 1:4d}  {time.monotonic() - began:4.0f} s  {line}", flush=True)
    frames, seconds = search.split(mean[None])
    print("seconds", np.round(seconds[0], 2).tolist())
    print("degrees", np.degrees(frames[0]).round().astype(int).tolist())


def first_guess(search: "Search", routine: str) -> tuple[np.ndarray, np.ndarray]:
    """Mean and spread of the first generation: keyframes [rad], then logarithms of durations."""
    guess = np.radians([[frame.get(hinge, 0.0) for hinge in HINGES] for frame in GUESSES[routine]])
    mean = np.concatenate([guess.reshape(-1), np.full(len(guess), np.log(0.5))])
    return mean, np.concatenate([np.tile(0.175 * (search.high - search.low), len(guess)), np.full(len(guess), 0.3)])


class Search:
    """The character, and how a candidate fares."""

    def __init__(self, seconds: float):
        self.character = load_character()
        self.env = HumanoidEnv(self.character, num_frames=1)
        self.steps = round(seconds / CONTROL_DT)
        row = [name.removeprefix("left_") for name in self.character.joint_names]
        columns = [row.index(hinge) for hinge in HINGES]
        self.low, self.high = self.character.joint_low[columns], self.character.joint_high[columns]
        self._play = jax.jit(self._played)

    def stretched_out(self, routine: str) -> HumanoidState:
        """Falls after 1.5 s of stretching out, that lie on the wanted side."""
        falls = drop_fall_states(jax.random.PRNGKey(1), self.env, 256)
        lying, _ = self._play(falls, jnp.zeros((45, 256, self.character.action_dim)))
        up = np.asarray(chest_up(lying.bodies))
        rows = np.flatnonzero(up > 0.7 if routine == "back" else up < -0.7)
        return jax.tree.map(lambda x: x[rows], lying)

    def split(self, candidates: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Keyframes `[P, 6, 11]` [rad], the last one standing, and durations `[P, 6]` [s]."""
        count = candidates.shape[1] // (len(HINGES) + 1)
        frames = candidates[:, :-count].reshape(len(candidates), count, len(HINGES)).clip(self.low, self.high)
        frames[:, -1] = 0.0
        return frames, np.exp(np.clip(candidates[:, -count:], np.log(0.15), 0.0))

    def grade(self, candidates: np.ndarray, starts: HumanoidState) -> tuple[np.ndarray, np.ndarray]:
        """Scores `[P]` and the heads' heights in the end, in parts of that in standing."""
        frames, seconds = self.split(candidates)
        clock = CONTROL_DT * (1 + np.arange(self.steps))
        targets = np.empty((self.steps, *frames.shape[::2]), np.float32)
        for i, (keys, lasts) in enumerate(zip(frames, seconds, strict=True)):
            times = np.concatenate([[0.0], np.cumsum(lasts)])
            keys = np.concatenate([np.zeros((1, len(HINGES))), keys])
            targets[:, i] = np.stack([np.interp(clock, times, column) for column in keys.T], axis=-1)
        _, bodies = self._play(starts, jnp.asarray(both_sides(self.character, targets)))
        worth, head = map(np.asarray, self._worth(bodies))
        score = worth[-20:].mean(axis=0) + 0.5 * worth[self.steps // 2 :].mean(axis=0)
        late = np.maximum(seconds.sum(axis=1) - self.steps * CONTROL_DT + 0.4, 0.0)
        return np.nan_to_num(score) - 0.01 * late, head[-1]

    def _played(self, state: HumanoidState, targets: jax.Array) -> tuple[HumanoidState, BodyState]:
        def control_step(state: HumanoidState, target: jax.Array):
            state = self.env.advance(state, self.character.action_for(target))
            return state, state.bodies

        return jax.lax.scan(control_step, state, targets)

    def _worth(self, bodies: BodyState) -> tuple[jax.Array, jax.Array]:
        """Of every moment `[T, P]`; and the head's height."""
        part, torso = self.character.body, self.character.body("torso")
        head = jnp.clip(bodies.pos[..., part("head"), 2] / self.character.standing_head, 0.0, 1.02)
        upright = 1.0 - jnp.sum(bodies.rot[..., torso, 1:3] ** 2, axis=-1)  # (1 + cosine to the vertical) / 2
        feet = bodies.pos[..., self.character.feet, :].mean(axis=-2)
        trunk = 0.5 * (bodies.pos[..., part("pelvis"), :2] + bodies.pos[..., torso, :2])
        aside = jnp.sum((trunk - feet[..., :2]) ** 2, axis=-1)
        under = jnp.exp(-aside / 0.25**2 - jnp.clip(feet[..., 2] - 0.1, 0.0, 1.0) / 0.2)
        return upright * (head**2 + 0.6 * under * (0.3 + 0.7 * head)), head


if __name__ == "__main__":
    main()
