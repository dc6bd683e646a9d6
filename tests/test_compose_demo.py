"""tools/compose_demo.py: from a script to a film, and clear words where that cannot be."""

import pytest
from zoo_objects import make_controller, make_reward_model, make_skill

import skill_zoo

TOOL = "compose_demo"


@pytest.fixture(autouse=True)
def no_other_zoo(monkeypatch, tmp_path):
    monkeypatch.setenv("SKILL_ZOO_PATH", str(tmp_path / "none"))


@pytest.fixture(scope="module")
def zoo(tmp_path_factory):
    """Two skills on one controller, one on another, and a reward model."""
    folder = tmp_path_factory.mktemp("zoo")
    for seed, names in enumerate((("wave", "sit down"), ("turn round",))):
        controller = make_controller(seed)
        skill_zoo.save(controller, f"low-level-{seed}", zoo=folder)
        for name in names:
            skill_zoo.save(make_skill(controller, name), skill_zoo.slug(name), zoo=folder, force=True)
    skill_zoo.save(make_reward_model(), "reward-model", zoo=folder, config={"role": "reward"})
    return folder


@pytest.mark.slow
@pytest.mark.parametrize(("rest", "seconds"), [((), "2.2"), (("--rest", 0), "1.5")])
def test_a_script_becomes_a_film_of_its_length(tool, zoo, tmp_path, capsys, rest, seconds):
    out = tmp_path / "film.gif"
    script = "wave 0.5s then sit down for 1 second"
    assert tool("--script", script, "--zoo", zoo, "--out", out, "--size", 32, "--fade", 0.2, *rest) == 0
    shown = capsys.readouterr().out
    assert "wave" in shown and "sit down" in shown and f"{seconds} s, 2 skills" in shown
    assert out.read_bytes().startswith(b"GIF8")


def test_list_names_skills_and_controllers(tool, zoo, capsys):
    assert tool("--list", "--zoo", zoo) == 0
    shown = capsys.readouterr().out
    assert all(text in shown for text in ("humanoid/wave-v1", "sit down", "humanoid/low-level-1-v1"))


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--script", "wave 1s, turn round 1s"], "one low-level controller"),
        (["--script", "wave 0s"], "more than 0"),
        (["--script", ","], "empty"),
        (["--script", "wave", "--out", "film.avi"], "film.avi"),
        (["--script", "wave", "--fade", "-1"], "--fade -1"),
        (["--script", "wave", "--rest", "-1"], "-1"),
        (["--script", "wave", "--clip", "no-such-folder"], "no-such-folder"),
        ([], "one low-level controller"),
    ],
)
def test_bad_input_is_one_message(tool, zoo, tmp_path, monkeypatch, capsys, arguments, says):
    monkeypatch.chdir(tmp_path)
    assert tool("--zoo", zoo, *arguments) == 2
    error = capsys.readouterr().err
    assert says in error and "Traceback" not in error
    assert not (tmp_path / "outputs").exists()


def test_a_zoo_without_skills_says_what_it_holds(tool, tmp_path, capsys):
    skill_zoo.save(make_controller(0), "low-level", zoo=tmp_path / "zoo")
    assert tool("--script", "wave", "--zoo", tmp_path / "zoo") == 2
    assert "humanoid/low-level-v1" in capsys.readouterr().err
