"""How training is going: a live table on a terminal, a line now and then elsewhere."""

import time
from collections.abc import Mapping, Sequence
from types import TracebackType

import numpy as np
from rich.console import Console
from rich.live import Live
from rich.markup import escape
from rich.table import Table

from anyskill_brax.high_level.instructions import Instruction

SECONDS_BETWEEN_LINES = 20.0


class Progress:
    """A `Report` for `train`; use it as a context manager, it draws while open."""

    def __init__(self, instructions: Sequence[Instruction], updates: int, console: Console | None = None):
        self._instructions = instructions
        self._updates = updates
        self._console = console or Console()
        self._live = Live(console=self._console, auto_refresh=False) if self._console.is_terminal else None
        self._began: tuple[int, float] | None = None  # the first update that this process saw, and when
        self._first: Mapping[str, np.ndarray] = {}
        self._said = -np.inf

    def __enter__(self) -> "Progress":
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def __call__(self, done: int, metrics: Mapping[str, np.ndarray]) -> None:
        now = time.monotonic()
        if self._began is None:
            self._began, self._first = (done, now), metrics
        headline = f"update {done}/{self._updates}, {self._eta(done, now)}"
        if self._live is not None:
            self._live.update(self._table(headline, metrics), refresh=True)
        elif now - self._said > SECONDS_BETWEEN_LINES or done == self._updates:
            self._said = now
            scores = ", ".join(
                f"{i.slug} {score:.3f} ({reward:+.2f})"
                for i, score, reward in zip(self._instructions, metrics["score"], metrics["reward"], strict=True)
            )
            self._console.print(f"{headline}: {scores}", markup=False, highlight=False, soft_wrap=True)

    def _eta(self, done: int, now: float) -> str:
        assert self._began is not None
        first, began = self._began
        if done == first:
            return "ETA unknown yet"
        seconds = round((now - began) / (done - first) * (self._updates - done))
        return f"ETA {seconds // 60}:{seconds % 60:02d}"

    def _table(self, headline: str, metrics: Mapping[str, np.ndarray]) -> Table:
        table = Table("instruction", "similarity", "reward", "since start", "fell", title=headline)
        for k, instruction in enumerate(self._instructions):
            table.add_row(
                escape(instruction.text[:60]),
                f"{metrics['score'][k]:.3f}",
                f"{metrics['reward'][k]:+.2f}",
                f"{metrics['reward'][k] - self._first['reward'][k]:+.2f}",
                f"{metrics['fell'][k]:.0%}",
            )
        return table
