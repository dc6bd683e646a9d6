#!/usr/bin/env python3
"""Look into the skill zoo and keep it in order.

    tools/zoo.py list --query "wave a hand"           tools/zoo.py alias humanoid/wave-v2 stable
    tools/zoo.py show humanoid/wave-right-hand        tools/zoo.py lock dance.lock humanoid/wave humanoid/bow
    tools/zoo.py verify [--quarantine]                tools/zoo.py push hf://user/repo humanoid/wave
    tools/zoo.py diff humanoid/wave-v1 humanoid/wave-v2     tools/zoo.py pull /mnt/team/zoo --zoo my_zoo
    tools/zoo.py export humanoid/wave-v1 wave.tar     tools/zoo.py gc --zoo my_zoo
    tools/zoo.py export --stablehlo humanoid/wave out/      tools/zoo.py reproduce humanoid/wave [--run OUT]
    tools/zoo.py import wave.tar --zoo my_zoo         tools/zoo.py gallery OUT

An id is character/name, character/name-vN, or has @v2, @latest, @stable or @sha256:... behind it.
Folders searched: --zoo, or SKILL_ZOO_PATH, the packaged zoo and ~/.cache/skill_zoo.
Exit codes: 0 done; 1 `verify` found a problem; 2 bad input or a refusal, explained in one message; 130 interrupted;
`reproduce --run` ends with the code of the command that it ran. Tab completion: source <(tools/zoo.py completion)
"""

import argparse
import json
from pathlib import Path
from typing import Any

import _completion
import _door
import _zoo
import _zoo_moves

_WRITES = (_zoo_moves.import_, _zoo_moves.pull)
"""What may make the folder that --zoo names."""


def _whole(text: str) -> int:
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"a whole number above 0, not {text!r}")
    return int(text)


def _print(answer: _zoo.Answer, as_json: bool) -> None:
    if as_json:
        print(json.dumps(answer.data, indent=1, ensure_ascii=False))
    elif isinstance(answer.text, str):
        print(answer.text)
    else:
        from rich.markup import escape
        from rich.table import Table

        title, columns, rows = answer.text
        table = Table(*columns, title=title)
        for row in rows:
            table.add_row(*map(escape, row))
        _door.make_console().print(table)


def main() -> int:
    from anyskill_brax.types import UserError

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("--zoo", help="a zoo folder")
    shared.add_argument("--json", action="store_true", help="print JSON")
    commands = parser.add_subparsers(required=True, metavar="command")

    def command(name: str, run: Any, help: str, *arguments: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, parents=[shared], help=help)
        sub.set_defaults(run_command=run)
        for argument in arguments:
            sub.add_argument(argument)
        return sub

    listing = command("list", _zoo.list_entries, "list entries")
    listing.add_argument("--character")
    listing.add_argument("--kind", help="low_level, skill, multi_skill or reward_model")
    listing.add_argument("--query", help="what to look for, by words and by meaning; best first")
    listing.add_argument("--limit", type=_whole, help="so many at most")
    listing.add_argument("--all-versions", action="store_true")
    listing.add_argument("--ids", action="store_true", help="ids only, one a line")
    command("show", _zoo.show, "print one manifest", "id")
    checking = command("verify", _zoo.verify, "read, hash and decode one entry or all of them")
    checking.add_argument("id", nargs="?")
    checking.add_argument("--quarantine", action="store_true", help="set what is damaged aside (in --zoo)")
    command("diff", _zoo.diff, "where two entries differ: config, metrics, interface", "id", "other")
    command("alias", _zoo.alias, "give a version another name", "id", "alias")
    locking = command("lock", _zoo.lock, "write down what names mean today: name, version, sha256", "path")
    locking.add_argument("ids", nargs="*", metavar="id", default=[], help="default: everything")
    exporting = command("export", _zoo_moves.export, "write an entry and its controller to one archive", "id", "path")
    form = exporting.add_mutually_exclusive_group()
    form.add_argument("--onnx", action="store_true", help="a skill as one function, for onnxruntime, into a folder")
    form.add_argument("--stablehlo", action="store_true", help="the same for XLA: jax.export's format")
    command("import", _zoo_moves.import_, "verify an archive and publish what it holds", "path")
    for name, run, help in (
        ("push", _zoo_moves.push, "copy entries to a remote"),
        ("pull", _zoo_moves.pull, "and from one"),
    ):
        moving = command(name, run, f"{help}: a folder, an archive, hf://user/repo", "remote")
        moving.add_argument("ids", nargs="*", metavar="id", default=[], help="default: the newest of every name")
    cleaning = command("gc", _zoo_moves.gc, "delete what no entry needs")
    cleaning.add_argument("--hours", type=float, default=24.0, help="only what is older")
    again = command("reproduce", _zoo_moves.reproduce, "the command that made an entry", "id")
    again.add_argument("--run", metavar="OUT", help="run it, its run and its zoo in this folder")
    command("gallery", _zoo_moves.gallery, "a web site of the zoo that opens from disk", "out")
    command("completion", _completion.completion, "a script that completes commands, options and ids in bash")
    parser.set_defaults(commands=commands)
    args = parser.parse_args()
    if args.zoo and args.run_command not in _WRITES and not Path(args.zoo).expanduser().is_dir():
        raise UserError(f"no zoo at {args.zoo}: there is no such folder")
    answer = args.run_command(args)
    _print(answer, args.json)
    return answer.exit_code


if __name__ == "__main__":
    _door.run(main)
