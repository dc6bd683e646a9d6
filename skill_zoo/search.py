"""From an id to the entry on disk: the search path, and the controller that an entry pins.

Search order: the folders of `SKILL_ZOO_PATH`, the zoo shipped with the package, `~/.cache/skill_zoo`. The first folder
that holds a name decides, as with any search path; a folder given as `zoo=` stands for all of them.
"""

import functools
import os
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from skill_zoo.aliases import aliases_of, read_alias
from skill_zoo.errors import CorruptArtifact, InterfaceMismatch, InvalidId, SkillNotFound, SkillZooError
from skill_zoo.ids import Reference, SkillId, nearest
from skill_zoo.index import Summary, listing, refresh
from skill_zoo.manifest import Manifest
from skill_zoo.store import Store

PACKAGED = Path(__file__).parent / "artifacts"
"""The zoo shipped with the package."""
CACHE = Path("~/.cache/skill_zoo")
"""Things that can be fetched again; searched last, never a target of `save`."""
Id = str | SkillId
Folder = str | os.PathLike[str]


@dataclass(frozen=True, repr=False)
class Entry:
    """One version of one entry, and the folder that holds it; the manifest is read when it is first asked for."""

    id: SkillId
    root: Path
    summary: Summary

    @functools.cached_property
    def manifest(self) -> Manifest:
        return _read_manifest(self.root, self.id)

    @property
    def kind(self) -> str:
        return self.summary.kind

    @property
    def instruction(self) -> str:
        return self.summary.instruction

    def read(self, name: str) -> bytes:
        """One file, verified."""
        files = self.manifest.files
        if name not in files:
            raise SkillZooError(f"{self.id} has no file {name!r:.80}; it has {', '.join(sorted(files))}")
        return Store(self.root).read_blob(files[name], f"{name} of {self.id}")

    def __repr__(self) -> str:
        return f"{self.id} ({self.kind}){': ' + self.instruction if self.instruction else ''}"


def cache() -> Path:
    """Where `pull` puts what can be fetched again."""
    return CACHE.expanduser()


def search_path() -> list[Path]:
    """The folders searched, in order. The one place of the library that reads the environment."""
    listed = [Path(folder).expanduser() for folder in os.environ.get("SKILL_ZOO_PATH", "").split(os.pathsep) if folder]
    return list(dict.fromkeys([*listed, PACKAGED, CACHE.expanduser()]))


def entry_roots(zoo: Folder | None) -> list[Path]:
    """Where an id is looked up."""
    return search_path() if zoo is None else [Path(zoo).expanduser()]


def controller_roots(zoo: Folder | None) -> list[Path]:
    """Where controllers are looked up, by sha256: a skill in one folder may stand on a controller in another."""
    return list(dict.fromkeys([*entry_roots(zoo), *search_path()]))


def save_target(zoo: Folder | None) -> Path:
    """Where `save` and imports write: `zoo`, else the first folder of `SKILL_ZOO_PATH`."""
    cache = CACHE.expanduser()
    own = [folder for folder in entry_roots(zoo) if zoo is not None or folder not in (PACKAGED, cache)]
    if not own:
        raise SkillZooError("nowhere to save: give a zoo folder, or set SKILL_ZOO_PATH to a folder of yours")
    if own[0].resolve() == cache.resolve():
        raise SkillZooError(f"{own[0]} is a cache and may be emptied at any time; save to another folder")
    return own[0]


def find(id: Id, zoo: Folder | None = None) -> Entry:
    """The entry behind an id, `id@alias` or `id@sha256:...`; where no version is named, the newest one."""
    roots = entry_roots(zoo)
    try:
        wanted = Reference.parse(id)
    except InvalidId as error:
        raise InvalidId(error.text, error.reason, nearest(str(id), _known(roots))) from None
    for root in roots:
        if found := _resolve(Store(root), wanted):
            return found
    known = [f"@{alias}" for root in roots for alias in aliases_of(Store(root), wanted.id)]
    advice = f"{wanted.id} has the aliases {', '.join(known)}" if wanted.alias and known else ""
    raise SkillNotFound(wanted, roots, nearest(str(wanted.id), _known(roots)), advice)


def _resolve(store: Store, wanted: Reference) -> Entry | None:
    if wanted.alias:
        if (aim := read_alias(store, wanted.id, wanted.alias)) is None:
            return None
        entry = entry_at(store.root, aim[0])
        if entry.manifest.sha256 != aim[1]:
            raise CorruptArtifact(f"{wanted} in {store.root}", f"a manifest of sha256 {aim[1]}", entry.manifest.sha256)
        return entry
    resolved = store.resolve(wanted.id)
    if resolved is None or wanted.sha256 is None:
        return resolved and entry_at(store.root, resolved)
    versions = [wanted.id.version] if wanted.id.version else reversed(store.versions(wanted.id))
    found = (entry_at(store.root, wanted.id.at(version)) for version in versions)
    return next((entry for entry in found if entry.manifest.sha256.startswith(wanted.sha256)), None)


def entry_at(root: Path, skill_id: SkillId) -> Entry:
    """One exact version in one folder."""
    manifest = _read_manifest(root, skill_id)
    entry = Entry(skill_id, root, Summary.of(manifest))
    entry.__dict__["manifest"] = manifest  # where cached_property keeps it
    return entry


def _read_manifest(root: Path, skill_id: SkillId) -> Manifest:
    manifest = Manifest.from_bytes(Store(root).read_manifest(skill_id), f"{skill_id} in {root}")
    if manifest.id != skill_id:
        raise CorruptArtifact(f"the manifest of {skill_id} in {root}", skill_id, str(manifest.id))
    return manifest


def entries(roots: list[Path], all_versions: bool = False, kind: str | None = None) -> Iterator[Entry]:
    """Every name's newest version (or all) as `find` would see it; a damaged one is left out with a warning.

    `kind` leaves out the others, cheaply where the index knows them.
    """
    seen: set[SkillId] = set()
    for root in roots:
        store = Store(root)
        known, unknown = listing(store)
        if all_versions:
            known, unknown = {}, [*known, *unknown]
        for name, row in known.items():
            if name not in seen:
                seen.add(name)
                if kind in (None, row.summary.kind):
                    yield Entry(name.at(row.version), root, row.summary)
        for name in unknown:
            versions = [name.at(version) for version in store.versions(name)]
            for skill_id in versions if all_versions else versions[-1:]:
                key = skill_id if all_versions else name
                if key in seen:
                    continue
                seen.add(key)
                try:
                    entry = entry_at(root, skill_id)
                    if kind in (None, entry.kind):
                        yield entry
                except SkillZooError as error:
                    warnings.warn(f"left out of the listing: {error}", stacklevel=2)


def refresh_index(root: Path) -> None:
    """After writing to a folder: renew the cache of its listing, if that is worth it."""
    refresh(Store(root), lambda skill_id: entry_at(root, skill_id).summary)


def controller_with(sha256: str, roots: list[Path]) -> Entry | None:
    """A published low-level controller by the sha256 of its weights."""
    for root in roots:
        for all_versions in (False, True):  # the newest are listed at once, the others must be read
            for entry in entries([root], all_versions, kind="low_level"):
                if entry.summary.weights == sha256:
                    return entry
    return None


def pinned_controller(manifest: Manifest, roots: list[Path]) -> Entry:
    """The controller that a manifest pins. Its sha256 decides; its id says where to look first."""
    pin, others = manifest.low_level, []
    if pin is None:
        raise SkillZooError(f"{manifest.id} is a {manifest.kind}; it pins no low-level controller")
    for root in roots:
        if Store(root).resolve(pin.id):
            entry = entry_at(root, pin.id)
            if entry.kind == "low_level" and entry.manifest.weights.sha256 == pin.sha256:
                return entry
            others.append(f"{pin.id} in {root}: sha256 {entry.manifest.weights.sha256}")
    if found := controller_with(pin.sha256, roots):
        return found
    what = f"{pin.id} (sha256 {pin.sha256}), the low-level controller of {manifest.id},"
    advice = f"Import it: `tools/zoo.py export {manifest.id}` where it was made writes both into one archive."
    if others:
        wanted = f"{pin.id}: sha256 {pin.sha256}"
        raise InterfaceMismatch(f"{manifest.id} and the low-level controller found", wanted, "; ".join(others), advice)
    raise SkillNotFound(what, roots, nearest(str(pin.id), _known(roots)), advice)


def find_reward_model(role: str, zoo: Folder | None) -> Entry:
    """The published reward model whose manifest's config says `role`: "reward" (gives it) or "judge" (grades)."""
    roots = controller_roots(zoo)
    models = entries(roots, kind="reward_model")
    if found := next((entry for entry in models if entry.manifest.config.get("role") == role), None):
        return found
    advice = "Train one with tools/train_reward_model.py and publish it, or give a CLIP folder with --clip."
    raise SkillNotFound(f"a reward model with the role {role!r}", roots, advice=advice)


def _known(roots: list[Path]) -> list[str]:
    return [str(name) for root in roots for name in Store(root).names()]
