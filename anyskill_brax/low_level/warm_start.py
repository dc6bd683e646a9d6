"""A warm start: an encoder that knows the motions apart, and an actor cloned from a teacher.

Samples are dear on a CPU. The encoder is fitted to reference windows (neighbours close, others spread). Then the actor
learns, by DAgger (Ross et al. 2011), to answer (observation, latent) as a teacher that sees the reference would
(`teacher.py`). Some worlds follow a motion under the latents of its coming windows; the others hold a latent, reach the
still pose that it means from wherever they are, and keep it. What it saves: `docs/experiments/balance-feedback.md`.
"""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import struct

from anyskill_brax.envs import observations
from anyskill_brax.envs.humanoid_env import HumanoidEnv, HumanoidState
from anyskill_brax.low_level import losses
from anyskill_brax.low_level.balance import balancing_joints
from anyskill_brax.low_level.pauses import Log, Pause, Resume
from anyskill_brax.low_level.reference import Reference, tracking_error
from anyskill_brax.low_level.settings import LowLevelSettings
from anyskill_brax.low_level.teacher import Teacher
from anyskill_brax.low_level.train import Networks
from anyskill_brax.low_level.worlds import select
from anyskill_brax.networks import Actor, Encoder, Normalizer, sample_latents
from anyskill_brax.types import Metrics, Params, PRNGKey

KNOWN_POSES = 2048
CHUNK = 250  # steps of the encoder between two reports


def fit(
    key: PRNGKey,
    settings: LowLevelSettings,
    env: HumanoidEnv,
    reference: Reference,
    params: Networks,
    obs_normalizer: Normalizer,
    encoder_normalizer: Normalizer,
    report: Log,
    resume: Resume = lambda template: None,
    pause: Pause = lambda progress: False,
) -> Networks | None:
    """Encoder by alignment + uniformity, then actor by DAgger; critic and discriminator stay as they are.

    The normalisers must be those that training goes on with: networks are fitted to what they will see. A piece is a
    function of `key`, its number and the progress before it, so what is resumed ends in the same bits. None where
    `pause` stopped it.
    """
    key_encoder, key_actor = jax.random.split(key)
    key_start, key_rounds = jax.random.split(key_actor)
    warm = settings.warm_start
    if not warm.encoder_steps and not warm.rounds:
        return params
    encoder: Any = Encoder(settings.networks.latent_dim, settings.networks.encoder)

    def windows(rows: jax.Array) -> jax.Array:
        return encoder_normalizer(reference.window(rows, settings.networks.encoder_frames).reshape(*rows.shape, -1))

    def make_pupil(encoder_params: Params) -> Pupil:
        return Pupil(
            settings, env, reference, lambda rows: encoder.apply(encoder_params, windows(rows)), obs_normalizer
        )

    optimizer, study_windows = encoder_course(settings, reference, windows)
    begin = functools.partial(first_progress, params, optimizer, make_pupil(params.encoder))
    progress, pupil = resume(jax.eval_shape(begin)), None
    progress = begin() if progress is None else progress
    chunks, encoder_keys = -(-warm.encoder_steps // CHUNK), jax.random.split(key_encoder, warm.encoder_steps)
    round_keys = jax.random.split(key_rounds, warm.rounds)
    while not pause(progress):
        if (done := int(progress.done)) == chunks + warm.rounds:
            return params.replace(encoder=progress.encoder, actor=progress.actor)
        if done < chunks:
            steps = slice(done * CHUNK, min((done + 1) * CHUNK, warm.encoder_steps))
            learnt, opt, metrics = study_windows(progress.encoder, progress.encoder_opt, encoder_keys[steps])
            progress = progress.replace(encoder=learnt, encoder_opt=opt)
            report("encoder", steps.stop, jax.tree.map(np.asarray, metrics))
        else:
            pupil = pupil or make_pupil(progress.encoder)
            if done == chunks:
                progress = progress.replace(room=jax.jit(pupil.start)(key_start))
            progress = pupil.learn(progress, done - chunks, round_keys[done - chunks], report)
        progress = progress.replace(done=jnp.asarray(done + 1, jnp.int32))
    return None


def encoder_course(
    settings: LowLevelSettings, reference: Reference, windows: Callable[[jax.Array], jax.Array]
) -> tuple[optax.GradientTransformation, Callable]:
    """Neighbouring windows of a clip close on the sphere, different ones spread: the optimiser, and steps of it,
    `(params, opt, keys) -> (params, opt, metrics)`."""
    warm = settings.warm_start
    encoder: Any = Encoder(settings.networks.latent_dim, settings.networks.encoder)
    optimizer = optax.adam(optax.cosine_decay_schedule(warm.encoder_lr, max(warm.encoder_steps, 1)))

    def loss(p, key):
        key_row, key_near = jax.random.split(key)
        row = reference.sample(key_row, (warm.encoder_batch,))
        near = jnp.clip(row + jax.random.randint(key_near, row.shape, -8, 9), reference.first[row], reference.last[row])
        return losses.alignment_uniformity(encoder.apply, p, windows(row), windows(near))

    @jax.jit
    def steps(params, opt, keys):
        def one(carry, key):
            params, opt = carry
            grads, metrics = jax.grad(loss, has_aux=True)(params, key)
            step, opt = optimizer.update(grads, opt, params)
            return (optax.apply_updates(params, step), opt), metrics

        (params, opt), metrics = jax.lax.scan(one, (params, opt), keys)
        return params, opt, jax.tree.map(lambda m: m[-1], metrics)

    return optimizer, steps


@struct.dataclass
class Class:
    """The worlds in which the pupil practises, `[W]`."""

    humanoid: HumanoidState
    row: jax.Array  # [W] int32 reference frame: advancing where it follows, constant where it holds a pose
    latent: jax.Array  # [W, L]
    hold: jax.Array  # [W] int32 control steps until the latent is renewed
    age: jax.Array  # [W] int32
    follows: jax.Array  # [W] bool, fixed for good


@struct.dataclass
class Lesson:
    """What the teacher said, `[T, W]`."""

    norm_obs: jax.Array
    latent: jax.Array
    action: jax.Array  # the teacher's
    ended: jax.Array  # bool


@struct.dataclass
class Progress:
    """Everything that a checkpoint of the warm start holds."""

    done: jax.Array  # [] int32 pieces: chunks of the encoder's steps, then rounds
    broken: jax.Array  # [] int32 worlds whose physics diverged, and which began anew
    encoder: Params
    encoder_opt: Any
    actor: Params
    actor_opt: Any
    room: Class
    memory: Lesson  # [R, T, W]: a ring of the last R rounds


class Pupil:
    """DAgger: worlds are driven by the teacher at first and by the pupil later; the teacher labels every state."""

    def __init__(
        self,
        settings: LowLevelSettings,
        env: HumanoidEnv,
        reference: Reference,
        latents: Callable[[jax.Array], jax.Array],
        obs_normalizer: Normalizer,
    ):
        self._settings, self._env, self._reference = settings, env, reference
        self._latents, self._normalizer = latents, obs_normalizer
        self._actor: Any = Actor(env.character.action_dim, settings.networks.actor, settings.networks.style)
        self._ahead = settings.networks.encoder_frames  # as in training, `worlds.renew_latents`
        warm = settings.warm_start
        self.teacher = Teacher.create(env.character, reference, warm.balance_gains)
        self._known = reference.still[:: max(1, reference.still.size // KNOWN_POSES)]  # [S]
        self._known_latents = latents(self._known)  # [S, L]
        self.optimizer = optax.adam(optax.cosine_decay_schedule(warm.lr, max(warm.rounds * warm.steps, 1)))
        self._one_round, self._remember = jax.jit(self.round), jax.jit(remember, donate_argnums=0)

    def learn(self, progress: Progress, number: int, key: PRNGKey, report: Log) -> Progress:
        """Round `number`: practise, remember, study."""
        warm = self._settings.warm_start
        room, lesson, broken = self._one_round(
            key, progress.actor, progress.room, jnp.asarray(warm.teacher_decay**number)
        )
        broken += progress.broken
        memory = self._remember(progress.memory, lesson, number)
        actor, opt, metrics = self._study(key, progress.actor, progress.actor_opt, memory)
        if number % 10 == 9 or number == warm.rounds - 1:
            metrics |= self._survival(room, lesson) | {"broken_worlds": broken}
            report("round", number + 1, jax.tree.map(np.asarray, metrics))
        return progress.replace(room=room, memory=memory, actor=actor, actor_opt=opt, broken=broken)

    def _survival(self, room: Class, lesson: Lesson) -> Metrics:
        """Mean time between ends of episodes, under whoever drove [s]."""
        follows = room.follows.astype(jnp.float32)
        ends = lesson.ended.astype(jnp.float32).mean(axis=0)
        following = (ends * follows).sum() / follows.sum()
        holding = (ends * (1 - follows)).sum() / (1 - follows).sum()
        return {
            "seconds_following": 1.0 / (30.0 * jnp.maximum(following, 1e-4)),
            "seconds_holding": 1.0 / (30.0 * jnp.maximum(holding, 1e-4)),
        }

    def _assignment(self, key: PRNGKey, follows: jax.Array) -> tuple[jax.Array, jax.Array]:
        """What to do next, `(row, latent)`: to follow a motion from `row`, or to reach and hold the pose `row`.

        Held latents are those of still poses; some are uniform on the sphere and mean the known pose nearest to them:
        every latent then means something that can be held.
        """
        key_any, key_still, key_kind, key_sphere = jax.random.split(key, 4)
        still = self._reference.sample_still(key_still, follows.shape)
        row = jnp.where(follows, self._reference.sample(key_any, follows.shape), still)
        latent = self._latents(self._coming(row, follows))
        sphere = sample_latents(key_sphere, follows.shape, latent.shape[-1])
        nearest = self._known[jnp.argmax(sphere @ self._known_latents.T, axis=-1)]
        free = ~follows & jax.random.bernoulli(key_kind, self._settings.warm_start.sphere_share, follows.shape)
        return jnp.where(free, nearest, row), jnp.where(free[:, None], sphere, latent)

    def _coming(self, row: jax.Array, follows: jax.Array) -> jax.Array:
        return jnp.where(follows, self._reference.ahead(row, self._ahead), row)

    def _hold(self, key: PRNGKey, follows: jax.Array) -> jax.Array:
        steps = jax.random.randint(key, follows.shape, *self._settings.warm_start.hold)
        return jnp.where(follows, self._ahead, steps)

    def _fresh(self, key: PRNGKey, follows: jax.Array) -> Class:
        """New episodes: on the reference where a motion is followed; else on one still pose, about to reach another.

        The default pose is among them. No start is at rest: where a pose is held, joints are off by 0.05 rad and
        velocities by 0.2.
        """
        keys = jax.random.split(key, 6)
        row, latent = self._assignment(keys[0], follows)
        begin = jnp.where(follows, row, self._reference.sample_still(keys[1], follows.shape))
        noise = jnp.where(follows, 0.1, 0.2)[:, None] * jax.random.normal(keys[2], (follows.size, 34))
        qvel = self._reference.qvel[begin] * follows[:, None] + noise
        default = ~follows & jax.random.bernoulli(keys[4], 0.4, follows.shape)
        qpos = jnp.where(default[:, None], self._env.character.default_qpos, self._reference.qpos[begin])
        off = 0.05 * ~follows[:, None] * jax.random.normal(keys[5], (follows.size, qpos.shape[-1] - 7))
        qpos = jnp.where(follows[:, None], qpos, self._env.grounded(qpos.at[:, 7:].add(off)))
        return Class(
            humanoid=self._env.place(qpos, qvel),
            row=row,
            latent=latent,
            hold=self._hold(keys[3], follows),
            age=jnp.zeros(follows.shape, jnp.int32),
            follows=follows,
        )

    def _renew(self, key: PRNGKey, room: Class) -> Class:
        """The coming window's latent where a motion is followed, another pose where one was held long enough."""
        key_next, key_hold = jax.random.split(key)
        due, other = room.hold <= 0, ~room.follows
        row, latent = self._assignment(key_next, room.follows)
        row = jnp.where(due & other, row, room.row)
        latent = jnp.where(other[:, None], latent, self._latents(self._coming(row, room.follows)))
        return room.replace(
            row=row,
            latent=jnp.where(due[:, None], latent, room.latent),
            hold=jnp.where(due, self._hold(key_hold, room.follows), room.hold),
        )

    @property
    def remembered(self) -> int:
        """R: how many rounds are learned from."""
        return min(self._settings.warm_start.memory, self._settings.warm_start.rounds)

    def first_lesson(self, params: Params) -> tuple[Class, Lesson]:
        key = jax.random.PRNGKey(0)
        return self.round(key, params, self.start(key), jnp.ones(()))[:2]

    def start(self, key: PRNGKey) -> Class:
        warm = self._settings.warm_start
        return self._fresh(key, jnp.arange(warm.num_worlds) < round(warm.follow_share * warm.num_worlds))

    def round(
        self, key: PRNGKey, params: Params, room: Class, teacher_share: jax.Array
    ) -> tuple[Class, Lesson, jax.Array]:
        """The worlds afterwards, what the teacher said, how often physics diverged `[]`; such a world begins anew."""
        warm, env = self._settings.warm_start, self._env
        key_drive, key_steps = jax.random.split(key)
        teacher_drives = jax.random.bernoulli(key_drive, teacher_share, room.follows.shape)[:, None]

        def control_step(room: Class, key: PRNGKey) -> tuple[Class, tuple[Lesson, jax.Array]]:
            keys = jax.random.split(key, 5)
            norm_obs = self._normalizer(observations.observe(room.humanoid.bodies))
            label = self.teacher.action(env.character, self._reference, room.humanoid.bodies, room.row, room.follows)
            own = jnp.asarray(self._actor.apply(params, norm_obs, room.latent))
            action = jnp.where(teacher_drives, label, own) + warm.noise * jax.random.normal(keys[0], label.shape)
            after = env.advance(room.humanoid, action)
            broken = env.is_broken(after)
            after = select(broken, room.humanoid, after)  # nothing that is not a number reaches a loss
            over = room.follows & (room.row >= self._reference.last[room.row])
            row = jnp.where(room.follows, self._reference.ahead(room.row, 1), room.row)
            moved = room.replace(humanoid=after, row=row, hold=room.hold - 1, age=room.age + 1)
            target = self._reference.bodies(env.character, row, room.follows)
            lost = room.follows & (tracking_error(after.bodies, target) > self._settings.start.max_tracking_error)
            failed = broken | lost | (~room.follows & env.has_fallen(after.bodies))
            ended = failed | over | (moved.age >= self._settings.start.episode_steps)
            moved = select(ended, self._fresh(keys[1], room.follows), self._renew(keys[2], moved))
            return moved, (Lesson(norm_obs=norm_obs, latent=room.latent, action=label, ended=failed), broken)

        room, (lesson, broken) = jax.lax.scan(control_step, room, jax.random.split(key_steps, warm.horizon))
        return room, lesson, broken.sum()

    def _study(self, key: PRNGKey, params: Params, opt, lessons: Lesson):
        return study(self._actor, self.optimizer, self._settings.warm_start, self._env, key, params, opt, lessons)


def first_progress(params: Networks, encoder_optimizer: optax.GradientTransformation, pupil: Pupil) -> Progress:
    """Nothing done; an empty room and memory."""
    room, lesson = jax.eval_shape(lambda: pupil.first_lesson(params.actor))
    empty = lambda shape, *lead: jnp.zeros((*lead, *shape.shape), shape.dtype)  # noqa: E731
    return Progress(
        done=jnp.zeros((), jnp.int32),
        broken=jnp.zeros((), jnp.int32),
        encoder=params.encoder,
        encoder_opt=encoder_optimizer.init(params.encoder),
        actor=params.actor,
        actor_opt=pupil.optimizer.init(params.actor),
        room=jax.tree.map(empty, room),
        memory=jax.tree.map(lambda shape: empty(shape, pupil.remembered), lesson),
    )


def remember(memory: Lesson, lesson: Lesson, number: jax.Array | int) -> Lesson:
    """Lesson `number` takes the oldest's place in `memory [R, ...]`, and at first the places of those still to come."""

    def one(old: jax.Array, new: jax.Array) -> jax.Array:
        slot = jnp.arange(old.shape[0])
        taken = (slot == number % old.shape[0]) | (slot > number)
        return jnp.where(taken.reshape(-1, *(1,) * new.ndim), new, old)

    return jax.tree.map(one, memory, lesson)


@functools.partial(jax.jit, static_argnums=(0, 1, 2, 3))
def study(actor: Any, optimizer, warm, env: HumanoidEnv, key: PRNGKey, params: Any, opt, lessons: Lesson):
    """Regress the teacher's PD targets over the remembered lessons `[R, T, W]`, joints that balance counting more."""
    flat = jax.tree.map(lambda x: x.reshape(-1, *x.shape[3:]), lessons)
    scale = jnp.asarray(env.character.action_scale)
    importance = jnp.where(jnp.asarray(balancing_joints(env.character)), warm.balance_weight, 1.0)

    def loss(p, rows):
        error = (actor.apply(p, flat.norm_obs[rows], flat.latent[rows]) - flat.action[rows]) * scale
        return jnp.mean(importance * error**2), jnp.mean(error**2)

    def one(carry, key):
        params, opt = carry
        rows = jax.random.randint(key, (warm.batch,), 0, flat.ended.size)
        grads, square = jax.grad(loss, has_aux=True)(params, rows)
        step, opt = optimizer.update(grads, opt, params)
        return (optax.apply_updates(params, step), opt), square

    (params, opt), squares = jax.lax.scan(one, (params, opt), jax.random.split(key, warm.steps))
    return params, opt, {"clone_rmse_rad": jnp.sqrt(squares.mean())}
