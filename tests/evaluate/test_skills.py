"""The bench: intervals by hand, quality of motions that are known, one page without network, and a run end to end."""

import base64
import json
import re

import imageio_ffmpeg
import numpy as np
import pytest
from constructed import FPS, pose, through
from matplotlib.figure import Figure
from zoo_objects import make_controller, make_reward_model, make_skill

import skill_zoo
from anyskill_brax.clip.builtin import make_builtin
from anyskill_brax.evaluate.intervals import Rate, wilson
from anyskill_brax.evaluate.quality import quality
from anyskill_brax.evaluate.report import Page
from anyskill_brax.evaluate.track import Track

TOOL = "evaluate"


def test_wilson_by_hand_and_at_the_ends():
    low, high = wilson(8, 10)
    assert (low, high) == (pytest.approx(0.4902, abs=1e-4), pytest.approx(0.9433, abs=1e-4))
    assert wilson(0, 16)[0] == 0.0 and 0.15 < wilson(0, 16)[1] < 0.2
    assert wilson(16, 16)[1] == 1.0
    assert str(Rate.of(np.array([True, False]))).startswith("1/2 (")
    with pytest.raises(ValueError):
        wilson(3, 2)


def test_quality_of_known_movements(character):
    stand = np.repeat(pose(character)[None], 60, axis=0)
    fall = through(pose(character), pose(character, pitch=90), move=0.5)[:60]
    slide = stand.copy()
    slide[:, 0] += 0.5 * np.arange(60) / FPS
    still = quality(Track.of(character, stand[:, None], FPS))
    assert still.fall_rate == 0.0 and still.seconds_up == pytest.approx(2.0)
    assert still.jerk == pytest.approx(0.0, abs=1e-2) and still.foot_slide == pytest.approx(0.0, abs=1e-5)
    assert quality(Track.of(character, slide[:, None], FPS)).foot_slide == pytest.approx(0.5, abs=1e-3)
    both = quality(Track.of(character, np.stack([stand, fall], axis=1), FPS))
    assert both.fall_rate == 0.5 and 1.4 < both.seconds_up < 2.0
    sunk = stand.copy()
    sunk[:, 2] -= 0.02
    assert quality(Track.of(character, sunk[:, None], FPS)).penetration == pytest.approx(0.02, abs=1e-4)


def test_a_page_holds_everything_and_escapes_what_people_wrote(tmp_path):
    page = Page("<skills> & more")
    page.heading("A & B")
    page.table(("text", "number"), [["<script>alert(1)</script>", 0.12345], [None, float("nan")]])
    page.figure(Figure(figsize=(1, 1)), 'a "caption"')
    page.write(tmp_path / "new" / "report.html")
    written = (tmp_path / "new" / "report.html").read_text()
    assert "<script" not in written and "&lt;script&gt;" in written and "0.123" in written
    assert "data:image/png;base64," in written
    assert not re.search(r"(src|href)=\"(?!data:)", written) and "http" not in written


def test_a_film_in_a_page_plays_at_half_the_frames(character, tmp_path):
    page = Page("films")
    page.film(character, np.repeat(pose(character)[None], 5, axis=0), "it <stands>", size=32)
    page.write(tmp_path / "report.html")
    written = (tmp_path / "report.html").read_text()
    ((data, size),) = re.findall(r'<video src="data:video/mp4;base64,([^"]+)" width="(\d+)"', written)
    assert size == "32" and "it &lt;stands&gt;" in written
    (tmp_path / "film.mp4").write_bytes(base64.b64decode(data))
    reader = imageio_ffmpeg.read_frames(str(tmp_path / "film.mp4"))
    about = next(reader)
    assert (about["size"], about["fps"], sum(1 for _ in reader)) == ((32, 32), 15.0, 3)


@pytest.fixture(scope="module")
def zoo(tmp_path_factory):
    folder = tmp_path_factory.mktemp("zoo")
    controller = make_controller(1)
    skill_zoo.save(controller, "low-level", zoo=folder)
    for name in ("bow", "play the violin"):
        skill_zoo.save(make_skill(controller, name), skill_zoo.slug(name), zoo=folder, force=True)
    for role in ("reward", "judge", "image_reward"):
        model = make_reward_model()
        model = make_builtin(model.config() | {"name": f"the {role}"}, model.to_tensors())
        skill_zoo.save(model, f"{role.replace('_', '-')}-model", zoo=folder, config={"role": role})
    return folder


@pytest.mark.slow
def test_skills_are_measured_beside_untrained_policies(tool, zoo, tmp_path, capsys, monkeypatch):
    out, films = tmp_path / "report", []
    monkeypatch.setattr(Page, "film", lambda self, character, qpos, caption: films.append((caption, qpos.shape)))
    few = ("--episodes", 2, "--seconds", 1.4, "--films", 1, "--images")
    assert tool("skills", "--zoo", zoo, "--out", out, *few) == 0
    assert [(caption[:4], shape[1]) for caption, shape in films] == [("bow:", 35)]
    found = json.loads((out / "eval.json").read_text())
    bow, violin = found["skills"]
    assert (bow["predicate"], violin["predicate"]) == ("bow", "")
    assert bow["success"]["episodes"] == 2 and violin["success"] is None
    assert found["summary"]["skills"] == 2 and found["summary"]["with_a_predicate"] == 1
    assert bow["retrieval_at_5"] == 1.0, "of two instructions each is among the first five"
    assert bow["untrained_judge"] != bow["judge"]
    assert "play the violin" in (out / "report.html").read_text()
    assert found["reward"][0] == "the image_reward" and found["learnt_from"] == ["unknown"]
    shown = " ".join(capsys.readouterr().out.split())
    assert "predicate success" in shown and "reward: the image_reward; these skills learnt from: unknown" in shown


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--episodes", 1], "--episodes 1"),
        (["--seconds", 0.5], "--seconds 0.5"),
        (["humanoid/no-such-skill"], "no-such-skill"),
        (["humanoid/low-level"], "is a low_level"),
        (["--clip", "no-such-folder"], "no-such-folder"),
    ],
)
def test_bad_input_is_one_message_and_leaves_no_trace(tool, zoo, tmp_path, capsys, arguments, says):
    assert tool("skills", "--zoo", zoo, "--out", tmp_path / "out", *arguments) == 2
    error = capsys.readouterr().err
    assert says in error and "Traceback" not in error
    assert not (tmp_path / "out").exists()
