"""Frozen settings of distillation. No defaults here: `configs/distill.py` writes each number once."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any


@dataclass(frozen=True)
class DistillSettings:
    """DAgger (Ross et al. 2011), one round after another; lengths in latent steps (1/6 s)."""

    rounds: int
    num_envs: int  # E, worlds per teacher
    horizon: int  # latent steps per round
    episode_length: int
    teacher_decay: float  # beta_i = teacher_decay ** i is the share of worlds that teachers drive in round i
    drive_noise: float  # length of the noise on the driving latent: worlds part ways, labels stay clean
    memory: int  # rounds remembered
    widths: tuple[int, ...]  # hidden widths of the student
    steps: int  # gradient steps per round
    batch: int
    lr: float  # at first; falls to zero along a cosine
    max_grad_norm: float
    text_noise: float  # length of the noise on a text embedding: what lies near an instruction means the same
    seed: int

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> "DistillSettings":
        values: dict[str, Any] = {f.name: config[f.name] for f in fields(cls)}
        return cls(**{**values, "widths": tuple(values["widths"])})
