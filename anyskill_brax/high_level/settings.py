"""Frozen settings of the high-level stage. No defaults here: `configs/high_level.py` writes each number once."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, TypeVar

from anyskill_brax.clip.surrogate import SurrogateSettings
from anyskill_brax.types import UserError

T = TypeVar("T")


@dataclass(frozen=True)
class RolloutSettings:
    """Worlds and episodes; lengths in latent steps (1/6 s)."""

    num_envs: int  # E, worlds per instruction
    horizon: int  # latent steps per update
    episode_length: int
    instruction_axis: str  # "map": bit-for-bit independent lines; "vmap": one batch, for accelerators


TERMS = ("similarity", "style", "alive", "fall", "delta", "energy", "contrast", "stillness")
"""The terms of the reward, `high_level.reward.reward_terms`."""
ABSENT = {
    "contrast_tau": 1.0,
    "contrast_bank": (),
    "contrast_run": False,
    "stillness_frames": 2,
    "moving_spread": 1.0,
    "ensemble_pessimism": 0.0,
}
"""Settings of the reward that older configs lack, and `contrast` and `stillness` among its weights: without effect."""


@dataclass(frozen=True)
class RewardSettings:
    """Weights of the terms, by name, and what the terms need."""

    weights: tuple[tuple[str, float], ...]  # one for each of TERMS
    normalise: bool  # similarity in standard deviations of the probe's random-latent rollouts
    fade_to: float  # part of the language terms' weight that is left at the last update; 1 = no fading
    baseline_text: str  # goal-baseline projection (VLM-RM): the state without the skill
    baseline_alpha: float  # 0 = plain cosine
    contrast_tau: float  # temperature of the softmax over the instruction and what it is contrasted with
    contrast_bank: tuple[str, ...]  # texts that every instruction is contrasted with, itself left out
    contrast_run: bool  # and with the run's other instructions: then a line learns differently in other company
    stillness_frames: int  # latent steps over which a world may be found still
    moving_spread: float  # of their features, from which on nothing is still, see `clip.reward.stillness`
    ensemble_pessimism: float  # k > 0: similarity is mean - k sd over prompts and views; 0: that of their means
    min_std: float  # of the similarity: keeps a text that nothing moves from exploding
    max_reductions: int  # early termination, see clip/reward.py
    give_up_prob: float
    min_head_height: float  # [m]

    def __post_init__(self):
        named = [name for name, _ in self.weights]
        if sorted(named) != sorted(TERMS):
            raise UserError(f"reward.weights has {', '.join(named)}; expected a weight for each of {', '.join(TERMS)}")
        if not (self.contrast_tau > 0.0 and self.moving_spread > 0.0 and self.ensemble_pessimism >= 0.0):
            given = f"{self.contrast_tau:g}, {self.moving_spread:g} and {self.ensemble_pessimism:g}"
            raise UserError(
                f"reward.contrast_tau, moving_spread and ensemble_pessimism are {given}; expected two numbers above 0 "
                "and one that is not below it"
            )
        if self.stillness_frames < 2:
            raise UserError(f"reward.stillness_frames is {self.stillness_frames}; one frame shows no movement, give 2")
        if self.pays("contrast") and not (self.contrast_bank or self.contrast_run):
            raise UserError(
                "reward.weights.contrast wants something to contrast with: texts in reward.contrast_bank, or "
                "reward.contrast_run=True for the other instructions of the run"
            )

    def pays(self, term: str) -> bool:
        return dict(self.weights)[term] != 0.0


@dataclass(frozen=True)
class ProbeSettings:
    """The warm-up: candidate latents, each held in a few worlds, rolled out once for all instructions."""

    num_random: int  # candidates uniform on the sphere
    num_motion: int  # and of the latents of the low-level controller's motions, at most
    num_pictures: int  # at most, where the reward reads pictures: so many fewer of the latter
    repeats: int  # worlds per candidate
    length: int  # latent steps each is held
    skip: int  # of those, how many pass before scores count
    init_from_probe: bool  # start each actor at its best candidate; False = the paper: at the centre of the sphere
    init_norm: float  # length of the unnormalised latent it starts at: larger commits more, explores less
    imitate_steps: int  # gradient steps by which an actor learns the motion that it begins with
    imitate_noise: float  # added to the normalised observations of that motion
    imitate_lr: float
    imitate_leads: tuple[int, ...]  # control steps by which the latents of a motion are ahead; the best is begun with

    def __post_init__(self):
        if not self.imitate_leads or min(self.imitate_leads) < 0:
            raise UserError(
                f"probe.imitate_leads is {self.imitate_leads}; expected one or more control steps, 0 or more"
            )


@dataclass(frozen=True)
class LearnerSettings:
    actor: tuple[int, ...]  # hidden widths
    critic: tuple[int, ...]
    discount: float  # per latent step
    gae_lambda: float
    ratio_epsilon: float
    epochs: int
    minibatches: int
    actor_lr: float  # first update
    last_actor_lr: float  # and last; a cosine in between
    critic_lr: float
    max_grad_norm: float
    sigma: float  # exploration noise of the unnormalised latent, first update
    final_sigma: float  # and last; geometric in between

    def __post_init__(self):
        if not 0.0 < self.last_actor_lr <= self.actor_lr:
            raise UserError(
                f"learner.last_actor_lr is {self.last_actor_lr:g}, learner.actor_lr {self.actor_lr:g}; expected a "
                "learning rate above 0 and a last one that is no larger"
            )


@dataclass(frozen=True)
class ValidationSettings:
    """Episodes without the policy's noise, by which the actor to keep is chosen; see `validation.py`."""

    every: int  # updates between two; the first actor and the last are tried as well
    num_envs: int  # worlds per instruction
    length: int  # latent steps

    def __post_init__(self):
        if min(self.every, self.num_envs, self.length) < 1:
            given = f"validation.every is {self.every}, num_envs {self.num_envs}, length {self.length}"
            raise UserError(f"{given}; expected 1 or more each")


@dataclass(frozen=True)
class HighLevelSettings:
    rollout: RolloutSettings
    reward: RewardSettings
    probe: ProbeSettings
    learner: LearnerSettings
    validation: ValidationSettings
    surrogate: SurrogateSettings
    updates: int
    seed: int

    def __post_init__(self):
        states, rows = self.rollout.num_envs * self.rollout.horizon, self.surrogate.capacity
        if self.surrogate.enabled and states > rows:
            raise UserError(f"surrogate.capacity is {rows}; it must hold the {states} states of an update")
        if self.surrogate.enabled and (self.reward.pays("contrast") or self.reward.pays("stillness")):
            raise UserError(
                "a surrogate guesses the similarity alone: leave surrogate.enabled False, or reward.weights.contrast "
                "and stillness 0"
            )

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> "HighLevelSettings":
        return cls(
            rollout=_read(RolloutSettings, config["rollout"]),
            reward=_read(RewardSettings, _completed(config["reward"])),
            probe=_read(ProbeSettings, config["probe"]),
            learner=_read(LearnerSettings, config["learner"]),
            validation=_read(ValidationSettings, config["validation"]),
            surrogate=_read(SurrogateSettings, config["surrogate"]),
            updates=int(config["updates"]),
            seed=int(config["seed"]),
        )

    def tries(self, done: int) -> bool:
        """Whether the actors are tried after `done` updates."""
        return done % self.validation.every == 0 or done == self.updates

    def for_pictures(self) -> "HighLevelSettings":
        """With a warm-up of no more than `num_pictures`: to an encoder of pictures each is dear."""
        probe = self.probe
        worlds = probe.num_pictures // (probe.length * probe.repeats)
        fewer = replace(probe, num_motion=min(probe.num_motion, max(worlds - probe.num_random, 0)))
        return replace(self, probe=fewer)


def older(stored: dict[str, Any], now: Mapping[str, Any]) -> dict[str, Any]:
    """A run's configuration from before `ABSENT` as it would be written today; what has no effect is as it is `now`."""
    if "reward" not in stored:
        return stored
    idle = {name: now["reward"][name] for name in ABSENT if name != "ensemble_pessimism"}
    return {**stored, "reward": _completed({**idle, **stored["reward"]})}


def _completed(reward: Mapping[str, Any]) -> dict[str, Any]:
    """The section as a run from before `ABSENT` would write it today."""
    return {**ABSENT, **reward, "weights": {"contrast": 0.0, "stillness": 0.0, **reward["weights"]}}


def _read(kind: type[T], section: Mapping[str, Any]) -> T:
    values = {f.name: section[f.name] for f in fields(kind)}  # type: ignore[arg-type]
    values |= {k: tuple(sorted(v.items())) for k, v in values.items() if hasattr(v, "items")}  # a dict, or a ConfigDict
    return kind(**{k: tuple(v) if isinstance(v, list | tuple) else v for k, v in values.items()})
