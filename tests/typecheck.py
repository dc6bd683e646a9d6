"""How annotations are enforced in tests: beartype, told what this code base means by them."""

import jax
import numpy as np
from beartype import BeartypeConf, BeartypeHintOverrides, beartype

# `jax.Array` in a signature means "an array": numpy's are welcome at every door.
_enforce = beartype(conf=BeartypeConf(hint_overrides=BeartypeHintOverrides({jax.Array: jax.Array | np.ndarray})))


def annotations(function):
    """The type checker that jaxtyping's import hook calls for every function of the two packages.

    Constructors are left alone: JAX rebuilds pytrees with shapes, specs and None for leaves.
    """
    return function if function.__name__ == "__init__" else _enforce(function)
