"""What a landscape says of models whose hills are known, and of the packaged one."""

import json

import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image
from stand_ins import Compass

import skill_zoo
from anyskill_brax.evaluate.landscape import AMBIGUOUS, LEARNABLE, OUTSIDE, PATH, Poses, rivals, survey
from anyskill_brax.motion.synthesis import builtin_motions
from anyskill_brax.types import UserError

TOOL = "check_reward"
KINDS = ["stand", "walk", "walk_backwards", "stand_on_one_leg", "raise_arm", "twist"]


@pytest.fixture(scope="module")
def motions(character):
    return builtin_motions(character, kinds=KINDS)


@pytest.fixture(scope="module")
def poses(motions):
    return Poses.of(motions, 400)


class Stork(Compass):
    """Scores how high either foot is; its second axis knows which."""

    def embed_text(self, texts):
        return np.tile([1.0, 0.0, 0.0], (len(texts), 1))

    def embed_poses(self, bodies):
        lift = bodies.pos[..., self.left, 2] - bodies.pos[..., self.right, 2]
        row = jnp.stack([jnp.abs(lift), lift, jnp.full_like(lift, 0.05)], axis=-1)
        return row / jnp.linalg.norm(row, axis=-1, keepdims=True)

    @classmethod
    def of(cls, character):
        model = cls(character)
        model.left, model.right = character.body("left_foot"), character.body("right_foot")
        return model


def test_a_hill_that_leads_there(character, poses):
    (up,) = survey(character, Compass(character), ["point up"], poses)
    assert up.verdict == LEARNABLE and up.motions[0] == "raise_arm_right" and len(set(up.motions)) == len(up.motions)
    assert up.best_score > 0.9 and up.standing < -0.9
    assert len(up.path) == PATH and up.path[0] == pytest.approx(up.standing, abs=1e-3)
    assert up.path[-1] == pytest.approx(up.best_score, abs=1e-3) and up.valley == pytest.approx(0.0, abs=0.05)
    assert up.rivals == ("point down",) and up.rival_margins[0] > 0.5
    (left,) = survey(character, Compass(character), ["left up"], poses)
    assert left.rivals == ("right up", "left down") and len(left.rival_margins) == 2
    assert left.rival_margins[1] > left.rival_margins[0], "the compass knows up from down, not where right is"


def test_two_hills_are_ambiguous_until_a_side_is_named(character, poses):
    model = Stork.of(character)
    (one,) = survey(character, model, ["stork"], poses)
    assert one.verdict == AMBIGUOUS and "name a side" in one.reason
    assert one.mirror_score == pytest.approx(one.best_score, abs=0.02) and one.mirror_likeness < 0.8
    (sided,) = survey(character, model, ["stork on the left leg"], poses)
    assert sided.verdict == AMBIGUOUS and "'stork on the right leg'" in sided.reason, "this model cannot tell them"


def test_what_the_model_does_not_know_and_what_nothing_earns(character, poses):
    class Shy(Compass):
        def text_confidence(self, texts):
            return np.array([0.1 for _ in texts])

        def nearest_captions(self, text):
            return ["hand up", "hand down"]

    class Flat(Compass):
        def embed_poses(self, bodies):
            return jnp.ones((*bodies.pos.shape[:-2], 3)) / jnp.sqrt(3.0)

    (unknown,) = survey(character, Shy(character), ["point up"], poses)
    assert unknown.verdict == OUTSIDE and "'hand up', 'hand down'" in unknown.reason
    (flat,) = survey(character, Flat(character), ["point up"], poses)
    assert flat.verdict == AMBIGUOUS and "standing still" in flat.reason
    (stand,) = survey(character, Flat(character), ["stand still"], poses)
    assert stand.verdict == LEARNABLE and "predicate" in stand.reason


def test_rivals():
    assert rivals("raise your left arm") == ("raise your right arm", "lower your left arm")
    assert rivals("Walk forward") == ("Walk backward",) and rivals("walk backwards") == ("walk forwards",)
    assert rivals("clap") == ()


def test_poses_are_spread_over_all_motions(motions):
    some = Poses.of(motions, 40)
    assert len(some.qpos) == len(some.qvel) == len(some.sources) == 40
    assert {motion.name for motion in motions} == set(some.sources)
    windows = Poses.of(motions, 40, 3)
    assert windows.qpos.shape == (40, 3, 35) and windows.sources == some.sources
    np.testing.assert_array_equal(windows.qpos[:, 2:], some.qpos)
    walk = next(motion for motion in motions if motion.name == "walk")
    begun = Poses.of([walk], 2, 3)
    np.testing.assert_array_equal(begun.qpos[0], np.repeat(walk.qpos[:1], 3, axis=0), "nothing came before")
    apart = round(walk.fps / 6)
    np.testing.assert_array_equal(begun.qpos[1], walk.qpos[[-1 - 2 * apart, -1 - apart, -1]])
    with pytest.raises(UserError, match="not 0"):
        Poses.of([], 10)


def test_the_packaged_model_on_three_texts(character):
    model = skill_zoo.load("humanoid/builtin-pose", skill_zoo.PACKAGED)
    poses = Poses.of(builtin_motions(character), 2000, model.window)
    texts = [
        "stand on one leg",
        "walk backwards",
        "play the violin",
        "stand on your left leg",
        "wave with your right hand",
    ]
    one_leg, backwards, violin, left, wave = survey(character, model, texts, poses)
    assert [f.verdict for f in (one_leg, backwards, violin)] == [AMBIGUOUS, LEARNABLE, OUTSIDE]
    assert backwards.motions[0] == "walk_backwards" and left.verdict == LEARNABLE
    assert {"kick_right", "stand_on_one_leg_right"} & set(left.motions), "the right foot is up"
    assert wave.verdict == LEARNABLE and wave.motions[0] == "wave_right", "a hand that is up does not wave"
    assert left.mirror_score < one_leg.mirror_score
    with pytest.raises(UserError, match="words"):
        survey(character, model, ["  "], poses)
    with pytest.raises(UserError, match="at most"):
        survey(character, model, ["raise " * 2000], poses)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([""], "words"),
        (["\U0001f938"], "words"),
        (["raise " * 2000], "at most"),
        (["bow", "--clip", "nowhere"], "nowhere"),
        (["bow", "--clip", "BERT"], "describes a 'bert', expected 'clip' or 'siglip'"),
    ],
)
def test_the_tool_turns_bad_texts_into_one_message(tool, capsys, monkeypatch, tmp_path, arguments, says):
    (tmp_path / "BERT").mkdir()
    (tmp_path / "BERT" / "config.json").write_text('{"model_type": "bert"}')
    monkeypatch.chdir(tmp_path)
    assert tool(*arguments) == 2
    error = capsys.readouterr().err
    assert says in error and "Traceback" not in error


def test_the_tool_names_what_is_outside_its_vocabulary_and_says_what_is_inside(tool, capsys):
    texts = ["play the violin", "挥挥手 🙌", "ارفع يدك"]
    assert tool(*texts, "--poses", "40", "--zoo", skill_zoo.PACKAGED) == 0
    shown = capsys.readouterr().out
    for part, text in zip(shown.split("'\n  verdict")[1:], texts, strict=True):
        assert f"{text!r}\n  verdict     {OUTSIDE}" in shown
        assert part.count("nearest captions: '") == 1
    assert shown.endswith("--out FOLDER writes a sheet of the best poses and of the path to each\n")


@pytest.mark.slow
def test_the_tool_writes_a_sheet_of_best_poses_and_paths(tool, capsys, tmp_path):
    out = tmp_path / "new"
    assert tool("raise your left arm", "--poses", "40", "--zoo", skill_zoo.PACKAGED, "--out", out) == 0
    shown = capsys.readouterr().out
    assert "rival       'raise your right arm'" in shown and "rival       'lower your left arm'" in shown
    assert shown.endswith("sheet.png and landscape.json\n")
    written = json.loads((out / "landscape.json").read_text())["texts"][0]
    assert len(written["rival_margins"]) == 2 and len(written["path"]) == PATH
    picture = np.asarray(Image.open(out / "sheet.png").convert("RGB"))
    assert picture.shape[1] > 4 * picture.shape[0] > 400 and len(np.unique(picture.reshape(-1, 3), axis=0)) > 100
