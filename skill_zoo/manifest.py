"""The manifest: what one immutable version is, who made it, and the sha256 of every file of it.

The bytes are canonical (sorted keys, one rendering of every value) and carry their own sha256, so that any changed bit
is found: a manifest is accepted only if writing it again gives the same bytes.
"""

import dataclasses
import functools
import hashlib
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np

from skill_zoo.errors import CorruptArtifact, SkillZooError, UnsupportedFormat
from skill_zoo.ids import SkillId

FORMAT_VERSION = 2
"""What is written. Every version from 1 on is read, for ever: 2 added `admission` and `command`."""
ADMISSION = ("admitted", "exempt", "unverified")
"""A skill passed the gate; the kind has no gate; or nobody vouches for it (forced, or older than the gate)."""
KINDS = ("low_level", "skill", "multi_skill", "reward_model")
STEERING_KINDS = ("skill", "multi_skill")
"""Kinds that act through a low-level controller, and pin it."""
INTERFACE = ("action_dim", "character_sha256", "control_dt", "latent_dim", "obs_dim", "obs_layout")
WEIGHTS = "weights.safetensors"

MAX_MANIFEST_BYTES = 1 << 20
MAX_FILE_BYTES = 2 << 30
_MAX_FILES = 64
_MAX_DEPTH = 24
_SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)
_FILE_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}\.[a-z0-9]{1,12}", re.ASCII)
_CREATED = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", re.ASCII)


@dataclass(frozen=True)
class FileRef:
    """A blob: its size in bytes and the sha256 that is its name."""

    size: int
    sha256: str

    @classmethod
    def of(cls, data: bytes) -> Self:
        return cls(len(data), hashlib.sha256(data).hexdigest())


@dataclass(frozen=True)
class LowLevelRef:
    """The controller a skill was trained on: where it was published, and the sha256 of its weights, which decides."""

    id: SkillId
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """One version of one entry. Every field is plain JSON once `SkillId`s are written as text."""

    id: SkillId
    kind: str
    files: Mapping[str, FileRef]
    code_version: str
    created: str  # UTC, 2026-01-31T12:00:00Z
    instruction: str = ""
    low_level: LowLevelRef | None = None
    interface: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, Any] = field(default_factory=dict)
    config: Mapping[str, Any] = field(default_factory=dict)
    motions: Mapping[str, str] = field(default_factory=dict)  # name -> licence
    admission: Mapping[str, Any] = field(default_factory=lambda: {"status": "exempt", "reasons": [], "measured": {}})
    command: tuple[str, ...] = ()  # what made it: a file of tools/ and its arguments
    format_version: int = FORMAT_VERSION

    @property
    def sha256(self) -> str:
        """The digest that the manifest carries: it pins every field and, through `files`, every byte of the entry."""
        return hashlib.sha256(canonical_json(self.to_json())).hexdigest()

    @property
    def unverified(self) -> bool:
        return self.admission["status"] == "unverified"

    @property
    def weights(self) -> FileRef:
        return self.files[WEIGHTS]

    def to_json(self) -> dict[str, Any]:
        """JSON form, without the digest."""
        fields = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        fields["id"] = str(self.id)
        fields["files"] = {name: {"sha256": ref.sha256, "size": ref.size} for name, ref in self.files.items()}
        fields["low_level"] = self.low_level and {"id": str(self.low_level.id), "sha256": self.low_level.sha256}
        fields["command"] = list(self.command)
        return {name: fields[name] for name in _fields_of(self.format_version)}

    def to_bytes(self) -> bytes:
        """Canonical bytes. A manifest that would not be read back is refused here, before it is published."""
        data = _signed(canonical_json(self.to_json()))
        Manifest.from_bytes(data, self.id)
        return data

    @classmethod
    def from_bytes(cls, data: bytes, where: object) -> Self:
        """Parse and check every field. `where` names the manifest in errors."""
        if len(data) > MAX_MANIFEST_BYTES:
            raise CorruptArtifact(f"the manifest of {where}", f"at most {MAX_MANIFEST_BYTES} bytes", len(data))
        fields = strict_json(data, f"the manifest of {where}")
        if not isinstance(fields, dict):
            raise CorruptArtifact(f"the manifest of {where}", "a JSON object", type(fields).__name__)
        version = fields.get("format_version")
        if not _intact(data):  # before anything is believed, the version included
            raise CorruptArtifact(f"the manifest of {where}", "the sha256 that it ends with", "another one")
        if type(version) is not int or not 1 <= version <= FORMAT_VERSION:
            raise UnsupportedFormat(f"the manifest of {where}", version, f"1 to {FORMAT_VERSION}")
        check = _Checker(f"the manifest of {where}", fields)
        names = _fields_of(version) | {"sha256"}
        check("fields", set(fields) == names, f"the fields {', '.join(sorted(names))}", sorted(fields))
        del fields["sha256"]
        check("bytes", data == _signed(canonical_json(fields)), "canonical JSON", "another rendering")
        return cls(**check.all_fields(), **check.since_2(version))


class _Checker:
    """Field by field checks of a manifest; a failure names the field."""

    def __init__(self, what: str, fields: dict[str, Any]):
        self.what, self.fields = what, fields

    def __call__(self, name: str, holds: bool, expected: str, actual: object) -> None:
        if not holds:
            raise CorruptArtifact(f"{self.what} ({name})", expected, actual)

    def text(self, name: str, limit: int) -> str:
        # Printable only: these texts reach terminals and reports.
        value = self.fields[name]
        self(
            name,
            isinstance(value, str) and len(value) <= limit and value.isprintable(),
            f"<= {limit} printable characters",
            value,
        )
        return value

    def mapping(self, name: str) -> dict[str, Any]:
        self(name, isinstance(self.fields[name], dict), "a JSON object", self.fields[name])
        return self.fields[name]

    def skill_id(self, name: str, value: Any) -> SkillId:
        try:
            skill_id = SkillId.parse(value)
        except SkillZooError as error:
            raise CorruptArtifact(f"{self.what} ({name})", "an id character/name-vN", value) from error
        self(name, isinstance(value, str) and skill_id.version is not None, "an id with its version", value)
        return skill_id

    def sha256(self, name: str, value: Any) -> str:
        self(name, isinstance(value, str) and _SHA256.fullmatch(value) is not None, "64 hex digits", value)
        return value

    def files(self) -> dict[str, FileRef]:
        files = self.mapping("files")
        self(
            "files",
            len(files) <= _MAX_FILES and WEIGHTS in files,
            f"{WEIGHTS} and at most {_MAX_FILES} files",
            sorted(files),
        )
        refs = {}
        for name, value in files.items():
            self("files", _FILE_NAME.fullmatch(name) is not None, "plain file names such as preview.gif", name)
            self("files", isinstance(value, dict) and set(value) == {"size", "sha256"}, "{sha256, size}", value)
            size = value["size"]
            self(
                "files",
                type(size) is int and 0 <= size <= MAX_FILE_BYTES,
                f"a size of at most {MAX_FILE_BYTES} bytes",
                size,
            )
            refs[name] = FileRef(size, self.sha256("files", value["sha256"]))
        return refs

    def low_level(self) -> LowLevelRef | None:
        value, steering = self.fields["low_level"], self.fields["kind"] in STEERING_KINDS
        if not steering:
            self("low_level", value is None, f"null for kind {self.fields['kind']}", value)
            return None
        self("low_level", isinstance(value, dict) and set(value) == {"id", "sha256"}, "{id, sha256}", value)
        return LowLevelRef(self.skill_id("low_level", value["id"]), self.sha256("low_level", value["sha256"]))

    def all_fields(self) -> dict[str, Any]:
        kind, created, motions = self.fields["kind"], self.fields["created"], self.mapping("motions")
        self("kind", kind in KINDS, f"one of {', '.join(KINDS)}", kind)
        self(
            "created",
            isinstance(created, str) and _CREATED.fullmatch(created) is not None,
            "2026-01-31T12:00:00Z",
            created,
        )
        self("motions", all(isinstance(v, str) for v in motions.values()), "{motion name: licence}", motions)
        interface = self.mapping("interface")
        if kind != "reward_model":
            self("interface", set(interface) == set(INTERFACE), f"the fields {', '.join(INTERFACE)}", sorted(interface))
        return {
            "id": self.skill_id("id", self.fields["id"]),
            "kind": kind,
            "files": self.files(),
            "code_version": self.text("code_version", 200),
            "created": created,
            "instruction": self.text("instruction", 1000),
            "low_level": self.low_level(),
            "interface": interface,
            "metrics": self.mapping("metrics"),
            "config": self.mapping("config"),
            "motions": motions,
        }

    def since_2(self, version: int) -> dict[str, Any]:
        """The fields that format 1 did not have; nobody vouched for a skill then."""
        if version == 1:
            gated = self.fields["kind"] == "skill"
            reasons = ["published before there was a gate"] if gated else []
            status = "unverified" if gated else "exempt"
            return {"admission": {"status": status, "reasons": reasons, "measured": {}}, "format_version": 1}
        admission, command = self.mapping("admission"), self.fields["command"]
        self("admission", set(admission) == {"status", "reasons", "measured"}, "{status, reasons, measured}", admission)
        gated = ("admitted", "unverified") if self.fields["kind"] == "skill" else ("exempt",)
        self("admission", admission["status"] in gated, f"a status {' or '.join(gated)}", admission["status"])
        self("admission", _texts(admission["reasons"], 20, 500), "reasons in words", admission["reasons"])
        self("admission", isinstance(admission["measured"], dict), "measured as an object", admission["measured"])
        self("command", _texts(command, 200, 1000), "a file of tools/ and its arguments, as texts", command)
        return {"admission": admission, "command": tuple(command)}


def _texts(value: Any, most: int, longest: int) -> bool:
    """Whether a value is a list of printable texts: they reach terminals and pages."""
    return (
        isinstance(value, list)
        and len(value) <= most
        and all(isinstance(text, str) and len(text) <= longest and text.isprintable() for text in value)
    )


def check_file_name(name: str) -> str:
    """A file of an entry: one dot, no folder, lower case."""
    if not isinstance(name, str) or _FILE_NAME.fullmatch(name) is None:
        raise SkillZooError(
            f"{name!r} is not a file name of the zoo; expected lower case without folders, such as preview.gif"
        )
    return name


def plain(value: Any) -> Any:
    """Configs and metrics as JSON values: numpy and jax scalars and arrays, tuples and mappings become plain ones."""
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        if not np.isfinite(value):
            raise SkillZooError(f"a manifest holds finite numbers only, found {value}")
        return value
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if hasattr(value, "items"):  # ml_collections.ConfigDict is not a Mapping
        return {str(key): plain(item) for key, item in value.items()}
    if hasattr(value, "__array__"):
        return plain(np.asarray(value).tolist())
    raise SkillZooError(f"a manifest holds JSON values only, found {type(value).__name__}: {value!r:.80}")


def canonical_json(value: Any) -> bytes:
    """The one rendering of a value: sorted keys, ASCII, indented, one final newline."""
    return (json.dumps(value, sort_keys=True, ensure_ascii=True, allow_nan=False, indent=1) + "\n").encode("ascii")


def strict_json(data: bytes, what: object) -> Any:
    """JSON without duplicate keys, NaN, or depth beyond what a manifest needs; `CorruptArtifact` otherwise."""
    try:
        value = json.loads(data.decode("utf-8"), **_STRICT)
        _check_depth(value, _MAX_DEPTH)
    except (ValueError, RecursionError) as error:
        raise CorruptArtifact(what, "JSON of modest depth", str(error)) from error
    return value


def _check_depth(value: Any, left: int) -> None:
    if left == 0:
        raise ValueError(f"nested deeper than {_MAX_DEPTH}")
    for item in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        _check_depth(item, left - 1)


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({key for key, _ in pairs}) != len(pairs):
        raise ValueError("a key appears twice")
    return dict(pairs)


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _finite(text: str) -> float:
    if not math.isfinite(value := float(text)):
        raise ValueError(f"{text[:80]} is larger than a number can be")
    return value


_STRICT: Any = {"object_pairs_hook": _no_duplicates, "parse_constant": _no_constant, "parse_float": _finite}


@functools.cache
def _fields_of(version: int) -> frozenset[str]:
    """What a manifest of a format version states, its digest aside."""
    added = set() if version > 1 else {"admission", "command"}
    return frozenset({f.name for f in dataclasses.fields(Manifest)} - added)


_DIGEST = b',\n "sha256": "'
"""What stands before the digest: "sha256" sorts behind every other field, in every format version."""


def _signed(body: bytes) -> bytes:
    """The canonical rendering with its digest in it."""
    return body[: -len("\n}\n")] + _DIGEST + hashlib.sha256(body).hexdigest().encode() + b'"\n}\n'


def _intact(data: bytes) -> bool:
    return data == _signed(data.rpartition(_DIGEST)[0] + b"\n}\n")
