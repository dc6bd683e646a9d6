"""Many skills into one network: `make_train` is DAgger, `train` the door with files, logs and checkpoints."""

import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import struct

from anyskill_brax.clip.reward import RewardModel, embed_goals, prompt_variants
from anyskill_brax.distill.collect import Lesson, Teachers, Worlds, blank_worlds, collect
from anyskill_brax.distill.settings import DistillSettings
from anyskill_brax.envs.humanoid_env import HumanoidEnv
from anyskill_brax.envs.latent_env import LatentEnv
from anyskill_brax.networks import LatentHead, unit
from anyskill_brax.policies import LowLevelController, MultiSkillPolicy
from anyskill_brax.types import LatentPolicy, Metrics, Params, PRNGKey, UserError
from anyskill_brax.workdir import Workdir


@struct.dataclass
class Memory:
    """The lessons of the last R rounds; round i lies in slot i mod R."""

    obs: jax.Array  # [R, T, K, E, 223]
    latent: jax.Array  # [R, T, K, E, L]

    def insert(self, slot: jax.Array, lesson: Lesson) -> "Memory":
        return Memory(self.obs.at[slot].set(lesson.obs), self.latent.at[slot].set(lesson.latent))

    def sample(self, key: PRNGKey, size: int, rounds: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
        """`size` latent steps of the first `rounds` slots: obs `[B, 223]`, latent `[B, L]`, whose lesson `[B]`."""
        limits = (rounds, *self.obs.shape[1:4])
        index = tuple(
            jax.random.randint(k, (size,), 0, n) for k, n in zip(jax.random.split(key, 4), limits, strict=True)
        )
        return self.obs[index], self.latent[index], index[2]


@struct.dataclass
class TrainState:
    """All that distillation is, at one moment."""

    params: Params
    opt: Any
    worlds: Worlds
    memory: Memory
    key: PRNGKey
    round: jax.Array  # [] int32, rounds done


@struct.dataclass
class Frozen:
    """What distillation uses and never changes."""

    low_level: LowLevelController
    teachers: Teachers
    text: jax.Array  # [K, V, D] every instruction, worded V ways; the first row is the instruction's goal

    def student(self, params: Params, settings: DistillSettings) -> MultiSkillPolicy:
        """The student without its names; it sees the world through the controller's normaliser."""
        return MultiSkillPolicy(
            params=params,
            normalizer=self.low_level.normalizer,
            text_embeddings=self.text[:, 0],
            instructions=(),
            latent_dim=self.low_level.latent_dim,
            widths=settings.widths,
        )


Init = Callable[[Frozen, PRNGKey], TrainState]
Update = Callable[[Frozen, TrainState], tuple[TrainState, Metrics]]


def make_train(settings: DistillSettings, env: HumanoidEnv) -> tuple[Init, Update]:
    """Pure `init(frozen, key)` and `update(frozen, state)`, one round of DAgger; jit both.

    A round: roll out under teachers (share beta_i) or the student, let every world's own teacher label what was
    visited, and fit the student to the labels of all remembered rounds: minimise 1 - cos(student, teacher).
    """
    schedule = optax.cosine_decay_schedule(settings.lr, settings.rounds * settings.steps)
    optimizer = optax.chain(optax.clip_by_global_norm(settings.max_grad_norm), optax.adam(schedule))

    def latent_env(frozen: Frozen) -> LatentEnv:
        return LatentEnv(env, frozen.low_level, settings.episode_length, axis="vmap")

    def init(frozen: Frozen, key: PRNGKey) -> TrainState:
        key, key_student = jax.random.split(key)
        low_level, teachers = frozen.low_level, frozen.teachers
        head = LatentHead(low_level.latent_dim, settings.widths)
        params = head.init(key_student, jnp.zeros(low_level.obs_dim), frozen.text[0, 0])
        lead = (settings.memory, settings.horizon, teachers.count, settings.num_envs)
        return TrainState(
            params=params,
            opt=optimizer.init(params),
            worlds=blank_worlds(latent_env(frozen), teachers, settings.num_envs),
            memory=Memory(jnp.zeros((*lead, low_level.obs_dim)), jnp.zeros((*lead, low_level.latent_dim))),
            key=key,
            round=jnp.zeros((), jnp.int32),
        )

    def update(frozen: Frozen, state: TrainState) -> tuple[TrainState, Metrics]:
        key, key_text, key_driver, key_worlds, key_learn = jax.random.split(state.key, 5)
        lead = (frozen.teachers.count, settings.num_envs)
        owner = jnp.broadcast_to(jnp.arange(lead[0])[:, None], lead)
        teacher_share = settings.teacher_decay**state.round
        worlds, lesson = collect(
            key_worlds,
            latent_env(frozen),
            frozen.teachers,
            frozen.student(state.params, settings),
            text=reword(key_text, frozen.text, owner, settings.text_noise),
            teacher_drives=jax.random.uniform(key_driver, lead) < teacher_share,
            worlds=state.worlds,
            horizon=settings.horizon,
            drive_noise=settings.drive_noise,
        )
        memory = state.memory.insert(state.round % settings.memory, lesson)
        remembered = jnp.minimum(state.round + 1, settings.memory)

        def learn(carry: tuple[Params, Any], key: PRNGKey):
            key_sample, key_text = jax.random.split(key)
            obs, label, owner = memory.sample(key_sample, settings.batch, remembered)
            text = reword(key_text, frozen.text, owner, settings.text_noise)

            def loss(params: Params) -> jax.Array:
                return jnp.mean(1.0 - jnp.sum(frozen.student(params, settings).latent(obs, text) * label, axis=-1))

            params, opt = carry
            value, grad = jax.value_and_grad(loss)(params)
            change, opt = optimizer.update(grad, opt, params)
            params: Any = optax.apply_updates(params, change)
            return (params, opt), value

        (params, opt), losses = jax.lax.scan(
            learn, (state.params, state.opt), jax.random.split(key_learn, settings.steps)
        )
        metrics = {
            "loss": losses.mean(),
            "agreement": lesson.agreement.mean(axis=(0, 2)),  # [K], before this round's learning
            "fell": lesson.fallen.mean(),
            "teacher_share": teacher_share,
        }
        return TrainState(params, opt, worlds, memory, key, state.round + 1), metrics

    return init, update


def reword(key: PRNGKey, text: jax.Array, owner: jax.Array, noise: float) -> jax.Array:
    """Instruction `owner [...]` in one of its wordings `text [K, V, D]`, and a little off: `[..., D]` unit."""
    key_variant, key_noise = jax.random.split(key)
    rows = text[owner, jax.random.randint(key_variant, owner.shape, 0, text.shape[1])]
    return unit(rows + noise / jnp.sqrt(rows.shape[-1]) * jax.random.normal(key_noise, rows.shape))


def wordings(model: RewardModel, instructions: Sequence[str]) -> jax.Array:
    """`[K, V, D]` unit: the goal of each instruction, then its prompt variants one by one."""
    variants = [prompt_variants(text) for text in instructions]
    rows = model.embed_text([variant for group in variants for variant in group])
    goals = embed_goals(model, instructions)
    return jnp.concatenate([goals[:, None], rows.reshape(len(variants), -1, goals.shape[-1])], axis=1)


# -- the door ------------------------------------------------------------------------------------------------------

Report = Callable[[int, Mapping[str, np.ndarray]], None]
"""`report(rounds done, metrics)`, after every round; `agreement [K]` is in the teachers' order."""


def train(
    config: Mapping[str, Any],
    workdir: str | Path,
    *,
    env: HumanoidEnv,
    low_level: LowLevelController,
    teachers: Mapping[str, LatentPolicy],
    model: RewardModel,
    report: Report = lambda done, metrics: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> MultiSkillPolicy | None:
    """One policy for all of `teachers` (instruction -> policy on `low_level`); resumes where `workdir` stands.

    None when `should_stop` ended it early, state saved.
    """
    settings, instructions = DistillSettings.from_config(config), tuple(teachers)
    if len(instructions) < 2:
        raise UserError(
            f"distillation makes one policy of several; got {len(instructions)} teacher(s), give at least 2"
        )
    identity = {
        "teachers": {text: fingerprint(policy) for text, policy in teachers.items()},
        "low_level": fingerprint(low_level),
        "reward_model": {"name": model.name, "sha256": model.sha256},
    }
    frozen = Frozen(low_level, Teachers.create(list(teachers.values())), wordings(model, instructions))
    init, update = (jax.jit(fn) for fn in make_train(settings, env))
    folder = Workdir(workdir, {**config, **identity})
    try:
        start = (frozen, jax.random.PRNGKey(settings.seed))
        restored = folder.restore(jax.eval_shape(init, *start))
        state = init(*start) if restored is None else restored[1]
        state = _run(state, frozen, update, folder, settings, float(config["checkpoint_seconds"]), report, should_stop)
    finally:
        folder.close()
    if int(state.round) < settings.rounds:
        return None
    student: Any = frozen.student(jax.tree.map(jnp.asarray, state.params), settings)
    return student.replace(instructions=instructions, reward_model_sha256=model.sha256)


def _run(
    state: TrainState,
    frozen: Frozen,
    update: Update,
    folder: Workdir,
    settings: DistillSettings,
    checkpoint_seconds: float,
    report: Report,
    should_stop: Callable[[], bool],
) -> TrainState:
    saved = time.monotonic()
    for done in range(int(state.round) + 1, settings.rounds + 1):
        state, metrics = update(frozen, state)
        values = {name: np.asarray(value) for name, value in metrics.items()}
        folder.log(done, {**values, "mean_agreement": values["agreement"].mean()})
        report(done, values)
        stop = should_stop()
        if stop or done == settings.rounds or time.monotonic() - saved >= checkpoint_seconds:
            folder.save(done, state)
            saved = time.monotonic()
        if stop:
            break
    return state


def fingerprint(policy: Any) -> str:
    """sha256 over the arrays of a policy or controller, in the order of its leaves."""
    digest = hashlib.sha256()
    for leaf in jax.tree.leaves(policy):
        digest.update(np.asarray(leaf).tobytes())
    return digest.hexdigest()
