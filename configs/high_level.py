"""High-level policies (AnySkill), many instructions at once. Lab book: docs/decisions/0006.

python tools/train_batch.py --instructions configs/instructions/demo.txt --config configs/high_level.py:demo
python tools/train_batch.py --instructions configs/instructions/anyskill.txt                                 # 2 cores
python tools/train_batch.py --instructions list.txt --config configs/high_level.py:anyskill --clip clip-vit-base-patch32
"""

from ml_collections import ConfigDict


def get_config(variant: str = "") -> ConfigDict:
    """Variants: "" (2 CPU cores), "demo" (minutes), "quicktest" (seconds), "anyskill" (published sizes; a GPU),
    "termination" (tools/study_termination.py)."""
    config = ConfigDict()
    config.seed = 0
    config.updates = 200
    config.backend = "native"  # physics: "native" (CPU), "mjx" or "warp"
    config.motions = ()  # folders of .npz clips, or "builtin": reference-state starts; none = standing
    config.reference_start_prob = 0.5
    config.fall_height = 0.5  # [m] of the head; skills that lie or crawl: --set fall_height=0.15
    config.num_views = 1  # cameras, when the reward model reads images
    config.checkpoint_seconds = 60.0
    config.publish_against_predicate = False  # True: what geometry contradicts is published too, as unverified

    config.rollout = ConfigDict(dict(num_envs=64, horizon=10, episode_length=24, instruction_axis="map"))
    config.reward = ConfigDict(
        dict(
            weights=dict(
                similarity=1.0, style=0.2, alive=0.5, fall=3.0, delta=0.0, energy=0.0, contrast=0.0, stillness=0.0
            ),
            normalise=True,  # similarity in standard deviations of random-latent rollouts, text by text
            fade_to=1.0,  # < 1: what is left of the language terms at the last update
            baseline_text="a person standing still",
            baseline_alpha=0.0,
            contrast_tau=0.1,
            contrast_bank=(),  # texts, the same for all lines
            contrast_run=False,  # True: and the list's other lines; what a line learns then hangs on them
            stillness_frames=8,
            moving_spread=0.02,
            ensemble_pessimism=0.0,  # > 0: mean - k sd over prompts and views
            min_std=0.01,
            max_reductions=8,
            give_up_prob=0.8,
            min_head_height=0.15,
        )
    )
    config.probe = ConfigDict(
        dict(
            num_random=256,
            num_motion=1024,
            num_pictures=8192,
            repertoire=("builtin",),  # motions to begin with: "builtin", folders of .npz clips; () = none
            repeats=1,
            length=24,
            skip=9,
            init_from_probe=True,
            init_norm=1.5,
            imitate_steps=300,
            imitate_noise=0.1,
            imitate_lr=1e-3,
            imitate_leads=(0, 10),
        )
    )
    config.learner = ConfigDict(
        dict(
            actor=(256, 128),
            critic=(256, 128),
            discount=0.95,
            gae_lambda=0.95,
            ratio_epsilon=0.2,
            epochs=4,
            minibatches=4,
            actor_lr=1e-3,
            last_actor_lr=1e-4,
            critic_lr=1e-3,
            max_grad_norm=1.0,
            sigma=0.1,  # exp(-2.3)
            final_sigma=0.04,
        )
    )

    config.validation = ConfigDict(dict(every=10, num_envs=16, length=60))
    config.surrogate = ConfigDict(
        dict(
            enabled=False,  # for rewards from images: a net learns to say what the encoder would
            nets=3,
            widths=(64, 64),
            pessimism=1.0,
            capacity=4096,
            random_share=0.05,
            top_share=0.05,
            learn_steps=200,
            batch=128,
            learning_rate=3e-3,
            max_gap=0.25,
            min_correlation=0.8,
        )
    )

    if variant == "demo":
        config.updates = 100
        config.rollout.num_envs = 48
    elif variant == "quicktest":
        config.updates = 3
        config.rollout.update(dict(num_envs=4, horizon=4, episode_length=3))
        config.probe.update(dict(num_random=6, num_motion=2, repertoire=(), length=3, skip=1, imitate_steps=3))
        config.learner.update(dict(actor=(16,), critic=(16,), epochs=2, minibatches=2))
        config.validation.update(dict(every=2, num_envs=2, length=2))
        config.surrogate.update(dict(widths=(16,), capacity=64, learn_steps=10, batch=16))
    elif variant == "anyskill":
        config.updates = 500
        config.fall_height = 0.15
        config.rollout.update(dict(num_envs=1024, horizon=4, episode_length=10, instruction_axis="vmap"))
        config.probe.init_from_probe = False
        config.validation.update(dict(every=25, num_envs=64))
        config.learner.update(
            dict(
                actor=(1024, 512), critic=(1024, 512), actor_lr=2e-5, last_actor_lr=2e-5, critic_lr=1e-4, discount=0.99
            )
        )
        config.surrogate.capacity = 16_384
    elif variant == "termination":  # many small trainings at once
        config.updates = 30
        config.fall_height = 0.15  # the lower of the heights under study
        config.rollout.update(dict(num_envs=16))
    elif variant:
        known = "'', 'demo', 'quicktest', 'anyskill' and 'termination'"
        raise ValueError(f"configs/high_level.py has the variants {known}, not {variant!r}")
    return config.lock()
