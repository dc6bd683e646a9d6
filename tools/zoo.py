"""Look into the skill zoo: list, show, verify, export and import entries.

    tools/zoo.py list --query "wave a hand"
    tools/zoo.py show humanoid/wave-right-hand
    tools/zoo.py verify
    tools/zoo.py export humanoid/wave-right-hand-v1 wave.tar
    tools/zoo.py import wave.tar --zoo my_zoo

Folders searched: --zoo, or SKILL_ZOO_PATH, the packaged zoo and ~/.cache/skill_zoo.
`verify` exits with code 1 where it finds a problem.
"""

import argparse
import json
from typing import Any

import _door


def _print_json(value: Any) -> None:
    print(json.dumps(value, indent=1, ensure_ascii=False))


def _table(title: str, columns: list[str], rows: list[list[str]]) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table(*columns, title=title)
    for row in rows:
        table.add_row(*map(escape, row))
    Console().print(table)


def list_entries(args: argparse.Namespace) -> int:
    import skill_zoo

    found = skill_zoo.list_skills(args.character, args.kind, args.query, args.zoo, all_versions=args.all_versions)
    if args.json:
        _print_json([{"root": str(entry.root), **entry.manifest.to_json()} for entry in found])
        return 0
    rows = [
        [str(e.id), e.kind, e.instruction, f"{sum(f.size for f in e.manifest.files.values()) / 1e6:.1f}"] for e in found
    ]
    _table(f"{len(found)} entries", ["id", "kind", "instruction", "MB"], rows)
    return 0


def show(args: argparse.Namespace) -> int:
    import skill_zoo

    manifest = skill_zoo.describe(args.id, args.zoo).to_json()
    if args.json:
        _print_json(manifest)
        return 0
    rows = [
        [name, value if isinstance(value, str) else json.dumps(value, indent=1)] for name, value in manifest.items()
    ]
    _table(manifest["id"], ["field", "value"], rows)
    return 0


def verify(args: argparse.Namespace) -> int:
    import skill_zoo

    reports = skill_zoo.verify(args.id, args.zoo)
    if args.json:
        _print_json([{"what": r.what, "root": str(r.root), "problems": list(r.problems)} for r in reports])
    else:
        rows = [[r.what, str(r.root), "\n".join(r.problems) or "ok"] for r in reports]
        _table(f"{sum(r.ok for r in reports)} of {len(reports)} in order", ["what", "folder", "result"], rows)
    return 0 if all(r.ok for r in reports) else 1


def export(args: argparse.Namespace) -> int:
    import skill_zoo

    skill_id = str(skill_zoo.export_archive(args.id, args.path, args.zoo))
    print(json.dumps({"id": skill_id, "path": args.path}) if args.json else f"{skill_id} -> {args.path}")
    return 0


def import_(args: argparse.Namespace) -> int:
    import skill_zoo

    ids = [str(skill_id) for skill_id in skill_zoo.import_archive(args.path, args.zoo)]
    print(json.dumps({"ids": ids}) if args.json else f"imported {', '.join(ids)}")
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("--zoo", help="a zoo folder")
    shared.add_argument("--json", action="store_true", help="print JSON")
    commands = parser.add_subparsers(required=True, metavar="command")

    def command(name: str, run: Any, help: str, *arguments: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, parents=[shared], help=help)
        sub.set_defaults(run=run)
        for argument in arguments:
            sub.add_argument(argument)
        return sub

    listing = command("list", list_entries, "list entries")
    listing.add_argument("--character")
    listing.add_argument("--kind", help="low_level, skill, multi_skill or reward_model")
    listing.add_argument("--query", help="words to look for in names and instructions")
    listing.add_argument("--all-versions", action="store_true")
    command("show", show, "print one manifest", "id")
    command("verify", verify, "read, hash and decode one entry or all of them").add_argument("id", nargs="?")
    command("export", export, "write an entry and its controller to one archive", "id", "path")
    command("import", import_, "verify an archive and publish what it holds", "path")
    args = parser.parse_args()
    return args.run(args)


if __name__ == "__main__":
    _door.run(main)
