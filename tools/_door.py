"""What every tool does at its door: turn bad input into one clear message and exit code 2."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")


def make_console() -> "Console":
    """A terminal as wide as it is; what is piped or logged gets room for tables."""
    from rich.console import Console

    return Console(width=None if sys.stdout.isatty() else 140)


class StopSignals:
    """Long work asks it whether to save and leave: `with StopSignals() as stopped: train(..., should_stop=stopped)`.

    The first SIGTERM or SIGINT is noted; a second one acts at once.
    """

    exit_code = 0  # 128 + the signal's number once one came

    def __call__(self) -> bool:
        return self.exit_code != 0

    def __enter__(self) -> "StopSignals":
        self._before = {number: signal.signal(number, self._note) for number in (signal.SIGTERM, signal.SIGINT)}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number: int, _: object) -> None:
        self.exit_code = 128 + number
        self.__exit__()
        print("stopping after this step; again to stop at once", file=sys.stderr, flush=True)


COMMAND, CODE = "command.json", "code.json"


def command(source: Path | None = None) -> list[str]:
    """The tool that runs and its arguments, as manifests record what made an entry.

    `source` is the folder that it publishes from: the command that `note_command` left there comes first.
    """
    own, before = [f"tools/{Path(sys.argv[0]).name}", *sys.argv[1:]], []
    if source is not None and (source / COMMAND).is_file():
        before = [*json.loads((source / COMMAND).read_text()), "&&"]
    return [portable(argument) for argument in [*before, *own]]


def portable(argument: str) -> str:
    """An argument without the paths of this machine: what lies elsewhere is called `outputs/elsewhere/NAME`."""

    def shorter(found: re.Match[str]) -> str:
        path, here = Path(found.group()), Path.cwd()
        return str(path.relative_to(here) if path.is_relative_to(here) else Path("outputs/elsewhere", path.name))

    return re.sub(r"(?<![^\s=,('\"])/[^\s,)'\"]+", shorter, argument)


def note_command(folder: Path) -> None:
    """Leave the running tool's command in the folder that it writes, and the code's version if it is another one."""
    (folder / COMMAND).write_text(json.dumps(command()))
    if (known := code_versions(folder))[-1:] != [code_version()]:
        (folder / CODE).write_text(json.dumps([*known, code_version()]))


def code_versions(folder: Path) -> list[str]:
    """The versions of the code that `note_command` was called by in `folder`, in order."""
    return json.loads((folder / CODE).read_text()) if (folder / CODE).is_file() else []


def code_version() -> str:
    """`commit 1234567890ab`, of the checkout that the tool runs from (`-dirty`: changed since); "" outside of one."""
    root = Path(__file__).parents[1]
    if not (root / ".git").exists():
        return ""
    git = ["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]
    try:
        done = subprocess.run(git, capture_output=True, text=True, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return f"commit {done.stdout.strip()}" if done.returncode == 0 else ""


def run(main: Callable[[], int | None]) -> None:
    """Run `main`: `UserError` -> stderr and exit 2, Ctrl-C -> exit 130; anything else is a bug and shows its trace."""
    from anyskill_brax.types import UserError

    try:
        sys.exit(main() or 0)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        sys.exit(130)
