"""Rolling worlds out under teachers or the student; every latent step is labelled by the teacher whose world it is.

Worlds are `[K, E]`: E for each of K teachers. The student is told its world's instruction and nothing else.
"""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from anyskill_brax.envs.latent_env import LatentEnv, LatentState, per_instruction
from anyskill_brax.networks import unit
from anyskill_brax.policies import MultiSkillPolicy
from anyskill_brax.types import LatentPolicy, PRNGKey


@struct.dataclass
class Teachers:
    """K latent policies (pytrees); those of one shape are stacked and run as one batch."""

    groups: tuple[LatentPolicy, ...]  # leaves [G, ...]
    rows: tuple[tuple[int, ...], ...] = struct.field(pytree_node=False)  # which teachers are in each group

    @classmethod
    def create(cls, policies: Sequence[LatentPolicy]) -> "Teachers":
        alike: dict[Any, list[int]] = {}
        for row, policy in enumerate(policies):
            leaves, structure = jax.tree.flatten(policy)
            shapes = tuple((jnp.shape(leaf), str(jnp.result_type(leaf))) for leaf in leaves)
            alike.setdefault((structure, shapes), []).append(row)
        groups = (jax.tree.map(lambda *x: jnp.stack(x), *(policies[row] for row in rows)) for rows in alike.values())
        return cls(tuple(groups), tuple(map(tuple, alike.values())))

    @property
    def count(self) -> int:
        """K."""
        return sum(map(len, self.rows))

    def init(self, keys: PRNGKey) -> tuple[Any, ...]:
        """States before the first latent step, one entry per group; `keys [K, E, 2]`."""
        start = jax.vmap(jax.vmap(lambda policy, key: policy.init(key), in_axes=(None, 0)))
        return tuple(start(group, keys[np.array(rows)]) for group, rows in zip(self.groups, self.rows, strict=True))

    def act(self, states: tuple[Any, ...], obs: jax.Array) -> tuple[jax.Array, tuple[Any, ...]]:
        """Each teacher in its own worlds: `obs [K, E, 223]` -> latents `[K, E, L]`, next states."""
        act = jax.vmap(jax.vmap(lambda policy, state, o: policy.act(state, o), in_axes=(None, 0, 0)))
        answers = [
            act(group, state, obs[np.array(rows)])
            for group, state, rows in zip(self.groups, states, self.rows, strict=True)
        ]
        order = np.argsort(np.concatenate(self.rows))
        latents = jnp.concatenate([latent for latent, _ in answers])[order]
        return latents, tuple(state for _, state in answers)

    def restart(self, states: tuple[Any, ...], done: jax.Array, keys: PRNGKey) -> tuple[Any, ...]:
        """`states` with fresh ones where an episode is over, `done [K, E]`."""

        def choose(rows: tuple[int, ...], fresh: Any, old: Any) -> Any:
            over = done[np.array(rows)]
            return jax.tree.map(
                lambda f, o: jnp.where(over.reshape(*over.shape, *(1,) * (o.ndim - 2)), f, o), fresh, old
            )

        return tuple(choose(*group) for group in zip(self.rows, self.init(keys), states, strict=True))


@struct.dataclass
class Worlds:
    """All that goes on from one round to the next."""

    env: LatentState  # [K, E]
    teachers: tuple[Any, ...]  # their states, see `Teachers`


@struct.dataclass
class Lesson:
    """T latent steps, labelled."""

    obs: jax.Array  # [T, K, E, 223]
    latent: jax.Array  # [T, K, E, L] the teacher's answer
    agreement: jax.Array  # [T, K, E] cosine of the student's answer with it
    fallen: jax.Array  # [T, K, E] bool


def blank_worlds(env: LatentEnv, teachers: Teachers, num_envs: int) -> Worlds:
    """Worlds that are all over: the first latent step begins them anew."""
    keys = jnp.zeros((teachers.count, num_envs, 2), jnp.uint32)
    return Worlds(env=env.blank(teachers.count, num_envs), teachers=teachers.init(keys))


def collect(
    key: PRNGKey,
    env: LatentEnv,
    teachers: Teachers,
    student: MultiSkillPolicy,
    text: jax.Array,
    teacher_drives: jax.Array,
    worlds: Worlds,
    horizon: int,
    drive_noise: float,
) -> tuple[Worlds, Lesson]:
    """T latent steps in every world.

    Args:
      text: `[K, E, D]` what the student is told.
      teacher_drives: `[K, E]` bool; elsewhere the student drives.
      drive_noise: length of the Gaussian noise added to the driving latent before it returns to the sphere.
    """
    lead = teacher_drives.shape

    def latent_step(worlds: Worlds, key: PRNGKey):
        key_begin, key_memory, key_noise = jax.random.split(key, 3)
        memory = teachers.restart(worlds.teachers, worlds.env.done, jax.random.split(key_memory, lead))
        state = per_instruction(env.begin, env.axis)(worlds.env, jax.random.split(key_begin, lead[0]))
        obs = env.observe(state)
        label, memory = teachers.act(memory, obs)
        answer = student.latent(obs, text)
        driving = jnp.where(teacher_drives[..., None], label, answer)
        noise = drive_noise / jnp.sqrt(driving.shape[-1]) * jax.random.normal(key_noise, driving.shape)
        state, outcome = env.step(state, unit(driving + noise))
        lesson = Lesson(obs=obs, latent=label, agreement=jnp.sum(label * answer, axis=-1), fallen=outcome.fallen)
        return Worlds(env=state, teachers=memory), lesson

    return jax.lax.scan(latent_step, worlds, jax.random.split(key, horizon))
