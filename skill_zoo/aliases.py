"""Aliases that people set: `humanoid/wave@stable`.

Each is a file of its own, because two writers that replace one common file can undo each other, and nothing here rests
on locks. It names a version and the digest of its manifest; an alias whose version has other content is refused.
"""

import contextlib
from collections.abc import Iterator

from skill_zoo.errors import CorruptArtifact, InvalidId, SkillNotFound
from skill_zoo.ids import SkillId, check_alias
from skill_zoo.manifest import Manifest, canonical_json, strict_json
from skill_zoo.store import Store

_MAX_BYTES = 4096


def set_alias(store: Store, alias: str, manifest: Manifest) -> None:
    """Make `alias` of the manifest's name mean this version, from now on and for every reader at once."""
    data = canonical_json({"id": str(manifest.id), "sha256": manifest.sha256})
    with store.writing():
        store.replace_file(_parts(manifest.id, check_alias(alias)), data)


def remove_alias(store: Store, skill_id: SkillId, alias: str) -> None:
    """Forget an alias. `SkillNotFound` if there is none."""
    parts = _parts(skill_id, check_alias(alias))
    with store.writing():
        try:
            store.root.joinpath(*parts).unlink()
        except FileNotFoundError:
            raise SkillNotFound(f"{skill_id.unversioned}@{alias}", [store.root]) from None
        store.sync_folders(parts[:-1])


def read_alias(store: Store, skill_id: SkillId, alias: str) -> tuple[SkillId, str] | None:
    """The id with its version and the digest of its manifest; None if this root has no such alias."""
    parts = _parts(skill_id, check_alias(alias))
    data = store.read_parts(parts, _MAX_BYTES)
    if data is None:
        return None
    fields = strict_json(data, store.root.joinpath(*parts))
    if (
        isinstance(fields, dict)
        and set(fields) == {"id", "sha256"}
        and all(isinstance(v, str) for v in fields.values())
    ):
        aims = {str(skill_id.at(version)): version for version in store.versions(skill_id)}
        if fields["id"] in aims:
            return skill_id.at(aims[fields["id"]]), fields["sha256"]
    raise CorruptArtifact(store.root.joinpath(*parts), f"a version of {skill_id} that exists", fields)


def aliases_of(store: Store, skill_id: SkillId) -> Iterator[str]:
    """The aliases of a name, sorted."""
    with contextlib.suppress(OSError):
        for file in sorted(store.root.joinpath(*_parts(skill_id, "x")[:-1]).iterdir()):
            with contextlib.suppress(InvalidId):  # not made by a zoo
                if file.suffix == ".json":
                    yield check_alias(file.stem)


def _parts(skill_id: SkillId, alias: str) -> tuple[str, ...]:
    return "aliases", skill_id.character, skill_id.name, f"{alias}.json"
