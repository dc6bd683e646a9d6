"""The humanoid seen from above the low-level controller: the action is a latent, held for five control steps.

Worlds are `[I, E]`: E environments for each of I instructions. Physics steps all of them as one batch; everything that
is arithmetic of our own runs one instruction at a time on fixed `[E, ...]` shapes (`per_instruction`), so that what an
instruction learns does not depend, to the last bit, on how many others learn beside it (docs/decisions/0006).
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import struct

from anyskill_brax.character.humanoid import LATENT_STEPS, SUBSTEPS
from anyskill_brax.character.kinematics import BodyState, forward_kinematics
from anyskill_brax.envs import observations
from anyskill_brax.envs.humanoid_env import HumanoidEnv, HumanoidState
from anyskill_brax.physics.door import make_step_batch
from anyskill_brax.physics.state import PhysicsState
from anyskill_brax.policies import LowLevelController
from anyskill_brax.types import PRNGKey, UserError

INSTRUCTION_AXES = ("map", "vmap")


def per_instruction(fn: Callable[..., Any], axis: str) -> Callable[..., Any]:
    """`fn`, written for one instruction, over arguments whose leading axis is I.

    "map" runs them in sequence: the same shapes, the same code and so the same bits for any I. "vmap" makes one batch
    of them: faster on an accelerator, equal to rounding.
    """
    if axis == "vmap":
        return jax.vmap(fn)
    if axis != "map":
        raise UserError(f"instruction_axis is {axis!r}; choose one of {', '.join(INSTRUCTION_AXES)}")

    def in_sequence(*args):
        count = jax.tree.leaves(args)[0].shape[0]
        # Alone, an instruction must run the code it runs in company. The compiler rewrites an axis of one and unrolls a
        # loop of one, and then rounds differently; so it is shown two rows, and a count that it cannot see through.
        rows = max(count, 2)
        args = jax.tree.map(lambda x: jnp.concatenate([x, x]) if count == 1 else x, args)
        args, last = jax.lax.optimization_barrier((args, jnp.int32(count)))

        def one(i: jax.Array):
            return fn(*jax.tree.map(lambda x: jax.lax.dynamic_index_in_dim(x, i, keepdims=False), args))

        def body(i: jax.Array, results):
            return jax.tree.map(lambda all_, own: all_.at[i].set(own), results, one(i))

        results = jax.tree.map(lambda x: jnp.zeros((rows, *x.shape), x.dtype), jax.eval_shape(one, 0))
        results = jax.lax.optimization_barrier(jax.lax.fori_loop(0, last, body, results))
        return jax.tree.map(lambda x: x[:count], results)

    return in_sequence


@struct.dataclass
class LatentState:
    """Worlds `[I, E]` between two latent steps."""

    world: HumanoidState
    elapsed: jax.Array  # [I, E] int32, latent steps since the episode began
    done: jax.Array  # [I, E] bool, the episode is over: `begin` starts another


@struct.dataclass
class LatentOutcome:
    """What a latent step led to, before any reset."""

    bodies: BodyState  # [I, E, B, ...] at its end
    style: jax.Array  # [I, E] the frozen discriminator's style reward
    fallen: jax.Array  # [I, E] bool, head too low or physics broken: the episode has failed
    out_of_time: jax.Array  # [I, E] bool
    broken: jax.Array  # [I, E] bool, fallen because physics broke; the bodies are those before


class LatentEnv:
    """Latents in, one control loop of the frozen low-level controller inside.

    Args:
      env: gives starts, falls and the character.
      low_level: its mean action drives the character; its discriminator grades the style.
      episode_length: latent steps (1/6 s each) until an episode is out of time; 0 = never.
      axis: "map" or "vmap", see `per_instruction`.
    """

    def __init__(self, env: HumanoidEnv, low_level: LowLevelController, episode_length: int, axis: str = "map"):
        if env.num_frames != low_level.style.num_frames:
            raise UserError(
                f"the environment keeps windows of {env.num_frames} frames and the low-level controller's "
                f"discriminator reads {low_level.style.num_frames}; create the environment with the latter"
            )
        self.env = env
        self.low_level = low_level
        self.episode_length = episode_length
        self.axis = axis
        self._step_batch = make_step_batch(env.character.model, SUBSTEPS, env.backend)

    def blank(self, *lead: int) -> LatentState:
        """Worlds `[*lead]` that are all over: whoever steps them calls `begin` first."""
        spec: Any = jax.eval_shape(self.env.reset, jax.random.PRNGKey(0)).pipeline_state
        world = jax.tree.map(lambda x: jnp.zeros((*lead, *x.shape), x.dtype), spec)
        return LatentState(world, elapsed=jnp.zeros(lead, jnp.int32), done=jnp.ones(lead, bool))

    def begin(self, state: LatentState, key: PRNGKey) -> LatentState:
        """Fresh episodes where the last one is over; one instruction, `[E]`. Called before a latent is chosen."""
        done = state.done
        world: Any = jax.vmap(self.env.reset)(jax.random.split(key, done.shape[0])).pipeline_state
        world = jax.tree.map(lambda new, old: jnp.where(_as(done, old), new, old), world, state.world)
        return LatentState(world, elapsed=jnp.where(done, 0, state.elapsed), done=jnp.zeros_like(done))

    def observe(self, state: LatentState) -> jax.Array:
        """What a high-level policy sees, `[..., 223]`."""
        return observations.observe(state.world.bodies)

    def step(self, state: LatentState, latent: jax.Array) -> tuple[LatentState, LatentOutcome]:
        """One latent step (1/6 s) of all worlds under unit `latent [I, E, L]`.

        A failed episode or one out of time is `done`; end more of them by setting the flag.
        """

        def control_step(carry: tuple[HumanoidState, jax.Array], _):
            world, broken = carry
            target = per_instruction(self._pd_target, self.axis)(world.bodies, latent)
            physics = self._step_batch(world.physics, target)
            world, broken = per_instruction(self._sense, self.axis)(world, broken, physics)
            return (world, broken), None

        start = (state.world, jnp.zeros(state.elapsed.shape, bool))
        (world, broken), _ = jax.lax.scan(control_step, start, None, length=LATENT_STEPS)
        style, fallen = per_instruction(self._judge, self.axis)(world, broken, latent)
        elapsed = state.elapsed + 1
        out_of_time = ~fallen & (elapsed >= self.episode_length) & (self.episode_length > 0)
        after = LatentState(world, elapsed, done=fallen | out_of_time)
        return after, LatentOutcome(world.bodies, style, fallen, out_of_time, broken)

    # -- one instruction, [E, ...] ---------------------------------------------------------------------------------

    def _pd_target(self, bodies: BodyState, latent: jax.Array) -> jax.Array:
        return jnp.asarray(self.env.character.pd_target(self.low_level.act(observations.observe(bodies), latent)))

    def _sense(self, before: HumanoidState, broken: jax.Array, physics: PhysicsState):
        """The world after a control step; one whose physics diverged stays where it was and is flagged."""
        bodies = forward_kinematics(self.env.character, physics.qpos, physics.qvel)
        frame = observations.disc_frame(self.env.character, bodies, physics.qvel[..., 6:])
        window = jnp.concatenate([before.window[..., 1:, :], frame[..., None, :]], axis=-2)
        after = HumanoidState(physics=physics, bodies=bodies, window=window)
        diverged = self.env.is_broken(after)
        after = jax.tree.map(lambda new, old: jnp.where(_as(diverged, old), old, new), after, before)
        return after, broken | diverged

    def _judge(self, world: HumanoidState, broken: jax.Array, latent: jax.Array) -> tuple[jax.Array, jax.Array]:
        """r_D of the window, which spans at least the last control steps of this latent step; and who has fallen."""
        window = world.window.reshape(*world.window.shape[:-2], -1)
        return self.low_level.style.style_reward(window, latent), self.env.has_fallen(world.bodies) | broken


def _as(mask: jax.Array, like: jax.Array) -> jax.Array:
    """`mask [E]` with the axes it lacks to select from `like [E, ...]`."""
    return mask.reshape(*mask.shape, *(1,) * (like.ndim - mask.ndim))
