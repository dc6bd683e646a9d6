"""The judges' part of an update: the discriminator and, under "ase", the encoder."""

import jax
import jax.numpy as jnp
from flax import struct

from anyskill_brax.low_level import losses
from anyskill_brax.low_level.policy_learning import descend, spread_loss
from anyskill_brax.low_level.rollout import Step
from anyskill_brax.low_level.stage import Stage
from anyskill_brax.low_level.state import Networks, Replay, TrainState
from anyskill_brax.types import Metrics, Params, PRNGKey


@struct.dataclass
class Evidence:
    """What the discriminator is shown, `[B]` rows a side: normalised windows, each with its condition (see `Stage`)."""

    norm_demo: jax.Array  # [B, N * 125]
    demo_condition: jax.Array
    norm_simulated: jax.Array  # [B, N * 125] first the fresh half, then the replayed
    simulated_condition: jax.Array


@struct.dataclass
class Judged:
    """Simulated windows of this update, one row per sample."""

    windows: jax.Array  # [B, N * 125]
    source: jax.Array  # [B] int32, see `Step`
    latent: jax.Array  # [B, L]
    teaches: jax.Array  # [B] bool: the latent was of the sphere and the world sound, the encoder learns from it


def learn_style(stage: Stage, state: TrainState, steps: Step, key: PRNGKey) -> tuple[TrainState, Metrics]:
    """Discriminator on demonstrations against fresh and replayed windows; encoder on windows of free latents."""
    learner, lr_factor = stage.settings.learner, stage.lr_factor(state)
    fresh = Judged(windows=steps.window, source=steps.source, latent=steps.latent, teaches=steps.free & ~steps.broken)
    fresh = jax.tree.map(lambda x: x.reshape(stage.batch_size, *x.shape[2:]), fresh)

    def one(carry: tuple[Networks, Networks], key: PRNGKey):
        params, opt = carry
        key_own, key_spread = jax.random.split(key)
        key_rows, key_evidence = jax.random.split(stage.devices.own(key_own))
        rows = jax.random.randint(key_rows, (half_batch(stage),), 0, stage.batch_size)
        drawn = jax.tree.map(lambda x: x[rows], fresh)
        evidence = gather_evidence(stage, state, drawn, key_evidence)
        grads, metrics = disc_gradient(stage, params.disc, evidence)
        params_after, opt = descend(stage, "disc", grads, params, opt, lr_factor)
        if not stage.settings.conditional:
            grads, encoder_metrics = encoder_gradient(stage, state, params.encoder, drawn, key_spread)
            params_after, opt = descend(stage, "encoder", grads, params_after, opt, lr_factor)
            metrics = metrics | encoder_metrics
        return (params_after, opt), metrics

    key_steps, key_insert = jax.random.split(key)
    carry, metrics = jax.lax.scan(one, (state.params, state.opt), jax.random.split(key_steps, learner.disc_steps))
    replay = remember(state.replay, fresh, stage.devices.own(key_insert), learner.replay_insert, stage.devices.count)
    return state.replace(params=carry[0], opt=carry[1], replay=replay), jax.tree.map(jnp.mean, metrics)


def half_batch(stage: Stage) -> int:
    """Fresh windows per discriminator minibatch of this device; as many more are replayed."""
    return max(stage.settings.learner.disc_batch // 2 // stage.devices.count, 1)


def gather_evidence(stage: Stage, state: TrainState, drawn: Judged, key: PRNGKey) -> Evidence:
    """Both sides of the discriminator's question, `[2 * half]` rows each.

    Under "conditional" a simulated window, fresh or replayed, comes with the latent of the motion it was to perform,
    and a demonstration with the latent of the motion window it was cut out of; all by the encoder as it is now, as in
    CALM's release: a latent of another encoder would give the simulated side away.
    """
    key_old, key_row, key_cut = jax.random.split(key, 3)
    replay, half = state.replay, drawn.source.size
    held = jnp.clip(replay.count // stage.devices.count, 1, replay.source.size)
    old = jax.random.randint(key_old, (half,), 0, held)
    filled = replay.source[old] >= 0
    past = jnp.where(filled[:, None], replay.windows[old], drawn.windows)
    past_source = jnp.where(filled, replay.source[old], drawn.source)
    demo, demo_source = sample_demos(stage, state, key_row, key_cut, 2 * half)

    def condition(source: jax.Array) -> jax.Array:
        if not stage.settings.conditional:
            return jnp.zeros((source.size, 0))
        return stage.latents_of(state.params.encoder, state, source)

    return Evidence(
        norm_demo=state.disc_normalizer(demo),
        demo_condition=condition(demo_source),
        norm_simulated=state.disc_normalizer(jnp.concatenate([drawn.windows, past])),
        simulated_condition=condition(jnp.concatenate([drawn.source, past_source])),
    )


def sample_demos(
    stage: Stage, state: TrainState, key_row: PRNGKey, key_cut: PRNGKey, count: int
) -> tuple[jax.Array, jax.Array]:
    """Windows of motions `[count, N * 125]` and the last rows of the encoder windows they are cut out of, `[count]`."""
    reference, nets = stage.drawn(state), stage.settings.networks
    spare = nets.encoder_frames - nets.num_frames
    source = reference.ahead(reference.sample(key_row, (count,)), nets.encoder_frames - 1)
    end = source - jax.random.randint(key_cut, (count,), 0, spare + 1)
    windows = reference.window(jnp.maximum(end, reference.first[source]), nets.num_frames)
    return windows.reshape(count, -1), source


def disc_gradient(stage: Stage, params: Params, evidence: Evidence) -> tuple[Params, Metrics]:
    """The gradient of the discriminator's loss over the rows of all devices."""
    learner = stage.settings.learner

    def loss(p: Params):
        return losses.discriminator_loss(
            stage.modules.disc.apply,
            p,
            (evidence.norm_demo, evidence.demo_condition),
            (evidence.norm_simulated, evidence.simulated_condition),
            learner.grad_penalty,
            learner.logit_regularization,
            learner.disc_negatives if stage.settings.conditional else 0.0,
            learner.grad_penalty_simulated,
            stage.devices,
        )

    return stage.devices.mean(jax.grad(loss, has_aux=True)(params))


def encoder_gradient(
    stage: Stage, state: TrainState, params: Params, drawn: Judged, key: PRNGKey
) -> tuple[Params, Metrics]:
    """The gradient of ASE's encoder loss over the rows of all devices: fit of free latents, spread of motions."""
    learner, encoder = stage.settings.learner, stage.modules.encoder
    norm_windows, weight = state.encoder_normalizer(drawn.windows), drawn.teaches.astype(jnp.float32)

    def loss(p: Params):
        fit, metrics = losses.encoder_loss(encoder.apply, p, norm_windows, drawn.latent, weight, stage.devices)
        spread, spread_metrics = spread_loss(stage, state, p, key, learner.disc_batch // 2)
        return fit + learner.uniformity * spread, metrics | spread_metrics

    return stage.devices.mean(jax.grad(loss, has_aux=True)(params))


def remember(replay: Replay, fresh: Judged, key: PRNGKey, count: int, devices: int = 1) -> Replay:
    """`count` of the fresh windows of all devices, an equal part of this one's, take the places of the oldest."""
    kept = jax.random.randint(key, (count // devices,), 0, fresh.source.size)
    slots = (replay.count // devices + jnp.arange(count // devices)) % replay.source.size
    return Replay(
        windows=replay.windows.at[slots].set(fresh.windows[kept]),
        source=replay.source.at[slots].set(fresh.source[kept]),
        count=replay.count + count,
    )
