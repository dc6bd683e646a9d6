"""Ids: `character/name-vN`. The only way from a text to a path of the zoo leads through `SkillId.parse`.

Behind an id may stand which version is meant: `@v2`, `@latest`, `@sha256:<digest of the manifest>`, or `@stable`, an
alias that somebody set; `Reference.parse` reads those.
"""

import difflib
import hashlib
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

from skill_zoo.errors import InvalidId

_WORD = r"[a-z0-9]+(?:-[a-z0-9]+)*"
_ID = re.compile(rf"(?P<character>{_WORD})/(?P<name>{_WORD}?)(?:-v(?P<version>[1-9][0-9]{{0,5}}))?", re.ASCII)
_NAME = re.compile(_WORD, re.ASCII)
_UNVERSIONED = re.compile(rf"{_WORD}/{_WORD}", re.ASCII)
_DIGEST = re.compile(r"sha256:[0-9a-f]{12,64}", re.ASCII)
_VERSION = re.compile(r"v[1-9][0-9]{0,5}", re.ASCII)
_VERSIONED = re.compile(r".*-v[0-9]+", re.ASCII)
_LONGEST = 64
_SLUG_LENGTH = 54


@dataclass(frozen=True, order=True)
class SkillId:
    """`version` is None for "the newest"."""

    character: str
    name: str
    version: int | None = None

    @classmethod
    def parse(cls, text: "str | SkillId") -> Self:
        """`InvalidId` unless `text` is `character/name` or `character/name-vN`, exactly."""
        text = str(text)
        if len(text) > 3 * _LONGEST:
            raise InvalidId(text, "too long")
        match = _ID.fullmatch(text)
        if match is None:
            raise InvalidId(text)
        check_name(match["character"])
        check_name(match["name"])
        return cls(match["character"], match["name"], int(match["version"]) if match["version"] else None)

    @property
    def unversioned(self) -> Self:
        return type(self)(self.character, self.name)

    def at(self, version: int) -> Self:
        return type(self)(self.character, self.name, version)

    def __str__(self) -> str:
        return f"{self.character}/{self.name}" + (f"-v{self.version}" if self.version else "")


@dataclass(frozen=True)
class Reference:
    """An id and how its version is named: not at all, by an alias, or by (the first 12 or more digits of) a digest."""

    id: SkillId
    alias: str | None = None
    sha256: str | None = None

    @classmethod
    def parse(cls, text: "str | SkillId") -> Self:
        """`InvalidId` unless `text` is an id, alone or followed by `@vN`, `@latest`, `@sha256:...` or `@alias`."""
        name, at, selector = str(text)[: 5 * _LONGEST].partition("@")
        skill_id = SkillId.parse(name if at else text)
        if not at:
            return cls(skill_id)
        if _DIGEST.fullmatch(selector):
            return cls(skill_id, sha256=selector.removeprefix("sha256:"))
        if skill_id.version is not None:
            raise InvalidId(text, "it names its version twice")
        if _VERSION.fullmatch(selector):
            return cls(skill_id.at(int(selector[1:])))
        return cls(skill_id) if selector == "latest" else cls(skill_id, alias=check_alias(selector))

    def __str__(self) -> str:
        return f"{self.id}" + (f"@{self.alias}" if self.alias else f"@sha256:{self.sha256}" if self.sha256 else "")


def check_alias(alias: str) -> str:
    """An alias: like a name, but neither `vN` nor `latest`, which mean something already."""
    if not isinstance(alias, str) or len(alias) > _LONGEST or _NAME.fullmatch(alias) is None:
        raise InvalidId(alias, "behind @ stands v2, latest, sha256:<12 to 64 hex digits> or an alias such as stable")
    if alias == "latest" or re.fullmatch(r"v[0-9]+", alias):
        raise InvalidId(alias, "@latest and @vN mean something already; choose another alias")
    return alias


def check_name(name: str) -> str:
    """A character or entry name; the zoo alone hands out versions, so a name does not end in one."""
    if not isinstance(name, str) or len(name) > _LONGEST or _NAME.fullmatch(name) is None:
        raise InvalidId(name, f"a name has 1 to {_LONGEST} lower-case letters, digits and single dashes")
    if _VERSIONED.fullmatch(name):
        raise InvalidId(name, "a name does not end in -vN: the zoo gives the version")
    return name


def check_unversioned(text: str) -> str:
    """`character/name`, for lists of thousands that need no `SkillId`."""
    if len(text) > 2 * _LONGEST or _UNVERSIONED.fullmatch(text) is None:
        raise InvalidId(text)
    return text


def slug(instruction: str) -> str:
    """The id form of an instruction: "Wave your right hand!" -> "wave-your-right-hand".

    Where that loses something (a cut, other scripts, a name that reads like a version) eight hex digits of the text's
    sha256 keep different instructions apart.
    """
    ascii_text = unicodedata.normalize("NFKD", instruction).encode("ascii", "ignore").decode()
    words = "-".join(re.findall(r"[a-z0-9]+", ascii_text.lower()))
    short = (
        words if len(words) <= _SLUG_LENGTH else words[: _SLUG_LENGTH + 1].rsplit("-", 1)[0][:_SLUG_LENGTH].rstrip("-")
    )
    if short == words and words and instruction.isascii() and not _VERSIONED.fullmatch(words):
        return words
    tag = hashlib.sha256(instruction.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"{short}-{tag}" if short else f"instruction-{tag}"


def nearest(text: str, known: Iterable[str]) -> list[str]:
    """Up to three known unversioned ids whose names resemble that of `text`, best first."""
    by_name: dict[str, list[str]] = {}
    for skill_id in dict.fromkeys(known):
        by_name.setdefault(skill_id.partition("/")[2], []).append(skill_id)
    name = re.sub(r"-v[0-9]+$", "", str(text)[: 3 * _LONGEST].lower().rpartition("/")[2])
    matches = difflib.get_close_matches(name, list(by_name), n=3, cutoff=0.5)
    return [skill_id for match in matches for skill_id in by_name[match]][:3]
