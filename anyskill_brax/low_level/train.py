"""The low-level stage (ASE, algorithm 1; CALM): latents, rollout, rewards, advantages, PPO, discriminator, encoder."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from anyskill_brax.envs.humanoid_env import HumanoidEnv, HumanoidState
from anyskill_brax.low_level import clips, worlds
from anyskill_brax.low_level.devices import ALONE, Devices
from anyskill_brax.low_level.falls import drop_fall_states
from anyskill_brax.low_level.objectives import reward_terms
from anyskill_brax.low_level.policy_learning import learn_policy
from anyskill_brax.low_level.reference import Reference
from anyskill_brax.low_level.rollout import Step, rollout, rollout_metrics
from anyskill_brax.low_level.settings import LowLevelSettings
from anyskill_brax.low_level.stage import Stage
from anyskill_brax.low_level.state import (
    NAMES,
    Networks,
    Replay,
    TrainState,
    init_params,
    longer_normalizer,
    reference_normalizers,
)
from anyskill_brax.low_level.style_learning import learn_style
from anyskill_brax.types import Metrics, PRNGKey

__all__ = ["Networks", "TrainState", "init_params", "make_train", "reference_normalizers"]

Init = Callable[..., TrainState]  # (key, params = None)
Update = Callable[[TrainState], tuple[TrainState, Metrics]]


def make_train(
    settings: LowLevelSettings, env: HumanoidEnv, reference: Reference, devices: Devices = ALONE
) -> tuple[Init, Update]:
    """`(init, update)`, both pure. `init(key, params)` starts from given networks (a warm start) or fresh ones.

    With several `devices` both run inside `jax.shard_map`, each on its share of worlds, fall states and replay.
    """
    stage = Stage.create(settings, env, reference, devices)

    def update(state: TrainState) -> tuple[TrainState, Metrics]:
        key, key_fall, key_rollout, key_policy, key_style, key_clips = jax.random.split(state.key, 6)
        state = renew_fall_states(stage, state, key_fall)
        after, steps = rollout(stage, state, devices.own(key_rollout))
        terms = reward_terms(stage, state, steps)
        state = state.replace(worlds=after, key=key)
        state, policy_metrics = learn_policy(stage, state, steps, jnp.asarray(sum(terms.values())), key_policy)
        state, style_metrics = learn_style(stage, state, steps, key_style)
        state, clip_metrics = watch_clips(stage, state, steps, key_clips)
        metrics = rollout_metrics(steps, terms, devices) | policy_metrics | style_metrics | clip_metrics
        metrics |= {"sigma": stage.sigma(state), "lr_factor": stage.lr_factor(state)}
        return state.replace(updates=state.updates + 1), metrics

    return lambda key, params=None: first_state(stage, key, params), update


def renew_fall_states(stage: Stage, state: TrainState, key: PRNGKey) -> TrainState:
    """Other characters are dropped every `fall_refresh` updates."""
    every = stage.settings.start.fall_refresh
    if not every:
        return state

    def drop() -> HumanoidState:
        return drop_fall_states(stage.devices.own(key), stage.env, state.fall_states.window.shape[0])

    due = (state.updates % every == 0) & (state.updates > 0)
    return state.replace(fall_states=jax.lax.cond(due, drop, lambda: state.fall_states))


def watch_clips(stage: Stage, state: TrainState, steps: Step, key: PRNGKey) -> tuple[TrainState, Metrics]:
    """Which clips the rollout looked like, and under which its worlds failed."""
    sampling, reference, devices = stage.settings.sampling, stage.reference, stage.devices
    flat = jax.tree.map(lambda x: x.reshape(stage.batch_size, *x.shape[2:]), steps)
    rows = jax.random.randint(devices.own(key), (sampling.windows // devices.count,), 0, stage.batch_size)
    landmarks = clips.landmarks(stage.reference)
    bank = state.disc_normalizer(
        reference.window(landmarks, stage.settings.networks.num_frames).reshape(landmarks.size, -1)
    )
    voted = clips.nearest_clip(reference, landmarks, bank, state.disc_normalizer(flat.window[rows]))
    performed, of_motion = reference.clip[flat.source], ~flat.free & ~flat.poses
    stats = clips.count(
        state.clips,
        sampling.decay,
        votes=(voted, ~flat.follows[rows] & ~flat.broken[rows]),
        steps=(performed, of_motion),
        failures=(performed, of_motion & flat.terminated),
        devices=devices,
    )
    metrics = clips.coverage_metrics(stats, stage.drawn(state).weight, reference.weight)
    return state.replace(clips=stats), metrics


def first_state(stage: Stage, key: PRNGKey, params: Networks | None = None) -> TrainState:
    settings, env, reference, devices = stage.settings, stage.env, stage.reference, stage.devices
    nets, learner, start = settings.networks, settings.learner, settings.start
    key_net, key_fall, key_start, key_run, key_norm = jax.random.split(key, 5)
    params = init_params(key_net, settings, env) if params is None else params
    fall_states = drop_fall_states(devices.own(key_fall), env, start.num_fall_states // devices.count)
    obs_normalizer, disc_normalizer = reference_normalizers(key_norm, env, reference, nets.num_frames)
    room = learner.replay // devices.count
    return TrainState(
        params=params,
        opt=Networks(**{n: getattr(stage.optimizers, n).init(getattr(params, n)) for n in NAMES}),
        obs_normalizer=obs_normalizer,
        disc_normalizer=disc_normalizer,
        encoder_normalizer=longer_normalizer(disc_normalizer, nets.num_frames, nets.encoder_frames),
        replay=Replay(
            windows=jnp.zeros((room, disc_normalizer.mean.size)),
            source=jnp.full(room, -1, jnp.int32),
            count=jnp.zeros((), jnp.int32),
        ),
        worlds=worlds.start(
            devices.own(key_start), env, reference, fall_states, stage.way, start,
            jnp.asarray(settings.reward.follow_share[0]),
            nets.latent_dim, stage.num_worlds,
        ),
        clips=clips.ClipStats.create(reference.weight.size),
        fall_states=fall_states,
        key=key_run,
        updates=jnp.zeros((), jnp.int32),
    )  # fmt: skip
