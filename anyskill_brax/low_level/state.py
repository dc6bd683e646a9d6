"""What training carries from update to update, and how it begins: networks, optimisers, normalisers, worlds, replay."""

from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import struct

from anyskill_brax.envs import observations
from anyskill_brax.envs.humanoid_env import HumanoidEnv, HumanoidState
from anyskill_brax.low_level.clips import ClipStats
from anyskill_brax.low_level.reference import Reference
from anyskill_brax.low_level.settings import LowLevelSettings, NetworkSettings
from anyskill_brax.low_level.worlds import Worlds
from anyskill_brax.networks import Actor, Critic, Discriminator, Encoder, Normalizer
from anyskill_brax.types import PRNGKey

NAMES = ("actor", "critic", "disc", "encoder")


@struct.dataclass
class Networks:
    """One of something per network: a module, a parameter tree, an optimiser or its state."""

    actor: Any
    critic: Any
    disc: Any
    encoder: Any


@struct.dataclass
class Replay:
    """Windows of past policies; each travels with the motion window whose latent it was produced under."""

    windows: jax.Array  # [R, N * 125]
    source: (
        jax.Array
    )  # [R] int32 last row of that motion window, meaningless where the latent was of the sphere; -1: empty
    count: jax.Array  # [] int32 windows ever inserted, by all devices


@struct.dataclass
class TrainState:
    """Everything a checkpoint holds."""

    params: Networks
    opt: Networks
    obs_normalizer: Normalizer  # [223]
    disc_normalizer: Normalizer  # [N * 125]
    encoder_normalizer: Normalizer  # [E * 125]; under "ase" the discriminator's
    replay: Replay
    worlds: Worlds
    clips: ClipStats
    fall_states: HumanoidState
    key: PRNGKey
    updates: jax.Array  # [] int32


def make_modules(nets: NetworkSettings, conditional: bool, action_dim: int) -> Networks:
    """The four shapes; a conditional discriminator embeds the latent first."""
    return Networks(
        actor=Actor(action_dim, nets.actor, nets.style),
        critic=Critic(nets.critic),
        disc=Discriminator(nets.discriminator, nets.disc_style if conditional else ()),
        encoder=Encoder(nets.latent_dim, nets.encoder),
    )


def init_params(key: PRNGKey, settings: LowLevelSettings, env: HumanoidEnv) -> Networks:
    nets, frame = settings.networks, observations.disc_frame_dim(env.character)
    modules = make_modules(nets, settings.conditional, env.character.action_dim)
    keys = jax.random.split(key, 4)
    obs = jnp.zeros((1, observations.obs_dim(env.character)))
    latent = jnp.zeros((1, nets.latent_dim))
    condition = latent if settings.conditional else latent[:, :0]
    return Networks(
        actor=modules.actor.init(keys[0], obs, latent),
        critic=modules.critic.init(keys[1], obs, jnp.zeros((1, nets.latent_dim + 2))),
        disc=modules.disc.init(keys[2], jnp.zeros((1, nets.num_frames * frame)), condition),
        encoder=modules.encoder.init(keys[3], jnp.zeros((1, nets.encoder_frames * frame))),
    )


def make_optimizers(settings: LowLevelSettings) -> Networks:
    """One optimiser per network (MimicKit's practice); weight decay on the discriminator alone."""
    learner = settings.learner

    rise = optax.linear_schedule(learner.actor_lr / learner.actor_rise, learner.actor_lr, learner.actor_rise - 1)

    def adam(lr: optax.ScalarOrSchedule, decay: float = 0.0) -> optax.GradientTransformation:
        return optax.chain(optax.clip_by_global_norm(learner.max_grad_norm), optax.adamw(lr, weight_decay=decay))

    return Networks(
        actor=adam(optax.join_schedules([optax.constant_schedule(0.0), rise], [learner.actor_rest])),
        critic=adam(learner.critic_lr),
        disc=adam(learner.disc_lr, learner.disc_weight_decay),
        encoder=adam(learner.encoder_lr),
    )


def reference_normalizers(
    key: PRNGKey, env: HumanoidEnv, reference: Reference, num_frames: int
) -> tuple[Normalizer, Normalizer]:
    """Statistics of observations and windows over the reference motions: known before any rollout.

    They stay fixed: what a latent means never drifts, and a warm start is not undone by inputs of another scale
    (docs/experiments/balance-feedback.md).
    """
    rows = reference.sample(key, (8192,))
    obs = observations.observe(reference.bodies(env.character, rows))
    windows = reference.window(rows, num_frames).reshape(rows.size, -1)
    return Normalizer.create(obs.shape[-1]).update(obs), Normalizer.create(windows.shape[-1]).update(windows)


def longer_normalizer(normalizer: Normalizer, num_frames: int, longer: int) -> Normalizer:
    """For windows of `longer` frames: the statistics of the newest frame of `num_frames`, for each of them."""
    if longer == num_frames:
        return normalizer
    newest = normalizer.mean.size - normalizer.mean.size // num_frames
    mean, var = (jnp.tile(x[newest:], longer) for x in (normalizer.mean, normalizer.var))
    return Normalizer(mean=mean, var=var, count=normalizer.count)
