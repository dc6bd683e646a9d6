"""The surrogate at work in training: who is looked at, who is guessed, and what an update's audit finds."""

import jax
import jax.numpy as jnp
from flax import struct

from anyskill_brax.character.humanoid import Character
from anyskill_brax.character.kinematics import BodyState
from anyskill_brax.clip.reward import ScoreNormalizer
from anyskill_brax.clip.surrogate import Audit, Predictor, Surrogate, SurrogateLearning
from anyskill_brax.envs.latent_env import per_instruction
from anyskill_brax.high_level.eyes import Eyes, sight_features
from anyskill_brax.high_level.probe import Probe
from anyskill_brax.high_level.reward import Goal, similarity
from anyskill_brax.high_level.settings import HighLevelSettings
from anyskill_brax.types import Metrics, PRNGKey


@struct.dataclass
class Sight:
    """A latent step as it was judged, kept for the audit."""

    bodies: BodyState  # [..., E, B, ...]
    poses: jax.Array  # [..., E, F]
    predicted: jax.Array  # [..., E] in the warm-up's deviations
    truth: jax.Array  # [..., E] likewise; anything where the surrogate was trusted


class Auditor:
    """`look` at every latent step, `audit` once an update. Worlds are `[I, E]`, surrogates `[I]`."""

    def __init__(self, settings: HighLevelSettings, character: Character):
        self._settings, self._character = settings, character
        self._learning = SurrogateLearning(settings.surrogate)

    def init(self, key: PRNGKey, probe: Probe, goal: Goal, normalizer: ScoreNormalizer) -> Surrogate:
        """One instruction's surrogate, born with what the warm-up saw."""
        scores = self._deviations(probe.features, goal, normalizer)
        return self._learning.init(key, probe.poses.reshape(scores.size, -1), scores.reshape(-1))

    def look(
        self, eyes: Eyes, surrogate: Surrogate, bodies: BodyState, goal: Goal, normalizer: ScoreNormalizer
    ) -> tuple[jax.Array, Sight]:
        """Similarity `[I, E]`: the guess for an instruction that trusts its surrogate, else the encoder's."""

        def judge(
            predictor: Predictor,
            trusted: jax.Array,
            bodies: BodyState,
            features: jax.Array,
            goal: Goal,
            normalizer: ScoreNormalizer,
        ) -> tuple[jax.Array, Sight]:
            poses = sight_features(self._character, bodies)
            predicted = self._learning.predict(predictor, poses)
            guess = predicted * normalizer.std[0] + normalizer.mean[0]
            score = jnp.where(trusted, guess, similarity(features, goal, self._settings.reward))
            return score, Sight(bodies, poses, predicted, self._deviations(features, goal, normalizer))

        features = eyes.embed_state(bodies, ~surrogate.trusted)
        return per_instruction(judge, eyes.axis)(
            surrogate.predictor, surrogate.trusted, bodies, features, goal, normalizer
        )

    def audit(
        self,
        eyes: Eyes,
        surrogate: Surrogate,
        sights: Sight,
        goal: Goal,
        normalizer: ScoreNormalizer,
        keys: PRNGKey,
    ) -> tuple[Surrogate, Metrics]:
        """An update's sights `[I, T, E]`: the encoder says the truth of some, and the surrogates learn from it."""
        each = lambda fn: per_instruction(fn, eyes.axis)  # noqa: E731
        sights = jax.tree.map(lambda x: x.reshape(x.shape[0], -1, *x.shape[3:]), sights)

        def choose(key: PRNGKey, sights: Sight) -> tuple[jax.Array, jax.Array, BodyState]:
            at_random, at_top = self._learning.choose(key, sights.predicted)
            rows = jnp.concatenate([at_random, at_top])
            return at_random, at_top, jax.tree.map(lambda x: x[rows], sights.bodies)

        def compare(
            surrogate: Surrogate,
            sights: Sight,
            at_random: jax.Array,
            at_top: jax.Array,
            features: jax.Array,
            goal: Goal,
            normalizer: ScoreNormalizer,
            key: PRNGKey,
        ) -> tuple[Surrogate, Metrics]:
            rows = jnp.concatenate([at_random, at_top])
            audited = sights.truth.at[rows].set(self._deviations(features, goal, normalizer))
            truth = jnp.where(surrogate.trusted, audited, sights.truth)
            known = jnp.zeros(truth.shape, bool).at[rows].set(True) | ~surrogate.trusted
            audit = Audit(sights.poses, sights.predicted, truth, known, at_random, at_top)
            return self._learning.update(surrogate, audit, key)

        keys = each(jax.random.split)(keys)
        at_random, at_top, bodies = each(choose)(keys[:, 0], sights)
        features = eyes.embed_state(bodies, surrogate.trusted)  # of the others, everything is known
        return each(compare)(surrogate, sights, at_random, at_top, features, goal, normalizer, keys[:, 1])

    def _deviations(self, features: jax.Array, goal: Goal, normalizer: ScoreNormalizer) -> jax.Array:
        """Similarity `[..., E]` of one instruction, in the warm-up's deviations."""
        score = similarity(features, goal, self._settings.reward)
        return normalizer.apply(score[..., None, :])[..., 0, :]
