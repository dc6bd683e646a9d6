"""`verify`: is everything in the zoo what was published, and does it work together?"""

from dataclasses import dataclass
from pathlib import Path

from skill_zoo.errors import SkillZooError
from skill_zoo.ids import SkillId
from skill_zoo.search import Folder, Id, controller_roots, entry_at, entry_roots, find
from skill_zoo.store import Store
from skill_zoo.zoo import load_entry


@dataclass(frozen=True)
class Report:
    """What was found out about one version, or about aliases.json, in one folder."""

    what: str
    root: Path
    problems: tuple[str, ...]

    @property
    def ok(self) -> bool:
        return not self.problems


def verify(id: Id | None = None, zoo: Folder | None = None) -> list[Report]:
    """Read, hash and decode one entry, or every version in `zoo` (by default in every folder of the search path)."""
    roots = controller_roots(zoo)
    if id is not None:
        found = find(id, zoo)
        return [Report(str(found.id), found.root, _entry_problems(found.root, found.id, roots))]
    reports = []
    for root in entry_roots(zoo):
        store = Store(root)
        for name in store.names():
            reports += [
                Report(str(name.at(v)), root, _entry_problems(root, name.at(v), roots)) for v in store.versions(name)
            ]
        reports += _alias_reports(store)
    return reports


def _entry_problems(root: Path, skill_id: SkillId, roots: list[Path]) -> tuple[str, ...]:
    try:
        entry = entry_at(root, skill_id)
    except SkillZooError as error:
        return (str(error),)
    problems = []
    for name in sorted(entry.manifest.files):
        try:
            entry.read(name)
        except SkillZooError as error:
            problems.append(str(error))
    if not problems:
        try:
            load_entry(entry, [root, *roots])
        except SkillZooError as error:
            problems.append(str(error))
    return tuple(problems)


def _alias_reports(store: Store) -> list[Report]:
    """Aliases that disagree with the entries: behind is harmless and heals, ahead means that a version has vanished."""
    try:
        aliases = store.aliases()
    except SkillZooError as error:
        return [Report("aliases.json", store.root, (str(error),))]
    reports = []
    newest = {str(name): store.versions(name)[-1] for name in store.names()}
    for name in sorted(newest.keys() | aliases.keys()):
        alias, version = aliases.get(name, 0), newest.get(name, 0)
        if alias != version:
            cause = (
                "a published version has vanished" if alias > version else "an interrupted publish, or set back by hand"
            )
            problem = f"aliases.json says version {alias}, the newest entry is version {version}: {cause}"
            reports.append(Report(name, store.root, (problem,)))
    return reports
