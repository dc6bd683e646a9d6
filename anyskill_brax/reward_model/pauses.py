"""Between the pieces of a long training: how far it is, what is due to be saved, and whether someone wants to stop."""

import time
from collections.abc import Callable
from typing import Any, TypeVar

import jax
import jax.numpy as jnp

from anyskill_brax.workdir import Workdir

Tree = TypeVar("Tree")
SECONDS_BETWEEN_LINES = 30.0


class Stopped(Exception):
    """Someone wanted to stop; what was done is saved."""


class Pauses:
    """Called before every piece and after the last, with the state that a checkpoint holds."""

    def __init__(
        self, folder: Workdir, save_every_seconds: float, should_stop: Callable[[], bool], log: Callable[[str], None]
    ):
        self._folder, self._every, self._should_stop, self._log = folder, save_every_seconds, should_stop, log
        self.earlier = 0.0  # [s] that earlier processes had spent when they saved
        self._began = self._saved_at = self._said_at = time.monotonic()
        self._saved = 0
        self._first: tuple[float, float] | None = None  # the share that was done when the clock was started, and when

    def resume(self, template: Tree) -> Tree | None:
        """What an earlier process had come to, shaped like `template`."""
        found: Any = self._folder.restore((jax.ShapeDtypeStruct((), jnp.float32), template))
        if found is None:
            return None
        self._saved, (earlier, state) = found
        self.earlier = float(earlier)
        self._log(f"resumed after {self._saved} pieces and {self.earlier / 60:.0f} min")
        return state

    def __call__(self, state: Any, done: int, where: str, share: float) -> None:
        """`done` pieces, the `share` of the work that they are, and `where` that is. May save; may raise `Stopped`."""
        now, stop = time.monotonic(), self._should_stop()
        if done > self._saved and (stop or share == 1.0 or now - self._saved_at > self._every):
            self._folder.save(done, (jnp.asarray(self.earlier + now - self._began, jnp.float32), state))
            self._saved, self._saved_at = done, now
        if stop:
            raise Stopped
        if self._first is None or share == self._first[0]:  # nothing that counts is done yet
            self._first = (share, now)
        if now - self._said_at > SECONDS_BETWEEN_LINES:
            self._log(f"{where}, {self._eta(share, now)}")
            self._said_at = now

    def _eta(self, share: float, now: float) -> str:
        assert self._first is not None
        first, began = self._first
        if share == first:
            return "ETA unknown yet"
        seconds = round((now - began) / (share - first) * (1.0 - share))
        return f"ETA {seconds // 60}:{seconds % 60:02d}"
