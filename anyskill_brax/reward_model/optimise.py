"""Poses found by climbing a reward: what a controller would be led to, were it able to do anything.

The free variables are the hinges, pitch and roll; whatever is lowest stays on the floor; nothing moves.
"""

from collections.abc import Callable
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
import optax

from anyskill_brax import rotations
from anyskill_brax.character.humanoid import Character
from anyskill_brax.character.kinematics import BodyState, forward_kinematics, lowest_points
from anyskill_brax.reward_model.poses import in_chunks

Embed = Callable[[BodyState], jax.Array]
Grade = Callable[[jax.Array, jax.Array], jax.Array]
"""`grade(free [K, P, J + 2], goals [K, D]) -> [K, P]`, how well the poses suit the goals."""


def standing(character: Character, count: int) -> jax.Array:
    """`count` times the free variables of standing, `[count, J + 2]` [rad]."""
    hinges = jnp.clip(0.0, jnp.asarray(character.joint_low), jnp.asarray(character.joint_high))
    return jnp.tile(jnp.concatenate([hinges, jnp.zeros(2)]), (count, 1))


def grounded_pose(character: Character, free: jax.Array) -> jax.Array:
    """Free variables `[..., J + 2]`, hinges then pitch and roll [rad] -> `qpos [..., 35]`, resting on the floor."""
    hinges = jnp.clip(free[..., :-2], jnp.asarray(character.joint_low), jnp.asarray(character.joint_high))
    axes = jnp.eye(3)
    root = rotations.quat_mul(
        rotations.from_axis_angle(axes[1], free[..., -2]), rotations.from_axis_angle(axes[0], free[..., -1])
    )
    qpos = jnp.concatenate([jnp.zeros((*free.shape[:-1], 3)), root, hinges], axis=-1)
    lowest = lowest_points(character, forward_kinematics(character, qpos, jnp.zeros((*free.shape[:-1], 34))))
    return qpos.at[..., 2].add(-lowest.min(axis=-1))


def climb(
    character: Character,
    embed: Embed,
    goals: jax.Array,
    start: jax.Array,
    updates: int,
    learning_rate: float,
    stiffness: float,
) -> jax.Array:
    """Gradient ascent on cosine - stiffness |free|^2, `goals [K, D]` from `start [K, J + 2]`: `qpos [K, 35]`.

    `stiffness` is the only prior, so limbs that the text leaves open may do odd things: the controller's prior holds
    them in a real run.
    """

    def cost(free: jax.Array) -> jax.Array:
        bodies = forward_kinematics(character, grounded_pose(character, free), jnp.zeros((len(free), 34)))
        return -jnp.sum(embed(bodies) * goals) + stiffness * jnp.sum(free**2)

    optimiser = optax.adam(learning_rate)

    @jax.jit
    def solve(free: jax.Array) -> jax.Array:
        def body(_, carry):
            free, moments = carry
            step, moments = optimiser.update(jax.grad(cost)(free), moments)
            return optax.apply_updates(free, step), moments

        free, _ = jax.lax.fori_loop(0, updates, body, (free, optimiser.init(free)))
        return grounded_pose(character, free)

    return solve(start)


@dataclass(frozen=True)
class SearchSettings:
    """A cross-entropy search per text, which needs no gradient and so works through pictures."""

    population: int
    elites: int
    rounds: int
    spread: float  # of the first population, in parts of each hinge's range
    stiffness: float  # of the prior |free|^2, as in `climb`


def search(
    character: Character,
    grade: Grade,
    goals: np.ndarray,
    settings: SearchSettings,
    key: jax.Array,
) -> tuple[np.ndarray, np.ndarray]:
    """Where `grade` is best, from standing; it is asked once a round.

    Returns the free variables found `[K, J + 2]`, and all that were tried on the way `[K, rounds, P, J + 2]`.
    """
    count = len(goals)
    reach = np.concatenate([character.joint_high - character.joint_low, [1.0, 0.5]])
    mean, spread = np.asarray(standing(character, count)), np.tile(settings.spread * reach, (count, 1))
    start, tried = mean, []
    for number in range(settings.rounds):
        noise = jax.random.normal(jax.random.fold_in(key, number), (count, settings.population, mean.shape[1]))
        free = mean[:, None] + spread[:, None] * np.asarray(noise)
        free[:, 0] = mean  # what is best so far is graded again
        value = np.asarray(grade(jnp.asarray(free, jnp.float32), jnp.asarray(goals)))
        value = value - settings.stiffness * ((free - start[:, None]) ** 2).sum(axis=-1)
        best = np.argsort(-value, axis=1)[:, : settings.elites]
        chosen = np.take_along_axis(free, best[..., None], axis=1)
        mean, spread = chosen.mean(axis=1), 0.5 * spread + 0.5 * np.maximum(chosen.std(axis=1), 0.01)
        tried.append(free.astype(np.float32))
    return mean.astype(np.float32), np.stack(tried, axis=1)


def asked_poses(
    character: Character,
    embed: Embed,
    goals: np.ndarray,
    settings: SearchSettings,
    tries: int,
    key: jax.Array,
    remembered: Callable[[Grade], Grade] = lambda grade: grade,
) -> np.ndarray:
    """What a search for `goals [K, D]` tries on its way, `tries` of each: `qpos [K * tries, 35]`, at rest.

    `remembered` may stand between the search and its grades, to keep them or to know them already.
    """

    @jax.jit
    def grade(free: jax.Array, goals: jax.Array) -> jax.Array:
        qpos = grounded_pose(character, free)
        bodies = forward_kinematics(character, qpos, jnp.zeros((*qpos.shape[:-1], 34)))
        return jnp.sum(embed(bodies) * goals[:, None], axis=-1)

    key_search, key_keep = jax.random.split(key)
    _, tried = search(character, remembered(grade), goals, settings, key_search)
    tried = tried.reshape(len(goals), -1, tried.shape[-1])
    rng = np.random.default_rng(np.asarray(jax.random.bits(key_keep, (2,))))
    rows = np.stack([rng.permutation(tried.shape[1])[:tries] for _ in goals])
    free = np.take_along_axis(tried, rows[..., None], axis=1).reshape(-1, tried.shape[-1])
    return in_chunks(jax.jit(lambda free: grounded_pose(character, free)), free)


def scattered(character: Character, qpos: np.ndarray, key: jax.Array) -> jax.Array:
    """Free variables to begin from: hinges of `qpos [K, 35]`, random pitch and roll; every other one stands."""
    turned = 0.3 * jax.random.normal(key, (len(qpos), 2))
    free = jnp.concatenate([jnp.asarray(qpos[:, 7:]), turned], axis=-1)
    return jnp.where(jnp.arange(len(qpos))[:, None] % 2 == 0, standing(character, len(qpos)), free)
