"""Training killed at random moments: does it always resume, and how much is lost?

python tests/low_level/kill_torture.py --kills 20
"""

import argparse
import random
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from anyskill_brax.character.humanoid import load_character
from anyskill_brax.motion.io import motion_from_qpos, save_motion
from anyskill_brax.workdir import read_metrics

ROOT = Path(__file__).parents[2]


@dataclass
class Record:
    """What the kills did."""

    kills: int = 0
    resumed: int = 0  # starts that found the checkpoint of before
    warming: int = 0  # starts that went on in the warm start
    anew: int = 0  # starts after a kill that had left no checkpoint to find
    lost: list[int] = field(default_factory=list)  # updates that had been reported and were done again

    def __str__(self) -> str:
        return (
            f"{self.kills} kills: resumed {self.resumed} times, {self.warming} more in the warm start; "
            f"{self.anew} began before the first checkpoint; "
            f"updates lost at most {max(self.lost, default=0)}, {sum(self.lost)} in all"
        )


def command(motions: Path, workdir: Path) -> list[str]:
    """A run without end that saves after every update."""
    return [
        sys.executable, str(ROOT / "tools/train_low_level.py"), "--config", "configs/low_level.py:quicktest",
        "--set", f"motions=('{motions}',)", "--set", "total_samples=100000000", "--set", "save_every_seconds=0.0",
        "--workdir", str(workdir),
    ]  # fmt: skip


def torture(motions: Path, workdir: Path, kills: int, seed: int = 0) -> Record:
    """Start, kill -9 at a random moment between the very beginning and some updates past the start, repeat.

    `AssertionError` where a start fails, begins anew although a checkpoint had been committed, or goes back by more
    than one interval (here: one update, since every update is saved).
    """
    rng, record = random.Random(seed), Record()
    startup, reported = 60.0, -1  # [s] from the start to the first update, once known; newest update in the log
    for _ in range(kills):
        log = workdir.with_suffix(".log")
        begun, first = time.monotonic(), None
        with log.open("w") as out:
            process = subprocess.Popen(command(motions, workdir), stdout=out, stderr=out, text=True, cwd=ROOT)
        moment = rng.uniform(0.1, 1.5) * startup
        while time.monotonic() - begun < moment:
            assert process.poll() is None, log.read_text()[-2000:]
            if first is None and "\nupdate " in "\n" + log.read_text():
                first = time.monotonic() - begun
            time.sleep(0.05)
        process.kill()
        process.wait()
        record.kills += 1
        startup = first or max(startup, moment)
        check_start(log.read_text(), reported, record)
        reported = max((row["update"] for row in read_metrics(workdir)), default=reported)
    return record


def check_start(text: str, reported: int, record: Record) -> None:
    """What the process that was just killed had said of its own beginning, `reported` being its predecessors' work."""
    begun = [line for line in text.splitlines() if line.startswith(("resumed", "warm start", "update "))]
    if not begun:
        return  # killed before it had looked
    if begun[0].startswith("resumed in the warm start"):
        record.warming += 1
        assert reported < 1, f"went back to the warm start although {reported} updates had been reported"
    elif begun[0].startswith("resumed"):
        record.resumed += 1
        found = int(begun[0].split()[-1])
        record.lost.append(max(reported - found, 0))
        assert found >= reported - 1, f"{reported} updates had been reported, resumed at {found}"
    else:
        record.anew += 1
        assert reported < 1, f"began anew although {reported} updates had been reported"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        motions, character = Path(folder) / "motions", load_character()
        motions.mkdir()
        qpos = np.tile(character.default_qpos, (40, 1))
        save_motion(motions / "stand.npz", motion_from_qpos(character, "stand", 30.0, qpos, category="gesture"))
        print(torture(motions, Path(folder) / "run", options.kills, options.seed))


if __name__ == "__main__":
    main()
