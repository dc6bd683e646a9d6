"""One rollout: every world lives through `horizon` control steps under the frozen policy of this update."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from flax import struct

from anyskill_brax import ppo
from anyskill_brax.envs import observations
from anyskill_brax.low_level import getting_up, worlds
from anyskill_brax.low_level.devices import Devices
from anyskill_brax.low_level.disturbances import disturbance, pushed, variations
from anyskill_brax.low_level.objectives import follow_share
from anyskill_brax.low_level.reference import TRACKING_WEIGHTS, tracking_terms
from anyskill_brax.low_level.stage import Stage
from anyskill_brax.low_level.state import TrainState
from anyskill_brax.low_level.worlds import Worlds
from anyskill_brax.physics.state import joint_power
from anyskill_brax.types import Metrics, PRNGKey


@struct.dataclass
class Advice:
    """What a teacher would do, `[W]` worlds."""

    action: jax.Array  # [.., J]
    joints: jax.Array  # [.., J] bool: that it speaks of; the others are left alone
    due: jax.Array  # [..] bool: where it is worth learning
    taken: jax.Array  # [..] bool: where it is done, in place of what the policy would


@struct.dataclass
class Step:
    """One control step of every world; leading axes `[T, W]` after the rollout."""

    obs: jax.Array
    latent: jax.Array
    source: jax.Array  # [..] int32 last row of the motion window that the latent is of, see `Worlds`
    privileged: jax.Array  # [.., L + 2] what the critic sees beside obs
    action: jax.Array
    log_prob: jax.Array
    window: jax.Array  # [.., N * 125] after the step, before any reset
    tracking: jax.Array  # [..] tracking reward
    rising: jax.Array  # [..] see `getting_up.rising`; 0 where it is not paid for
    sigma: jax.Array  # [..] of the action
    power: jax.Array  # [..] mechanical power of all joints at the step's end [kW]
    follows: jax.Array
    poses: jax.Array
    free: jax.Array
    recovers: jax.Array  # in a recovery episode, and paid for rising
    terminated: jax.Array
    truncated: jax.Array
    broken: jax.Array
    age: jax.Array
    advice: Advice | None  # in lessons

    @property
    def led(self) -> jax.Array:
        """Worlds with a target, motion or pose."""
        return (self.follows | self.poses) & ~self.recovers


def rollout(
    stage: Stage, state: TrainState, key: PRNGKey, advise: Callable[[Worlds], Advice] | None = None
) -> tuple[Worlds, Step]:
    """The worlds afterwards, and what happened, `[T, W]`. `advise`: a teacher that watches and may take over."""
    settings, env = stage.settings, stage.env
    nets, reference = settings.networks, stage.drawn(state)
    followers = follow_share(stage, state)

    redrawn = state.updates // settings.disturbance.redraw
    key_body = stage.devices.own(jax.random.fold_in(jax.random.PRNGKey(settings.seed), redrawn))
    variation = variations(key_body, settings.disturbance, stage.num_worlds)

    def restarted(key: PRNGKey, ended: jax.Array, old: Worlds) -> Worlds:
        def fresh(rows: jax.Array, done: jax.Array) -> Worlds:
            return worlds.start(
                jax.random.fold_in(key, done), env, reference, state.fall_states, stage.way, settings.start,
                followers, nets.latent_dim, rows.size,
            )  # fmt: skip

        return worlds.for_those(ended, old, fresh)

    def latents(source: jax.Array) -> jax.Array:
        return stage.latents_of(state.params.encoder, state, source)

    def control_step(world: Worlds, key: PRNGKey) -> tuple[Worlds, Step]:
        key_next, key_latent, key_action, key_fall, key_start, key_push, key_box = jax.random.split(key, 7)
        world = worlds.next_motion(key_next, reference, settings.start, world)
        world = worlds.renew_latents(key_latent, reference, latents, settings.start, world, nets.encoder_frames)
        obs = observations.observe(world.humanoid.bodies)
        mean = jnp.asarray(stage.modules.actor.apply(state.params.actor, state.obs_normalizer(obs), world.latent))
        advice = None if advise is None else advise(world)
        if advice is not None:
            mean = jnp.where(advice.taken[:, None] & advice.joints, advice.action, mean)
        sigma = stage.sigma(state) * jnp.where(world.recovering, settings.start.recovery_sigma, 1.0)
        action = mean + sigma[:, None] * jax.random.normal(key_action, mean.shape)
        humanoid = pushed(key_push, settings.disturbance, world.humanoid)
        acting = disturbance(key_box, settings.disturbance, env.character, variation)
        after = env.advance(humanoid, action, acting)
        broken = env.is_broken(after)
        after = worlds.select(broken, world.humanoid, after)  # nothing that is not a number reaches a loss
        moved, outcome = worlds.finish_step(
            key_fall, env, reference, world, after, broken, settings.start, stage.pays_rising
        )
        terms = tracking_terms(env.character, after.bodies, outcome.target)
        step = Step(
            obs=obs,
            latent=world.latent,
            source=world.source,
            privileged=privileged(stage, world),
            action=action,
            log_prob=ppo.log_prob(action, mean, sigma[:, None]),
            window=after.window.reshape(after.window.shape[0], -1),
            tracking=jnp.asarray(sum(weight * terms[name] for name, weight in TRACKING_WEIGHTS.items())),
            rising=getting_up.rising(env.character, stage.way, after.bodies)
            if stage.way is not None
            else jnp.zeros_like(sigma),
            sigma=sigma,
            power=joint_power(env.character, after.physics, jnp.asarray(env.character.pd_target(action))) / 1000.0,
            follows=world.follows,
            poses=world.poses,
            free=world.free,
            recovers=stage.rises(world),
            terminated=outcome.terminated,
            truncated=outcome.truncated,
            broken=outcome.broken,
            age=moved.age,
            advice=advice,
        )
        return restarted(key_start, outcome.terminated | outcome.truncated, moved), step

    key_mend, key_steps = jax.random.split(key)
    broken = env.is_broken(state.worlds.humanoid)  # by whoever touched the state: the rollout itself leaves none
    began = restarted(key_mend, broken, state.worlds)
    if settings.conditional:  # the encoder has learnt since: what is held means the same motion, said anew
        began = began.replace(latent=latents(began.source))
    after, steps = jax.lax.scan(control_step, began, jax.random.split(key_steps, settings.learner.horizon))
    return after, steps.replace(broken=steps.broken.at[0].max(broken))


def privileged(stage: Stage, world: Worlds) -> jax.Array:
    """The critic's condition: the latent; whether the world has a target (another reward, and motions another way to
    fail) or is paid for rising; how far off the target is, or how much time is left. The actor knows only the first."""
    led = world.follows.astype(jnp.float32) - world.poses.astype(jnp.float32)
    recovers = stage.rises(world)
    kind = jnp.where(recovers, 2.0, led)
    left = jnp.where(recovers, world.grace / 100.0, 10.0 * jnp.abs(led) * world.error)
    return jnp.concatenate([world.latent, kind[:, None], left[:, None]], axis=-1)


def rollout_metrics(steps: Step, terms: dict[str, jax.Array], devices: Devices) -> Metrics:
    """Over the worlds of all devices; `terms`: the weighted parts of the reward, `[T, W]` each."""

    def share(x: jax.Array, mask: jax.Array) -> jax.Array:
        total, count = devices.sum((jnp.sum(x * mask), jnp.sum(mask.astype(jnp.float32))))
        return total / jnp.maximum(count, 1.0)

    ended, falls = steps.terminated | steps.truncated, steps.terminated
    return {f"reward_{name}": devices.mean(jnp.mean(value)) for name, value in terms.items()} | {
        "power_kw": devices.mean(jnp.mean(steps.power)),
        "tracking_quality": share(steps.tracking, steps.follows),
        "pose_quality": share(steps.tracking, steps.poses & ~steps.recovers),
        "rising": share(steps.rising, steps.recovers),
        "risen": share(steps.rising > 0.8, steps.recovers),
        "seconds_to_fail_following": 1.0 / (30.0 * jnp.maximum(share(falls, steps.follows), 1e-4)),
        "seconds_to_fail_free": 1.0 / (30.0 * jnp.maximum(share(falls, ~steps.follows), 1e-4)),
        "episode_seconds": share(steps.age, ended) / 30.0,
        "broken_worlds": devices.sum(jnp.sum(steps.broken.astype(jnp.float32))),
    }
