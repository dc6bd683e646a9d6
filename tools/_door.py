"""What every tool does at its door: turn bad input into one clear message and exit code 2."""

import os
import sys
from collections.abc import Callable

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")


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
