"""Low-level controller: ASE, or the conditional variant (CALM, AnySkill). Lab book: docs/pretraining.md.

python tools/train_low_level.py --config configs/low_level.py --workdir runs/low_level        # ASE, 2 cores, hours
python tools/train_low_level.py --config configs/low_level.py:continued --init-from ID --workdir runs/more  # goes on
python tools/train_low_level.py --config configs/low_level.py:calm_small --workdir runs/calm  # conditional, 2 cores
python tools/train_low_level.py --config configs/low_level.py:quicktest --workdir runs/quick  # seconds
python tools/train_low_level.py --config configs/low_level.py:anyskill --workdir runs/any     # as published; a GPU
"""

from typing import Any

from ml_collections import ConfigDict


def get_config(variant: str = "") -> ConfigDict:
    """The config of one of VARIANTS, which say what they are."""
    if variant not in VARIANTS:
        raise ValueError(f"configs/low_level.py has the variants {', '.join(map(repr, VARIANTS))}, not {variant!r}")
    config: Any = small()
    VARIANTS[variant](config)
    return config.lock()


def small() -> ConfigDict:
    """ASE on two CPU cores: a warm start, then tracking leads; every number that a variant leaves alone."""
    config: Any = ConfigDict()
    config.seed = 0
    config.objective = "ase"  # or "conditional"
    config.motions = ("builtin",)  # "builtin" and/or folders of .npz clips
    config.motion_shares = (1.0,)  # how often each source is drawn
    config.hold_out = 0.0  # share of the clips left out of training, by their names: to be examined on them
    config.category_weights = ConfigDict(
        {"breakdance": 0.1, "acrobatics": 0.1, "weapon": 0.3, "roll": 0.3, "crawl": 0.3}
    )
    config.backend = "native"
    config.total_samples = 100_000_000
    config.save_every_seconds = 300.0
    config.log_every_updates = 5
    config.fall_height = 0.3
    # Without this rule a policy learns to rest on all fours: docs/experiments/all-fours.md
    config.may_touch = ("right_foot", "left_foot", "right_shin", "left_shin")

    config.start = ConfigDict(
        dict(
            episode_steps=300,
            hold_min=5,
            hold_max=150,
            pose_share=0.3,
            motion_latent_share=0.4,
            default_share=0.4,
            fall_share=0.05,
            num_fall_states=256,
            fall_refresh=100,
            rising_share=0.0,
            recovery_share=0.1,
            recovery_steps=80,
            recovery_sigma=1.0,
            max_tracking_error=0.35,
            max_body_error=1e9,
            max_lift_error=1e9,
            arrival_share=0.0,
            transition_share=0.0,
            transition_steps=30,
        )
    )
    config.networks = ConfigDict(
        dict(
            latent_dim=32,
            num_frames=5,
            encoder_frames=5,
            actor=(512, 256),
            style=(),
            critic=(256, 128),
            discriminator=(256, 128),
            disc_style=(),
            encoder=(256, 128),
        )
    )
    config.reward = ConfigDict(
        dict(
            weights=ConfigDict(dict(style=0.5, discovery=1.0, tracking=1.0, rising=0.0, energy=0.0)),
            tracking_fade=(1e9, 2e9),
            follow_share=(0.5, 0.0),
        )
    )
    config.learner = ConfigDict(
        dict(
            num_worlds=512,
            horizon=32,
            discount=0.96,
            gae_lambda=0.95,
            ratio_epsilon=0.2,
            sigma=0.03,
            epochs=3,
            minibatch=4096,
            actor_lr=2e-5,
            actor_rest=600,
            actor_rise=600,
            critic_lr=3e-4,
            disc_lr=1e-4,
            encoder_lr=1e-4,
            bounds=10.0,
            diversity=0.01,
            grad_penalty=5.0,
            grad_penalty_simulated=0.0,
            disc_negatives=0.0,
            logit_regularization=0.01,
            disc_weight_decay=1e-4,
            disc_steps=4,
            disc_batch=1024,
            replay=100_000,
            replay_insert=1024,
            uniformity=0.1,
            neighbour_frames=8,
            max_grad_norm=1.0,
        )
    )
    config.lr_schedule = ConfigDict(dict(shape="constant", over=(0.0, 100.0), last=0.1))
    config.sigma_schedule = ConfigDict(dict(shape="constant", over=(0.0, 100.0), last=0.5))
    config.sampling = ConfigDict(
        dict(share=0.0, until=1e9, floor=0.5, ceiling=4.0, prior=10.0, decay=0.99, windows=256)
    )
    config.disturbance = ConfigDict(
        dict(
            push_rate=0.0,
            push_speed=1.0,
            box_rate=0.0,
            box_mass=1.6,  # 200 kg/m^3, as in the release of ASE's successor
            box_speed=(30.0, 40.0),
            friction=(1.0, 1.0),
            mass=(1.0, 1.0),
            gains=(1.0, 1.0),
            redraw=50,
        )
    )
    config.warm_start_always = False  # also when continuing with --init-from
    config.warm_start = ConfigDict(
        dict(
            encoder_steps=1000,
            encoder_batch=1024,
            encoder_lr=1e-3,
            rounds=200,
            num_worlds=512,
            horizon=30,
            memory=20,
            steps=80,
            batch=2048,
            lr=1e-3,
            noise=0.015,
            follow_share=0.4,
            sphere_share=0.3,
            hold=(45, 150),
            teacher_decay=0.9,
            balance_weight=10.0,
            # Rows: ankles, hips of standing legs, of swinging legs, waist, in the sagittal and then the frontal plane;
            # columns: see `balance.posture`.
            balance_gains=(
                (2.12, 0.82, 0.80, 0.04),
                (0.96, -0.11, 0.35, 0.10),
                (0.40, 0.66, 0.41, 0.04),
                (-0.03, 0.05, -0.47, -0.30),
                (-1.93, -0.79, -0.41, 0.06),
                (0.23, 0.50, -0.08, -0.02),
                (1.31, 0.50, 0.43, 0.06),
                (-0.38, 0.19, -0.63, -0.09),
            ),
        )
    )
    config.rising = ConfigDict(
        dict(falls=384, moments=8192, rounds=0, memory=10, steps=80, batch=2048, lr=5e-4, balance_weight=3.0)
    )
    guided: Any = dict(rounds=0, memory=16, steps=80, batch=2048, noise=0.03, teacher_decay=0.95)
    config.following = ConfigDict(guided | dict(lr=5e-4, balance_weight=3.0, follow_share=0.92))
    config.holding = ConfigDict(
        guided | dict(lr=1e-3, balance_weight=10.0, follow_share=0.5, arrival_share=0.0, pose_share=0.9)
    )
    return config


def quicktest(config: Any) -> None:
    """A smoke test of seconds."""
    config.total_samples = 3 * 16 * 10
    config.log_every_updates = 1
    config.networks.update(dict(latent_dim=8, actor=(32,), critic=(32,), discriminator=(32,), encoder=(32,)))
    config.start.update(dict(num_fall_states=8, fall_refresh=0))
    config.learner.update(
        dict(
            num_worlds=16,
            horizon=10,
            epochs=1,
            actor_rest=0,
            actor_rise=1,
            minibatch=80,
            disc_steps=1,
            disc_batch=32,
            replay=256,
            replay_insert=32,
        )
    )
    config.warm_start.update(
        dict(encoder_steps=5, encoder_batch=32, rounds=2, num_worlds=8, horizon=5, memory=2, steps=2, batch=16)
    )
    config.rising.update(dict(falls=16, moments=1024, memory=2, steps=2, batch=16))
    config.following.update(dict(memory=2, steps=2, batch=16))
    config.holding.update(dict(memory=2, steps=2, batch=16))


def conditional(config: Any) -> None:
    """CALM's objective: latents are encoded motion windows, the discriminator knows them, nothing else is paid."""
    config.objective = "conditional"
    config.start.update(dict(hold_min=10, hold_max=150, pose_share=0.0, motion_latent_share=1.0))
    config.reward.weights.update(dict(style=1.0, discovery=0.0))
    config.learner.update(dict(diversity=0.0, uniformity=0.1, neighbour_frames=15))
    config.warm_start.rounds = 0


def quicktest_conditional(config: Any) -> None:
    """The same smoke test for the conditional objective, every option on."""
    quicktest(config)
    conditional(config)
    config.networks.update(dict(encoder_frames=8, disc_style=(16, 8)))
    config.learner.update(dict(disc_negatives=1.0 / 3.0, grad_penalty_simulated=1.0))
    config.reward.weights.energy = 0.1
    config.lr_schedule.update(dict(shape="linear", over=(0.0, 0.001)))
    config.sigma_schedule.update(dict(shape="cosine", over=(0.0, 0.001)))
    config.sampling.update(dict(share=0.5, windows=32))
    config.start.update(dict(fall_refresh=1, fall_share=0.4, rising_share=0.5, recovery_sigma=2.0))
    config.reward.weights.rising = 0.5
    config.disturbance.update(
        dict(push_rate=1.0, box_rate=1.0, friction=(0.5, 1.5), mass=(0.9, 1.1), gains=(0.8, 1.2), redraw=1)
    )


def calm_small(config: Any) -> None:
    """The conditional objective on two CPU cores: an encoder of one second, tracking leads, negatives."""
    rounds = config.warm_start.rounds
    conditional(config)
    config.warm_start.update(dict(rounds=rounds, follow_share=0.8))
    config.total_samples = 20_000_000
    config.networks.update(dict(encoder_frames=30, disc_style=(64, 32), encoder=(128, 64)))
    config.reward.update(dict(tracking_fade=(10.0, 15.0), follow_share=(0.7, 0.0)))
    config.learner.update(
        dict(sigma=0.05, actor_lr=1e-4, actor_rest=120, actor_rise=120, epochs=2, disc_negatives=1.0 / 3.0)
    )


def continued(config: Any) -> None:
    """More of the default from a controller that stands: bolder steps that get smaller, most worlds follow a motion.

    Made low-level-v4 out of v3: docs/experiments/bolder-ppo.md.
    """
    config.total_samples = 20_000_000
    config.reward.follow_share = (0.7, 0.0)
    config.start.update(dict(pose_share=0.4, motion_latent_share=0.2))
    config.learner.update(dict(actor_lr=1e-4, sigma=0.05, actor_rest=120, actor_rise=120))
    config.lr_schedule.update(dict(shape="cosine", over=(3.0, 14.0), last=0.1))
    config.sigma_schedule.update(dict(shape="cosine", over=(3.0, 14.0), last=0.4))
    config.sampling.share = 0.5


def rising(config: Any) -> None:
    """Goes on from a controller that stands and follows: falls are got up from, at first as the way up shows.

    About what made low-level-v5 out of v4, and with rising.rounds=0 (8 M samples, schedules over 3 to 8 M) v6 out of
    v5: docs/experiments/getting-up.md.
    """
    continued(config)
    config.total_samples = 5_000_000
    config.reward.follow_share = (0.4, 0.0)
    config.reward.weights.rising = 1.0
    config.start.update(
        dict(
            pose_share=0.35,
            motion_latent_share=0.2,
            default_share=0.15,
            fall_share=0.45,
            rising_share=0.5,
            recovery_share=0.3,
            recovery_steps=240,  # at most: soon over once it stands
            recovery_sigma=0.5,
        )
    )
    config.rising.rounds = 100
    config.lr_schedule.over = (2.0, 5.0)
    config.sigma_schedule.over = (2.0, 5.0)


def stepping(config: Any) -> None:
    """Goes on from a controller that stands: whoever follows a motion must move its legs as well.

    A figure whose legs stand in a walk is 0.08 m off on average, which `max_tracking_error` forgives for ever. Motions
    are begun from standing and follow each other, or a policy above could not begin one: docs/experiments/stepping.md.
    """
    rising(config)
    config.total_samples = 25_000_000
    config.rising.rounds = 0
    config.following.rounds = 120
    config.reward.follow_share = (0.85, 0.0)
    config.start.update(
        dict(pose_share=0.7, motion_latent_share=0.12, fall_share=0.4, transition_share=0.3)
        | dict(max_body_error=0.25, max_lift_error=0.15)
    )
    config.sampling.share = 0.0
    # Few worlds are left that diversity and discriminator are for; at 1e-4 nothing is gained in 11 M samples.
    config.learner.update(dict(actor_lr=6e-5, sigma=0.05, diversity=0.0, disc_steps=1))
    config.lr_schedule.over = (0.0, 25.0)
    config.sigma_schedule.over = (0.0, 25.0)
    with config.unlocked():
        config.category_weights = ConfigDict(
            {name: 0.02 for name in ("breakdance", "acrobatics", "crawl", "roll", "getup")}
            | {name: 0.1 for name in ("weapon", "dance", "martial_arts")}
            | {name: 0.2 for name in ("run", "jump_turn", "hop")}
            | {name: 0.3 for name in ("sport", "gesture", "daily")}
            | {name: 0.4 for name in ("exercise", "walk_style")}
            | {name: 0.2 for name in ("reach", "pose", "look", "arms_out", "point", "wave", "fight")}
            | {"walk_turn": 1.5, "turn": 2.0, "walk": 2.5, "kick": 1.5, "arms_up": 1.0}
            | {name: 3.0 for name in ("walk_back", "side_step", "step", "march", "one_leg")}
        )


def lessons(config: Any) -> None:
    """Lessons in following and in holding poses alone: one update, in which the actor rests.

    PPO's noise costs some of what they teach about standing on one leg; given last, they keep what PPO taught.
    """
    stepping(config)
    config.total_samples = config.learner.num_worlds * config.learner.horizon
    config.following.rounds = 110
    config.holding.rounds = 90


def published(config: Any) -> None:
    """What ASE, CALM and AnySkill have in common; separate optimisers and their rates are MimicKit's."""
    config.networks.update(
        dict(
            latent_dim=64,
            num_frames=10,
            encoder_frames=10,
            actor=(1024, 1024, 512),
            style=(512, 256, 64),
            critic=(1024, 1024, 512),
            discriminator=(1024, 1024, 512),
            disc_style=(512, 256, 64),
            encoder=(1024, 1024, 512),
        )
    )
    config.reward.weights.update(dict(style=0.5, discovery=0.5, tracking=0.0))
    config.reward.follow_share = (0.0, 0.0)
    config.start.update(
        dict(
            hold_min=1,
            pose_share=0.0,
            motion_latent_share=0.0,
            default_share=0.45,  # half of those that no fall state takes
            fall_share=0.1,
            num_fall_states=1024,
            recovery_share=0.2,
            recovery_steps=60,
        )
    )
    config.learner.update(
        dict(
            num_worlds=4096,
            discount=0.99,
            sigma=0.055,  # exp(-2.9)
            epochs=6,
            minibatch=16384,
            actor_lr=2e-5,
            actor_rest=0,
            actor_rise=1,
            critic_lr=5e-5,
            disc_lr=5e-5,
            encoder_lr=5e-5,
            disc_steps=48,
            disc_batch=8192,
            replay=200_000,
            replay_insert=4096,
            uniformity=0.0,
        )
    )
    config.warm_start.update(dict(encoder_steps=0, rounds=0))


def ase(config: Any) -> None:
    """ASE as published (arXiv 2205.01906)."""
    published(config)
    config.total_samples = 10_000_000_000


def calm(config: Any) -> None:
    """CALM as released (arXiv 2305.02195); its switch for negatives is off there."""
    published(config)
    conditional(config)
    config.total_samples = 10_000_000_000
    config.fall_height = 0.15
    config.networks.encoder_frames = 60


def anyskill(config: Any) -> None:
    """AnySkill's released controller (arXiv 2403.12835): CALM with a quarter of the worlds, batches and replay."""
    calm(config)
    config.total_samples = 475_000_000
    config.learner.update(dict(num_worlds=1024, minibatch=4096, disc_batch=2048, replay=50_000, replay_insert=1024))


VARIANTS = {
    "": lambda config: None,
    "continued": continued,
    "rising": rising,
    "stepping": stepping,
    "lessons": lessons,
    "quicktest": quicktest,
    "quicktest_conditional": quicktest_conditional,
    "calm_small": calm_small,
    "ase": ase,
    "calm": calm,
    "anyskill": anyskill,
}
