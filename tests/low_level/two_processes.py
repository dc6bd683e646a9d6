"""One of two processes that compute gradients together; prints how far they are from those of one device.

python tests/low_level/two_processes.py HOST:PORT PROCESS MOTIONS
"""

import dataclasses
import json
import sys

from anyskill_brax.low_level import team as teams

if __name__ == "__main__":
    teams.connect(sys.argv[1], 2, int(sys.argv[2]))

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import NamedSharding
from jax.sharding import PartitionSpec as P
from quick_runs import preset

from anyskill_brax import ppo
from anyskill_brax.low_level import run, state
from anyskill_brax.low_level.clips import ClipStats
from anyskill_brax.low_level.devices import ALONE, AXIS, Devices
from anyskill_brax.low_level.policy_learning import Batch, policy_gradient, standardize_apart
from anyskill_brax.low_level.stage import Stage
from anyskill_brax.low_level.style_learning import Evidence, Judged, disc_gradient, encoder_gradient

ROWS = 64


def numbers(setup, seed: int) -> dict:
    """Random rows of everything that gradients are taken over, `[ROWS, ...]`."""
    rng = np.random.default_rng(seed)
    nets, conditional = setup.settings.networks, setup.settings.conditional
    normal = lambda *shape: rng.normal(size=(ROWS, *shape)).astype(np.float32)  # noqa: E731
    latent = normal(nets.latent_dim)
    latent /= np.linalg.norm(latent, axis=-1, keepdims=True)
    source = rng.integers(0, setup.reference.disc.shape[0], ROWS).astype(np.int32)
    condition = latent if conditional else latent[:, :0]
    return {
        "batch": Batch(
            ppo=ppo.PPOBatch(
                norm_obs=normal(223), condition=np.concatenate([latent, normal(2)], -1), action=0.1 * normal(28),
                log_prob=normal(), advantage=normal(), target=normal(),
            ),
            source=source,
            sigma=np.full(ROWS, setup.settings.learner.sigma, np.float32),
        ),
        "led": rng.random(ROWS) < 0.3,
        "evidence": Evidence(normal(625), condition, normal(625), condition[::-1].copy()),
        "drawn": Judged(normal(625), source, latent, rng.random(ROWS) < 0.5),
    }  # fmt: skip


def gradients(setup, begun: state.TrainState, devices: Devices):
    """`rows -> gradients`, the work of one of `devices`."""
    learner = dataclasses.replace(setup.settings.learner, diversity=1.0)  # as heavy as the rest, whatever the preset
    settings = dataclasses.replace(setup.settings, learner=learner)
    stage, key = Stage.create(settings, setup.env, setup.reference, devices), jax.random.PRNGKey(5)

    def own(rows: dict) -> dict:
        advantage = standardize_apart(rows["batch"].ppo.advantage, (rows["led"],), devices)
        batch = rows["batch"].replace(ppo=rows["batch"].ppo.replace(advantage=advantage))
        found = dict(policy_gradient(stage, begun, begun.params, batch, key)[0])
        found["disc"] = disc_gradient(stage, begun.params.disc, rows["evidence"])[0]
        if not settings.conditional:
            found["encoder"] = encoder_gradient(stage, begun, begun.params.encoder, rows["drawn"], key)[0]
        return found

    return own


def as_the_actor_acts(stage: Stage, begun: state.TrainState, batch: Batch) -> Batch:
    """Actions about the actor's own means, so that PPO's ratios are near one and its gradient is not zero."""
    data, sigma = batch.ppo, stage.settings.learner.sigma
    latent = data.condition[:, : stage.settings.networks.latent_dim]
    if stage.settings.conditional:
        latent = stage.latents_of(begun.params.encoder, begun, batch.source)
    mean = stage.modules.actor.apply(begun.params.actor, data.norm_obs, latent)
    action = np.asarray(mean + sigma * (10.0 * data.action))
    log_prob = np.asarray(ppo.log_prob(action, mean, sigma)) + 0.1 * data.target
    return batch.replace(ppo=data.replace(action=action, log_prob=log_prob.astype(np.float32)))


def compare(variant: str, motions: str) -> dict[str, tuple[float, float]]:
    """By network: the norm of its gradient on one device, and the largest difference to that of two."""
    config = preset(variant)
    with config.unlocked():
        config.motions = (motions,)
    setup, team = run._Setup.create(config), teams.Team.of_all_devices()
    assert team.mesh.size == 2
    nets = setup.settings.networks
    normalizer = state.Normalizer.create(625)
    begun = state.TrainState(
        params=state.init_params(jax.random.PRNGKey(0), setup.settings, setup.env),
        opt=None, obs_normalizer=None, disc_normalizer=normalizer,
        encoder_normalizer=state.longer_normalizer(normalizer, nets.num_frames, nets.encoder_frames),
        replay=None, worlds=None, clips=ClipStats.create(2), fall_states=None, key=None, updates=jnp.zeros((), int),
    )  # fmt: skip
    rows = numbers(setup, 0)
    rows["batch"] = as_the_actor_acts(
        Stage.create(setup.settings, setup.env, setup.reference, ALONE), begun, rows["batch"]
    )
    alone = jax.jit(gradients(setup, begun, ALONE))(rows)

    def split(x: np.ndarray) -> jax.Array:
        return jax.make_array_from_callback(x.shape, NamedSharding(team.mesh, P(AXIS)), lambda part: x[part])

    begun = jax.tree.map(np.asarray, begun)
    work = gradients(setup, begun, team.devices)
    shared = jax.jit(jax.shard_map(work, mesh=team.mesh, in_specs=P(AXIS), out_specs=P(), check_vma=False))
    together = team.to_host(shared(jax.tree.map(split, rows)))
    gap = lambda a, b: max(jax.tree.leaves(jax.tree.map(lambda x, y: float(np.abs(x - y).max()), a, b)))  # noqa: E731
    return {name: (float(optax.global_norm(alone[name])), gap(alone[name], together[name])) for name in alone}


if __name__ == "__main__":
    print(json.dumps({variant: compare(variant, sys.argv[3]) for variant in ("quicktest", "quicktest_conditional")}))
