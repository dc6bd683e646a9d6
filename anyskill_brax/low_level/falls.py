"""Where a recovery begins."""

import jax
import jax.numpy as jnp

from anyskill_brax.envs.humanoid_env import HumanoidEnv, HumanoidState
from anyskill_brax.types import PRNGKey


def drop_fall_states(key: PRNGKey, env: HumanoidEnv, num_states: int, settle_steps: int = 75) -> HumanoidState:
    """Characters dropped limp from random heights and orientations and left to settle for 2.5 s (ASE, section 6.2)."""
    key_rot, key_height, key_joints = jax.random.split(key, 3)
    character = env.character
    quat = jax.random.normal(key_rot, (num_states, 4))
    height = jax.random.uniform(key_height, (num_states, 1), minval=0.3, maxval=1.0)
    part = jax.random.uniform(key_joints, (num_states, character.action_dim), minval=0.25, maxval=0.75)
    joints = jnp.asarray(character.joint_low) * (1 - part) + jnp.asarray(character.joint_high) * part
    xy = jnp.zeros((num_states, 2))
    qpos = jnp.concatenate([xy, height, quat / jnp.linalg.norm(quat, axis=-1, keepdims=True), joints], axis=-1)
    state = env.place(qpos, jnp.zeros((num_states, 34)))
    hold = jnp.clip(jnp.asarray(character.action_for(joints)), -1, 1)
    state = jax.lax.fori_loop(0, settle_steps, lambda _, s: env.advance(s, hold), state)
    broken, standing = env.is_broken(state), env.place_default((num_states,))
    return jax.tree.map(lambda x, y: jnp.where(broken.reshape(-1, *(1,) * (x.ndim - 1)), x, y), standing, state)
