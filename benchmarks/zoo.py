"""A zoo of ten thousand skills: how long listing, searching, loading and publishing take.

    python benchmarks/zoo.py [--entries 10000] [--gallery]

The entries are real ones of tiny networks that share one weights file and one film; manifests have the size of real
ones. Built in memory (/dev/shm) where there is one, so that the disk's fsync is not what is measured.
"""

import argparse
import itertools
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests"), str(ROOT / "tests" / "skill_zoo")]

DEEDS = ["wave", "raise", "lift", "stretch", "swing", "shake", "bend", "turn", "circle", "point"]
PARTS = ["the right hand", "the left hand", "both arms", "the head", "the right leg", "the left leg", "the hips"]
PARTS += ["the shoulders", "one knee", "the whole body"]
MANNERS = ["slowly", "fast", "gently", "with force", "twice", "three times", "while standing", "while walking"]
MANNERS += ["to the left", "to the right"]
MOODS = ["happily", "sadly", "angrily", "calmly", "proudly", "shyly", "tiredly", "carefully", "boldly", "lazily"]


def sentences() -> Iterator[str]:
    for words in itertools.product(DEEDS, PARTS, MANNERS, MOODS):
        yield " ".join(words)


def build(zoo: Path, count: int) -> None:
    """One controller, the packaged reward model, `count` skills."""
    from zoo_objects import make_controller, make_skill

    import skill_zoo
    from skill_zoo.ids import SkillId
    from skill_zoo.manifest import Manifest
    from skill_zoo.search import refresh_index
    from skill_zoo.store import Store

    controller = make_controller(0)
    skill_zoo.save(controller, "low-level", zoo=zoo)
    film = (ROOT / "docs" / "pipeline.svg").read_bytes()
    config = {"learner": {f"setting-{n}": n / 7 for n in range(60)}, "widths": [1024, 512]}
    first = skill_zoo.save(
        make_skill(controller, "wave"), "wave", zoo=zoo, files={"preview.svg": film}, config=config, force=True
    )
    manifest = skill_zoo.describe(first, zoo)
    store = Store(zoo)
    files = {name: skill_zoo.read_file(first, name, zoo) for name in manifest.files}

    def versions() -> Iterator[tuple[SkillId, dict[str, bytes], bytes]]:
        for number, text in enumerate(itertools.islice(sentences(), count)):
            fields = {"id": SkillId("humanoid", skill_zoo.slug(text), 1), "instruction": text}
            fields["metrics"] = {"mean": (number * 37 % 1000) / 1000}
            new = Manifest(**{**vars(manifest), **fields})
            yield new.id, files if number == 0 else {}, new.to_bytes()

    store.commit_all(versions())
    time.sleep(2.5)  # rows of the index are kept once the folders are settled
    refresh_index(zoo)


def timed(what: str, work: Callable[[], object], repeat: int = 3) -> float:
    """Best of a few rounds [s]."""
    seconds = []
    for _ in range(repeat):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    print(f"{what}: {min(seconds):.3f} s", flush=True)
    return min(seconds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--entries", type=int, default=10_000)
    parser.add_argument("--gallery", action="store_true", help="also build the gallery")
    options = parser.parse_args()

    import skill_zoo
    from skill_zoo import index, zoo

    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        root = Path(folder) / "zoo"
        start = time.perf_counter()
        build(root, options.entries)
        print(f"built {options.entries} entries in {time.perf_counter() - start:.0f} s", flush=True)
        figures = {}
        index._parsed.clear()
        figures["list, first"] = timed("list, first in a process", lambda: skill_zoo.list_skills(zoo=root), repeat=1)
        figures["list"] = timed("list, again", lambda: skill_zoo.list_skills(zoo=root))
        encoder = zoo.load("humanoid/builtin-pose", skill_zoo.PACKAGED)

        def search(query: str) -> None:
            skill_zoo.list_skills(zoo=root, query=query, encoder=encoder)

        figures["search, first"] = timed("search by meaning, first (embeds every text)", lambda: search("wave"), 1)
        search("lift the arms")
        figures["search"] = timed("search by meaning", lambda: search("lift both hands"))
        wave = "humanoid/" + skill_zoo.slug(next(sentences()))
        figures["load"] = timed("load a skill", lambda: skill_zoo.load(wave, root))
        controller = skill_zoo.load("humanoid/low-level", root)
        figures["publish"] = timed("publish one more", lambda: skill_zoo.save(controller, "one-more", zoo=root))
        if options.gallery:
            from skill_zoo.gallery import build as build_gallery

            figures["gallery"] = timed("gallery", lambda: build_gallery(Path(folder) / "site", root), 1)
        print(json.dumps(figures))


if __name__ == "__main__":
    main()
