"""A warm start for the ASE objective: an encoder that knows the motions apart, and an actor cloned from them.

Samples are dear on a CPU. Before any rollout, the encoder is fitted to reference windows (neighbours close, others
spread), and the actor learns to answer a reference state and the latent of the coming window with the PD target that
leads there. What it saves is measured in `docs/experiments/`.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import optax

from anyskill_brax.character.humanoid import LATENT_STEPS, Character
from anyskill_brax.envs import observations
from anyskill_brax.envs.humanoid_env import HumanoidEnv
from anyskill_brax.low_level import losses
from anyskill_brax.low_level.reference import Reference
from anyskill_brax.low_level.settings import LowLevelSettings
from anyskill_brax.low_level.train import Networks, reference_normalizers
from anyskill_brax.networks import Actor, Encoder
from anyskill_brax.types import Metrics, PRNGKey


def cloning_target(character: Character, reference: Reference, row: jax.Array) -> jax.Array:
    """The action whose PD target leads to the next reference frame, `[..., 28]`.

    Joint damping acts on absolute velocity, so a PD drive lags its target by kd / kp seconds: lead by as much.
    """
    ahead = reference.ahead(row, 1)
    lead = jnp.asarray(character.kd / character.kp) * reference.qvel[ahead, 6:]
    return jnp.clip(character.action_for(reference.qpos[ahead, 7:] + lead), -1.0, 1.0)


def fit(
    key: PRNGKey,
    settings: LowLevelSettings,
    env: HumanoidEnv,
    reference: Reference,
    params: Networks,
    report: Callable[[str, int, Metrics], None],
) -> Networks:
    """Encoder by alignment + uniformity, then actor by cloning; critic and discriminator stay as they are."""
    key_norm, key_encoder, key_actor = jax.random.split(key, 3)
    nets, warm = settings.networks, settings.warm_start
    obs_normalizer, disc_normalizer = reference_normalizers(key_norm, env, reference, nets.num_frames)
    encoder, actor = Encoder(nets.latent_dim, nets.encoder), Actor(env.character.action_dim, nets.actor, nets.style)

    def windows(rows: jax.Array) -> jax.Array:
        return disc_normalizer(reference.window(rows, nets.num_frames).reshape(*rows.shape, -1))

    def encoder_loss(p, key):
        key_row, key_near = jax.random.split(key)
        row = reference.sample(key_row, (warm.batch,))
        near = jnp.clip(row + jax.random.randint(key_near, row.shape, -8, 9), reference.first[row], reference.last[row])
        return losses.alignment_uniformity(encoder.apply, p, windows(row), windows(near))

    def actor_loss(p, key, encoder_params):
        key_row, key_noise = jax.random.split(key)
        row = reference.sample(key_row, (warm.batch,))
        norm_obs = obs_normalizer(observations.observe(reference.bodies(env.character, row)))
        norm_obs += warm.noise * jax.random.normal(key_noise, norm_obs.shape)
        latent = encoder.apply(encoder_params, windows(reference.ahead(row, LATENT_STEPS)))
        error = actor.apply(p, norm_obs, latent) - cloning_target(env.character, reference, row)
        scale = jnp.asarray(env.character.action_scale)
        return jnp.mean((error * scale) ** 2), {"clone_rmse_rad": jnp.sqrt(jnp.mean((error * scale) ** 2))}

    def descend(name: str, loss, tree, steps: int, key: PRNGKey):
        optimizer = optax.adam(optax.cosine_decay_schedule(warm.lr, max(steps, 1)))

        @jax.jit
        def chunk(tree, opt, keys):
            def one(carry, key):
                tree, opt = carry
                grads, metrics = jax.grad(loss, has_aux=True)(tree, key)
                step, opt = optimizer.update(grads, opt, tree)
                return (optax.apply_updates(tree, step), opt), metrics

            (tree, opt), metrics = jax.lax.scan(one, (tree, opt), keys)
            return tree, opt, jax.tree.map(lambda m: m[-1], metrics)

        opt = optimizer.init(tree)
        keys = jax.random.split(key, max(steps, 1))[:steps]
        for begin in range(0, steps, 250):
            tree, opt, metrics = chunk(tree, opt, keys[begin : begin + 250])
            report(name, min(begin + 250, steps), jax.tree.map(np.asarray, metrics))
        return tree

    encoder_params = descend("encoder", encoder_loss, params.encoder, warm.encoder_steps, key_encoder)

    def clone(p, key):
        return actor_loss(p, key, encoder_params)

    actor_params = descend("clone", clone, params.actor, warm.clone_steps, key_actor)
    return params.replace(encoder=encoder_params, actor=actor_params)
