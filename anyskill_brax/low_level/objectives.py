"""What is paid for: ASE's style and discovery or CALM's conditional style, and an early tracking reward that fades."""

from typing import Any

import jax
import jax.numpy as jnp

from anyskill_brax.low_level import schedules
from anyskill_brax.low_level.stage import Stage
from anyskill_brax.low_level.state import TrainState
from anyskill_brax.policies import style_reward_from_logit


def lead(stage: Stage, state: TrainState) -> jax.Array:
    """1 while the tracking reward leads, 0 once the objective is the published one alone."""
    return 1.0 - schedules.ramp(stage.millions(state), *stage.settings.reward.tracking_fade)


def follow_share(stage: Stage, state: TrainState) -> jax.Array:
    """Of new episodes, the share that follow a motion, `[]`."""
    first, last = stage.settings.reward.follow_share
    return last + (first - last) * lead(stage, state)


def reward_terms(stage: Stage, state: TrainState, steps: Any) -> dict[str, jax.Array]:
    """The parts of the reward of `steps` (a `rollout.Step`), `[T, W]` each, weighted; their sum is what is learnt from.

    ASE eq. 12: w_D r_D + w_E r_E. Conditional (CALM, AnySkill): r_D of the window given the latent, alone. Worlds with
    a target are paid for tracking it in their place while that leads, worlds that recover from a fall for rising.
    Power [kW] is a cost, if it has a weight.
    """
    norm_windows = state.disc_normalizer(steps.window)
    logit = stage.modules.disc.apply(state.params.disc, norm_windows, stage.disc_condition(steps.latent))
    weights = stage.settings.reward.weights
    tracked = lead(stage, state) * steps.led
    published = (1.0 - tracked) * (1.0 - steps.recovers)
    terms = {
        "style": published * style_reward_from_logit(logit),
        "tracking": tracked * steps.tracking,
        "rising": steps.recovers * steps.rising,
        "energy": -steps.power,
    }
    if not stage.settings.conditional:
        direction = stage.modules.encoder.apply(state.params.encoder, norm_windows)
        discovery = jnp.maximum(jnp.sum(direction * steps.latent, axis=-1), 0.0)
        terms["discovery"] = published * discovery
    return {name: weights[name] * term for name, term in terms.items()}
