"""What the image model is taught, in which order: all that chance decides, drawn anew by whoever asks.

A search asks for phrases; poses that it tries join the pool. A block is as many poses of the pool as are photographed
at a time.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from anyskill_brax.reward_model.optimise import SearchSettings
from anyskill_brax.types import UserError


@dataclass(frozen=True)
class DistillSettings:
    """Every number of a distillation; `configs/reward_model.py` writes them."""

    seed: int
    num_poses: int  # random ones
    num_motion_poses: int
    phrases: int  # that are searched for at a time
    tries: int  # kept of every search
    searches: int  # one through the teacher, the others through the model, evenly over the passes
    search: SearchSettings
    passes: int  # over the poses
    block: int  # pictures that are in memory at a time
    batch: int
    learning_rate: float
    weight_decay: float
    contrast_weight: float
    contrast_temperature: float
    hint_weight: float
    image_size: int
    convs: tuple[int, ...]
    widths: tuple[int, ...]
    azimuth: float  # [rad]
    elevation: tuple[float, float]  # [rad]

    def __post_init__(self) -> None:
        if self.block % self.batch or self.block > self.num_poses:
            raise UserError(
                f"image.block is {self.block}; it must be a multiple of image.batch ({self.batch}) and at most "
                f"image.num_poses ({self.num_poses})"
            )
        if not 1 <= self.searches <= self.passes:
            raise UserError(
                f"image.searches is {self.searches}; it must be at least 1 and at most image.passes ({self.passes})"
            )


@dataclass(frozen=True)
class Search:
    """Asking for phrases, in as many pieces as the search has rounds."""

    number: int  # 0 is the teacher's
    turn: int  # the pass that it comes before
    first: int  # pieces of all lessons before it
    end: int  # and with it
    pictured: int  # pictures taken before it
    glances: int  # pictures that a round takes; the teacher needs none
    phrases: np.ndarray  # [K] which of the teacher's


@dataclass(frozen=True)
class Block:
    """Pictures to learn from, in one piece."""

    turn: int  # the pass
    index: int  # in the pass
    count: int  # of blocks in the pass
    end: int  # pieces of all lessons, with it
    pictured: int  # pictures taken before it
    poses: np.ndarray  # [N] rows of the pool
    flipped: np.ndarray  # [N, 1] bool: seen in the mirror
    batches: np.ndarray  # [N / B, B] rows of the block


@dataclass(frozen=True)
class Plan:
    """The lessons of a distillation, in order: a function of its settings and of how much there is to choose from."""

    settings: DistillSettings
    num_poses: int  # in the pool before any search
    num_texts: int

    @property
    def phrases(self) -> int:
        """K: what a search asks for."""
        return min(self.settings.phrases, self.num_texts)

    @property
    def asked(self) -> int:
        """What a search adds to the pool."""
        search = self.settings.search
        return self.phrases * min(self.settings.tries, search.rounds * search.population)

    @property
    def turns(self) -> list[int]:
        """The passes that a search comes before."""
        return [self.settings.passes * number // self.settings.searches for number in range(self.settings.searches)]

    @property
    def pools(self) -> list[int]:
        """Poses in the pool, pass by pass."""
        passes = range(self.settings.passes)
        return [self.num_poses + self.asked * sum(turn <= number for turn in self.turns) for number in passes]

    @property
    def blocks(self) -> int:
        return sum(size // self.settings.block for size in self.pools)

    @property
    def pictures(self) -> int:
        """All that are taken: what the work is measured by."""
        looks = (self.settings.searches - 1) * self.settings.search.rounds * self._glances
        return looks + self.blocks * self.settings.block

    @property
    def _glances(self) -> int:
        return self.phrases * self.settings.search.population

    def __iter__(self) -> Iterator[Search | Block]:
        rng, size, rounds = np.random.default_rng(self.settings.seed), self.settings.block, self.settings.search.rounds
        turns, done, pictured = self.turns, 0, 0
        for turn, pool in enumerate(self.pools):
            if turn in turns:
                number = turns.index(turn)
                phrases = rng.permutation(self.num_texts)[: self.settings.phrases]
                glances = self._glances if number else 0
                yield Search(number, turn, done, done + rounds, pictured, glances, phrases)
                done, pictured = done + rounds, pictured + rounds * glances
            order, count = rng.permutation(pool), pool // size
            for index in range(count):
                poses, flipped = order[index * size : (index + 1) * size], rng.random((size, 1)) < 0.5
                batches = rng.permutation(size).reshape(-1, self.settings.batch)
                yield Block(turn, index, count, done + 1, pictured, poses, flipped, batches)
                done, pictured = done + 1, pictured + size
