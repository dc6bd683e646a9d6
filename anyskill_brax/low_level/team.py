"""The devices that train one controller together: one, several of this host, or several hosts.

Worlds, fall states and replay are split among the devices of a mesh, each device steps its own (native physics in its
own process), and gradients are averaged: `devices.Devices` inside `jax.shard_map`. Everything else, checkpoints
included, is the same for any number of devices.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from anyskill_brax.low_level.devices import AXIS, Devices
from anyskill_brax.low_level.settings import LowLevelSettings
from anyskill_brax.low_level.state import Replay, TrainState
from anyskill_brax.types import UserError

Tree = TypeVar("Tree")
_WHOLE: Any = P()
_PARTS: Any = P(AXIS)
SPLIT = TrainState(
    params=_WHOLE,
    opt=_WHOLE,
    obs_normalizer=_WHOLE,
    disc_normalizer=_WHOLE,
    encoder_normalizer=_WHOLE,
    replay=Replay(windows=_PARTS, source=_PARTS, count=_WHOLE),
    worlds=_PARTS,
    clips=_WHOLE,
    fall_states=_PARTS,
    key=_WHOLE,
    updates=_WHOLE,
)
"""What is split among the devices, by its first axis, and what each has whole."""


def connect(coordinator: str, processes: int, process: int) -> None:
    """Join the other processes before anything else touches JAX; `coordinator` is `host:port` of process 0."""
    if not 0 <= process < processes:
        raise UserError(f"--process {process} is none of the {processes} processes 0 to {processes - 1}")
    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    jax.distributed.initialize(coordinator, processes, process)


@dataclass(frozen=True)
class Team:
    mesh: Mesh

    @classmethod
    def of_one(cls) -> "Team":
        return cls(Mesh(np.array(jax.local_devices()[:1]), (AXIS,)))

    @classmethod
    def of_all_devices(cls) -> "Team":
        return cls(Mesh(np.array(jax.devices()), (AXIS,)))

    @property
    def count(self) -> int:
        return self.mesh.size

    @property
    def devices(self) -> Devices:
        return Devices(self.count)

    @property
    def leads(self) -> bool:
        """Whether this process writes the run's folder and speaks."""
        return jax.process_index() == 0

    def check(self, settings: LowLevelSettings) -> None:
        """`UserError` where the work does not divide evenly."""
        learner, count = settings.learner, self.count
        shared = {
            "learner.num_worlds": learner.num_worlds,
            "learner.replay": learner.replay,
            "learner.replay_insert": learner.replay_insert,
            "learner.disc_batch": learner.disc_batch // 2,
            "start.num_fall_states": settings.start.num_fall_states,
        }
        uneven = [f"{name} ({value})" for name, value in shared.items() if value % count]
        if uneven:
            raise UserError(f"{count} devices cannot share {', '.join(uneven)} evenly; choose multiples of {count}")

    def together(self, init: Callable, update: Callable) -> tuple[Callable, Callable]:
        """`init` and `update` of `make_train(..., devices=team.devices)`, compiled for the team."""
        if self.count == 1:
            return jax.jit(init), jax.jit(update, donate_argnums=0)
        begin = jax.shard_map(init, mesh=self.mesh, in_specs=P(), out_specs=SPLIT, check_vma=False)
        go_on = jax.shard_map(update, mesh=self.mesh, in_specs=(SPLIT,), out_specs=(SPLIT, P()), check_vma=False)
        return jax.jit(begin), jax.jit(go_on, donate_argnums=0)

    def to_host(self, tree: Tree) -> Tree:
        """Whole arrays in this process's memory, whoever held their parts."""

        def whole(x: jax.Array) -> np.ndarray:
            if x.is_fully_addressable or x.is_fully_replicated:
                return np.asarray(x if x.is_fully_addressable else x.addressable_data(0))
            return np.asarray(multihost_utils.process_allgather(x, tiled=True))

        return jax.tree.map(whole, tree)

    def to_devices(self, state: TrainState) -> TrainState:
        """The inverse of `to_host`, for as many devices as there are now."""
        if self.count == 1:
            return jax.tree.map(jnp.array, state)  # copies: two leaves may be one buffer, which donation forbids

        def place(spec: P, x: Any) -> jax.Array:
            whole = np.asarray(x)
            return jax.make_array_from_callback(whole.shape, NamedSharding(self.mesh, spec), lambda part: whole[part])

        return jax.tree.map(lambda spec, tree: jax.tree.map(functools.partial(place, spec), tree), SPLIT, state)

    def agree(self, *flags: bool) -> tuple[bool, ...]:
        """Each flag, true for all where it is for any: processes must not part ways."""
        if jax.process_count() == 1:
            return flags
        return tuple(bool(x) for x in multihost_utils.process_allgather(np.array(flags)).any(axis=0))

    def as_leader(self, tree: Tree) -> Tree:
        """The leader's values, in every process."""
        return tree if jax.process_count() == 1 else multihost_utils.broadcast_one_to_all(tree)


class NoWorkdir:
    """The run's folder, seen from a process that does not lead."""

    path = None

    def restore(self, template: Any) -> None:
        """Nothing is ever found."""

    def save(self, update: int, state: Any) -> None:
        """The leader does."""

    def log(self, update: int, metrics: Any) -> None:
        """The leader does."""

    def close(self) -> None:
        """There is nothing to close."""
