"""The simplest teacher: it holds one latent."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from anyskill_brax.networks import LatentHead, Normalizer
from anyskill_brax.policies import HighLevelPolicy


def constant_policy(latent: Sequence[float] | np.ndarray, widths: tuple[int, ...] = (3,)) -> HighLevelPolicy:
    """A real high-level policy whose weights are zero: its bias alone decides."""
    shapes = jax.eval_shape(LatentHead(len(latent), widths).init, jax.random.key(0), jnp.zeros(223), jnp.zeros(0))
    params = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape), shapes)
    params["params"]["mean"]["bias"] = jnp.arctanh(0.5 * jnp.asarray(latent))
    return HighLevelPolicy(params, Normalizer.create(223), len(latent), widths)
