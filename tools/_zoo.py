"""The commands of tools/zoo.py that look: each returns its answer as JSON values, the text for people, an exit code."""

import argparse
from pathlib import Path
from typing import Any, NamedTuple


class Answer(NamedTuple):
    data: Any
    text: str | tuple[str, list[str], list[list[str]]]  # or a table: title, columns, rows
    exit_code: int = 0


def list_entries(args: argparse.Namespace) -> Answer:
    import skill_zoo

    found = skill_zoo.list_skills(args.character, args.kind, args.query, args.zoo, all_versions=args.all_versions)
    found = found[: args.limit] if args.limit else found
    if args.ids:
        return Answer([str(entry.id) for entry in found], "\n".join(str(entry.id) for entry in found))
    data = [_summary(entry) for entry in found]
    rows = [[d["id"], d["kind"], d["instruction"], f"{d['size'] / 1e6:.1f}", d["remark"]] for d in data]
    return Answer(data, (f"{len(found)} entries", ["id", "kind", "instruction", "MB", ""], rows))


def _summary(entry: Any) -> dict[str, Any]:
    s = entry.summary
    known = {"kind": s.kind, "instruction": s.instruction, "created": s.created, "size": s.size, "sha256": s.sha256}
    return {"id": str(entry.id), "root": str(entry.root), **known, "remark": "unverified" if s.unverified else ""}


def show(args: argparse.Namespace) -> Answer:
    import json

    import skill_zoo
    from skill_zoo.aliases import aliases_of
    from skill_zoo.search import find
    from skill_zoo.store import Store

    entry = find(args.id, args.zoo)
    manifest = {**skill_zoo.describe(entry.id, entry.root).to_json(), "sha256": entry.summary.sha256}
    data = {**manifest, "root": str(entry.root), "aliases": list(aliases_of(Store(entry.root), entry.id))}
    rows = [[name, value if isinstance(value, str) else json.dumps(value, indent=1)] for name, value in data.items()]
    return Answer(data, (str(entry.id), ["field", "value"], rows))


def verify(args: argparse.Namespace) -> Answer:
    import skill_zoo
    from skill_zoo.search import save_target

    moved = [str(path) for path in skill_zoo.quarantine(save_target(args.zoo))] if args.quarantine else []
    reports = skill_zoo.verify(args.id, args.zoo)
    data = [{"what": r.what, "root": str(r.root), "problems": list(r.problems)} for r in reports]
    rows = [[r.what, str(r.root), "\n".join(r.problems) or "ok"] for r in reports]
    rows += [[Path(path).name, path, "set aside"] for path in moved]
    title = f"{sum(r.ok for r in reports)} of {len(reports)} in order"
    answer = {"reports": data, "moved": moved} if args.quarantine else data
    return Answer(answer, (title, ["what", "folder", "result"], rows), 0 if all(r.ok for r in reports) else 1)


def diff(args: argparse.Namespace) -> Answer:
    import skill_zoo

    found = skill_zoo.diff(args.id, args.other, args.zoo)
    rows = [[name, str(a), str(b)] for name, (a, b) in found.items()]
    return Answer(found, (f"{len(rows)} differences", ["field", args.id, args.other], rows))


def alias(args: argparse.Namespace) -> Answer:
    import skill_zoo

    skill_id = skill_zoo.alias(args.id, args.alias, args.zoo)
    name = f"{skill_id.unversioned}@{args.alias}"
    return Answer({"alias": name, "id": str(skill_id)}, f"{name} -> {skill_id}")


def lock(args: argparse.Namespace) -> Answer:
    import skill_zoo

    locked = skill_zoo.lock(args.path, args.ids or None, args.zoo)
    return Answer(locked, f"{len(locked)} entries locked in {args.path}")
