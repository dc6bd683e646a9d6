"""`tools/evaluate.py low_level`: the whole exam, its sources, its progress, bad input."""

import json
import re
from pathlib import Path

import pytest
from stand_ins import random_controller
from zoo_objects import make_controller, make_skill

import skill_zoo
from anyskill_brax.evaluate.controller import exam
from anyskill_brax.evaluate.report import Page
from anyskill_brax.motion.io import save_motion_folder
from anyskill_brax.motion.synthesis import builtin_motions
from anyskill_brax.types import UserError

TOOL = "evaluate"


@pytest.fixture(scope="module")
def zoo(character, tmp_path_factory):
    folder = tmp_path_factory.mktemp("zoo")
    skill_zoo.save(random_controller(character), "low-level", zoo=folder)
    other = make_controller(1)
    skill_zoo.save(other, "other", zoo=folder)
    skill_zoo.save(make_skill(other, "bow"), "bow", zoo=folder, force=True)
    return folder


TINY = ("block=4", "latents=3", "seconds=2.0", "candidates=1", "clip_seconds=1.0", "twice=2", "twice_seconds=2.0")
TINY += ("paths=1", "path_seconds=1.0", "switches=2", "switch_repeats=1", "switch_before=1.0", "switch_after=1.0")
TINY += ("falls=3", "recovery_seconds=1.0", "pushed=1", "push_speeds=(0.0,1.0)", "push_seconds=1.0", "films=4")


@pytest.mark.slow
def test_a_controller_is_examined_twice_alike_and_as_planned(tool, zoo, character, tmp_path, capsys, monkeypatch):
    save_motion_folder(tmp_path / "mine", builtin_motions(character, kinds=["bow", "wave"]))
    size = [word for setting in TINY for word in ("--set", setting)]
    command = ["low_level", "humanoid/low-level", "--zoo", zoo, "--motions", tmp_path / "mine", *size, "--seed", 7]
    counted, films = [], []
    monkeypatch.setattr(Page, "film", lambda self, character, qpos, caption: films.append((caption, qpos.shape)))
    monkeypatch.setattr(exam.Progress, "watch", lambda self, played: counted.append((self.total, played)))
    found = []
    for out in (tmp_path / "first", tmp_path / "second"):
        counted.clear()
        assert tool(*command, "--out", out) == 0
        assert sum(played for _, played in counted) == pytest.approx(counted[0][0]), "played as planned"
        found.append(json.loads((out / "eval.json").read_text()))
        assert found[-1]["about"].pop("date")
    assert found[0] == found[1]
    assert films[:4] == films[4:] and [shape for _, shape in films[:3]] == [(60, 35), (60, 35), (30, 35)]
    assert [caption.split()[:2] for caption, _ in films[:3]] == [["random", "latent"]] * 2 + [["from", "a"]]
    assert films[3][0].startswith("following ")
    one = found[0]
    assert one["about"]["seed"] == 7 and one["about"]["latents"] == 3
    assert skill_zoo.search.find("humanoid/low-level", zoo).summary.sha256 in one["about"]["controller"]
    assert one["coverage"]["rollouts"] == 3 and one["coverage"]["clips"] == 3  # a bow, a wave of either hand
    clips = {clip["name"]: clip["in_training"] for clip in one["imitation"]["clips"]}
    assert clips == {"bow": False, "wave_right": False, "wave_left": False}
    assert len(one["targets"]) == 5 and {m["name"] for m in one["movement"]} >= {"median jerk", "power"}
    assert "survival of random latents >= 95%" in capsys.readouterr().out
    page = (tmp_path / "first" / "report.html").read_text()
    assert page.count("data:image/png;base64,") == 6 and "http" not in re.sub(r"base64,[^\"]*", "", page)


def test_a_controller_is_examined_on_its_own_clips_seen_and_unseen(character, tmp_path, monkeypatch):
    """Of the three clips, by the hashes of their names, hold_out = 0.5 leaves out wave_right alone."""
    monkeypatch.syspath_prepend(Path(__file__).parents[2] / "tools")
    from _sources import find_controller, load_sources

    save_motion_folder(tmp_path / "mine", builtin_motions(character, kinds=["bow", "wave"]))
    for name, share in (("careful", {"hold_out": 0.5}), ("greedy", {})):
        trained = {"motions": [str(tmp_path / "mine")], **share}
        skill_zoo.save(random_controller(character), name, zoo=tmp_path / "zoo", config=trained)
    careful, greedy = (find_controller(f"humanoid/{name}", tmp_path / "zoo") for name in ("careful", "greedy"))

    def names(entry, *sources: str) -> set[str]:
        return {motion.name for motion in load_sources(list(sources), "train", entry)}

    assert names(careful, "training") == {"bow", "wave_left"} and names(careful, "held_out") == {"wave_right"}
    assert names(greedy, "training") == {"bow", "wave_left", "wave_right"}
    with pytest.raises(UserError, match=r"hold_out 0, which leaves none of 3 clips out"):
        names(greedy, "held_out")
    (tmp_path / "mine").rename(tmp_path / "moved")
    with pytest.raises(UserError, match="no such folder"):
        names(careful, "held_out")
    assert names(careful, f"held_out:{tmp_path / 'moved'}") == {"wave_right"}


def test_progress_says_how_much_is_done_and_left():
    lines = []
    progress = exam.Progress(40.0, lines.append)
    progress.ask("one")
    progress.watch(10.0)
    progress.ask("two")
    assert "[  0%] one" in lines[0] and "to go" not in lines[0]
    assert "[ 25%] two" in lines[1] and "about 0.0 min to go" in lines[1]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["humanoid/no-such"], "no-such"),
        (["humanoid/bow"], "is a skill"),
        (["humanoid/low-level", "--motions", "EMPTY"], "no motions"),
        (["humanoid/low-level", "--motions", "nowhere"], "no such folder"),
        (["humanoid/low-level", "--motions", "builtin:one"], "builtin:SEED"),
        (["humanoid/low-level", "--split", "test"], "builtin:1"),
        (["humanoid/low-level", "--motions", "held_out"], "does not say what it was trained on"),
        (["humanoid/low-level", "--latents", "1"], "latents is 1"),
        (["humanoid/low-level", "--set", "latent=4"], "did you mean"),
    ],
)
def test_bad_input_is_one_message_and_leaves_no_trace(tool, zoo, tmp_path, capsys, arguments, says):
    (tmp_path / "empty").mkdir()
    arguments = [tmp_path / "empty" if argument == "EMPTY" else argument for argument in arguments]
    assert tool("low_level", *arguments, "--zoo", zoo, "--out", tmp_path / "out") == 2
    error = capsys.readouterr().err
    assert says in error and "Traceback" not in error
    assert not (tmp_path / "out").exists()
