"""The commands of tools/zoo.py that move, make or delete something."""

import argparse
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from _zoo import Answer

ROOT = Path(__file__).resolve().parents[1]


def export(args: argparse.Namespace) -> Answer:
    if args.onnx or args.stablehlo:
        from skill_zoo.export import export_function

        files = export_function(args.id, args.path, "onnx" if args.onnx else "stablehlo", args.zoo)
        return Answer({"files": [str(file) for file in files]}, "\n".join(str(file) for file in files))
    import skill_zoo

    skill_id = str(skill_zoo.export_archive(args.id, args.path, args.zoo))
    return Answer({"id": skill_id, "path": args.path}, f"{skill_id} -> {args.path}")


def _moved(verb: str, move: Callable[[], list[Any]]) -> Answer:
    ids = [str(skill_id) for skill_id in move()]
    return Answer({"ids": ids}, f"{verb} {', '.join(ids) or 'nothing'}")


def import_(args: argparse.Namespace) -> Answer:
    import skill_zoo

    return _moved("imported", lambda: skill_zoo.import_archive(args.path, args.zoo))


def push(args: argparse.Namespace) -> Answer:
    import skill_zoo

    return _moved("pushed", lambda: skill_zoo.push(args.remote, args.ids or None, args.zoo))


def pull(args: argparse.Namespace) -> Answer:
    import skill_zoo

    return _moved("pulled", lambda: skill_zoo.pull(args.remote, args.ids or None, args.zoo))


def gc(args: argparse.Namespace) -> Answer:
    import skill_zoo
    from skill_zoo.search import save_target

    done = skill_zoo.gc(save_target(args.zoo), 3600.0 * args.hours)
    text = f"{done.deleted} files deleted, {done.freed / 1e6:.1f} MB freed, {done.restored} taken back"
    return Answer({"deleted": done.deleted, "freed": done.freed, "restored": done.restored}, text)


def reproduce(args: argparse.Namespace) -> Answer:
    import shlex

    from skill_zoo.reproduce import commands, commands_to_run, prepare
    from skill_zoo.search import find, search_path

    entry = find(args.id, args.zoo)
    made, version = commands(entry.manifest.command), entry.manifest.code_version
    if args.run is None:
        text = "\n".join([f"# {version}", *map(shlex.join, made)] if made else [f"# {version}", "# not recorded"])
        return Answer({"commands": made, "code_version": version}, text)
    out = Path(args.run).resolve()
    made, code = commands_to_run(entry, out), 0
    prepare(entry, out)
    roots = os.pathsep.join(str(root.resolve()) for root in [entry.root, *search_path()])  # what it stands on
    for words in made:
        print(shlex.join(words), file=sys.stderr, flush=True)
        environment = {**os.environ, "SKILL_ZOO_PATH": roots}
        code = subprocess.run([sys.executable, *words], cwd=ROOT, stdout=sys.stderr, env=environment).returncode
        if code:
            break
    return Answer({"commands": made, "exit_code": code}, f"exit code {code}", code)


def gallery(args: argparse.Namespace) -> Answer:
    from skill_zoo.gallery import build

    pages = build(Path(args.out), args.zoo)
    return Answer({"pages": pages, "path": args.out}, f"{pages} pages; open {Path(args.out) / 'index.html'}")
