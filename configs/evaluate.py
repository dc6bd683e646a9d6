"""How much is asked of a low-level controller (tools/evaluate.py low_level).

python tools/evaluate.py low_level humanoid/low-level-v9                               # 2 cores: minutes, see docs
python tools/evaluate.py low_level humanoid/low-level-v9 --config configs/evaluate.py:quick
"""

from ml_collections import ConfigDict


def get_config(variant: str = "") -> ConfigDict:
    """Variants: "", "quick" (a first look)."""
    config = ConfigDict()
    config.seed = 0
    config.backend = "native"  # physics: "native" (CPU), "mjx" or "warp"
    config.block = 256  # worlds stepped at a time
    config.stride = 5  # frames between windows of rollouts
    config.clip_stride = 3  # frames between windows of clips

    config.latents = 256  # random latents, and as many of the motions': survival, coverage, Frechet distance, movement
    config.seconds = 10.0
    config.candidates = 8  # held latents per clip
    config.clip_seconds = 10.0  # of a clip, at most
    config.lost_at = 0.35  # [m] mean distance of bodies at which a clip is lost, as in training
    config.pose_seconds = 5.0  # that every pose at rest is held
    config.twice = 64  # latents played twice
    config.twice_seconds = 5.0
    config.paths = 64  # pairs of clips' latents with a way between
    config.path_seconds = 5.0
    config.switches = 16  # K latents, half of clips, half random: K x K switches
    config.switch_repeats = 4
    config.switch_before = 2.0
    config.switch_after = 3.0
    config.falls = 256
    config.recovery_seconds = 5.0
    config.pushed = 64  # latents under every push
    config.push_speeds = (0.0, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0)  # [m/s]
    config.push_seconds = 3.0
    config.films = 6

    if variant == "quick":
        config.update(
            dict(
                block=64, latents=64, candidates=2, clip_seconds=4.0, twice=16, paths=16, switches=8, switch_repeats=1,
                falls=64, pushed=16, films=2,
            )
        )  # fmt: skip
    elif variant:
        raise ValueError(f"configs/evaluate.py has the variants '' and 'quick', not {variant!r}")
    return config.lock()
