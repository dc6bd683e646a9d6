"""The skill zoo: trained skills as immutable, hashed files without code in them.

import skill_zoo

skill = skill_zoo.load("humanoid/wave-right-hand")
for entry in skill_zoo.list_skills(query="wave"):
    print(entry)
"""

from skill_zoo.archive import export_archive, import_archive
from skill_zoo.check import Report, verify
from skill_zoo.codecs import tensors_from_bytes, tensors_to_bytes
from skill_zoo.compare import diff
from skill_zoo.errors import (
    CorruptArtifact,
    IdTaken,
    InterfaceMismatch,
    InvalidId,
    NotAdmitted,
    RemoteError,
    SkillNotFound,
    SkillZooError,
    UnsupportedFormat,
    ZooIOError,
)
from skill_zoo.ids import SkillId, slug
from skill_zoo.lock import lock
from skill_zoo.manifest import Manifest
from skill_zoo.search import CACHE, PACKAGED, Entry
from skill_zoo.transfer import pull, push
from skill_zoo.upkeep import Collected, gc, quarantine
from skill_zoo.zoo import alias, describe, list_skills, load, load_low_level, read_file, save

__all__ = [
    "CACHE",
    "PACKAGED",
    "Collected",
    "CorruptArtifact",
    "Entry",
    "IdTaken",
    "InterfaceMismatch",
    "InvalidId",
    "Manifest",
    "NotAdmitted",
    "RemoteError",
    "Report",
    "SkillId",
    "SkillNotFound",
    "SkillZooError",
    "UnsupportedFormat",
    "ZooIOError",
    "alias",
    "describe",
    "diff",
    "export_archive",
    "gc",
    "import_archive",
    "list_skills",
    "load",
    "load_low_level",
    "lock",
    "pull",
    "push",
    "quarantine",
    "read_file",
    "save",
    "slug",
    "tensors_from_bytes",
    "tensors_to_bytes",
    "verify",
]
