"""Composition: skills in sequence, faded on the latent sphere, or held until something happens.

Every composite is again a `LatentPolicy`, so composites nest. `play` rolls one out on the simulated humanoid.

    walk, wave = skill_zoo.load("humanoid/walk-forward"), skill_zoo.load("humanoid/wave")
    policy = sequence(for_seconds(walk, 3.0), until(wave, lambda obs: obs[0] < 0.6, max_seconds=4.0), fade_seconds=0.5)
"""

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import jax
import jax.numpy as jnp
from flax import struct

from anyskill_brax import rotations
from anyskill_brax.character.humanoid import CONTROL_DT, LATENT_STEPS, load_character
from anyskill_brax.character.kinematics import forward_kinematics
from anyskill_brax.envs import observations
from anyskill_brax.policies import HeldLatent, LowLevelController
from anyskill_brax.skill import Skill
from anyskill_brax.types import LatentPolicy, PolicyState, PRNGKey, UserError

LATENT_DT = CONTROL_DT * LATENT_STEPS
"""Latent step [s]."""
REST_SECONDS = 0.67
"""How long a sequence stands between two skills: docs/experiments/transitions.md."""

Condition = Callable[[jax.Array], jax.Array]
"""`obs [223]` -> bool; `obs[0]` is the root's height [m], the rest is laid out as `observations.obs_layout` says."""


class FinitePolicy(LatentPolicy, Protocol):
    """A latent policy that knows when it is over."""

    def done(self, state: Any) -> jax.Array:
        """Whether the state after an `act` was its last (bool scalar)."""
        ...


def latent_steps(seconds: float) -> int:
    """The number of latent steps nearest to a duration, at least one. `UserError` unless it is positive and finite."""
    if not 0.0 < seconds < 3600.0:
        raise UserError(f"a duration must be between 0 and 3600 seconds, got {seconds!r}")
    return max(1, round(seconds / LATENT_DT))


@struct.dataclass
class LimitedState:
    inner: PolicyState
    clock: jax.Array  # [] int32 latent steps done
    met: jax.Array  # [] bool the condition held at the last act


@struct.dataclass
class Limited:
    """A policy for at most `steps` latent steps, or until `condition(obs)` holds."""

    policy: LatentPolicy
    steps: int = struct.field(pytree_node=False)
    condition: Condition | None = struct.field(pytree_node=False, default=None)

    def init(self, key: PRNGKey) -> LimitedState:
        return LimitedState(self.policy.init(key), jnp.zeros((), jnp.int32), jnp.zeros((), bool))

    def act(self, state: LimitedState, obs: jax.Array) -> tuple[jax.Array, LimitedState]:
        latent, inner = self.policy.act(state.inner, obs)
        met = jnp.zeros((), bool) if self.condition is None else jnp.asarray(self.condition(obs), bool)
        return latent, LimitedState(inner, state.clock + 1, met)

    def done(self, state: LimitedState) -> jax.Array:
        return (state.clock >= self.steps) | state.met


def for_seconds(policy: LatentPolicy, seconds: float) -> Limited:
    """`policy` for a fixed time [s]."""
    return Limited(policy, latent_steps(seconds))


def until(policy: LatentPolicy, condition: Condition, max_seconds: float) -> Limited:
    """`policy` until `condition(obs)` holds, but no longer than `max_seconds` [s]."""
    return Limited(policy, latent_steps(max_seconds), condition)


@struct.dataclass
class SequenceState:
    inner: tuple[PolicyState, ...]
    index: jax.Array  # [] int32 the part in charge
    since: jax.Array  # [] int32 latent steps since it took over
    last: jax.Array  # [L] the latent at the last hand-over (zeros at the start)
    current: jax.Array  # [L] the latest latent


@struct.dataclass
class Sequenced:
    """Parts one after another; each hand-over moves along the great circle for `fade` latent steps."""

    parts: tuple[FinitePolicy, ...]
    latent_dim: int = struct.field(pytree_node=False)
    fade: int = struct.field(pytree_node=False)

    def init(self, key: PRNGKey) -> SequenceState:
        keys = jax.random.split(key, len(self.parts))
        zero = jnp.zeros((), jnp.int32)
        none = jnp.zeros(self.latent_dim)
        inner = tuple(part.init(k) for part, k in zip(self.parts, keys, strict=True))
        return SequenceState(inner=inner, index=zero, since=zero, last=none, current=none)

    def act(self, state: SequenceState, obs: jax.Array) -> tuple[jax.Array, SequenceState]:
        over = jnp.stack([part.done(s) for part, s in zip(self.parts, state.inner, strict=True)])
        hand_over = over[state.index] & (state.index < len(self.parts) - 1)
        index = state.index + hand_over
        since = jnp.where(hand_over, 0, state.since)
        last = jnp.where(hand_over, state.current, state.last)
        latents, inner = [], []
        for i, (part, s) in enumerate(zip(self.parts, state.inner, strict=True)):
            latent, after = part.act(s, obs)
            inner.append(jax.tree.map(lambda new, old, i=i: jnp.where(index == i, new, old), after, s))
            latents.append(latent)
        target = jnp.stack(latents)[index]
        share = jnp.clip((since + 1) / (self.fade + 1), 0.0, 1.0)
        started = jnp.any(last != 0.0)
        latent = jnp.where(started, rotations.slerp(jnp.where(started, last, target), target, share), target)
        return latent, SequenceState(inner=tuple(inner), index=index, since=since + 1, last=last, current=latent)

    def done(self, state: SequenceState) -> jax.Array:
        return (state.index == len(self.parts) - 1) & self.parts[-1].done(state.inner[-1])


def sequence(*parts: FinitePolicy, fade_seconds: float = 0.5, rest_seconds: float | None = None) -> Sequenced:
    """`parts` one after another; each must end (`for_seconds`, `until`, or another sequence).

    Between two of them it stands for `rest_seconds`, by default `REST_SECONDS` where they hold a skill, whose
    controller knows how to stand: a skill was trained from standing, and many fall out of another's pose. 0: no rest.
    `UserError` for skills that pin different controllers: the latents of one mean nothing to another.
    """
    if not parts:
        raise UserError("a sequence needs at least one part")
    endless = [i for i, part in enumerate(parts) if not hasattr(part, "done")]
    if endless:
        raise UserError(f"part {endless[0] + 1} of the sequence never ends; wrap it in for_seconds(...) or until(...)")
    _check_controllers(*parts)
    fade = 0 if fade_seconds == 0 else latent_steps(fade_seconds)
    skills = _skills_in(*parts)
    if rest_seconds is None:
        rest_seconds = REST_SECONDS if skills else 0.0
    if rest_seconds != 0:
        if not skills:
            raise UserError("without a skill among its parts a sequence does not know how to rest: rest_seconds=0")
        rest = for_seconds(standing(skills[0].low_level), rest_seconds)
        parts = tuple(part for own in parts for part in (rest, own))[1:]
    return Sequenced(parts, latent_dim=_latent_dim(parts[0]), fade=fade)


def standing(low_level: LowLevelController) -> HeldLatent:
    """Standing still: the latent of the built-in motion `stand`, half way; what the controller's encoder makes of the
    default pose where it was not trained on that one."""
    known = [i for i, name in enumerate(low_level.motion_names) if name.startswith("stand@")]
    if known:
        return HeldLatent(low_level.motion_latents[known[(len(known) - 1) // 2]])
    character = load_character()
    pose = jnp.asarray(character.default_qpos, jnp.float32)
    bodies = forward_kinematics(character, pose, jnp.zeros(len(pose) - 1))
    frame = observations.disc_frame(character, bodies, jnp.zeros(character.action_dim))
    return HeldLatent(low_level.style.encode(jnp.tile(frame, low_level.style.encoder_frames)))


@struct.dataclass
class CrossfadeState:
    inner: tuple[PolicyState, PolicyState]
    clock: jax.Array  # [] int32


@struct.dataclass
class Crossfaded:
    """From one policy's latents to another's along the great circle."""

    policies: tuple[LatentPolicy, LatentPolicy]
    start: int = struct.field(pytree_node=False)
    steps: int = struct.field(pytree_node=False)

    def init(self, key: PRNGKey) -> CrossfadeState:
        a, b = jax.random.split(key)
        return CrossfadeState((self.policies[0].init(a), self.policies[1].init(b)), jnp.zeros((), jnp.int32))

    def act(self, state: CrossfadeState, obs: jax.Array) -> tuple[jax.Array, CrossfadeState]:
        first, first_state = self.policies[0].act(state.inner[0], obs)
        second, second_state = self.policies[1].act(state.inner[1], obs)
        share = jnp.clip((state.clock - self.start) / self.steps, 0.0, 1.0)
        latent = rotations.slerp(first, second, share)
        return latent, CrossfadeState((first_state, second_state), state.clock + 1)


def crossfade(first: LatentPolicy, second: LatentPolicy, seconds: float, start_seconds: float = 0.0) -> Crossfaded:
    """`first`, then over `seconds` [s] from `start_seconds` on a slide to `second`; controllers as in `sequence`."""
    _check_controllers(first, second)
    start = 0 if start_seconds == 0 else latent_steps(start_seconds)
    return Crossfaded((first, second), start, latent_steps(seconds))


def common_controller(skills: Sequence[Skill]) -> Skill:
    """The first skill, after checking that all pin the same low-level controller; `UserError` shows who differs."""
    if not skills:
        raise UserError("no skills to compose")
    pins = {skill.low_level_sha256: skill for skill in skills}
    if len(pins) > 1:
        shown = "; ".join(f"{s.slug} on {s.low_level_id or 'unpublished'} ({sha[:12]})" for sha, s in pins.items())
        raise UserError(f"skills compose only on one low-level controller, these pin {len(pins)}: {shown}")
    return skills[0]


def _check_controllers(*policies: LatentPolicy) -> None:
    if pinned := [skill for skill in _skills_in(*policies) if skill.low_level_sha256]:
        common_controller(pinned)


def _skills_in(*policies: LatentPolicy) -> list[Skill]:
    """The skills that a composite is made of."""
    found: list[Skill] = []
    for policy in policies:
        match policy:
            case Skill():
                found.append(policy)
            case Limited():
                found += _skills_in(policy.policy)
            case Sequenced():
                found += _skills_in(*policy.parts)
            case Crossfaded():
                found += _skills_in(*policy.policies)
    return found


def _latent_dim(policy: LatentPolicy) -> int:
    obs = jax.ShapeDtypeStruct((observations.obs_dim(load_character()),), jnp.float32)
    return jax.eval_shape(lambda o: policy.act(policy.init(jax.random.key(0)), o)[0], obs).shape[-1]
