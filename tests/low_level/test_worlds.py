"""What is worked out only for the worlds that need it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from anyskill_brax.low_level import worlds


@pytest.mark.parametrize("number", [1, 7, 64, 100])
@pytest.mark.parametrize("share", [0.0, 0.1, 0.6, 1.0])
def test_for_those_is_select_on_few_rows(number, share):
    mask = jax.random.uniform(jax.random.PRNGKey(number), (number,)) < share
    old = {"one": jnp.arange(number), "rows": jnp.ones((number, 3))}

    def make(rows, done):
        assert rows.size <= max(1, number // worlds.FEW)
        return {"one": -rows, "rows": jnp.stack([2.0 * rows] * 3, axis=-1)}

    new = jax.jit(lambda: worlds.for_those(mask, old, make))()
    rows = jnp.arange(number)
    wanted = {"one": -rows, "rows": jnp.stack([2.0 * rows] * 3, axis=-1)}
    jax.tree.map(np.testing.assert_array_equal, new, worlds.select(mask, wanted, old))


def test_each_turn_of_for_those_knows_how_many_were_there_before():
    number = 4 * worlds.FEW
    done = jax.jit(
        lambda: worlds.for_those(jnp.ones(number, bool), jnp.zeros(number), lambda rows, done: done + 0.0 * rows)
    )()
    room = number // worlds.FEW
    np.testing.assert_array_equal(done, np.repeat(np.arange(0, number, room), room))
