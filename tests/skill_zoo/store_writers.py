"""Writers in a process of their own that forks and kills: `python store_writers.py MODE ROOT [NUMBER ...]`.

Prints one JSON value: what the writers were told had been published, or how many points they were killed at.
"""

import json
import os
import random
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

from skill_zoo.ids import SkillId
from skill_zoo.manifest import WEIGHTS, FileRef, Manifest
from skill_zoo.search import entry_at
from skill_zoo.store import Store

WAVE = SkillId("humanoid", "wave")
WALK = SkillId("humanoid", "walk")
STEPS = ("open", "write", "fsync", "link", "replace", "mkdir", "unlink")
"""The system calls of the commit protocol."""


def manifest(skill_id: SkillId, refs: dict[str, FileRef]) -> bytes:
    """The least that a manifest can say."""
    return Manifest(skill_id, "reward_model", refs, code_version="test", created="2026-01-31T12:00:00Z").to_bytes()


def publish(root: Path, name: SkillId, content: bytes) -> SkillId:
    return Store(root).publish(name, {WEIGHTS: content, "card.md": b"# the same everywhere"}, manifest)


def contents(root: Path, name: SkillId) -> dict[int, bytes]:
    """Every visible version, read in full; raises if one is not whole."""
    entries = [entry_at(root, name.at(version)) for version in Store(root).versions(name)]
    assert all(entry.read("card.md") == b"# the same everywhere" for entry in entries)
    return {entry.id.version: entry.read(WEIGHTS) for entry in entries}


def in_child(work: Callable[[], None]) -> int:
    """Fork, work, vanish without any clean-up; the child's process id."""
    pid = os.fork()
    if pid == 0:
        try:
            work()
        except BaseException as error:
            os.write(2, f"{error!r}\n".encode())
            os._exit(1)
        os._exit(0)
    return pid


def many_writers(root: Path, writers: int = 4, publishes: int = 10, names: int = 2) -> list[tuple[str, str]]:
    """All publish under one or two names at once; [(id, content)] as acknowledged."""
    reader, writer = os.pipe()

    def work(index: int) -> None:
        for n in range(publishes):
            content = f"{index}-{n}"
            acknowledged = publish(root, (WAVE, WALK)[(n + 1) % names], content.encode())
            os.write(writer, f"{acknowledged} {content}\n".encode())

    children = [in_child(lambda index=index: work(index)) for index in range(writers)]
    os.close(writer)
    lines = os.fdopen(reader).read().split("\n")[:-1]
    assert all(os.waitpid(child, 0)[1] == 0 for child in children)
    return [tuple(line.split()) for line in lines]


def killed_writers(root: Path, kills: int = 20, seed: int = 0) -> list[tuple[str, str]]:
    """A writer publishes without pause and is killed at a random moment, again and again; what was acknowledged."""
    rng, lines = random.Random(seed), []
    for trial in range(kills):
        reader, writer = os.pipe()

        def work(trial: int = trial, writer: int = writer) -> None:
            for n in range(10_000):
                content = f"{trial}-{n}"
                os.write(writer, f"{publish(root, WAVE, content.encode())} {content}\n".encode())

        child = in_child(work)
        os.close(writer)
        time.sleep(rng.uniform(0.001, 0.03))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        lines += os.fdopen(reader).read().split("\n")[:-1]
        for version in Store(root).versions(WAVE)[-3:]:  # what the kill may have touched; the caller reads them all
            entry_at(root, WAVE.at(version)).read(WEIGHTS)
    return [tuple(line.split()) for line in lines]


def die_at(step: int, after: bool) -> None:
    """Make this process kill itself before, or after, its step-th call of the protocol."""
    count = 0

    def wrap(call: Callable) -> Callable:
        def counted(*args, **kwargs):
            nonlocal count
            count += 1
            if count == step and not after:
                os.kill(os.getpid(), signal.SIGKILL)
            result = call(*args, **kwargs)
            if count == step:
                os.kill(os.getpid(), signal.SIGKILL)
            return result

        return counted

    for name in STEPS:
        setattr(os, name, wrap(getattr(os, name)))


def killed_at_every_step(root: Path) -> int:
    """Kill a second publish before and after every call; the first version stays, the second is whole or absent."""
    for step in range(1, 1000):
        finished = []
        for after in (False, True):
            zoo = root / f"{step}-{after}"
            publish(zoo, WAVE, b"first")

            def work(zoo: Path = zoo, step: int = step, after: bool = after) -> None:
                die_at(step, after)
                publish(zoo, WAVE, b"second")

            status = os.waitpid(in_child(work), 0)[1]
            assert status in (0, signal.SIGKILL), status
            found = contents(zoo, WAVE)
            assert found in ({1: b"first"}, {1: b"first", 2: b"second"}), found
            assert status or found[2] == b"second"  # acknowledged, so there
            assert Store(zoo).resolve(WAVE) == WAVE.at(max(found))
            assert publish(zoo, WAVE, b"third").version == max(found) + 1
            assert Store(zoo).aliases() == {"humanoid/wave": max(found) + 1}
            finished.append(status == 0)
        if all(finished):
            return step - 1
    raise AssertionError("the publish never ended")


if __name__ == "__main__":
    modes = {mode.__name__: mode for mode in (many_writers, killed_writers, killed_at_every_step)}
    print(json.dumps(modes[sys.argv[1]](Path(sys.argv[2]), *map(int, sys.argv[3:]))))
