"""Act out a script: `tools/compose_demo.py --script "walk forward 3s, raise both arms 2s, bow"`.

Each phrase becomes the zoo's nearest skill by text; the skills follow each other with a short rest, on one controller.
`--list` shows the skills there are.
"""

import argparse
from pathlib import Path

import _door
from _models import load_reward_model


def show(title: str, columns: list[str], rows: list[list[str]]) -> None:
    from rich.markup import escape
    from rich.table import Table

    table = Table(*columns, title=title)
    for row in rows:
        table.add_row(*map(escape, row))
    _door.make_console().print(table)


def find_skills(zoo: str | None) -> list:
    """The newest version of every skill. `UserError` when there is none."""
    import skill_zoo
    from anyskill_brax.types import UserError

    found = skill_zoo.list_skills(kind="skill", zoo=zoo)
    if not found:
        others = ", ".join(str(entry.id) for entry in skill_zoo.list_skills(zoo=zoo))
        where = zoo or "the zoos on the search path"
        raise UserError(f"no skills in {where} (it holds {others or 'nothing'}); train some with tools/train_batch.py")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--script", help='"walk forward 3s, then bow for 2 seconds"; default: every skill')
    parser.add_argument("--list", action="store_true", help="list the skills and leave")
    parser.add_argument("--zoo", help="a zoo folder; default: SKILL_ZOO_PATH, the packaged zoo, the cache")
    parser.add_argument("--clip", type=Path, metavar="FOLDER", help="a Hugging Face CLIP folder compares the texts")
    parser.add_argument("--out", type=Path, default=Path("outputs/compose_demo.mp4"), help="the film, .mp4 or .gif")
    parser.add_argument("--size", type=int, default=480, metavar="PX", help="side of the film")
    parser.add_argument("--seconds", type=float, default=3.0, help="of a phrase that does not say")
    parser.add_argument("--fade", type=float, default=0.5, help="seconds from one skill to the next")
    parser.add_argument("--rest", type=float, help="seconds it stands between two skills; default: 0.67")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--min-similarity", type=float, default=0.65, help="warn about phrases further from any skill")
    args = parser.parse_args()

    import jax
    import numpy as np

    import skill_zoo
    from anyskill_brax import evaluate
    from anyskill_brax.character.humanoid import LATENT_STEPS, load_character
    from anyskill_brax.compose import LATENT_DT, common_controller, for_seconds, sequence
    from anyskill_brax.envs.humanoid_env import HumanoidEnv
    from anyskill_brax.render.video import film
    from anyskill_brax.script import Phrase, parse_script, resolve
    from anyskill_brax.types import UserError

    entries = find_skills(args.zoo)
    names = [entry.instruction or entry.id.name.replace("-", " ") for entry in entries]
    if args.list:
        rows = [[str(e.id), name, str(e.manifest.low_level.id)] for e, name in zip(entries, names, strict=True)]
        return show(f"{len(rows)} skills", ["id", "instruction", "on"], rows)
    if not args.fade >= 0.0 or args.out.suffix not in (".mp4", ".gif") or args.size < 16 or args.size % 2:
        raise UserError(
            f"--fade {args.fade:g} --out {args.out} --size {args.size}: expected seconds, .mp4 or .gif, even"
        )
    everything = [Phrase(name, args.seconds) for name in names]
    phrases = parse_script(args.script, args.seconds) if args.script else everything
    model = load_reward_model(args.clip, args.zoo)
    matches = resolve(phrases, names, model)
    rows, doubts = [], [m for m in matches if m.is_doubtful(args.min_similarity)]
    for m in matches:
        runner_up = "" if m.second is None else names[m.second]
        doubt = "doubtful" if m in doubts else ""
        rows.append([m.phrase.text, f"{m.phrase.seconds:g} s", names[m.index], f"{m.similarity:.2f}", runner_up, doubt])
    show("the script", ["phrase", "time", "skill", "similarity", "runner-up", ""], rows)
    for m in doubts:
        print(f"warning: no skill says {m.phrase.text!r}; the nearest is {names[m.index]!r} ({m.similarity:.2f})")

    skills = [skill_zoo.load(entries[m.index].id, args.zoo) for m in matches]
    low_level, character = common_controller(skills).low_level, load_character()
    parts = [for_seconds(skill, phrase.seconds) for skill, phrase in zip(skills, phrases, strict=True)]
    policy = sequence(*parts, fade_seconds=args.fade, rest_seconds=args.rest)
    env = HumanoidEnv(character, num_frames=low_level.style.num_frames, fall_height=evaluate.FALL_HEIGHT)
    steps = [part.steps for part in policy.parts]
    episodes = evaluate.rollout_policy(env, low_level, policy, jax.random.PRNGKey(args.seed), 1, sum(steps))
    rests = len(steps) > len(phrases)
    texts = [text for phrase in phrases for text in ([phrase.text, ""] if rests else [phrase.text])][: len(steps)]
    captions = [text for text, count in zip(texts, steps, strict=True) for _ in range(count * LATENT_STEPS)]
    path = film(character, np.asarray(episodes.qpos[:, 0]), args.out, text=captions, width=args.size, height=args.size)
    fallen = np.flatnonzero(np.asarray(episodes.fallen[:, 0]))
    ending = f"it fell after {(fallen[0] + 1) * LATENT_DT:.1f} s" if fallen.size else "it stayed on its feet"
    print(f"{path}: {sum(steps) * LATENT_DT:.1f} s, {len(set(map(repr, skills)))} skills; {ending}")


if __name__ == "__main__":
    _door.run(main)
