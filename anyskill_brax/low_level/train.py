"""The low-level stage (ASE, algorithm 1): latents, rollout, rewards, advantages, PPO, discriminator, encoder."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import struct

from anyskill_brax import ppo
from anyskill_brax.envs import observations
from anyskill_brax.envs.humanoid_env import HumanoidEnv, HumanoidState
from anyskill_brax.low_level import losses, worlds
from anyskill_brax.low_level.reference import TRACKING_WEIGHTS, Reference, tracking_terms
from anyskill_brax.low_level.settings import LowLevelSettings
from anyskill_brax.low_level.worlds import Worlds
from anyskill_brax.networks import Actor, Critic, Discriminator, Encoder, Normalizer
from anyskill_brax.policies import style_reward_from_logit
from anyskill_brax.types import Metrics, Params, PRNGKey


@struct.dataclass
class Networks:
    """One parameter tree (or optimiser state) per network."""

    actor: Any
    critic: Any
    disc: Any
    encoder: Any


@struct.dataclass
class TrainState:
    """Everything a checkpoint holds."""

    params: Networks
    opt: Networks
    obs_normalizer: Normalizer  # [223]
    disc_normalizer: Normalizer  # [N * 125]
    replay: jax.Array  # [R, N * 125] windows of past policies
    replay_count: jax.Array  # [] int32 windows ever inserted
    worlds: Worlds
    fall_states: HumanoidState
    key: PRNGKey
    updates: jax.Array  # [] int32


@struct.dataclass
class Step:
    """One control step of every world; leading axes `[T, W]` after the rollout."""

    obs: jax.Array
    latent: jax.Array
    privileged: jax.Array  # [.., L + 2] what the critic sees beside obs
    action: jax.Array
    log_prob: jax.Array
    window: jax.Array  # [.., N * 125] after the step, before any reset
    tracking: jax.Array  # [..] tracking reward
    follows: jax.Array
    poses: jax.Array
    free: jax.Array
    terminated: jax.Array
    truncated: jax.Array
    broken: jax.Array
    age: jax.Array


def make_train(
    settings: LowLevelSettings, env: HumanoidEnv, reference: Reference
) -> tuple[Callable[[PRNGKey, Networks | None], TrainState], Callable[[TrainState], tuple[TrainState, Metrics]]]:
    """`(init, update)`, both pure. `init(key, params)` starts from given networks (a warm start) or fresh ones."""
    nets, learner, rewards = settings.networks, settings.learner, settings.reward
    actor: Any = Actor(env.character.action_dim, nets.actor, nets.style)
    critic: Any = Critic(nets.critic)
    disc: Any = Discriminator(nets.discriminator)
    encoder: Any = Encoder(nets.latent_dim, nets.encoder)
    optimizers = make_optimizers(settings)
    batch_size = learner.num_worlds * learner.horizon
    num_minibatches = max(1, batch_size // learner.minibatch)

    def init(key: PRNGKey, params: Networks | None = None) -> TrainState:
        key_net, key_fall, key_start, key_run, key_norm = jax.random.split(key, 5)
        params = init_params(key_net, settings, env) if params is None else params
        fall_states = worlds.drop_fall_states(key_fall, env, settings.start.num_fall_states)
        obs_normalizer, disc_normalizer = reference_normalizers(key_norm, env, reference, nets.num_frames)
        zeros = jnp.zeros((learner.replay, disc_normalizer.mean.size))
        started = worlds.start(
            key_start, env, reference, fall_states, settings.start, jnp.asarray(rewards.follow_share[0]),
            nets.latent_dim, learner.num_worlds,
        )  # fmt: skip
        return TrainState(
            params=params,
            opt=Networks(
                **{n: getattr(optimizers, n).init(getattr(params, n)) for n in ("actor", "critic", "disc", "encoder")}
            ),
            obs_normalizer=obs_normalizer,
            disc_normalizer=disc_normalizer,
            replay=zeros,
            replay_count=jnp.zeros((), jnp.int32),
            worlds=started,
            fall_states=fall_states,
            key=key_run,
            updates=jnp.zeros((), jnp.int32),
        )

    def encode(state: TrainState) -> worlds.Encode:
        def apply(windows: jax.Array) -> jax.Array:
            flat = windows.reshape(*windows.shape[:-2], -1)
            return encoder.apply(state.params.encoder, state.disc_normalizer(flat))

        return apply

    def fade(state: TrainState) -> jax.Array:
        """1 while the tracking reward leads, 0 once the objective is ASE's alone."""
        begin, end = rewards.tracking_fade
        millions = state.updates * (batch_size / 1e6)
        return jnp.clip((end - millions) / jnp.maximum(end - begin, 1e-6), 0.0, 1.0)

    def follow_share(state: TrainState) -> jax.Array:
        first, last = rewards.follow_share
        return last + (first - last) * fade(state)

    def rollout(state: TrainState, key: PRNGKey) -> tuple[Worlds, Step]:
        encode_window, share = encode(state), follow_share(state)

        def control_step(world: Worlds, key: PRNGKey) -> tuple[Worlds, Step]:
            key_latent, key_action, key_fall, key_start = jax.random.split(key, 4)
            world = worlds.renew_latents(key_latent, reference, encode_window, settings.start, world, nets.num_frames)
            obs = observations.observe(world.humanoid.bodies)
            mean = actor.apply(state.params.actor, state.obs_normalizer(obs), world.latent)
            action = mean + learner.sigma * jax.random.normal(key_action, mean.shape)
            after = env.advance(world.humanoid, action)
            after = worlds.select(env.is_broken(after), world.humanoid.replace(window=after.window * 0), after)
            moved, outcome = worlds.finish_step(key_fall, env, reference, world, after, settings.start)
            terms = tracking_terms(after.bodies, reference.bodies(env.character, moved.row, moved.follows))
            step = Step(
                obs=obs,
                latent=world.latent,
                privileged=privileged(world),
                action=action,
                log_prob=ppo.log_prob(action, mean, learner.sigma),
                window=after.window.reshape(after.window.shape[0], -1),
                tracking=jnp.asarray(sum(weight * terms[name] for name, weight in TRACKING_WEIGHTS.items())),
                follows=world.follows,
                poses=world.poses,
                free=world.free,
                terminated=outcome.terminated,
                truncated=outcome.truncated,
                broken=outcome.broken,
                age=moved.age,
            )
            fresh = worlds.start(
                key_start, env, reference, state.fall_states, settings.start, share, nets.latent_dim, learner.num_worlds
            )
            return worlds.select(outcome.terminated | outcome.truncated, fresh, moved), step

        return jax.lax.scan(control_step, state.worlds, jax.random.split(key, learner.horizon))

    def reward_terms(state: TrainState, steps: Step) -> dict[str, jax.Array]:
        """ASE eq. 12: w_D r_D + w_E r_E, and the fading tracking reward of worlds with a target."""
        norm_windows = state.disc_normalizer(steps.window)
        style = style_reward_from_logit(disc.apply(state.params.disc, norm_windows))
        direction = encoder.apply(state.params.encoder, norm_windows)
        discovery = jnp.maximum(jnp.sum(direction * steps.latent, axis=-1), 0.0)
        lead = fade(state) * (steps.follows | steps.poses)
        return {
            "style": (1.0 - lead) * rewards.style * style,
            "discovery": (1.0 - lead) * rewards.discovery * discovery,
            "tracking": lead * rewards.tracking * steps.tracking,
        }

    def learn_policy(state: TrainState, steps: Step, total: jax.Array, key: PRNGKey) -> tuple[TrainState, Metrics]:
        norm_obs = state.obs_normalizer(steps.obs)
        values = critic.apply(state.params.critic, norm_obs, steps.privileged)
        last_obs = state.obs_normalizer(observations.observe(state.worlds.humanoid.bodies))
        last_value = critic.apply(state.params.critic, last_obs, privileged(state.worlds))
        target, advantage = ppo.advantages(
            total, values, last_value, steps.terminated, steps.truncated, learner.discount, learner.gae_lambda
        )
        batch = ppo.PPOBatch(
            norm_obs=norm_obs,
            condition=steps.privileged,
            action=steps.action,
            log_prob=steps.log_prob,
            advantage=standardize_apart(advantage, steps.follows | steps.poses),
            target=target,
        )
        batch = jax.tree.map(lambda x: x.reshape(batch_size, *x.shape[2:]), batch)

        def loss(params: tuple[Params, Params], rows: ppo.PPOBatch, key: PRNGKey):
            latent = rows.condition[..., : nets.latent_dim]
            mean = actor.apply(params[0], rows.norm_obs, latent)
            new_log_prob = ppo.log_prob(rows.action, mean, learner.sigma)
            surrogate, metrics = ppo.ratio_loss(new_log_prob, rows.log_prob, rows.advantage, learner.ratio_epsilon)
            value = jnp.mean((critic.apply(params[1], rows.norm_obs, rows.condition) - rows.target) ** 2)
            bounds, diversity = ppo.bounds_loss(mean), jnp.zeros(())
            if learner.diversity:
                few = slice(0, max(learner.minibatch // 8, 1))  # an eighth tells as much; the whole doubles the cost
                diversity = losses.diversity_loss(
                    actor.apply, params[0], rows.norm_obs[few], latent[few], mean[few], key
                )
            total_loss = surrogate + learner.bounds * bounds + learner.diversity * diversity + value
            return total_loss, metrics | {"value_loss": value, "bounds_loss": bounds, "diversity_loss": diversity}

        def minibatch(carry, rows):
            (actor_params, critic_params), (actor_opt, critic_opt), key = carry
            key, key_loss = jax.random.split(key)
            grads, metrics = jax.grad(loss, has_aux=True)((actor_params, critic_params), rows, key_loss)
            step, actor_opt = optimizers.actor.update(grads[0], actor_opt, actor_params)
            actor_params = optax.apply_updates(actor_params, step)
            step, critic_opt = optimizers.critic.update(grads[1], critic_opt, critic_params)
            critic_params = optax.apply_updates(critic_params, step)
            return ((actor_params, critic_params), (actor_opt, critic_opt), key), metrics

        key_epochs, key_loss = jax.random.split(key)
        carry = ((state.params.actor, state.params.critic), (state.opt.actor, state.opt.critic), key_loss)
        carry, metrics = ppo.minibatch_epochs(key_epochs, carry, batch, minibatch, learner.epochs, num_minibatches)
        (actor_params, critic_params), (actor_opt, critic_opt), _ = carry
        return state.replace(
            params=state.params.replace(actor=actor_params, critic=critic_params),
            opt=state.opt.replace(actor=actor_opt, critic=critic_opt),
        ), metrics

    def learn_style(state: TrainState, steps: Step, key: PRNGKey) -> tuple[TrainState, Metrics]:
        """Discriminator on demonstrations against fresh and replayed windows; encoder on windows of free latents."""
        half = learner.disc_batch // 2
        windows = steps.window.reshape(batch_size, -1)
        latents, free = steps.latent.reshape(batch_size, -1), steps.free.reshape(batch_size)
        sound = ~steps.broken.reshape(batch_size)
        held = jnp.minimum(state.replay_count, learner.replay)

        def one(carry, key):
            params, opt = carry
            keys = jax.random.split(key, 4)
            rows = jax.random.randint(keys[0], (half,), 0, batch_size)
            old = jax.random.randint(keys[1], (half,), 0, jnp.maximum(held, 1))
            past = jnp.where(held > 0, state.replay[old], windows[rows])
            simulated = state.disc_normalizer(jnp.concatenate([windows[rows], past]))
            row = reference.sample(keys[2], (2 * half,))
            near = jnp.clip(
                row + jax.random.randint(keys[3], row.shape, -8, 9), reference.first[row], reference.last[row]
            )
            demo = state.disc_normalizer(reference.window(row, nets.num_frames).reshape(2 * half, -1))
            neighbours = state.disc_normalizer(reference.window(near, nets.num_frames).reshape(2 * half, -1))

            def disc_loss(p):
                return losses.discriminator_loss(
                    disc.apply, p, demo, simulated, learner.grad_penalty, learner.logit_regularization
                )

            def encoder_loss(p):
                weight = (free[rows] & sound[rows]).astype(jnp.float32)
                fit, fit_metrics = losses.encoder_loss(encoder.apply, p, simulated[:half], latents[rows], weight)
                spread, spread_metrics = losses.alignment_uniformity(encoder.apply, p, demo[:half], neighbours[:half])
                return fit + learner.uniformity * spread, fit_metrics | spread_metrics

            grads, disc_metrics = jax.grad(disc_loss, has_aux=True)(params[0])
            step, disc_opt = optimizers.disc.update(grads, opt[0], params[0])
            disc_params = optax.apply_updates(params[0], step)
            grads, encoder_metrics = jax.grad(encoder_loss, has_aux=True)(params[1])
            step, encoder_opt = optimizers.encoder.update(grads, opt[1], params[1])
            encoder_params = optax.apply_updates(params[1], step)
            return ((disc_params, encoder_params), (disc_opt, encoder_opt)), disc_metrics | encoder_metrics

        key_steps, key_insert = jax.random.split(key)
        carry = ((state.params.disc, state.params.encoder), (state.opt.disc, state.opt.encoder))
        carry, metrics = jax.lax.scan(one, carry, jax.random.split(key_steps, learner.disc_steps))
        kept = windows[jax.random.randint(key_insert, (learner.replay_insert,), 0, batch_size)]
        slots = (state.replay_count + jnp.arange(learner.replay_insert)) % learner.replay
        return state.replace(
            params=state.params.replace(disc=carry[0][0], encoder=carry[0][1]),
            opt=state.opt.replace(disc=carry[1][0], encoder=carry[1][1]),
            replay=state.replay.at[slots].set(kept),
            replay_count=state.replay_count + learner.replay_insert,
        ), jax.tree.map(jnp.mean, metrics)

    def update(state: TrainState) -> tuple[TrainState, Metrics]:
        key, key_rollout, key_policy, key_style = jax.random.split(state.key, 4)
        after, steps = rollout(state, key_rollout)
        terms = reward_terms(state, steps)
        state = state.replace(worlds=after, key=key)
        state, policy_metrics = learn_policy(state, steps, jnp.asarray(sum(terms.values())), key_policy)
        state, style_metrics = learn_style(state, steps, key_style)
        return state.replace(updates=state.updates + 1), policy_metrics | style_metrics | rollout_metrics(
            steps, terms, env
        )

    return init, update


def privileged(world: Worlds) -> jax.Array:
    """The critic's condition: the latent, whether the world has a target (another reward, and motions another way to
    fail), and how far it is off; the actor knows neither."""
    led = world.follows.astype(jnp.float32) - world.poses.astype(jnp.float32)
    return jnp.concatenate([world.latent, led[:, None], (10.0 * jnp.abs(led) * world.error)[:, None]], axis=-1)


def standardize_apart(advantage: jax.Array, led: jax.Array) -> jax.Array:
    """Zero mean, unit variance among the worlds with a target and among the others: neither reward drowns the other."""

    def among(mask: jax.Array) -> jax.Array:
        count = jnp.maximum(jnp.sum(mask), 1.0)
        mean = jnp.sum(advantage * mask) / count
        std = jnp.sqrt(jnp.sum((advantage - mean) ** 2 * mask) / count)
        return mask * (advantage - mean) / (std + 1e-5)

    with_target = led.astype(advantage.dtype)
    return among(with_target) + among(1.0 - with_target)


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


def init_params(key: PRNGKey, settings: LowLevelSettings, env: HumanoidEnv) -> Networks:
    nets = settings.networks
    keys = jax.random.split(key, 4)
    obs = jnp.zeros((1, observations.obs_dim(env.character)))
    window = jnp.zeros((1, nets.num_frames * observations.disc_frame_dim(env.character)))
    latent = jnp.zeros((1, nets.latent_dim))
    return Networks(
        actor=Actor(env.character.action_dim, nets.actor, nets.style).init(keys[0], obs, latent),
        critic=Critic(nets.critic).init(keys[1], obs, jnp.zeros((1, nets.latent_dim + 2))),
        disc=Discriminator(nets.discriminator).init(keys[2], window),
        encoder=Encoder(nets.latent_dim, nets.encoder).init(keys[3], window),
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


def rollout_metrics(steps: Step, terms: dict[str, jax.Array], env: HumanoidEnv) -> Metrics:
    poses = steps.poses.astype(jnp.float32)
    follows, ended = steps.follows.astype(jnp.float32), steps.terminated | steps.truncated

    def share(x, mask):
        return jnp.sum(x * mask) / jnp.maximum(jnp.sum(mask), 1.0)

    falls = steps.terminated.astype(jnp.float32)
    return {f"reward_{name}": jnp.mean(value) for name, value in terms.items()} | {
        "tracking_quality": share(steps.tracking, follows),
        "pose_quality": share(steps.tracking, poses),
        "seconds_to_fail_following": 1.0 / (30.0 * jnp.maximum(share(falls, follows), 1e-4)),
        "seconds_to_fail_free": 1.0 / (30.0 * jnp.maximum(share(falls, 1.0 - follows), 1e-4)),
        "episode_seconds": share(steps.age.astype(jnp.float32), ended.astype(jnp.float32)) / 30.0,
        "broken_worlds": jnp.sum(steps.broken.astype(jnp.float32)),
    }
