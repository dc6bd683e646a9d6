"""A cheap stand-in for rendering and encoding: pose -> similarity with one instruction, learnt on-line and audited.

Optimisation exploits a regression that is fitted once and frozen. So every update shows the true encoder a random part
of the states and those that are predicted best; both are learnt from, and where the prediction is found wrong the next
update pays for the true encoder everywhere. Written for one instruction; all of it is deterministic in the key.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import linen as nn
from flax import struct

from anyskill_brax.networks import MLP, Normalizer
from anyskill_brax.types import Metrics, Params, PRNGKey


@dataclass(frozen=True)
class SurrogateSettings:
    """`configs/high_level.py` writes each number once."""

    enabled: bool
    nets: int  # K of the ensemble
    widths: tuple[int, ...]
    pessimism: float  # the prediction is mean - pessimism * sd over the nets
    capacity: int  # N rows of the ring buffer
    random_share: float  # part of an update's states that are audited whatever is predicted of them
    top_share: float  # and part that is audited because it is predicted best
    learn_steps: int  # minibatches per update
    batch: int
    learning_rate: float
    max_gap: float  # trusted up to this optimism about the top states [sd of the warm-up's similarity]
    min_correlation: float  # and from this rank correlation over the random ones

    def counts(self, num_states: int) -> tuple[int, int]:
        """How many of an update's states are audited: at random, and of the best predicted. At least four each."""
        shares = (self.random_share, self.top_share)
        at_random, at_top = (min(max(round(share * num_states), 4), num_states) for share in shares)
        return at_random, at_top


@struct.dataclass
class Predictor:
    """K nets that see `eyes.sight_features` and answer in the warm-up's deviations."""

    nets: Params  # leading axis K
    input: Normalizer  # of the warm-up, frozen


@struct.dataclass
class Surrogate:
    """The nets and what they have been shown."""

    predictor: Predictor
    opt: Any
    poses: jax.Array  # [N, F] ring buffer
    scores: jax.Array  # [N]
    seen: jax.Array  # [] int32, rows ever written
    trusted: jax.Array  # [] bool: the last audit found the prediction good


@struct.dataclass
class Audit:
    """One update's states `[B]`: what was predicted of them, and the truth where `known`."""

    poses: jax.Array  # [B, F]
    predicted: jax.Array  # [B]
    truth: jax.Array  # [B], anything where it is not known
    known: jax.Array  # [B] bool
    at_random: jax.Array  # [R] rows, all known
    at_top: jax.Array  # [S] rows, all known


class _Net(nn.Module):
    widths: Sequence[int]

    @nn.compact
    def __call__(self, norm_pose: jax.Array) -> jax.Array:
        return nn.Dense(1, name="score")(MLP(self.widths, name="trunk")(norm_pose))[..., 0]


class SurrogateLearning:
    """Everything that can be done with a `Surrogate`; holds settings, no state."""

    def __init__(self, settings: SurrogateSettings):
        self._settings = settings
        self._net = _Net(settings.widths)
        self._opt = optax.adam(settings.learning_rate)

    def init(self, key: PRNGKey, poses: jax.Array, scores: jax.Array) -> Surrogate:
        """Born with the warm-up's states `[B, F]` and their true scores `[B]`; trusted after its first audit."""
        s, (size, width) = self._settings, poses.shape
        key_nets, key_rows, key_learn = jax.random.split(key, 3)
        nets = jax.vmap(lambda key: self._net.init(key, jnp.zeros(width)))(jax.random.split(key_nets, s.nets))
        kept = jax.random.permutation(key_rows, size)[: s.capacity]
        surrogate = Surrogate(
            predictor=Predictor(nets, Normalizer.create(width).update(poses)),
            opt=jax.vmap(self._opt.init)(nets),
            poses=jnp.zeros((s.capacity, width)).at[: len(kept)].set(poses[kept]),
            scores=jnp.zeros(s.capacity).at[: len(kept)].set(scores[kept]),
            seen=jnp.int32(len(kept)),
            trusted=jnp.zeros((), bool),
        )
        return self.learn(surrogate, key_learn)

    def predict(self, predictor: Predictor, poses: jax.Array) -> jax.Array:
        """`[..., F]` -> `[...]`: the ensemble's mean less its doubt."""
        rows = jax.vmap(lambda net: self._score(net, predictor.input(poses)))(predictor.nets)
        return rows.mean(axis=0) - self._settings.pessimism * rows.std(axis=0)

    def choose(self, key: PRNGKey, predicted: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Which of `predicted [B]` to audit: rows drawn at random `[R]`, and the best predicted `[S]`."""
        num_random, num_top = self._settings.counts(len(predicted))
        return jax.random.permutation(key, len(predicted))[:num_random], jax.lax.top_k(predicted, num_top)[1]

    def update(self, surrogate: Surrogate, audit: Audit, key: PRNGKey) -> tuple[Surrogate, Metrics]:
        """Compare, decide whom the next update trusts, remember what is known, learn."""
        metrics = fidelity(audit)
        good = (metrics["surrogate_gap"] <= self._settings.max_gap) & (
            metrics["surrogate_correlation"] >= self._settings.min_correlation
        )
        metrics["surrogate_trusted"] = surrogate.trusted.astype(jnp.float32)
        surrogate = self.learn(remember(surrogate, audit.poses, audit.truth, audit.known), key)
        return surrogate.replace(trusted=good), metrics

    def learn(self, surrogate: Surrogate, key: PRNGKey) -> Surrogate:
        """`learn_steps` minibatches from the buffer, other rows for every net."""
        s = self._settings
        filled = jnp.minimum(surrogate.seen, s.capacity)
        inputs = surrogate.predictor.input(surrogate.poses)

        def step(carry: tuple[Any, Any], key: PRNGKey) -> tuple[tuple[Any, Any], None]:
            nets, opt = carry
            rows = jax.random.randint(key, (s.nets, s.batch), 0, filled)

            def loss(net: Params, rows: jax.Array):
                return jnp.mean((self._score(net, inputs[rows]) - surrogate.scores[rows]) ** 2)

            change, opt = jax.vmap(self._opt.update)(jax.vmap(jax.grad(loss))(nets, rows), opt)
            return (optax.apply_updates(nets, change), opt), None

        start = (surrogate.predictor.nets, surrogate.opt)
        (nets, opt), _ = jax.lax.scan(step, start, jax.random.split(key, s.learn_steps))
        return surrogate.replace(predictor=surrogate.predictor.replace(nets=nets), opt=opt)

    def _score(self, net: Params, norm_poses: jax.Array) -> jax.Array:
        return jnp.asarray(self._net.apply(net, norm_poses))


def fidelity(audit: Audit) -> Metrics:
    """How good the prediction was, in the warm-up's deviations.

    rmse and rank correlation over the states drawn at random; gap: mean prediction less mean truth of those predicted
    best, which is what an optimiser would gain by fooling it. A constant on either side is no correlation, 0.
    """
    predicted, truth = audit.predicted[audit.at_random], audit.truth[audit.at_random]
    return {
        "surrogate_rmse": jnp.sqrt(jnp.mean((predicted - truth) ** 2)),
        "surrogate_correlation": rank_correlation(predicted, truth),
        "surrogate_gap": jnp.mean(audit.predicted[audit.at_top] - audit.truth[audit.at_top]),
    }


def rank_correlation(a: jax.Array, b: jax.Array) -> jax.Array:
    """Spearman's rho of `[B]` and `[B]`; ties share their mean rank."""

    def centred(x: jax.Array) -> jax.Array:
        less, equal = (x[None] < x[:, None]).sum(axis=1), (x[None] == x[:, None]).sum(axis=1)
        rank = less + 0.5 * (equal - 1)
        return rank - rank.mean()

    a, b = centred(a), centred(b)
    return jnp.sum(a * b) / jnp.maximum(jnp.sqrt(jnp.sum(a * a) * jnp.sum(b * b)), 1e-9)


def remember(surrogate: Surrogate, poses: jax.Array, scores: jax.Array, known: jax.Array) -> Surrogate:
    """The known rows of `poses [B, F]`, `scores [B]` over the oldest ones. B must not exceed the capacity."""
    capacity = len(surrogate.scores)
    place = (surrogate.seen + jnp.cumsum(known) - 1) % capacity
    place = jnp.where(known, place, capacity)  # beyond the end: dropped
    return surrogate.replace(
        poses=surrogate.poses.at[place].set(poses, mode="drop"),
        scores=surrogate.scores.at[place].set(scores, mode="drop"),
        seen=surrogate.seen + known.sum(dtype=jnp.int32),
    )
