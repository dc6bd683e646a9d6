"""Everything that can go wrong with a zoo, by kind. Each says what was expected, what exists and what to do."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from anyskill_brax.types import UserError


class SkillZooError(UserError):
    """Base of every error the zoo raises on purpose."""


class InvalidId(SkillZooError):
    """A text that is not `character/name` or `character/name-vN`."""

    def __init__(self, text: object, reason: str = "", nearest: Iterable[str] = ()):
        self.text, self.reason, self.nearest = text, reason, tuple(nearest)
        message = f"{_short(text)} is not an id{': ' + reason if reason else ''}; expected character/name or "
        message += (
            "character/name-vN in lower-case letters, digits and single dashes, such as humanoid/wave-right-hand-v2"
        )
        super().__init__(message + _hint(self.nearest))


class SkillNotFound(SkillZooError):
    """No root of the search path holds the id."""

    def __init__(self, what: object, roots: Iterable[Path], nearest: Iterable[str] = (), advice: str = ""):
        self.what, self.roots, self.nearest = what, tuple(roots), tuple(nearest)
        searched = "".join(f"\n  {root}{'' if root.is_dir() else '  (does not exist)'}" for root in self.roots)
        message = f"{what} is in none of the zoos searched:{searched or ' none'}{_hint(self.nearest)}"
        super().__init__(message + (f"\n{advice}" if advice else ""))


class InterfaceMismatch(SkillZooError):
    """Two things that must fit each other do not; both sides are named."""

    def __init__(self, what: str, ours: Any, theirs: Any, advice: str = ""):
        self.what, self.ours, self.theirs = what, ours, theirs
        message = f"{what} do not fit:\n  here:  {_short(ours, 400)}\n  there: {_short(theirs, 400)}"
        super().__init__(message + (f"\n{advice}" if advice else ""))


class CorruptArtifact(SkillZooError):
    """Bytes that are not what was published."""

    def __init__(self, what: object, expected: object, actual: object):
        self.what, self.expected, self.actual = what, expected, actual
        super().__init__(
            f"{what} is damaged: expected {expected}, found {_short(actual, 200)}. "
            "Fetch or publish it again; `tools/zoo.py verify` checks the whole zoo."
        )


class UnsupportedFormat(SkillZooError):
    """A format this version does not read."""

    def __init__(self, what: object, have: object, need: object):
        self.what, self.have, self.need = what, have, need
        super().__init__(
            f"{what} has format {_short(have)}; this version reads {need}. Upgrade: pip install -U anyskill-brax"
        )


class NotAdmitted(SkillZooError):
    """The gate found something against a skill that was to be published."""

    def __init__(self, what: object, reasons: Iterable[str]):
        self.what, self.reasons = what, tuple(reasons)
        super().__init__(
            f"{what} is not admitted: {'; '.join(self.reasons)}. Train it further, or publish it with force (--force): "
            "its manifest then says `unverified`, for ever."
        )


class IdTaken(SkillZooError):
    """An import would change a published version; versions are immutable."""

    def __init__(self, skill_id: object, root: Path):
        self.id, self.root = skill_id, root
        super().__init__(
            f"{skill_id} exists in {root} with other content, and versions never change; import it to another folder"
        )


class RemoteError(SkillZooError):
    """A Hugging Face repository could not be read or written: offline, not there, not allowed, or changed meanwhile."""

    def __init__(self, remote: str, error: Exception):
        self.remote, self.error = remote, error
        super().__init__(f"{remote}: {type(error).__name__}: {_short(str(error), 500)}")


class ZooIOError(SkillZooError):
    """The file system refused: full disk, read-only folder, no permission."""

    def __init__(self, action: str, path: object, error: OSError):
        self.action, self.path, self.error = action, path, error
        reason = error.strerror or type(error).__name__
        super().__init__(f"cannot {action} {path}: {reason}. Check the folder's space and permissions, then try again.")


def _short(value: object, limit: int = 80) -> str:
    """`repr`, so that a hostile text cannot drive the terminal, cut to a readable length."""
    text = repr(value)
    return text if len(text) <= limit else f"{text[:limit]}... ({len(text)} characters)"


def _hint(nearest: tuple[str, ...]) -> str:
    return f"\ndid you mean {' or '.join(nearest)}?" if nearest else ""
