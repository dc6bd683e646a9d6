"""The conditional objective (CALM, AnySkill): latents are encoded motions, the discriminator knows them."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from quick_runs import preset

from anyskill_brax.low_level import losses, run
from anyskill_brax.low_level.policy_learning import make_batch, policy_gradient
from anyskill_brax.low_level.rollout import rollout
from anyskill_brax.low_level.settings import LowLevelSettings
from anyskill_brax.low_level.stage import Stage
from anyskill_brax.low_level.state import Replay
from anyskill_brax.low_level.style_learning import Judged, remember, sample_demos
from anyskill_brax.networks import Discriminator
from anyskill_brax.policies import StyleJudge
from anyskill_brax.types import UserError


@pytest.fixture(scope="module")
def lived(quick_conditional):
    """The worlds after one rollout, and its steps."""
    quick = quick_conditional
    # The encoder has learnt since the worlds' latents were encoded.
    moved = jax.tree.map(lambda x: x + 0.1, quick.state.params.encoder)
    state = quick.state.replace(params=quick.state.params.replace(encoder=moved))
    after, steps = jax.jit(lambda s, k: rollout(quick.stage, s, k))(state, jax.random.PRNGKey(1))
    return state, after, steps


def test_every_latent_of_a_rollout_is_the_present_encoding_of_its_motion_window(quick_conditional, lived):
    state, _, steps = lived
    encoded = quick_conditional.stage.latents_of(state.params.encoder, state, steps.source)
    np.testing.assert_allclose(steps.latent, encoded, atol=1e-5)
    assert not steps.free.any(), "no latent is drawn from the sphere"


def test_the_encoder_learns_through_the_policy(quick_conditional, lived):
    state, after, steps = lived
    stage = quick_conditional.stage
    batch = make_batch(stage, state.replace(worlds=after), steps, jax.random.normal(jax.random.PRNGKey(2), (10, 16)))

    def gradients(**learner: float):
        settings = dataclasses.replace(stage.settings, learner=dataclasses.replace(stage.settings.learner, **learner))
        changed = Stage.create(settings, stage.env, stage.reference, stage.devices)
        return policy_gradient(changed, state, state.params, batch, jax.random.PRNGKey(3))

    grads, metrics = gradients(uniformity=0.0)
    assert float(optax.global_norm(grads["encoder"])) > 1e-4, "without any loss of its own"
    assert float(metrics["ratio_clipped"]) == 0.0 and abs(float(metrics["approx_kl"])) < 1e-4
    silent, _ = gradients(uniformity=0.0, bounds=0.0)
    # The policy's ratio is 1 everywhere and no mean leaves the bounds: what is left is the surrogate's own gradient.
    np.testing.assert_allclose(optax.global_norm(silent["encoder"]), optax.global_norm(grads["encoder"]), rtol=1e-4)


def test_under_ase_the_policy_loss_leaves_the_encoder_alone(quick_ase):
    stage = quick_ase.stage

    def learns(state, key):
        after, steps = rollout(stage, state, key)
        batch = make_batch(stage, state.replace(worlds=after), steps, jnp.ones((10, 16)))
        return policy_gradient(stage, state, state.params, batch, key)[0]

    key = jax.random.PRNGKey(0)
    assert sorted(jax.eval_shape(learns, jax.eval_shape(quick_ase.init, key), key)) == ["actor", "critic"]


def test_demonstrations_are_cut_out_of_the_window_that_their_latent_is_of(quick_conditional):
    stage = quick_conditional.stage
    nets = quick_conditional.settings.networks
    windows, source = sample_demos(stage, quick_conditional.state, jax.random.PRNGKey(0), jax.random.PRNGKey(1), 300)
    windows = np.asarray(windows).reshape(300, nets.num_frames, -1)
    outer = np.asarray(stage.reference.window(source, nets.encoder_frames))
    places = [
        {e for e in range(nets.num_frames, nets.encoder_frames + 1) if (window == whole[e - nets.num_frames : e]).all()}
        for window, whole in zip(windows, outer, strict=True)
    ]
    assert all(places), "some demonstration is not inside its encoder window"
    assert {min(p) for p in places} == set(range(nets.num_frames, nets.encoder_frames + 1)), "from anywhere in it"


def test_the_replay_keeps_windows_and_their_motions_together():
    fresh = Judged(
        windows=jnp.arange(1, 21.0)[:, None] * 10,
        source=jnp.arange(1, 21),
        latent=jnp.zeros((20, 2)),
        teaches=jnp.ones(20),
    )
    empty = Replay(windows=jnp.zeros((8, 1)), source=jnp.zeros(8, int), count=jnp.asarray(6))
    after = remember(empty, fresh, jax.random.PRNGKey(0), 4)
    assert int(after.count) == 10
    np.testing.assert_array_equal(after.windows[:, 0], after.source * 10)
    assert np.flatnonzero(np.asarray(after.source)).tolist() == [0, 1, 6, 7], "the oldest places, around the end"


def test_negatives_are_real_windows_under_another_latent():
    def logit(params, x, known):
        return (x * known)[:, 0] * params["params"]["logit"]["kernel"][0, 0]

    params = {"params": {"logit": {"kernel": jnp.ones((1, 1))}}}
    demo = jnp.array([[2.0], [3.0]]), jnp.array([[1.0], [10.0]])
    simulated = jnp.array([[1.0]]), jnp.array([[1.0]])
    loss, _ = losses.discriminator_loss(logit, params, demo, simulated, 0.0, 0.0, negatives=0.25)
    softplus = lambda x: np.log1p(np.exp(x))  # noqa: E731
    real = 0.5 * (softplus(-2.0) + softplus(-30.0))
    wrong = 0.5 * (softplus(2.0 * 10.0) + softplus(3.0 * 1.0))
    assert float(loss) == pytest.approx(0.5 * (real + 0.75 * softplus(1.0) + 0.25 * wrong), rel=1e-5)


def test_only_a_conditional_discriminator_tells_right_motions_under_wrong_latents():
    """Both sides show the same windows, x = +-1; a demonstration's latent says which, a simulated one's the other."""
    sign = jnp.where(jnp.arange(64) % 2 == 0, 1.0, -1.0)[:, None]
    disc: Any = Discriminator((16,))
    accuracy = {}
    for known, condition in (("latent", sign), ("nothing", jnp.zeros((64, 0)))):
        demo, simulated = (sign, condition), (sign, -condition)
        params, optimizer = disc.init(jax.random.PRNGKey(0), *demo), optax.adam(0.05)

        @jax.jit
        def learn(params, opt):
            grads, metrics = jax.grad(
                lambda p: losses.discriminator_loss(disc.apply, p, demo, simulated, 0.0, 0.0),  # noqa: B023
                has_aux=True,
            )(params)
            step, opt = optimizer.update(grads, opt)  # noqa: B023
            return optax.apply_updates(params, step), opt, metrics

        opt = optimizer.init(params)
        for _ in range(100):
            params, opt, metrics = learn(params, opt)
        accuracy[known] = float(metrics["disc_accuracy_demo"] + metrics["disc_accuracy_simulated"]) / 2
    assert accuracy["latent"] == 1.0 and accuracy["nothing"] == 0.5


@pytest.mark.slow
def test_an_update_learns_with_all_four_networks_and_is_published(quick_conditional):
    quick = quick_conditional
    state, metrics = quick.jitted_update(quick.state)
    assert all(np.isfinite(float(v)) for v in metrics.values())
    for name in ("actor", "critic", "disc", "encoder"):
        before, after = (jax.tree.leaves(getattr(s.params, name)) for s in (quick.state, state))
        assert any((a != b).any() for a, b in zip(before, after, strict=True)), name
    controller = run.controller_from_state(quick.setup, state)
    style = controller.style
    assert (style.conditional, style.num_frames, style.encoder_frames) == (True, 5, 8)
    again = StyleJudge.from_tensors(style.config(), style.to_tensors())
    window = quick.setup.reference.window(jnp.arange(10), 5).reshape(10, -1)
    latent = controller.motion_latents[jnp.arange(10) % 8]
    np.testing.assert_array_equal(again.style_reward(window, latent), style.style_reward(window, latent))
    assert not np.allclose(style.style_reward(window, latent), style.style_reward(window, -latent))
    with pytest.raises(UserError, match="conditional: style_reward needs the latent"):
        style.style_reward(window)
    # What training continues from: the longer window's normaliser included.
    params, normalizers = run.read_training_tensors(run.training_tensors(state), state.params)
    assert normalizers["encoder_normalizer"].mean.size == 8 * 125
    np.testing.assert_array_equal(jax.tree.leaves(params.encoder)[0], jax.tree.leaves(state.params.encoder)[0])


PUBLISHED = {  # shared/design/method.md, "Low-level controller"
    "ase": dict(objective="ase", encoder_frames=10, hold=(1, 150), num_worlds=4096, minibatch=16384, replay=200_000),
    "calm": dict(
        objective="conditional", encoder_frames=60, hold=(10, 150), num_worlds=4096, minibatch=16384, replay=200_000
    ),
    "anyskill": dict(
        objective="conditional", encoder_frames=60, hold=(10, 150), num_worlds=1024, minibatch=4096, replay=50_000
    ),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_published_presets(name):
    settings = LowLevelSettings.from_config(preset(name))
    nets, learner, start = settings.networks, settings.learner, settings.start
    wanted = PUBLISHED[name]
    assert settings.objective == wanted["objective"] and nets.encoder_frames == wanted["encoder_frames"]
    assert (start.hold_min, start.hold_max, start.episode_steps) == (*wanted["hold"], 300)
    sizes = (learner.num_worlds, learner.minibatch, learner.replay)
    assert sizes == (wanted["num_worlds"], wanted["minibatch"], wanted["replay"])
    assert (nets.latent_dim, nets.num_frames, nets.style) == (64, 10, (512, 256, 64))
    assert nets.actor == nets.critic == nets.discriminator == nets.encoder == (1024, 1024, 512)
    assert (learner.discount, learner.gae_lambda, learner.ratio_epsilon) == (0.99, 0.95, 0.2)
    assert learner.sigma == pytest.approx(np.exp(-2.9), rel=2e-3)
    assert (learner.horizon, learner.epochs, learner.actor_lr, learner.bounds) == (32, 6, 2e-5, 10.0)
    assert (learner.grad_penalty, learner.logit_regularization, learner.disc_weight_decay) == (5.0, 0.01, 1e-4)
    weights = dict(settings.reward.weights)
    if settings.conditional:
        assert (weights["style"], weights["discovery"]) == (1.0, 0.0)
        assert (learner.diversity, learner.uniformity, nets.disc_style) == (0.0, 0.1, (512, 256, 64))
    else:
        assert (weights["style"], weights["discovery"], learner.diversity) == (0.5, 0.5, 0.01)
    assert settings.reward.follow_share == (0.0, 0.0) and settings.warm_start.rounds == 0


@pytest.mark.parametrize(
    ("variant", "change", "complaint"),
    [
        ("quicktest", {"objective": "amp"}, "choose one of ase, conditional"),
        ("quicktest", {"networks.encoder_frames": 9}, "must equal networks.num_frames"),
        ("quicktest_conditional", {"networks.encoder_frames": 3}, "must be at least as long"),
        ("quicktest_conditional", {"start.motion_latent_share": 0.5}, "no latents but those of motions"),
        ("quicktest_conditional", {"reward.weights.discovery": 0.5}, "no skill discovery"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(quick_config, variant, change, complaint):
    with pytest.raises(UserError, match=complaint):
        LowLevelSettings.from_config(quick_config(variant, change))
