"""The plug is pulled at every moment of a few publishes: what was acknowledged is there, what is visible is whole."""

import shutil

from power_loss import crash_states, record, replayed
from store_writers import WALK, WAVE, contents, publish
from zoo_objects import tree

from skill_zoo.aliases import read_alias, set_alias
from skill_zoo.errors import SkillZooError
from skill_zoo.search import entry_at
from skill_zoo.store import Store
from skill_zoo.upkeep import gc


def publishes(recorder):
    """Three publishes, an alias and a gc that finds something; each acknowledged as it returns."""
    zoo = recorder.base / "zoo"
    for name, content in ((WAVE, b"first" * 50), (WALK, b"walk"), (WAVE, b"second")):
        recorder.acknowledge((str(publish(zoo, name, content)), content))
    set_alias(Store(zoo), "stable", entry_at(zoo, WAVE.at(1)).manifest)
    recorder.acknowledge(("alias", b""))
    Store(zoo)._put_blobs({"stray.md": b"nobody needs this"})
    gc(zoo, grace=-1.0)
    recorder.acknowledge((str(publish(zoo, WALK, b"again")), b"again"))


def violation(state, acks) -> str:
    """What is wrong with a folder after a power loss; empty if nothing is."""
    zoo = state / "zoo"
    try:
        found = {str(name.at(v)): data for name in (WAVE, WALK) for v, data in contents(zoo, name).items()}
        if lost := {skill_id for skill_id, data in acks if skill_id != "alias" and found.get(skill_id) != data}:
            return f"acknowledged and lost: {lost}"
        if ("alias", b"") in acks and read_alias(Store(zoo), WAVE, "stable")[0] != WAVE.at(1):
            return "the alias is lost"
        for name in (WAVE, WALK):
            newest = max(contents(zoo, name), default=0)
            if Store(zoo).resolve(name) != (name.at(newest) if newest else None):
                return f"{name} is not its newest version"
        newest = max(contents(zoo, WAVE), default=0)
        if publish(zoo, WAVE, b"afterwards").version != newest + 1:
            return "a version was skipped or given twice"
        gc(zoo, grace=-1.0)
        again = {str(name.at(v)): data for name in (WAVE, WALK) for v, data in contents(zoo, name).items()}
        return "" if found.items() <= again.items() else "gc took something that was needed"
    except (SkillZooError, AssertionError) as error:
        return f"{type(error).__name__}: {error}"


def power_losses(folder, per_prefix: int, seed: int = 0, syncs: bool = True) -> tuple[int, list[str]]:
    """(states tried, what was wrong)."""
    base, scratch = folder / "base", folder / "scratch"
    base.mkdir(parents=True)
    scratch.mkdir()
    operations = record(base, publishes, syncs)
    replayed(operations, folder / "replayed")
    assert tree(folder / "replayed") == tree(base), "something escaped the shim"
    states, wrong = 0, []
    for state, acks in crash_states(operations, scratch, per_prefix, seed):
        states += 1
        if problem := violation(state, acks):
            wrong.append(problem)
    shutil.rmtree(folder)
    return states, wrong


def test_no_power_loss_corrupts_or_loses_anything(memory_folder):
    states, wrong = power_losses(memory_folder / "zoo", per_prefix=2)
    assert states >= 300 and not wrong, wrong[:3]


def test_the_replay_finds_a_store_that_does_not_sync(memory_folder):
    states, wrong = power_losses(memory_folder / "zoo", per_prefix=1, syncs=False)
    assert len(wrong) > states / 10
