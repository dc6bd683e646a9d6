"""Rolling policies out to be graded: perturbed standing starts, no resets, and the policies that are the baseline."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from anyskill_brax.character.humanoid import LATENT_STEPS
from anyskill_brax.character.kinematics import BodyState
from anyskill_brax.envs import observations
from anyskill_brax.envs.humanoid_env import HumanoidEnv, HumanoidState
from anyskill_brax.networks import LatentHead
from anyskill_brax.policies import HeldLatent, HighLevelPolicy, LowLevelController
from anyskill_brax.types import LatentPolicy, PRNGKey

FALL_HEIGHT = 0.5
"""[m] of the head: whoever crouches or kneels is above it, whoever rests on hands and knees is not."""


@struct.dataclass
class Episodes:
    """T latent steps of E episodes."""

    qpos: jax.Array  # [T * 5, E, 35] every control step, for films
    bodies: BodyState  # [T, E, B, ...] after every latent step
    latents: jax.Array  # [T, E, L]
    fallen: jax.Array  # [T, E] bool, fallen at or before this step


@functools.partial(jax.jit, static_argnames=("env", "episodes", "latent_steps", "one_each"))
def _rollout(
    env: HumanoidEnv,
    low_level: LowLevelController,
    policy: Any,
    key: PRNGKey,
    episodes: int,
    latent_steps: int,
    one_each: bool,
) -> Episodes:
    key_start, key_policy = jax.random.split(key)
    world = env.standing(key_start, (episodes,))
    axis = 0 if one_each else None
    keys = jax.random.split(key_policy, episodes)
    memory = jax.vmap(lambda p, k: p.init(k), in_axes=(axis, 0))(policy, keys)
    act = jax.vmap(lambda p, m, o: p.act(m, o), in_axes=(axis, 0, 0))

    def latent_step(carry, _):
        world, memory, fallen = carry
        latent, memory = act(policy, memory, observations.observe(world.bodies))

        def control_step(world: HumanoidState, _):
            action = low_level.act(observations.observe(world.bodies), latent)
            after = env.advance(world, action)
            broken = env.is_broken(after)
            after = jax.tree.map(
                lambda new, old: jnp.where(broken.reshape(-1, *(1,) * (new.ndim - 1)), old, new), after, world
            )
            return after, (after.physics.qpos, broken)

        world, (qpos, broken) = jax.lax.scan(control_step, world, None, LATENT_STEPS)
        fallen = fallen | env.has_fallen(world.bodies) | broken.any(axis=0)
        return (world, memory, fallen), (qpos, world.bodies, latent, fallen)

    start = (world, memory, jnp.zeros(episodes, bool))
    _, (qpos, bodies, latents, fallen) = jax.lax.scan(latent_step, start, None, latent_steps)
    return Episodes(qpos=qpos.reshape(-1, *qpos.shape[2:]), bodies=bodies, latents=latents, fallen=fallen)


def rollout_policy(
    env: HumanoidEnv,
    low_level: LowLevelController,
    policy: LatentPolicy,
    key: PRNGKey,
    episodes: int = 16,
    latent_steps: int = 36,
    one_each: bool = False,
) -> Episodes:
    """E episodes of T latent steps (6 Hz) without resets. `one_each`: `policy`'s leaves have a leading axis E."""
    return _rollout(env, low_level, policy, key, episodes, latent_steps, one_each)


def untrained_policies(
    key: PRNGKey, low_level: LowLevelController, widths: tuple[int, ...], episodes: int
) -> HighLevelPolicy:
    """`episodes` high-level policies as they are before training, stacked on a leading axis."""
    head = LatentHead(low_level.latent_dim, widths)
    obs = jnp.zeros((1, low_level.obs_dim))
    params = jax.vmap(lambda k: head.init(k, obs, jnp.zeros((1, 0))))(jax.random.split(key, episodes))
    normalizer = jax.tree.map(lambda x: jnp.broadcast_to(x, (episodes, *x.shape)), low_level.normalizer)
    return HighLevelPolicy(params=params, normalizer=normalizer, latent_dim=low_level.latent_dim, widths=widths)


def survival(
    env: HumanoidEnv, low_level: LowLevelController, latents: jax.Array, key: PRNGKey, seconds: float = 10.0
) -> tuple[float, float]:
    """Each of `latents [N, L]` held from a standing start: the share still up at the end, and the mean time up [s]."""
    steps = max(1, round(seconds * 6))
    episodes = rollout_policy(env, low_level, HeldLatent(latents), key, latents.shape[0], steps, one_each=True)
    fallen = np.asarray(episodes.fallen)
    return float(1.0 - fallen[-1].mean()), float((~fallen).sum(axis=0).mean() / 6.0)
