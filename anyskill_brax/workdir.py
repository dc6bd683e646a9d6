"""A run's folder: `config.json`, `metrics.jsonl` + TensorBoard, and checkpoints that resume exactly."""

import json
import shutil
import time
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp
from tensorboardX import SummaryWriter

from anyskill_brax.types import UserError

State = TypeVar("State")


class Workdir:
    """Opens (or creates) the folder of one run.

    A folder belongs to one configuration: opening it with another raises `UserError` naming the keys that differ, so a
    run is never continued by accident under other settings. Those of `may_differ` may be others, `changed`; the
    folder keeps the old ones until `adopt`. Checkpoints are committed atomically; the newest complete one is
    restored, and `metrics.jsonl` is cut back to it. `older(stored, now)` makes of a configuration that an older
    version wrote what this one would write.
    """

    def __init__(
        self,
        path: str | Path,
        config: Mapping[str, Any],
        keep: int = 2,
        may_differ: Collection[str] = (),
        older: Callable[[dict[str, Any], dict[str, Any]], dict[str, Any]] = lambda stored, now: stored,
    ):
        self.path = Path(path).absolute()
        self._config = json.loads(json.dumps(dict(config), sort_keys=True))
        self.changed: dict[str, tuple[Any, Any]] = {}  # settings of `may_differ`: what they were, what they are now
        if (self.path / "config.json").exists():
            self._check_same(self.path / "config.json", may_differ, older)
        self.path.mkdir(parents=True, exist_ok=True)
        if not (self.path / "config.json").exists():
            self.adopt()
        self._checkpoints = Checkpoints(self.path / "checkpoints", keep)
        self._tensorboard: SummaryWriter | None = None
        self._started = time.monotonic()

    def adopt(self) -> None:
        """The folder belongs to this configuration from now on."""
        write_atomically(self.path / "config.json", json.dumps(self._config, indent=2, sort_keys=True).encode())

    def _check_same(self, config_file: Path, may_differ: Collection[str], older: Callable[..., dict[str, Any]]) -> None:
        try:
            existing = older(json.loads(config_file.read_text()), self._config)
        except ValueError as error:
            raise UserError(f"{config_file} is not JSON ({error}); choose another folder or delete it") from error
        resolved = self._config
        keys = sorted(k for k in existing.keys() | resolved.keys() if existing.get(k) != resolved.get(k))
        self.changed = {k: (existing.get(k), resolved.get(k)) for k in keys if k in may_differ}
        if refused := [k for k in keys if k not in may_differ]:
            shown = "; ".join(f"{k}: was {existing.get(k)!r:.80}, now {resolved.get(k)!r:.80}" for k in refused[:6])
            but = f" (only {', '.join(may_differ)} may differ)" if may_differ else ""
            raise UserError(
                f"{config_file.parent} holds a run with another configuration ({shown}). "
                f"Use the same settings to resume it{but}; to start anew choose another folder, or delete this one."
            )

    # -- checkpoints ---------------------------------------------------------------------------------------------

    def save(self, update: int, state: Any) -> None:
        """Commit a checkpoint of the whole state (a pytree of arrays) under the number of updates done."""
        self._checkpoints.save(update, state)

    def restore(self, template: State) -> tuple[int, State] | None:
        """The newest checkpoint as `(update, state)`, shaped like `template` (arrays or their shapes); None if none."""
        found = self._checkpoints.restore(template)
        if found is not None:
            self._cut_metrics(found[0])
        return found

    def aside(self, name: str) -> "Checkpoints":
        """Checkpoints of what comes before the first update, in their own folder; `forget` it when that is over."""
        return Checkpoints(self.path / name, keep=1)

    def forget(self, name: str) -> None:
        """Away with what was kept aside, if anything was."""
        shutil.rmtree(self.path / name, ignore_errors=True)

    # -- metrics -------------------------------------------------------------------------------------------------

    def log(self, update: int, metrics: Mapping[str, Any]) -> None:
        """One line of `metrics.jsonl` and TensorBoard scalars; vectors are logged as lists to the former only."""
        row = {name: np.asarray(value).tolist() for name, value in metrics.items()}
        line = {"update": update, "seconds": round(time.monotonic() - self._started, 3), **row}
        with (self.path / "metrics.jsonl").open("a") as file:
            file.write(json.dumps(line) + "\n")
        if self._tensorboard is None:
            self._tensorboard = SummaryWriter(str(self.path / "tensorboard"))
        for name, value in row.items():
            if isinstance(value, int | float):
                self._tensorboard.add_scalar(name, value, update)

    def _cut_metrics(self, update: int) -> None:
        rows = [row for row in read_metrics(self.path) if row["update"] <= update]
        write_atomically(self.path / "metrics.jsonl", "".join(json.dumps(row) + "\n" for row in rows).encode())
        if rows:  # `seconds` go on where they were
            self._started -= rows[-1]["seconds"]

    def close(self) -> None:
        self._checkpoints.close()
        if self._tensorboard is not None:
            self._tensorboard.close()


class Checkpoints:
    """A folder of numbered states, each committed atomically or not at all; the newest `keep` stay."""

    def __init__(self, path: Path, keep: int):
        self.path = path
        path.mkdir(exist_ok=True)
        self._manager = ocp.CheckpointManager(
            path,
            item_handlers=ocp.StandardCheckpointHandler(),
            options=ocp.CheckpointManagerOptions(
                max_to_keep=keep,
                create=False,
                enable_async_checkpointing=False,
                # With several processes one of them keeps the folder, and waits for no other.
                multiprocessing_options=ocp.options.MultiprocessingOptions(
                    primary_host=jax.process_index(),
                    active_processes={jax.process_index()} if jax.process_count() > 1 else None,
                    barrier_sync_key_prefix="workdir" if jax.process_count() > 1 else None,
                ),
            ),
        )

    def save(self, number: int, state: Any) -> None:
        self._manager.save(number, args=ocp.args.StandardSave(jax.tree.leaves(state)))
        self._manager.wait_until_finished()

    def restore(self, template: State) -> tuple[int, State] | None:
        """The newest as `(number, state)`, shaped like `template` (arrays or their shapes); None if none."""
        latest = self._manager.latest_step()
        if latest is None:
            return None
        leaves, structure = jax.tree.flatten(template)
        try:
            restored = self._manager.restore(latest, args=ocp.args.StandardRestore(leaves))
        except (ValueError, KeyError) as error:
            raise UserError(
                f"the checkpoint in {self.path} does not fit this version of the code ({str(error)[:200]}); "
                "start anew in another folder, or delete this one"
            ) from error
        # Through numpy: what orbax restores is bound to a device, which would compile the update anew.
        return latest, jax.tree.unflatten(structure, [jnp.asarray(np.asarray(leaf)) for leaf in restored])

    def close(self) -> None:
        self._manager.close()


def read_metrics(folder: Path) -> list[dict[str, Any]]:
    """The rows of a run's `metrics.jsonl`, without a last line that a kill tore."""
    file, rows = folder / "metrics.jsonl", []
    for line in file.read_text().splitlines() if file.exists() else ():
        try:
            rows.append(json.loads(line))
        except ValueError:
            break
    return rows


def write_atomically(path: Path, data: bytes) -> None:
    """Write beside, then rename over: a reader sees the old file or the new one, never half of one."""
    temporary = path.with_name(f".{path.name}.part")
    temporary.write_bytes(data)
    temporary.replace(path)
