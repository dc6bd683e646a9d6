"""How far back a controller can be followed, and what its training took."""

import datetime

import pytest
from zoo_objects import make_controller

import skill_zoo
from skill_zoo.controllers import training_seconds
from skill_zoo.lineage import Lineage, begun_with, behind, lineage, practice

DAYS = {
    name: datetime.datetime(2026, 1, day, tzinfo=datetime.UTC)
    for day, name in enumerate(("first", "second", "lost"), start=1)
}
CONFIG = {"learner": {"num_worlds": 4, "horizon": 5}, "warm_start": {"rounds": 3, "num_worlds": 2, "horizon": 7}}


def test_practice_counts_lessons_and_for_a_beginning_the_warm_start():
    assert practice(CONFIG, warm=True) == 3 * 2 * 7
    assert practice(CONFIG | {"following": {"rounds": 2}, "holding": {"rounds": 1}}, warm=False) == 3 * 4 * 5
    assert practice({}, warm=True) == 0


def test_old_manifests_are_followed_by_their_commands(zoo, tmp_path):
    for name, source in (("first", None), ("second", "humanoid/first"), ("lost", "humanoid/nowhere")):
        command = ["tools/train_low_level.py", *(["--init-from", source] if source else [])]
        metrics = {"samples": 1000.0}
        skill_zoo.save(make_controller(1), name, command=command, config=CONFIG, metrics=metrics, created=DAYS[name])
    assert lineage("humanoid/second") == Lineage(2000, ("humanoid/second-v1", "humanoid/first-v1"))
    assert lineage("humanoid/lost") == Lineage(1000, ("humanoid/lost-v1", "humanoid/nowhere"))
    command = ["tools/train_low_level.py", "--init-from=humanoid/second", "--set", "seed=1"]
    assert behind(tmp_path, command).samples == 2000
    assert behind(tmp_path, ["tools/train_low_level.py"]) == Lineage()


def test_an_entry_that_names_itself_without_a_version_ends_the_search(zoo):
    command = ["tools/train_low_level.py", "--init-from", "humanoid/same"]
    skill_zoo.save(make_controller(1), "same", command=command, metrics={"samples": 7}, created=DAYS["first"])
    assert lineage("humanoid/same") == Lineage(7, ("humanoid/same-v1", "humanoid/same"))


@pytest.mark.parametrize(
    ("command", "source"),
    [
        (["x", "--init-from", "a"], "a"),
        (["x", "--init-from=a", "--seed", "1"], "a"),
        (["x", "--init-from"], ""),
        ([], ""),
    ],
)
def test_a_command_says_what_it_began_with(command, source):
    assert begun_with(command) == source


def test_the_packaged_default_is_followed_as_far_as_its_manifests_say():
    found = lineage("humanoid/low-level-v9")
    assert found.entries == ("humanoid/low-level-v9", "humanoid/low-level-v8", "humanoid/low-level-v7")
    assert found.samples > 32.7e6


def test_wall_time_is_summed_over_processes():
    rows = [{"seconds": s} for s in (1.0, 5.0, 2.0, 3.0)] + [{"update": 1}]
    assert training_seconds(rows) == 8.0 and training_seconds([]) == 0.0
