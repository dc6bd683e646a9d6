"""`tools/zoo.py completion`: a script for bash that completes commands, options and the ids that a zoo holds."""

import argparse
import shlex
import sys
from pathlib import Path

from _zoo import Answer

SCRIPT = """\
# eval it, or put it into a file that bash reads at its start:  source <(tools/zoo.py completion)
_zoo_py() {
  local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} zoo=() words i
  for ((i = 1; i < COMP_CWORD; i++)); do
    [[ ${COMP_WORDS[i - 1]} == --zoo ]] && zoo=(--zoo "${COMP_WORDS[i]}")
  done
  case "$COMP_CWORD $before $word" in
    1\\ *) words="@COMMANDS@" ;;
    *\\ --kind\\ *) words="low_level skill multi_skill reward_model" ;;
    *\\ --zoo\\ * | *\\ --run\\ *) COMPREPLY=($(compgen -d -- "$word")); return ;;
    *\\ -*) case ${COMP_WORDS[1]} in
@OPTIONS@
      esac ;;
    *) words=$(@TOOL@ list --ids "${zoo[@]}" 2> /dev/null)
      COMPREPLY=($(compgen -f -- "$word")) ;;
  esac
  COMPREPLY+=($(compgen -W "$words" -- "$word"))
}
complete -o filenames -F _zoo_py zoo.py tools/zoo.py
"""


def completion(args: argparse.Namespace) -> Answer:
    """The script; `args.commands` is the parser's table of commands."""
    commands = args.commands.choices
    options = {name: " ".join(o for a in sub._actions for o in a.option_strings) for name, sub in commands.items()}
    cases = "\n".join(f'        {name}) words="{found}" ;;' for name, found in options.items())
    tool = shlex.join([sys.executable, str(Path(__file__).resolve().with_name("zoo.py"))])
    script = SCRIPT.replace("@COMMANDS@", " ".join(commands)).replace("@OPTIONS@", cases).replace("@TOOL@", tool)
    return Answer({"script": script}, script.rstrip())
