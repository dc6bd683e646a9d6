"""The built-in reward model: pose, judge and image encoders. Lab book: docs/reward-model.md.

python tools/train_reward_model.py --out runs/reward_model --image
python tools/train_reward_model.py --config configs/reward_model.py:quicktest --out runs/quick  # under three minutes
"""

from ml_collections import ConfigDict


def get_config(variant: str = "") -> ConfigDict:
    """Variants: "" (what ships), "quicktest" (a gate: minutes, AUC above 0.8 on unseen phrases)."""
    config = ConfigDict()
    config.motion_variants = 1  # built-in motions beside the random poses; 0 leaves them out
    config.save_every_seconds = 300.0  # of the image model; the others take minutes
    config.encoder = ConfigDict(
        dict(
            seed=0,
            num_poses=20_000,
            num_motion_poses=10_000,
            num_captions=100_000,
            updates=6000,
            batch=192,
            num_mined=4096,
            mining_rounds=5,
            mining_steps=60,
            mining_rate=0.05,
            mining_stiffness=0.001,
            learning_rate=3e-3,
            weight_decay=1e-4,
            max_grams=128,
            gram_dropout=0.15,
            sum_weight=1.0,
            feature_noise=0.05,
            dim=128,
            num_buckets=32_768,
            text_width=32,
            text_heads=4,
            text_hidden=384,
            pose_widths=(256, 256),
        )
    )
    config.temporal = ConfigDict(
        dict(
            seed=0,
            frames=8,  # latent steps of 1/6 s
            motion_variants=2,  # of each built-in motion
            num_motion=10_000,
            num_random=8000,
            starting_share=0.15,  # windows that an episode's start fills with its first frame
            num_captions=60_000,
            updates=4000,
            batch=192,
            learning_rate=2e-3,
            weight_decay=1e-3,
            feature_noise=0.05,
            frame_width=96,
            widths=(256, 256),
            weight=0.8,  # beside the pose tower's view of the last frame
            text_rate=0.3,  # of the text side's learning, in that of the tower
            faith=10.0,  # of the text side to what it said of poses
            clip_captions=0.5,  # weight of what people wrote of the clips of --motions; 0: not read
            num_clip=6000,  # windows of such clips; as many mirrored ones
            clip_hold_out=0.1,  # of a folder that names no test split
        )
    )
    config.image = ConfigDict(
        dict(
            seed=0,
            num_poses=70_000,
            num_motion_poses=20_000,
            phrases=400,
            tries=120,
            searches=6,
            search=dict(population=32, elites=8, rounds=32, spread=0.2, stiffness=0.003),
            passes=12,
            block=16_384,
            batch=128,
            learning_rate=1.5e-3,
            weight_decay=0.02,
            contrast_weight=0.5,
            contrast_temperature=0.1,
            hint_weight=1.0,
            image_size=64,
            convs=(16, 32, 64, 128),
            widths=(512, 512),
            azimuth=1.2,  # cameras stand within +- this of the front [rad]
            elevation=(0.05, 0.3),
        )
    )
    if variant == "quicktest":
        config.motion_variants = 0
        config.encoder.update(
            dict(num_poses=4000, num_captions=8000, updates=1200, batch=128, num_mined=0, mining_rounds=0)
            | dict(num_buckets=12_288, text_hidden=256)
        )
        config.temporal.update(
            dict(motion_variants=0, num_motion=0, num_random=400, num_captions=600, updates=40, batch=32)
            | dict(num_clip=200)
        )
        config.image.update(
            dict(
                num_poses=128,
                phrases=8,
                tries=8,
                searches=2,
                search=dict(population=8, elites=2, rounds=2),
                block=64,
                batch=32,
            )
        )
        config.image.passes = 2
    elif variant:
        raise ValueError(f"configs/reward_model.py has the variants '' and 'quicktest', not {variant!r}")
    return config.lock()
