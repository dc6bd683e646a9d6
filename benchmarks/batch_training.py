"""Eight instructions in one run against eight runs of one: wall time, start of Python and compilation included.

    python benchmarks/batch_training.py --zoo my_zoo

Every run is a process of its own, as a user would start it. Single runs are alike, so `--singles` of them are timed and
the total of eight is extrapolated. The target is a ratio of at most 0.35.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from anyskill_brax.high_level.instructions import read_instructions
from skill_zoo.ids import check_name, slug

ROOT = Path(__file__).resolve().parents[1]


def seconds(lines: list[str], folder: Path, options: argparse.Namespace) -> float:
    """Wall time of `tools/train_batch.py` on a list, training only."""
    folder.mkdir()
    (folder / "list.txt").write_text("\n".join(lines) + "\n")
    command = [sys.executable, str(ROOT / "tools/train_batch.py"), "--instructions", str(folder / "list.txt")]
    command += ["--config", options.config, "--workdir", str(folder / "run"), "--zoo", str(options.zoo), "--no-publish"]
    began = time.monotonic()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.monotonic() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--instructions", type=Path, default=ROOT / "configs/instructions/demo.txt")
    parser.add_argument("--config", default="configs/high_level.py:demo")
    parser.add_argument(
        "--zoo", type=Path, required=True, help="holds (or stands before a path that holds) a controller"
    )
    parser.add_argument("--singles", type=int, default=2, help="single runs to time")
    options = parser.parse_args()
    lines = [f"{i.slug}: {i.text}" for i in read_instructions(options.instructions, slug, check_name)]
    with tempfile.TemporaryDirectory() as folder:
        together = seconds(lines, Path(folder) / "together", options)
        singles = [
            seconds([line], Path(folder) / f"alone_{k}", options) for k, line in enumerate(lines[: options.singles])
        ]
    total = sum(singles) / len(singles) * len(lines)
    print(f"{len(lines)} together {together:.0f} s; one alone {', '.join(f'{s:.0f}' for s in singles)} s")
    print(f"ratio {together / total:.2f}")


if __name__ == "__main__":
    main()
