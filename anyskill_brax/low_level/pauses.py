"""Checkpoints of a run as its processes see them; and those of what comes before its first update."""

import time
from collections.abc import Callable
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np

from anyskill_brax.low_level.team import NoWorkdir, Team
from anyskill_brax.types import Metrics
from anyskill_brax.workdir import Checkpoints, Workdir

Tree = TypeVar("Tree")
Log = Callable[[str, int, Metrics], None]
"""Told what was measured after how many pieces of what."""
Resume = Callable[[Any], Any]
"""From the shapes of a progress, what an earlier process had come to, or None."""
Pause = Callable[[Any], bool]
"""Called with the progress before every piece and after the last: may save, says whether to stop."""


def restore(folder: Workdir | Checkpoints | NoWorkdir, template: Tree, team: Team) -> tuple[int, Tree] | None:
    """The leader's newest checkpoint as `(number, state)` in every process' memory, or None."""
    found: Any = folder.restore(template)
    if not team.agree(found is not None)[0]:
        return None
    done, state = (0, jax.tree.map(lambda x: np.zeros(x.shape, x.dtype), template)) if found is None else found
    done, state = team.as_leader((np.asarray(done), state))
    return int(done), state


class Pauses:
    """Between the pieces of something long: where to go on, when to save, whether to stop."""

    def __init__(
        self,
        folder: Workdir | NoWorkdir,
        name: str,
        save_every_seconds: float,
        should_stop: Callable[[], bool],
        report: Callable[[str], None],
        team: Team,
    ):
        self._checkpoints = folder.aside(name) if isinstance(folder, Workdir) else folder
        self._name, self._seconds, self._team = name, save_every_seconds, team
        self._should_stop, self._report = should_stop, report
        self._saved, self._saved_at = 0, time.monotonic()

    def resume(self, template: Tree) -> Tree | None:
        found = restore(self._checkpoints, template, self._team)
        if found is None:
            return None
        self._saved, progress = found
        self._report(f"resumed in {self._name} after {self._saved} pieces")
        return jax.tree.map(jnp.asarray, progress)

    def pause(self, progress: Any) -> bool:
        """`progress.done` pieces are done. Saves what is due, or what a stop would lose; True for a stop. Every process
        must ask as often."""
        done = int(progress.done)
        stop, due = self._team.agree(self._should_stop(), time.monotonic() - self._saved_at > self._seconds)
        if (stop or due) and done > self._saved:
            self._checkpoints.save(done, self._team.to_host(progress))
            self._saved, self._saved_at = done, time.monotonic()
        return stop

    def close(self) -> None:
        self._checkpoints.close()
