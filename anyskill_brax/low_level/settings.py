"""Frozen settings of the low-level stage. No defaults here: `configs/low_level.py` writes each number once."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class StartSettings:
    """Episodes: how they start, how long latents are held, when they end."""

    episode_steps: int  # control steps
    hold_min: int  # control steps a free latent is held, at least
    hold_max: int
    pose_share: float  # of held latents, those of a still pose that is to be reached and kept
    motion_latent_share: float  # of held latents, those taken from any reference window; the rest is from the sphere
    default_share: float  # of free worlds' starts
    fall_share: float
    num_fall_states: int
    recovery_share: float  # of falls that become recovery episodes
    recovery_steps: int
    max_tracking_error: float  # [m] at which a world that follows a motion has lost it


@dataclass(frozen=True)
class NetworkSettings:
    latent_dim: int
    num_frames: int  # discriminator window
    actor: tuple[int, ...]
    style: tuple[int, ...]
    critic: tuple[int, ...]
    discriminator: tuple[int, ...]
    encoder: tuple[int, ...]


@dataclass(frozen=True)
class RewardSettings:
    style: float  # ASE eq. 11: w_D r_D
    discovery: float  # w_E r_E
    tracking: float  # weight of the tracking reward in worlds with a motion or pose as target, before it fades
    tracking_fade: tuple[float, float]  # samples (in millions) at which fading begins and ends
    follow_share: tuple[float, float]  # share of worlds that follow a motion, before and after fading


@dataclass(frozen=True)
class LearnerSettings:
    num_worlds: int
    horizon: int  # control steps per update
    discount: float
    gae_lambda: float
    ratio_epsilon: float
    sigma: float  # fixed action noise
    epochs: int
    minibatch: int
    actor_lr: float
    actor_rest: int  # minibatches before the actor learns: a fresh critic would undo a warm start
    actor_rise: int  # minibatches over which actor_lr is then reached (1: at once)
    critic_lr: float
    disc_lr: float
    encoder_lr: float
    bounds: float
    diversity: float
    grad_penalty: float
    logit_regularization: float
    disc_weight_decay: float
    disc_steps: int  # discriminator and encoder minibatches per update
    disc_batch: int
    replay: int  # windows
    replay_insert: int  # windows kept per update
    uniformity: float  # weight of the encoder's alignment + uniformity on reference windows
    max_grad_norm: float


@dataclass(frozen=True)
class WarmStartSettings:
    encoder_steps: int  # 0: none
    encoder_batch: int
    encoder_lr: float
    rounds: int  # of DAgger; 0: none
    num_worlds: int
    horizon: int  # control steps per round
    memory: int  # rounds that are learned from
    steps: int  # minibatches per round
    batch: int
    lr: float
    noise: float  # on driving actions
    follow_share: float  # of the worlds; the others hold still poses
    sphere_share: float  # of held latents, those uniform on the sphere: the nearest known pose
    hold: tuple[int, int]  # control steps a latent is held, at least and at most
    teacher_decay: float  # the teacher drives this share ** round of the worlds
    balance_weight: float  # of legs and waist in the regression, arms and neck count 1
    balance_gains: tuple[tuple[float, ...], ...]  # [2 planes x 4 joint groups, 4 deviations], see `balance`


@dataclass(frozen=True)
class LowLevelSettings:
    start: StartSettings
    networks: NetworkSettings
    reward: RewardSettings
    learner: LearnerSettings
    warm_start: WarmStartSettings
    seed: int

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> "LowLevelSettings":
        return cls(
            start=_read(StartSettings, config["start"]),
            networks=_read(NetworkSettings, config["networks"]),
            reward=_read(RewardSettings, config["reward"]),
            learner=_read(LearnerSettings, config["learner"]),
            warm_start=_read(WarmStartSettings, config["warm_start"]),
            seed=int(config["seed"]),
        )


def _read(kind: type[T], section: Mapping[str, Any]) -> T:
    return kind(**{f.name: _frozen(section[f.name]) for f in fields(kind)})  # type: ignore[arg-type]


def _frozen(value: Any) -> Any:
    """Lists, as JSON gives them, become tuples all the way down: settings are hashable."""
    return tuple(map(_frozen, value)) if isinstance(value, list | tuple) else value
