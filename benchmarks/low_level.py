"""What an update of the low-level stage costs beside its parts, beside Brax's learner, and as the worlds grow.

    python benchmarks/low_level.py                      # the default config on the built-in motions
    python benchmarks/low_level.py --worlds 64 512 4096

Parts: physics (`env.advance` alone), inference (the actor alone on as many observations) and learning (rewards, PPO,
discriminator and encoder on a rollout that is given). Everything else of an update is overhead: observations, resets,
latents, tracking rewards, metrics. The learner's peer is one gradient step of Brax's own PPO loss with networks of the
same widths on the same number of samples; ours runs without the diversity and encoder terms, which Brax does not have.
Rounds alternate; medians.
"""

import argparse
import dataclasses
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import optax
from brax.training.agents.ppo import losses as brax_losses
from brax.training.agents.ppo import networks as brax_networks
from brax.training.types import Transition
from flax import linen as nn

from anyskill_brax import ppo
from anyskill_brax.low_level import policy_learning, run
from anyskill_brax.low_level import train as trainer
from anyskill_brax.low_level.devices import ALONE
from anyskill_brax.low_level.objectives import reward_terms
from anyskill_brax.low_level.rollout import rollout
from anyskill_brax.low_level.stage import Stage
from anyskill_brax.low_level.style_learning import learn_style

sys.path.insert(0, str(Path(__file__).parents[1] / "configs"))
import low_level as config_file

Call = Callable[[], Any]


def seconds(calls: dict[str, Call], rounds: int) -> dict[str, float]:
    """Median wall time of each call, compiled before; the rounds alternate between them."""
    for call in calls.values():
        jax.block_until_ready(call())
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            begin = time.perf_counter()
            jax.block_until_ready(call())
            times[name].append(time.perf_counter() - begin)
    return {name: statistics.median(values) for name, values in times.items()}


def make_stage(setup: Any, worlds: int, **learner: Any) -> tuple[Stage, Any, Any]:
    """The stage, its first state and its update, for `worlds` worlds."""
    changed = dataclasses.replace(setup.settings.learner, num_worlds=worlds, **learner)
    changed = dataclasses.replace(changed, minibatch=min(changed.minibatch, worlds * changed.horizon))
    settings = dataclasses.replace(setup.settings, learner=changed)
    init, update = trainer.make_train(settings, setup.env, setup.reference)
    state = jax.jit(init)(jax.random.PRNGKey(0))
    return Stage.create(settings, setup.env, setup.reference, ALONE), state, update


def update_and_parts(stage: Stage, state: Any, update: Any) -> dict[str, Call]:
    key, env, horizon = jax.random.PRNGKey(1), stage.env, stage.settings.learner.horizon
    after, steps = jax.jit(lambda s: rollout(stage, s, key))(state)
    norm_obs = state.obs_normalizer(steps.obs)

    @jax.jit
    def physics(world):
        return jax.lax.scan(lambda w, action: (env.advance(w, action), None), world, steps.action)[0]

    @jax.jit
    def inference(params):
        return jax.lax.map(lambda row: stage.modules.actor.apply(params, *row), (norm_obs, steps.latent))

    def learning(state):
        total = jnp.asarray(sum(reward_terms(stage, state, steps).values()))
        state, _ = policy_learning.learn_policy(stage, state.replace(worlds=after), steps, total, key)
        return learn_style(stage, state, steps, key)

    assert horizon == steps.action.shape[0]
    return {
        "update": repeated(update, state),
        "physics": lambda: physics(state.worlds.humanoid),
        "inference": lambda: inference(state.params.actor),
        "learning": repeated(learning, state),
    }


def repeated(step: Callable[[Any], tuple[Any, Any]], state: Any) -> Call:
    """`step` again and again, each time from where it got to, its memory reused as in training: a copy of the replay
    alone takes a tenth of an update."""
    step, held = jax.jit(step, donate_argnums=0), [jax.tree.map(jnp.array, state)]

    def call() -> Any:
        held[0], rest = step(held[0])
        return held[0].updates, rest

    return call


def learner_step(stage: Stage, state: Any) -> tuple[Call, policy_learning.Batch]:
    """One of our gradient steps for actor and critic, and the minibatch it learns from."""
    _, steps = jax.jit(lambda s: rollout(stage, s, jax.random.PRNGKey(1)))(state)
    batch = jax.jit(lambda s: policy_learning.make_batch(stage, s, steps, steps.tracking))(state)
    rows = jax.tree.map(lambda x: x[: stage.settings.learner.minibatch], batch)

    @jax.jit
    def step(params, opt):
        grads, _ = policy_learning.policy_gradient(stage, state, params, rows, jax.random.PRNGKey(2))
        for name, grad in grads.items():
            params, opt = policy_learning.descend(stage, name, grad, params, opt, jnp.ones(()))
        return params, opt

    return lambda: step(state.params, state.opt), rows


def brax_step(stage: Stage, rows: ppo.PPOBatch) -> Call:
    """The same of Brax's PPO loss: its networks in our widths, unrolls of our horizon."""
    nets, horizon = stage.settings.networks, stage.settings.learner.horizon
    obs = jnp.concatenate([rows.norm_obs, rows.condition], axis=-1)
    obs = obs.reshape(-1, horizon, obs.shape[-1])
    action = rows.action.reshape(*obs.shape[:2], -1)
    network = brax_networks.make_ppo_networks(
        obs.shape[-1],
        action.shape[-1],
        policy_hidden_layer_sizes=nets.actor,
        value_hidden_layer_sizes=nets.critic,
        activation=nn.relu,
    )
    zeros = jnp.zeros(obs.shape[:2])
    data = Transition(
        observation=obs,
        action=jnp.tanh(action),
        reward=zeros + 0.5,
        discount=zeros + 1.0,
        next_observation=obs,
        extras={
            "state_extras": {"truncation": zeros},
            "policy_extras": {
                "raw_action": action,
                "log_prob": rows.log_prob.reshape(obs.shape[:2]),
                "distribution_params": jnp.zeros((*obs.shape[:2], 2 * action.shape[-1])),
            },
        },
    )
    key = jax.random.PRNGKey(0)
    params = brax_losses.PPONetworkParams(network.policy_network.init(key), network.value_network.init(key))
    optimizer = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(1e-4))
    opt = optimizer.init(params)  # pyright: ignore[reportArgumentType]

    @jax.jit
    def step(params, opt):
        def loss(p):
            return brax_losses.compute_ppo_loss(p, None, data, key, network)[0]

        updates, opt = optimizer.update(jax.grad(loss)(params), opt, params)
        return optax.apply_updates(params, updates), opt

    return lambda: step(params, opt)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--worlds", type=int, nargs="+", default=[64, 256, 512, 1024, 4096])
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    setup = run._Setup.create(config_file.get_config())

    stage, state, update = make_stage(setup, setup.settings.learner.num_worlds)
    took = seconds(update_and_parts(stage, state, update), options.rounds)
    parts = took["physics"] + took["inference"] + took["learning"]
    print("  ".join(f"{name} {value * 1e3:.0f} ms" for name, value in took.items()))
    print(f"{stage.batch_size / took['update']:,.0f} samples/s; update / sum of its parts {took['update'] / parts:.2f}")

    stage, state, _ = make_stage(setup, setup.settings.learner.num_worlds, diversity=0.0)
    ours, rows = learner_step(stage, state)
    took = seconds({"ours": ours, "brax": brax_step(stage, rows.ppo)}, 3 * options.rounds)
    size = stage.settings.learner.minibatch
    print(f"learner, per sample: ours / brax {took['ours'] / took['brax']:.2f} ({size / took['brax']:,.0f} samples/s)")

    for worlds in options.worlds:
        stage, state, update = make_stage(setup, worlds)
        took = seconds({"update": repeated(update, state)}, options.rounds)
        print(f"{worlds} worlds: {took['update'] / stage.batch_size * 1e6:.0f} us per sample", flush=True)


if __name__ == "__main__":
    main()
