"""The learner of one instruction: actor, critic, and PPO over latent steps. `per_instruction` makes it I learners."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import struct

from anyskill_brax import ppo
from anyskill_brax.high_level.settings import LearnerSettings, ProbeSettings
from anyskill_brax.networks import Critic, LatentHead, Normalizer, unit
from anyskill_brax.policies import HighLevelPolicy
from anyskill_brax.types import Metrics, Params, PRNGKey


@struct.dataclass
class Learner:
    actor: Params
    critic: Params
    actor_opt: Any
    critic_opt: Any


@struct.dataclass
class Choice:
    """What the actor did in `[E]` worlds, as PPO will want to know."""

    norm_obs: jax.Array  # [E, 223]
    action: jax.Array  # [E, L] unnormalised latent as sampled
    log_prob: jax.Array  # [E]
    value: jax.Array  # [E]


class Learning:
    """Everything that can be done with a `Learner`; holds shapes and settings, no state.

    Observations are normalised by the low-level controller's frozen statistics: its worlds are the same worlds.
    """

    def __init__(self, settings: LearnerSettings, normalizer: Normalizer, obs_dim: int, latent_dim: int, updates: int):
        self._settings = settings
        self._normalizer = normalizer
        self._obs_dim = obs_dim
        self._head = LatentHead(latent_dim, settings.actor)
        self._critic = Critic(settings.critic)
        steps = updates * settings.epochs * settings.minibatches
        falling = optax.cosine_decay_schedule(settings.actor_lr, steps, settings.last_actor_lr / settings.actor_lr)
        self._actor_opt = _optimizer(falling, settings.max_grad_norm)
        self._critic_opt = _optimizer(settings.critic_lr, settings.max_grad_norm)

    def init(self, key: PRNGKey) -> Learner:
        """A random network whose mean is near zero: the centre of the unnormalised sphere, every skill equally near."""
        key_actor, key_critic = jax.random.split(key)
        obs, nothing = jnp.zeros(self._obs_dim), jnp.zeros(0)
        actor = self._head.init(key_actor, obs, nothing)
        critic = self._critic.init(key_critic, obs, nothing)
        return Learner(actor, critic, self._actor_opt.init(actor), self._critic_opt.init(critic))

    def policy(self, actor: Params) -> HighLevelPolicy:
        """What inference needs."""
        return HighLevelPolicy(actor, self._normalizer, self._head.latent_dim, self._settings.actor)

    def value(self, learner: Learner, obs: jax.Array) -> jax.Array:
        return jnp.asarray(self._critic.apply(learner.critic, self._normalizer(obs), _no_condition(obs)))

    def act(self, learner: Learner, obs: jax.Array, key: PRNGKey, sigma: jax.Array) -> tuple[jax.Array, Choice]:
        """z = a / |a|, a = clamp(mu + sigma n, -1, 1), mu = tanh(net(obs)): `obs [E, 223]` -> latent `[E, L]`."""
        norm_obs = self._normalizer(obs)
        mean = jnp.asarray(self._head.apply(learner.actor, norm_obs, _no_condition(obs)))
        action = mean + sigma * jax.random.normal(key, mean.shape)
        log_prob = ppo.log_prob(action, mean, sigma)
        return unit(jnp.clip(action, -1.0, 1.0)), Choice(norm_obs, action, log_prob, self.value(learner, obs))

    def imitate(
        self,
        actor: Params,
        norm_obs: jax.Array,
        latents: jax.Array,
        moves: jax.Array,
        settings: ProbeSettings,
        key: PRNGKey,
    ) -> Params:
        """The actor after regression, where it `moves [F]`, from `norm_obs [F, O]` to `latents [F, L]`."""
        target, weight = jnp.clip(settings.init_norm * latents, -0.9, 0.9), moves / jnp.maximum(moves.sum(), 1)
        optimizer = optax.adam(optax.cosine_decay_schedule(settings.imitate_lr, settings.imitate_steps))

        def loss(params: Params, key: PRNGKey) -> jax.Array:
            noisy = norm_obs + settings.imitate_noise * jax.random.normal(key, norm_obs.shape)
            mean = jnp.asarray(self._head.apply(params, noisy, _no_condition(noisy)))
            return jnp.sum(weight[:, None] * (mean - target) ** 2)

        def step(carry: Any, key: PRNGKey) -> tuple[Any, None]:
            params, opt = carry
            change, opt = optimizer.update(jax.grad(loss)(params, key), opt)
            return (optax.apply_updates(params, change), opt), None

        start: Any = actor, optimizer.init(actor)
        return jax.lax.scan(step, start, jax.random.split(key, settings.imitate_steps))[0][0]

    def learn(
        self,
        learner: Learner,
        choices: Choice,
        reward: jax.Array,
        terminated: jax.Array,
        truncated: jax.Array,
        last_obs: jax.Array,
        sigma: jax.Array,
        key: PRNGKey,
    ) -> tuple[Learner, Metrics]:
        """PPO on a rollout `[T, E]` of one instruction."""
        s = self._settings
        last_value = self.value(learner, last_obs)
        target, advantage = ppo.advantages(
            reward, choices.value, last_value, terminated, truncated, s.discount, s.gae_lambda
        )
        batch = ppo.PPOBatch(
            norm_obs=choices.norm_obs,
            condition=_no_condition(choices.norm_obs),
            action=choices.action,
            log_prob=choices.log_prob,
            advantage=ppo.standardize(advantage),
            target=target,
        )
        batch = jax.tree.map(lambda x: x.reshape(reward.size, *x.shape[2:]), batch)
        step = functools.partial(self._minibatch_step, sigma)
        learner, metrics = ppo.minibatch_epochs(key, learner, batch, step, s.epochs, s.minibatches)
        error = (target - choices.value).var() / (target.var() + 1e-8)
        return learner, metrics | {"value_explained": 1.0 - error}

    def _minibatch_step(self, sigma: jax.Array, learner: Learner, batch: Any) -> tuple[Learner, Metrics]:
        def actor_loss(params: Params):
            mean = jnp.asarray(self._head.apply(params, batch.norm_obs, batch.condition))
            new = ppo.log_prob(batch.action, mean, sigma)
            return ppo.ratio_loss(new, batch.log_prob, batch.advantage, self._settings.ratio_epsilon)

        def critic_loss(params: Params):
            value = jnp.asarray(self._critic.apply(params, batch.norm_obs, batch.condition))
            return jnp.mean((value - batch.target) ** 2)

        grad, metrics = jax.grad(actor_loss, has_aux=True)(learner.actor)
        change, actor_opt = self._actor_opt.update(grad, learner.actor_opt, learner.actor)
        actor: Any = optax.apply_updates(learner.actor, change)
        loss, grad = jax.value_and_grad(critic_loss)(learner.critic)
        change, critic_opt = self._critic_opt.update(grad, learner.critic_opt, learner.critic)
        critic: Any = optax.apply_updates(learner.critic, change)
        return Learner(actor, critic, actor_opt, critic_opt), metrics | {"value_loss": loss}


def aim(actor: Params, latent: jax.Array, norm: float) -> Params:
    """The actor with its output bias moved so that it starts at `latent [L]`: tanh(bias) = norm * latent.

    `norm` is the length of the unnormalised latent, against which the exploration noise is measured; components stop
    at 0.9, where tanh still has a slope.
    """
    bias = jnp.arctanh(jnp.clip(norm * latent, -0.9, 0.9))
    params = dict(actor["params"])
    params["mean"] = dict(params["mean"]) | {"bias": bias}
    return {"params": params}


def _optimizer(lr: optax.ScalarOrSchedule, max_grad_norm: float) -> optax.GradientTransformation:
    return optax.chain(optax.clip_by_global_norm(max_grad_norm), optax.adam(lr, eps=1e-5))


def _no_condition(obs: jax.Array) -> jax.Array:
    """One network per instruction needs to be told nothing."""
    return jnp.zeros((*obs.shape[:-1], 0))
