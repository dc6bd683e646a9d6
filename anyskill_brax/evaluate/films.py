"""Films of four seconds: clips, policies' rollouts and held poses in one form, and how encoders score them."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from anyskill_brax.character.humanoid import CONTROL_DT, LATENT_STEPS, Character
from anyskill_brax.character.kinematics import forward_kinematics
from anyskill_brax.clip.reward import RewardModel
from anyskill_brax.envs.humanoid_env import HumanoidEnv
from anyskill_brax.evaluate.rollouts import FALL_HEIGHT, rollout_policy, untrained_policies
from anyskill_brax.evaluate.skills import Candidate
from anyskill_brax.high_level.eyes import Eyes, Render
from anyskill_brax.motion.io import Motion, finite_difference
from anyskill_brax.types import PRNGKey

Films = dict[str, np.ndarray]
"""Name -> `qpos [STEPS * LATENT_STEPS, 35]` at `FPS`."""
FPS = 1.0 / CONTROL_DT
LATENT_HZ = FPS / LATENT_STEPS
STEPS = 24
"""Latent steps of a film, 4 s."""


def still(qpos: np.ndarray, seconds: float = 2.0) -> np.ndarray:
    """A pose held: `[35] -> [F, 35]`."""
    return np.repeat(qpos[None], round(seconds * FPS), axis=0)


def films_of_motions(motions: Sequence[Motion]) -> Films:
    """A longer clip is cut in pieces, a shorter one ends standing in its last pose."""
    length, out = STEPS * LATENT_STEPS, {}
    for motion in motions:
        for piece in range(max(1, round(motion.num_frames / length))):
            rows = np.minimum(piece * length + np.arange(length), motion.num_frames - 1)
            out[f"{motion.name}.{piece}" if piece else motion.name] = motion.qpos[rows]
    return out


def films_of_skills(character: Character, candidates: Sequence[Candidate], episodes: int, key: PRNGKey) -> Films:
    """Rollouts from perturbed standing starts: where physics lets policies go that a reward has led.

    For each controller and shape of network, as many of untrained policies. All controllers have windows of one size.
    """
    env = HumanoidEnv(character, num_frames=candidates[0].low_level.style.num_frames, fall_height=FALL_HEIGHT)
    out: Films = {}
    seen: set[tuple[int, tuple[int, ...]]] = set()
    for number, candidate in enumerate(candidates):
        low_level, shape = candidate.low_level, (id(candidate.low_level), candidate.widths)
        key_own, key_fresh, key_start = jax.random.split(jax.random.fold_in(key, number), 3)
        name = f"{candidate.name}: {candidate.instruction}"  # a multi-skill policy has one for each instruction
        played = {name: rollout_policy(env, low_level, candidate.policy, key_own, episodes, STEPS)}
        if shape not in seen:
            seen.add(shape)
            fresh = untrained_policies(key_fresh, low_level, candidate.widths, episodes)
            played[f"untrained {len(seen)}"] = rollout_policy(
                env, low_level, fresh, key_start, episodes, STEPS, one_each=True
            )
        for name, rollouts in played.items():
            qpos = np.asarray(rollouts.qpos)
            out |= {f"{name}, episode {episode}": qpos[:, episode] for episode in range(episodes)}
    return out


def film_scores(
    character: Character, model: RewardModel, views: Sequence[Render], films: Sequence[np.ndarray], goals: np.ndarray
) -> np.ndarray:
    """Scores `[items, texts]` of films under `goals [K, D]`: the mean over the best third of the steps."""
    eyes = Eyes.create(model, views, "vmap")

    @jax.jit
    def watch(eyes: Eyes, qpos: jax.Array, qvel: jax.Array) -> jax.Array:
        return eyes.watch(forward_kinematics(character, qpos[:, None], qvel[:, None]))[:, 0]

    out = []
    for film in films:
        rows = np.minimum(np.arange(STEPS) * LATENT_STEPS + LATENT_STEPS - 1, len(film) - 1)
        qvel = finite_difference(film, FPS)[rows]
        seen = np.asarray(watch(eyes, jnp.asarray(film[rows], jnp.float32), jnp.asarray(qvel, jnp.float32)))
        out.append(np.sort(seen @ goals.T, axis=0)[-(STEPS // 3) :].mean(axis=0))
    return np.stack(out)
