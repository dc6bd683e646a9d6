"""I instructions learn together: the algorithm. Files, logs and checkpoints are in `run.py`."""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
from flax import struct

from anyskill_brax.character.kinematics import BodyState
from anyskill_brax.clip.reward import EarlyTermination, ScoreNormalizer, Trend
from anyskill_brax.clip.surrogate import Surrogate
from anyskill_brax.envs.humanoid_env import HumanoidEnv
from anyskill_brax.envs.latent_env import LatentEnv, LatentOutcome, LatentState, per_instruction
from anyskill_brax.high_level.audit import Auditor, Sight
from anyskill_brax.high_level.beginning import best_of, first_actors
from anyskill_brax.high_level.eyes import Eyes, Memory
from anyskill_brax.high_level.learner import Choice, Learner, Learning
from anyskill_brax.high_level.probe import Findings, grade, roll_out
from anyskill_brax.high_level.repertoire import Repertoire
from anyskill_brax.high_level.reward import Goal, feature_terms, reward_terms, similarity, weigh
from anyskill_brax.high_level.settings import HighLevelSettings
from anyskill_brax.high_level.validation import validate
from anyskill_brax.policies import LowLevelController
from anyskill_brax.types import Metrics, Params, PRNGKey


@struct.dataclass
class TrainState:
    """All that training is, at one moment; leading axis I, worlds `[I, E]`."""

    learner: Learner
    worlds: LatentState
    memory: Memory  # what the eyes saw of late
    trend: Trend
    rules: EarlyTermination  # [I] each
    goal: Goal
    normalizer: ScoreNormalizer
    surrogate: Surrogate | None  # where the settings enable it
    key: PRNGKey  # [I, 2]
    best: Params  # the actor that earned `best_reward` when it was tried, after `best_update` updates
    best_reward: jax.Array  # [I]
    best_update: jax.Array  # [I] int32
    update: jax.Array  # [] int32, updates done


@struct.dataclass
class Record:
    """One latent step of one instruction's worlds `[E]`, graded."""

    terms: dict[str, jax.Array]
    reward: jax.Array
    score: jax.Array  # similarity as the reward model gives it
    fallen: jax.Array
    broken: jax.Array
    gave_up: jax.Array  # early termination after successive reductions
    terminated: jax.Array
    truncated: jax.Array


@struct.dataclass
class Moment:
    """What a latent step hands to the next; fields as in `TrainState`."""

    worlds: LatentState
    memory: Memory
    trend: Trend


@struct.dataclass
class Frozen:
    """What training uses and never changes."""

    low_level: LowLevelController
    eyes: Eyes


Init = Callable[[Frozen, PRNGKey, PRNGKey, Goal, Repertoire | None], tuple[TrainState, Findings, Params]]
Update = Callable[[Frozen, TrainState], tuple[TrainState, Metrics]]
Programs = tuple[Init, Update, Update]
KeepBest = Callable[[TrainState], tuple[TrainState, Metrics]]


@functools.lru_cache(maxsize=4)
def compiled(env: HumanoidEnv, settings: HighLevelSettings) -> Programs:
    """`make_train`, jitted: runs in one process that differ in instructions or controller alone share programs."""
    init, update, keep_best = make_train(env, settings)
    return jax.jit(init), jax.jit(update), jax.jit(keep_best)


def make_learning(settings: HighLevelSettings, low_level: LowLevelController) -> Learning:
    return Learning(settings.learner, low_level.normalizer, low_level.obs_dim, low_level.latent_dim, settings.updates)


def make_train(env: HumanoidEnv, settings: HighLevelSettings) -> Programs:
    """Pure `init(frozen, probe_key, keys [I, 2], goals [I, D], known motions)`, `update(frozen, state)` and
    `keep_best(frozen, state)`; jit them.

    `init`: the probe, and what it says of every instruction; candidates to begin with `[I, C, ...]`, see `audition`.
    `update`: roll T latent steps out in all worlds at once (physics one batch of I x E), grade them, learn by PPO.
    `keep_best`: try the actors; where one does better than all that were tried before it, it is kept.
    """
    axis, num_envs, horizon = settings.rollout.instruction_axis, settings.rollout.num_envs, settings.rollout.horizon
    head = env.character.body("head")
    auditor = Auditor(settings, env.character) if settings.surrogate.enabled else None

    def each(fn):
        return per_instruction(fn, axis)

    def latent_env(frozen: Frozen, episode_length: int = settings.rollout.episode_length) -> LatentEnv:
        return LatentEnv(env, frozen.low_level, episode_length, axis)

    def init(
        frozen: Frozen, probe_key: PRNGKey, keys: PRNGKey, goals: Goal, known: Repertoire | None
    ) -> tuple[TrainState, Findings, Params]:
        learning, worlds = make_learning(settings, frozen.low_level), latent_env(frozen)
        probe = roll_out(probe_key, worlds, frozen.eyes, settings.probe)

        def init_one(key: PRNGKey, goal: Goal):
            key, key_learner = jax.random.split(key)
            findings = grade(probe, goal, settings)
            learner = learning.init(key_learner)
            candidates = jax.tree.map(lambda x: x[None], learner.actor)
            if settings.probe.init_from_probe:
                if known is not None:
                    findings = findings.replace(motion=known.choose(goal, findings.best_score, settings.reward))
                candidates = first_actors(settings.probe, learning, findings, known, learner.actor, key_learner)
            key_surrogate = jax.random.fold_in(key_learner, 1)
            surrogate = auditor and auditor.init(key_surrogate, probe, goal, findings.normalizer)
            return key, learner, candidates, early_termination(settings).init(num_envs), findings, surrogate

        key, learner, candidates, trend, findings, surrogate = each(init_one)(keys, goals)
        learner = learner.replace(actor=jax.tree.map(lambda x: x[:, 0], candidates))
        blank = worlds.blank(keys.shape[0], num_envs)
        state = TrainState(
            learner=learner,
            worlds=blank,
            memory=frozen.eyes.blank(blank.world.bodies),
            trend=trend,
            rules=jax.tree.map(lambda x: jnp.full(keys.shape[0], x), early_termination(settings)),
            goal=goals,
            normalizer=findings.normalizer,
            surrogate=surrogate,
            key=key,
            best=learner.actor,
            best_reward=jnp.full(keys.shape[0], -jnp.inf),
            best_update=jnp.zeros(keys.shape[0], jnp.int32),
            update=jnp.zeros((), jnp.int32),
        )
        # Weak types would make the second update another program.
        return jax.tree.map(lambda x: x.astype(x.dtype), state), findings, candidates

    def grade_step(
        worlds: LatentState,
        trend: Trend,
        outcome: LatentOutcome,
        score: jax.Array,
        of_features: dict[str, jax.Array],
        rules: EarlyTermination,
        normalizer: ScoreNormalizer,
        progress: jax.Array,
        key: PRNGKey,
    ) -> tuple[LatentState, Trend, Record]:
        """Reward a latent step as it ended, then say which episodes are over."""
        seen = (score, trend.last, outcome.style, outcome.fallen, worlds.world.physics.qvel[..., 6:], of_features)
        terms = reward_terms(*seen, normalizer, settings.reward, settings.learner.discount)
        trend, terminate = rules.update(trend, score, outcome.bodies.pos[..., head, 2], key)
        terminated = terminate | outcome.fallen
        record = Record(
            terms=terms,
            reward=weigh(terms, settings.reward, progress),
            score=score,
            fallen=outcome.fallen,
            broken=outcome.broken,
            gave_up=terminate & ~outcome.fallen,
            terminated=terminated,
            truncated=outcome.out_of_time & ~terminated,
        )
        done = record.terminated | record.truncated
        return worlds.replace(done=done), rules.clear(trend, done), record

    def judge(
        eyes: Eyes, state: TrainState, memory: Memory, bodies: BodyState, fresh: jax.Array
    ) -> tuple[Memory, jax.Array, dict[str, jax.Array], Sight | None]:
        """Similarity `[I, E]` of a latent step's end: seen, or guessed by a surrogate that is trusted; and the terms of
        features that are paid for."""
        if auditor and state.surrogate is not None:
            score, sight = auditor.look(eyes, state.surrogate, bodies, state.goal, state.normalizer)
            return memory, score, {}, sight
        memory, features = eyes.see(memory, bodies, fresh)
        score = each(lambda z, goal: similarity(z, goal, settings.reward))(features, state.goal)
        if not (settings.reward.pays("contrast") or settings.reward.pays("stillness")):
            return memory, score, {}, None
        pay = each(lambda z, still, goal: feature_terms(z, still, goal, settings.reward))
        return memory, score, pay(features, eyes.stillness(memory), state.goal), None

    def roll(
        frozen: Frozen, state: TrainState, keys: PRNGKey, sigma: jax.Array
    ) -> tuple[Moment, tuple[Choice, Record, Sight | None]]:
        """T latent steps of all worlds with `keys [I, T]`: where they end, and what happened `[I, T, E]`."""
        learning, env = make_learning(settings, frozen.low_level), latent_env(frozen)
        progress = jnp.full(len(keys), _progress(state.update, settings))

        def act(learner: Learner, worlds: LatentState, key: PRNGKey):
            key_begin, key_act, key_grade = jax.random.split(key, 3)
            worlds = env.begin(worlds, key_begin)
            return worlds, *learning.act(learner, env.observe(worlds), key_act, sigma), key_grade

        def latent_step(moment: Moment, keys: PRNGKey):
            worlds, latent, choice, key_grade = each(act)(state.learner, moment.worlds, keys)
            worlds, outcome = env.step(worlds, latent)
            memory, score, paid, sight = judge(frozen.eyes, state, moment.memory, outcome.bodies, worlds.elapsed == 1)
            worlds, trend, record = each(grade_step)(
                worlds, moment.trend, outcome, score, paid, state.rules, state.normalizer, progress, key_grade
            )
            return Moment(worlds, memory, trend), (choice, record, sight)

        start = Moment(state.worlds, state.memory, state.trend)
        end, steps = jax.lax.scan(latent_step, start, jnp.swapaxes(keys, 0, 1))
        return end, jax.tree.map(lambda x: jnp.swapaxes(x, 0, 1), steps)

    def learn(
        frozen: Frozen,
        state: TrainState,
        worlds: LatentState,
        choices: Choice,
        records: Record,
        keys: PRNGKey,
        sigma: jax.Array,
    ) -> tuple[TrainState, Metrics]:
        """PPO on the rollout."""
        learning, env = make_learning(settings, frozen.low_level), latent_env(frozen)

        def learn_one(learner: Learner, worlds: LatentState, choices: Choice, record: Record, key: PRNGKey):
            ends = (record.terminated, record.truncated, env.observe(worlds))
            learner, metrics = learning.learn(learner, choices, record.reward, *ends, sigma, key)
            reward = weigh(record.terms, settings.reward).mean()  # unfaded: rewards of all updates compare
            metrics |= {name: term.mean() for name, term in record.terms.items()}
            metrics |= {"reward": reward, "score": record.score.mean(), "sigma": sigma}
            metrics |= {"fell": record.fallen.mean(), "gave_up": record.gave_up.mean()}
            metrics |= {"over": (record.terminated | record.truncated).mean(), "broken": record.broken.mean()}
            return learner, metrics

        learner, metrics = each(learn_one)(state.learner, worlds, choices, records, keys)
        return state.replace(learner=learner), metrics

    def update(frozen: Frozen, state: TrainState) -> tuple[TrainState, Metrics]:
        sigma = _sigma(state.update, settings)
        keys = each(lambda key: jax.random.split(key, 2 + horizon))(state.key)
        end, (choices, records, sights) = roll(frozen, state, keys[:, 2:], sigma)
        learned, metrics = learn(frozen, state, end.worlds, choices, records, keys[:, 1], sigma)
        surrogate = None
        if auditor and state.surrogate is not None and sights is not None:
            keys_audit = each(lambda key: jax.random.fold_in(key, 1))(keys[:, 1])
            surrogate, fidelity = auditor.audit(
                frozen.eyes, state.surrogate, sights, state.goal, state.normalizer, keys_audit
            )
            metrics |= fidelity
        state = learned.replace(surrogate=surrogate, key=keys[:, 0], update=state.update + 1, **vars(end))
        return state, metrics

    def keep_best(frozen: Frozen, state: TrainState) -> tuple[TrainState, Metrics]:
        learning, whole_episodes = make_learning(settings, frozen.low_level), latent_env(frozen, 0)
        actor, key = state.learner.actor, jax.random.fold_in(jax.random.PRNGKey(settings.seed), 1)
        trial = validate(key, whole_episodes, frozen.eyes, learning, actor, state.goal, state.normalizer, settings)
        better = trial.reward > state.best_reward

        def kept(new: jax.Array, old: jax.Array) -> jax.Array:
            return jnp.where(better.reshape(-1, *(1,) * (new.ndim - 1)), new, old)

        state = state.replace(
            best=jax.tree.map(kept, actor, state.best),
            best_reward=kept(trial.reward, state.best_reward),
            best_update=jnp.where(better, state.update, state.best_update),
        )
        return state, {"tried_reward": trial.reward, "tried_fell": trial.fell, "kept_update": state.best_update}

    return init, update, keep_best


def audition(state: TrainState, candidates: Params, keep_best: KeepBest) -> tuple[TrainState, jax.Array]:
    """The state that begins with the best of `candidates [I, C, ...]`, which are tried first; their numbers `[I]`."""

    def earned(number: int) -> jax.Array:
        actor = jax.tree.map(lambda x: x[:, number], candidates)
        return keep_best(state.replace(learner=state.learner.replace(actor=actor)))[1]["tried_reward"]

    rewards = [earned(number) for number in range(jax.tree.leaves(candidates)[0].shape[1])]
    actor, which = best_of(candidates, jnp.stack(rewards, axis=1))
    return state.replace(learner=state.learner.replace(actor=actor), best=actor), which


def early_termination(settings: HighLevelSettings) -> EarlyTermination:
    """When an episode is given up; a study may give every instruction its own."""
    reward = settings.reward
    return EarlyTermination(reward.max_reductions, reward.give_up_prob, reward.min_head_height)


def _sigma(update: jax.Array, settings: HighLevelSettings) -> jax.Array:
    """Exploration shrinks geometrically as the policy commits (AnySkill, section 4.2)."""
    learner = settings.learner
    return learner.sigma * (learner.final_sigma / learner.sigma) ** _progress(update, settings)


def _progress(update: jax.Array, settings: HighLevelSettings) -> jax.Array:
    """0 at the first update, 1 at the last."""
    return jnp.clip(update / max(settings.updates - 1, 1), 0.0, 1.0)
