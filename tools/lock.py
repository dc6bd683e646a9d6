"""Resolve every extra anew and rewrite constraints.txt: what `make lock` runs.

The newest versions that pyproject.toml allows, but mujoco stays at mujoco-mjx's version (docs/decisions/0001).
"""

import argparse
import json
import subprocess
import sys
import tomllib
from pathlib import Path

import _door

ROOT = Path(__file__).parents[1]
HEADER = """\
# Every package of every extra (dev, export, gpu, cluster), pinned: a fresh install next year is this install.
# Written by `make lock`; resolved on Python 3.11, checked on 3.11 to 3.13. Why these: docs/decisions/0001-pins.md.
"""


def resolve(requirements: list[str]) -> dict[str, str]:
    """Name -> version of everything that pip would install into an empty environment."""
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--dry-run", "--ignore-installed", "--report", "-"]
    report = json.loads(subprocess.run([*command, *requirements], check=True, capture_output=True, text=True).stdout)
    return {entry["metadata"]["name"]: entry["metadata"]["version"] for entry in report["install"]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=ROOT / "constraints.txt")
    args = parser.parse_args()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"], *(one for extra in project["optional-dependencies"].values() for one in extra)]
    mjx = resolve(["--no-deps", *(one for one in wanted if one.startswith("mujoco-mjx>"))])["mujoco-mjx"]
    pins = resolve([*wanted, f"mujoco=={mjx}"])
    lines = [f"{name}=={version}\n" for name, version in sorted(pins.items(), key=lambda pin: pin[0].lower())]
    args.out.write_text(HEADER + "".join(lines))
    print(f"{len(lines)} packages pinned in {args.out}")


if __name__ == "__main__":
    _door.run(main)
