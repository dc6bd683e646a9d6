"""Frozen settings of the low-level stage. No defaults here: `configs/low_level.py` writes each number once."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, TypeVar

from flax.core import FrozenDict

from anyskill_brax.types import UserError

T = TypeVar("T")

OBJECTIVES = ("ase", "conditional")
REWARD_TERMS = ("style", "discovery", "tracking", "rising", "energy")
SHAPES = ("constant", "linear", "cosine")


@dataclass(frozen=True)
class StartSettings:
    """Episodes: how they start, how long latents are held, when they end."""

    episode_steps: int  # control steps
    hold_min: int  # control steps a latent is held, at least
    hold_max: int
    pose_share: float  # of held latents, those of a still pose that is to be reached and kept
    motion_latent_share: float  # of held latents, those taken from any reference window; the rest is from the sphere
    default_share: float  # of free worlds' starts, those that stand, never twice alike
    fall_share: float
    num_fall_states: int
    fall_refresh: int  # updates after which other fall states are dropped; 0: never
    rising_share: float  # of those, the ones that begin on the way up instead
    recovery_share: float  # of falls that become recovery episodes
    recovery_steps: int
    recovery_sigma: float  # factor on the action noise in them: getting up wants bolder tries
    max_tracking_error: float  # [m] of the mean body at which a world that follows a motion has lost it
    max_body_error: float  # [m] of the furthest body, likewise
    max_lift_error: float  # [m] of a foot's height, likewise
    arrival_share: float  # of motions followed, those that only lead to a pose and stay there, see `Worlds.arrives`
    transition_share: float  # of motions begun from another pose; of motions ended that are followed by another
    transition_steps: int  # control steps it then takes before the new motion can be lost


@dataclass(frozen=True)
class NetworkSettings:
    latent_dim: int
    num_frames: int  # discriminator window
    encoder_frames: int  # encoder window: the discriminator's under "ase", longer under "conditional"
    actor: tuple[int, ...]
    style: tuple[int, ...]  # embedding of the latent before it meets the actor's observation; () feeds it as it is
    critic: tuple[int, ...]
    discriminator: tuple[int, ...]
    disc_style: tuple[int, ...]  # the same for a conditional discriminator
    encoder: tuple[int, ...]


@dataclass(frozen=True)
class RewardSettings:
    weights: FrozenDict[str, float]  # of each of REWARD_TERMS (ASE eq. 11 and 12: w_D r_D + w_E r_E)
    tracking_fade: tuple[float, float]  # samples (in millions) at which the tracking reward begins and ends to fade
    follow_share: tuple[float, float]  # share of worlds that follow a motion, before and after fading


@dataclass(frozen=True)
class LearnerSettings:
    num_worlds: int
    horizon: int  # control steps per update
    discount: float
    gae_lambda: float
    ratio_epsilon: float
    sigma: float  # fixed action noise, times `sigma_schedule`
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
    grad_penalty: float  # on demonstrations
    grad_penalty_simulated: float  # on simulated windows as well
    disc_negatives: float  # conditional: share of real motions under another motion's latent among what D rejects
    logit_regularization: float
    disc_weight_decay: float
    disc_steps: int  # discriminator and (under "ase") encoder minibatches per update
    disc_batch: int
    replay: int  # windows
    replay_insert: int  # windows kept per update
    uniformity: float  # weight of the encoder's alignment + uniformity on reference windows
    neighbour_frames: int  # windows of a clip whose ends lie this close are to have like latents
    max_grad_norm: float


@dataclass(frozen=True)
class ScheduleSettings:
    """A factor over samples, see `schedules.factor`."""

    shape: str  # one of SHAPES
    over: tuple[float, float]  # million samples at which it begins and ends to change
    last: float  # the factor in the end; it begins at 1


@dataclass(frozen=True)
class SamplingSettings:
    """Clips that are covered badly are drawn more often, see `clips`."""

    share: float  # of the draws that coverage decides on; 0: the clips' own weights alone
    until: float  # million samples; then the clips' own weights again
    floor: float  # of the factor on a clip's own weight
    ceiling: float
    prior: float  # windows, or failures, on which a clip's factor is still half a guess
    decay: float  # of all counts, per update
    windows: int  # per update, that vote for the clip nearest to them


@dataclass(frozen=True)
class DisturbanceSettings:
    """What happens to the character beside its own actions, see `disturbances`."""

    push_rate: float  # pushes per second and world
    push_speed: float  # [m/s] at most
    box_rate: float  # thrown boxes per second and world
    box_mass: float  # [kg]
    box_speed: tuple[float, float]  # [m/s]
    friction: tuple[float, float]  # ranges of the factors of each world; (1, 1): all alike
    mass: tuple[float, float]
    gains: tuple[float, float]
    redraw: int  # updates after which the worlds' factors are drawn anew


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
class LessonSettings:
    """Of a course of lessons between warm start and PPO, see `lessons`."""

    rounds: int  # 0: none
    memory: int  # rounds that are learned from
    steps: int  # minibatches per round
    batch: int
    lr: float
    balance_weight: float  # see WarmStartSettings


@dataclass(frozen=True)
class RisingSettings(LessonSettings):
    """Getting up, where `reward.weights.rising` asks for it: the way there, and lessons in it."""

    falls: int  # that the way is recorded from
    moments: int  # of the way that are kept


@dataclass(frozen=True)
class GuidedSettings(LessonSettings):
    """Lessons in what the warm start's teacher does better than the actor: following motions."""

    follow_share: float  # of new episodes, those that follow a motion
    noise: float  # on actions, in place of the learner's sigma
    teacher_decay: float  # the teacher drives this share ** round of the worlds


@dataclass(frozen=True)
class HoldingSettings(GuidedSettings):
    """The same in holding poses."""

    arrival_share: float  # in place of the start's
    pose_share: float  # likewise


@dataclass(frozen=True)
class LowLevelSettings:
    objective: str  # one of OBJECTIVES
    start: StartSettings
    networks: NetworkSettings
    reward: RewardSettings
    learner: LearnerSettings
    lr_schedule: ScheduleSettings  # of all four learning rates
    sigma_schedule: ScheduleSettings
    sampling: SamplingSettings
    disturbance: DisturbanceSettings
    warm_start: WarmStartSettings
    rising: RisingSettings
    following: GuidedSettings
    holding: HoldingSettings
    seed: int

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> "LowLevelSettings":
        settings = cls(
            objective=str(config.get("objective", "ase")),  # runs from before there were two
            start=_read(StartSettings, config["start"]),
            networks=_read(NetworkSettings, config["networks"]),
            reward=_read(RewardSettings, config["reward"]),
            learner=_read(LearnerSettings, config["learner"]),
            lr_schedule=_read(ScheduleSettings, config["lr_schedule"]),
            sigma_schedule=_read(ScheduleSettings, config["sigma_schedule"]),
            sampling=_read(SamplingSettings, config["sampling"]),
            disturbance=_read(DisturbanceSettings, config["disturbance"]),
            warm_start=_read(WarmStartSettings, config["warm_start"]),
            rising=_read(RisingSettings, config["rising"]),
            following=_read(GuidedSettings, config.get("following", {})),
            holding=_read(HoldingSettings, config.get("holding", {})),
            seed=int(config["seed"]),
        )
        settings.check()
        return settings

    @property
    def conditional(self) -> bool:
        return self.objective == "conditional"

    def check(self) -> None:
        """`UserError` where settings contradict each other."""
        nets, start, weights = self.networks, self.start, self.reward.weights
        if self.objective not in OBJECTIVES:
            raise UserError(f"objective is {self.objective!r}; choose one of {', '.join(OBJECTIVES)}")
        if sorted(weights) != sorted(REWARD_TERMS):
            raise UserError(f"reward.weights wants {', '.join(REWARD_TERMS)}; it has {', '.join(sorted(weights))}")
        if not (0.0 <= start.rising_share <= 1.0 and start.recovery_sigma > 0.0):
            raise UserError("start wants a rising_share in [0, 1] and a positive recovery_sigma")
        for name in ("transition_share", "arrival_share"):
            if not 0.0 <= (share := getattr(start, name)) <= 1.0:
                raise UserError(f"start.{name} is a share, in [0, 1], not {share}")
        if self.rising.rounds and not (weights["rising"] and start.fall_share):
            raise UserError("rising.rounds teach nobody while reward.weights.rising or start.fall_share is 0")
        if start.rising_share and not weights["rising"]:
            raise UserError("start.rising_share asks for starts on a way up that reward.weights.rising of 0 leaves out")
        if not 0.0 < self.following.follow_share <= 1.0:
            raise UserError(
                f"following.follow_share is a share, above 0 and at most 1, not {self.following.follow_share}"
            )
        for name in ("follow_share", "pose_share", "arrival_share"):
            if not 0.0 <= (share := getattr(self.holding, name)) <= 1.0:
                raise UserError(f"holding.{name} is a share, in [0, 1], not {share}")
        if min(self.rising.falls, self.rising.moments) < 1:
            raise UserError("rising.falls and rising.moments must be at least 1")
        for name, schedule in (("lr_schedule", self.lr_schedule), ("sigma_schedule", self.sigma_schedule)):
            if schedule.shape not in SHAPES:
                raise UserError(f"{name}.shape is {schedule.shape!r}; choose one of {', '.join(SHAPES)}")
        if not (0.0 <= self.sampling.share <= 1.0 and 0.0 < self.sampling.floor <= 1.0 <= self.sampling.ceiling):
            raise UserError("sampling wants a share in [0, 1], a floor in (0, 1] and a ceiling of at least 1")
        if not self.conditional and nets.encoder_frames != nets.num_frames:
            raise UserError(
                f"objective 'ase' shows one window to discriminator and encoder: networks.encoder_frames "
                f"({nets.encoder_frames}) must equal networks.num_frames ({nets.num_frames})"
            )
        if self.conditional and nets.encoder_frames < nets.num_frames:
            raise UserError(
                f"objective 'conditional' takes the discriminator's window of networks.num_frames ({nets.num_frames}) "
                f"out of the encoder's; networks.encoder_frames ({nets.encoder_frames}) must be at least as long"
            )
        if self.conditional and start.pose_share + start.motion_latent_share < 1.0:
            raise UserError(
                "objective 'conditional' knows no latents but those of motions: "
                "start.pose_share + start.motion_latent_share must be 1"
            )
        if self.conditional and weights["discovery"]:
            raise UserError("objective 'conditional' has no skill discovery: set reward.weights.discovery to 0")


def _read(kind: type[T], section: Mapping[str, Any]) -> T:
    """`kind` from a section of a config; `UserError` names what the section lacks."""
    names = [f.name for f in fields(kind)]  # type: ignore[arg-type]
    missing = [name for name in names if name not in section]
    if missing:
        raise UserError(f"the config has no {', '.join(missing)} for {kind.__name__}; another version wrote it")
    return kind(**{name: _frozen(section[name]) for name in names})


def _frozen(value: Any) -> Any:
    """Lists, as JSON gives them, become tuples all the way down, sections frozen: settings are hashable."""
    if hasattr(value, "items"):
        return FrozenDict({name: _frozen(v) for name, v in value.items()})
    return tuple(map(_frozen, value)) if isinstance(value, list | tuple) else value
