"""What a policy begins with: what is held, or a movement; and how far that hurries.

A movement is imitated from poses of its motion, where the body is never late. A simulated one is: it is shown the
latent of where it should be by now, stays about where it is, and is shown the same again. So imitations by latents that
are ahead by each of `probe.imitate_leads` are tried, and the best begins. docs/experiments/beginnings.md
"""

import jax
import jax.numpy as jnp

from anyskill_brax.high_level.learner import Learning, aim
from anyskill_brax.high_level.probe import Findings
from anyskill_brax.high_level.repertoire import Repertoire
from anyskill_brax.high_level.settings import ProbeSettings
from anyskill_brax.types import Params, PRNGKey


def first_actors(
    settings: ProbeSettings,
    learning: Learning,
    findings: Findings,
    known: Repertoire | None,
    actor: Params,
    key: PRNGKey,
) -> Params:
    """An instruction's candidates `[C, ...]`: who performs the motion that promises more, by every lead; where none
    does, who holds the best latent of the probe."""
    held = aim(actor, findings.best, settings.init_norm)
    if known is None:
        return jax.tree.map(lambda x: x[None], held)
    obs, latents, moves = (x[findings.motion] for x in (known.norm_obs, known.latents, known.moves))

    def performing(lead: int) -> Params:
        ahead = latents[jnp.minimum(jnp.arange(len(latents)) + lead, len(latents) - 1)]
        return jax.lax.cond(
            findings.motion >= 0,
            lambda: learning.imitate(actor, obs, ahead, moves, settings, jax.random.fold_in(key, 2)),
            lambda: held,
        )

    return jax.tree.map(lambda *x: jnp.stack(x), *map(performing, settings.imitate_leads))


def best_of(candidates: Params, rewards: jax.Array) -> tuple[Params, jax.Array]:
    """Of candidates `[I, C, ...]` those that earned most of `rewards [I, C]`, and which these are `[I]`."""
    best = jnp.argmax(rewards, axis=1)
    return jax.tree.map(lambda x: x[jnp.arange(len(best)), best], candidates), best
