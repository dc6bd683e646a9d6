"""`make torture`: the promises of the zoo under attack for hours' worth of trials in minutes, with every figure.

    python tests/skill_zoo/torture.py [--report docs/trust-report.md] [--minutes 40] [--scale 1.0]

Each row has a target of its own; a row whose share of the time runs out reports the number it reached and fails.
"""

import argparse
import datetime
import errno
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

import attacks  # noqa: E402
import disk_faults  # noqa: E402
from fuzz import fuzz, targets  # noqa: E402
from store_writers import WALK, WAVE, contents  # noqa: E402
from test_power_loss import power_losses  # noqa: E402

import skill_zoo  # noqa: E402
from skill_zoo.manifest import FORMAT_VERSION  # noqa: E402

NO_LOCKS = "int flock(int f, int o) { return 0; } int lockf(int f, int c, long l) { return 0; }"


@dataclass
class Row:
    promise: str
    target: str
    figure: str = ""
    wrong: tuple[str, ...] = ()
    seconds: float = 0.0


@dataclass
class Torture:
    """`scale` multiplies every count; `deadline` [s, time.monotonic] bounds the rows that repeat."""

    scratch: Path
    scale: float
    deadline: float

    def count(self, full: int) -> int:
        return max(1, round(full * self.scale))

    def fresh(self) -> Path:
        return Path(tempfile.mkdtemp(dir=self.scratch)) / "zoo"

    def made(self) -> Path:
        folder = self.fresh()
        folder.mkdir()
        return folder

    def share(self, seconds: float) -> float:
        return min(self.deadline, time.monotonic() + seconds)


def run_writers(mode: str, root: Path, *numbers: int, **environment: str):
    command = [sys.executable, str(HERE / "store_writers.py"), mode, str(root), *map(str, numbers)]
    environment = {**os.environ, "PYTHONPATH": f"{HERE}:{HERE.parent}:{HERE.parents[1]}", **environment}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    if done.returncode:
        raise AssertionError(done.stderr[-2000:])
    return json.loads(done.stdout)


def unacknowledged(root: Path, told: list[tuple[str, str]]) -> list[str]:
    """Versions that a writer was told of and that are not there as told."""
    found = {str(name.at(v)): data.decode() for name in (WAVE, WALK) for v, data in contents(root, name).items()}
    return [f"lost {skill_id}" for skill_id, content in told if found.get(skill_id) != content]


def kills(t: Torture) -> tuple[str, list[str]]:
    wrong, done, told_of, wanted, until = [], 0, 0, t.count(5000), t.share(900)
    while done < wanted and time.monotonic() < until:
        root, some = t.fresh(), min(50, wanted - done)
        told = run_writers("killed_writers", root, some, done)
        wrong += unacknowledged(root, told)
        done, told_of = done + some, told_of + len(told)
        shutil.rmtree(root)
    figure = f"{done:,} kills, {told_of:,} publishes acknowledged: {len(wrong)} corrupt, half-visible or lost"
    return figure, wrong + ([f"only {done} of {wanted} kills in the time given"] if done < wanted else [])


def every_point(t: Torture) -> tuple[str, list[str]]:
    points = run_writers("killed_at_every_step", t.fresh())
    return f"{points} operations, killed before and after each: 0 violations", [] if points > 30 else ["too few"]


def power(t: Torture) -> tuple[str, list[str]]:
    states, wrong = power_losses(t.fresh(), per_prefix=t.count(20))
    blind, found = power_losses(t.fresh(), per_prefix=1, syncs=False)
    wrong = wrong[:20] + ([] if len(found) > blind / 10 else ["the replay does not notice a store without fsync"])
    return f"{states:,} states: {len(wrong)} corrupt or lost (without fsync: {len(found)} of {blind} are)", wrong


def writers(t: Torture, **environment: str) -> tuple[str, list[str]]:
    root, start, each = t.fresh(), time.monotonic(), t.count(50)
    told = run_writers("many_writers", root, 16, each, 1, **environment)
    seconds = time.monotonic() - start
    wrong = unacknowledged(root, told) + ([] if seconds < 60 else [f"{seconds:.0f} s"])
    distinct = len({skill_id for skill_id, _ in told})
    wrong += [] if distinct == 16 * each == len(contents(root, WAVE)) else [f"{distinct} distinct versions"]
    return f"{distinct} distinct versions of one name in {seconds:.1f} s, {len(unacknowledged(root, told))} lost", wrong


def writers_without_locks(t: Torture) -> tuple[str, list[str]]:
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        return "not run: no C compiler for the shim", []
    library = t.scratch / "nolock.so"
    subprocess.run([compiler, "-shared", "-fPIC", "-xc", "-", "-o", library], input=NO_LOCKS, text=True, check=True)
    figure, wrong = writers(t, LD_PRELOAD=str(library))
    return f"{figure} (flock and lockf preloaded as no-ops)", wrong


def disks(t: Torture) -> tuple[str, list[str]]:
    figures, wrong = [], []
    for code in (errno.ENOSPC, errno.EIO):
        steps, problems = disk_faults.failing_at_every_step(t.fresh(), code)
        figures.append(f"{errno.errorcode[code]} at each of {steps} operations")
        wrong += problems
    disk = t.fresh()
    with disk_faults.small_disk(disk) as mounted:
        if mounted:
            publishes, problems = disk_faults.publishing_until_full(disk / "zoo")
            figures.append(f"{publishes} publishes on a really full disk")
            wrong += problems
    return f"{', '.join(figures)}: {len(wrong)} untyped errors or leftovers", wrong


def fuzzing(t: Torture) -> tuple[str, list[str]]:
    inputs, refused, slowest, wrong, parts = 0, 0, 0.0, [], []
    until = t.share(1000)
    for number, (name, share, seeds, read) in enumerate(targets(t.made())):
        found = fuzz(seeds, read, t.count(round(1_000_000 * share)), number, until)
        inputs, refused, slowest = inputs + found.inputs, refused + found.refused, max(slowest, found.slowest)
        wrong += [f"{name}: {problem}" for problem in found.wrong[-3:]]
        parts.append(f"{name} {found.inputs:,}")
    figure = f"{inputs:,} inputs, {refused:,} refused, {len(wrong)} untyped errors or code run, slowest {slowest:.3f} s"
    wrong += [f"only {inputs:,} inputs in the time given"] if inputs < t.count(1_000_000) else []
    return f"{figure} ({', '.join(parts)})", wrong


def attack(function: Callable[[], tuple[int, list[str]]], what: str) -> tuple[str, list[str]]:
    cases, wrong = function()
    return f"{cases:,} {what}: {len(wrong)} went through", wrong


def formats(t: Torture) -> tuple[str, list[str]]:
    loaded, wrong = 0, []
    for version in range(1, FORMAT_VERSION + 1):
        folder = HERE / "formats" / f"v{version}"
        for entry in skill_zoo.list_skills(zoo=folder):
            skill_zoo.load(entry.id, folder)
            loaded += entry.manifest.format_version == version
    wrong = [] if loaded == 4 * FORMAT_VERSION else [f"{loaded} loaded"]
    return f"{loaded} entries of {FORMAT_VERSION} format versions loaded", wrong


ROWS: list[tuple[str, str, Callable[[Torture], tuple[str, list[str]]]]] = [
    ("kill -9 at a random moment of publish", "5,000 kills, 0 corrupt or half-visible, 0 acknowledged lost", kills),
    ("kill before and after every operation of the protocol", "every point, 0 violations", every_point),
    ("power loss replayed: unsynced data dropped or torn", ">= 1,000 states, 0 corrupt or lost", power),
    ("16 writers x 50 publishes of one name", "800 distinct versions, 0 lost, < 60 s", writers),
    ("the same, file locks being no-ops", "800 distinct versions, 0 lost", writers_without_locks),
    ("ENOSPC and EIO at every write; a full disk", "typed error, store unchanged, nothing left after gc", disks),
    ("fuzz of everything that is read", "1,000,000 inputs, typed errors only, 0 code run, 0 over 1 s", fuzzing),
    (
        "header attacks",
        "all refused, each < 1 s and < 200 MB",
        lambda t: attack(attacks.header_attacks, "headers that lie"),
    ),
    (
        "path traversal in ids, file and blob names, archives, links",
        ">= 300 cases, 0 outside the root",
        lambda t: attack(lambda: attacks.traversal(t.fresh()), "names and links that lead elsewhere"),
    ),
    (
        "bit flips in a published entry",
        "10,000 of 10,000 detected",
        lambda t: attack(lambda: attacks.bit_flips(t.fresh(), t.count(10_000)), "flipped bits"),
    ),
    (
        "blob swap, low-level swap, alias set back, archive bomb",
        "detected or capped, always",
        lambda t: attack(lambda: attacks.swaps(t.made()), "swaps, replacements and bombs"),
    ),
    ("every format version ever written", "loads", formats),
]


def run(torture: Torture) -> Iterator[Row]:
    for promise, target, work in ROWS:
        row, start = Row(promise, target), time.monotonic()
        try:
            row.figure, wrong = work(torture)
            row.wrong = tuple(wrong)
        except Exception as error:
            row.figure, row.wrong = "broke off", (f"{type(error).__name__}: {error}",)
        row.seconds = time.monotonic() - start
        yield row


def report(rows: list[Row], scale: float) -> str:
    git = ["git", "-C", str(HERE), "describe", "--always", "--dirty", "--exclude=*"]
    commit = subprocess.run(git, capture_output=True, text=True).stdout.strip()
    now = datetime.datetime.now(datetime.UTC)
    lines = [
        f"| {r.promise} | {r.target} | {r.figure} | {'broken' if r.wrong else 'kept'} | {r.seconds:.0f} |" for r in rows
    ]
    broken = [f"- {row.promise}: {problem}" for row in rows for problem in row.wrong[:5]]
    return "\n".join(
        [
            "# Trust report of the skill zoo",
            "",
            f"Written by `make torture` on {now:%Y-%m-%d %H:%M} UTC, commit {commit}, Python "
            f"{platform.python_version()}, {os.cpu_count()} cores shared with other work, "
            f"{sum(row.seconds for row in rows) / 60:.1f} minutes"
            + (f", at {scale:g} of the full counts." if scale != 1 else "."),
            "Faults are real: processes killed by signals, a shim under the file operations, a mounted file system",
            "that is full, files changed on disk. What is promised, and why it holds: [the zoo](zoo.md).",
            "",
            "| promise | target | measured | verdict | s |",
            "|---|---|---|---|---|",
            *lines,
            *(["", "## Broken", "", *broken] if broken else []),
            "",
        ]
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--report", type=Path, help="also write the table here")
    parser.add_argument("--minutes", type=float, default=40.0, help="bound on the whole run")
    parser.add_argument("--scale", type=float, default=1.0, help="of the full counts, to try it out")
    options = parser.parse_args()
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as scratch:
        torture = Torture(Path(scratch), options.scale, time.monotonic() + 60 * options.minutes)
        rows = []
        for row in run(torture):
            rows.append(row)
            print(
                f"{'BROKEN' if row.wrong else 'kept'}  {row.promise}: {row.figure}  [{row.seconds:.0f} s]", flush=True
            )
            for problem in row.wrong[:5]:
                print(f"        {problem[:500]}", flush=True)
    if options.report:
        options.report.write_text(report(rows, options.scale))
    return 1 if any(row.wrong for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
