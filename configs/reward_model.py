"""The built-in reward model: pose, judge and image encoders. Lab book: docs/reward-model.md.

python tools/train_reward_model.py --out runs/reward_model --image
python tools/train_reward_model.py --config configs/reward_model.py:quicktest --out runs/quick  # a minute
"""

from ml_collections import ConfigDict


def get_config(variant: str = "") -> ConfigDict:
    """Variants: "" (what ships), "quicktest" (a smoke test)."""
    config = ConfigDict()
    config.motion_variants = 1  # built-in motions beside the random poses; 0 leaves them out
    config.encoder = ConfigDict(
        dict(
            seed=0,
            num_poses=20_000,
            num_motion_poses=10_000,
            num_captions=40_000,
            updates=4000,
            batch=192,
            learning_rate=3e-3,
            weight_decay=1e-4,
            max_grams=96,
            gram_dropout=0.15,
            feature_noise=0.05,
            dim=128,
            num_buckets=12_288,
            text_width=32,
            text_heads=4,
            text_hidden=256,
            pose_widths=(256, 256),
        )
    )
    config.image = ConfigDict(
        dict(
            seed=0,
            num_images=40_000,
            passes=5,
            batch=128,
            learning_rate=1e-3,
            weight_decay=0.02,
            contrast_weight=0.5,
            contrast_temperature=0.1,
            image_size=64,
            patch=16,
            width=128,
            depth=4,
            heads=4,
            azimuth=1.2,  # cameras stand within +- this of the front [rad]
            elevation=(0.0, 0.4),
        )
    )
    if variant == "quicktest":
        config.motion_variants = 0
        config.encoder.update(dict(num_poses=1500, num_captions=2000, updates=60, batch=64))
        config.image.update(dict(num_images=128, passes=2, batch=32))
    elif variant:
        raise ValueError(f"configs/reward_model.py has the variants '' and 'quicktest', not {variant!r}")
    return config.lock()
