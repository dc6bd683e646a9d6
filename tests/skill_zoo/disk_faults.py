"""Disks that are full or failing: a shim under the file operations, and a real file system of 256 KB."""

import contextlib
import errno
import os
import random
import subprocess
from collections.abc import Iterator
from pathlib import Path

from store_writers import STEPS, WAVE, contents, publish
from zoo_objects import tree

from skill_zoo.errors import ZooIOError
from skill_zoo.upkeep import gc


@contextlib.contextmanager
def failing(step: int, code: int) -> Iterator[list[int]]:
    """Make the step-th changing call of this process fail with `code`; yields a list whose length counts the calls."""
    calls: list[int] = []
    names = set(STEPS) - {"open", "unlink"}
    real = {name: getattr(os, name) for name in names}

    def shim(call):
        def counted(*args, **kwargs):
            calls.append(1)
            if len(calls) == step:
                raise OSError(code, os.strerror(code))
            return call(*args, **kwargs)

        return counted

    for name in names:
        setattr(os, name, shim(real[name]))
    try:
        yield calls
    finally:
        for name, call in real.items():
            setattr(os, name, call)


def failing_at_every_step(folder: Path, code: int) -> tuple[int, list[str]]:
    """A second publish on a disk that fails at every call in turn: (calls, what was wrong)."""
    wrong = []
    for step in range(1, 1000):
        zoo = folder / str(step)
        publish(zoo, WAVE, b"first")
        before = tree(zoo)
        with failing(step, code) as calls:
            try:
                publish(zoo, WAVE, b"second")
            except ZooIOError as error:
                if os.strerror(code) not in str(error):
                    wrong.append(f"step {step}: {error}")
            except Exception as error:
                wrong.append(f"step {step}: {type(error).__name__}: {error}")
        wrong += [f"step {step}: {problem}" for problem in _left_behind(zoo, before)]
        if len(calls) < step:
            return step - 1, wrong
    return 0, ["the publish never ended"]


def _left_behind(zoo: Path, before: dict[str, bytes]) -> list[str]:
    """What a failed publish changed and gc does not clear; a version may be complete though not acknowledged."""
    visible = contents(zoo, WAVE)
    changed = {name for name, data in tree(zoo).items() if before.get(name) != data}
    complete = {"entries/humanoid/wave/v2/manifest.json", "aliases.json"} if 2 in visible else set()
    wrong = [f"changed {name}" for name in changed - complete if not name.startswith("blobs/")]
    wrong += ["a private file stays"] if list((zoo / ".tmp").iterdir()) else []
    gc(zoo, grace=-10.0)
    if contents(zoo, WAVE) != visible or visible.get(1) != b"first":
        wrong.append("gc changed what is visible")
    if len(visible) == 1 and {name for name, data in tree(zoo).items() if before.get(name) != data}:
        wrong.append("something is left behind after gc")
    return wrong


@contextlib.contextmanager
def small_disk(folder: Path, kilobytes: int = 256) -> Iterator[bool]:
    """A file system of its own on `folder`; False where this user may not mount one."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "none", str(folder)]
    try:
        mounted = subprocess.run(mount, capture_output=True).returncode == 0
    except OSError:
        mounted = False
    try:
        yield mounted
    finally:
        if mounted:
            subprocess.run(["umount", str(folder)], check=True)


def publishing_until_full(zoo: Path) -> tuple[int, list[str]]:
    """Publish files of all sizes until the disk has been full 20 times: (publishes, what was wrong)."""
    rng, wrong, published, refused = random.Random(0), [], {}, 0
    while refused < 20 and len(published) < 500:
        data, before = rng.randbytes(rng.choice([100, 5_000, 40_000])), None
        with contextlib.suppress(ZooIOError):
            before = tree(zoo)
        try:
            published[publish(zoo, WAVE, data).version] = data
        except ZooIOError as error:
            refused += 1
            if error.error.errno != errno.ENOSPC:
                wrong.append(str(error))
            gc(zoo, grace=-10.0)
            found = contents(zoo, WAVE)
            if found.items() < published.items() or (len(found) == len(published) and tree(zoo) != before):
                wrong.append("a refused publish left something behind")
            published = found
    if refused < 20:
        wrong.append("the disk was never full")
    return len(published) + refused, wrong
