"""What an actor begins with: what it has of a motion, and who of several begins."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from anyskill_brax.high_level.beginning import best_of, first_actors
from anyskill_brax.high_level.eyes import Eyes
from anyskill_brax.high_level.probe import Findings
from anyskill_brax.high_level.repertoire import Repertoire
from anyskill_brax.high_level.settings import HighLevelSettings
from anyskill_brax.high_level.train import make_learning
from anyskill_brax.motion.synthesis import builtin_motions
from anyskill_brax.types import UserError
from configs.high_level import get_config

LEADS = (0, 10)


def settings(leads: tuple[int, ...] = LEADS) -> HighLevelSettings:
    config = get_config("quicktest").unlock()
    config.probe.update(imitate_steps=300, imitate_leads=leads)
    return HighLevelSettings.from_config(config.to_dict())


@pytest.fixture(scope="module")
def known(character, controller, compass) -> Repertoire:
    motions = builtin_motions(character, kinds=["stand", "raise_arm"])
    made = Repertoire.create(character, controller, compass, Eyes.create(compass, (), "map"), motions)
    assert made is not None
    return made


def test_candidates_hold_a_latent_or_perform_the_motion_by_every_lead(known, controller):
    numbers = settings()
    learning = make_learning(numbers, controller)
    actor = learning.init(jax.random.PRNGKey(0)).actor
    held = jnp.eye(controller.latent_dim)[0]
    found = Findings(normalizer=None, values=jnp.zeros(1), best=held, best_score=jnp.zeros(()), motion=jnp.asarray(-1))  # pyright: ignore
    rows = np.flatnonzero(known.moves[1])

    def shown(motion: int) -> list[np.ndarray]:
        """Unit latents of every candidate where the motion moves."""
        found_motion = found.replace(motion=jnp.asarray(motion))
        actors = first_actors(numbers.probe, learning, found_motion, known, actor, jax.random.PRNGKey(1))
        norm_obs = known.norm_obs[1][rows]
        latents = jax.vmap(lambda actor: learning._head.apply(actor, norm_obs, jnp.zeros((len(rows), 0))))(actors)
        return list(np.asarray(latents / jnp.linalg.norm(latents, axis=-1, keepdims=True)))

    for latents in shown(-1):
        np.testing.assert_allclose(latents @ held, 1.0, atol=0.05)
    performs = shown(1)
    wanted = [np.asarray(known.latents[1])[np.minimum(rows + lead, known.latents.shape[1] - 1)] for lead in LEADS]
    near = np.array([[(latents * goal).sum(-1).mean() for goal in wanted] for latents in performs])
    assert near[0, 0] > 0.9 and near[1, 1] > 0.9, near
    assert (np.diag(near) > near[[0, 1], [1, 0]]).all(), "each has its own lead"


def test_the_best_of_every_line_begins():
    candidates = {"bias": jnp.arange(6.0).reshape(2, 3, 1)}
    actors, which = best_of(candidates, jnp.array([[1.0, 0.0, 2.0], [0.0, 4.0, 3.0]]))
    np.testing.assert_array_equal(actors["bias"][:, 0], [2.0, 4.0])
    np.testing.assert_array_equal(which, [2, 1])


@pytest.mark.parametrize("leads", [(), (-1,)])
def test_leads_are_control_steps(leads):
    with pytest.raises(UserError, match="imitate_leads"):
        settings(leads=leads)
