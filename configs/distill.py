"""One policy out of many skills (DAgger).

python tools/distill.py --all --name repertoire                                              # 2 cores
python tools/distill.py --skills humanoid/wave humanoid/bow --name quick --config configs/distill.py:quicktest
"""

from ml_collections import ConfigDict


def get_config(variant: str = "") -> ConfigDict:
    """Variants: "" (2 CPU cores), "quicktest" (seconds)."""
    config = ConfigDict()
    config.seed = 0
    config.backend = "native"  # physics: "native" (CPU), "mjx" or "warp"
    config.fall_height = 0.5  # [m] of the head, as the skills were trained
    config.checkpoint_seconds = 60.0

    config.rounds = 30
    config.num_envs = 16  # per teacher
    config.horizon = 12
    config.episode_length = 36
    config.teacher_decay = 0.7
    config.drive_noise = 0.2
    config.memory = 15
    config.widths = (512, 256)
    config.steps = 200
    config.batch = 512
    config.lr = 1e-3
    config.max_grad_norm = 1.0
    config.text_noise = 0.5

    if variant == "quicktest":
        config.update(dict(rounds=3, num_envs=2, horizon=3, episode_length=4, memory=2, widths=(16,), steps=5, batch=8))
    elif variant:
        raise ValueError(f"configs/distill.py has the variants '' and 'quicktest', not {variant!r}")
    return config.lock()
