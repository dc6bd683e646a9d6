"""The study of reward, judge and predicates: its search climbs, its scores are sums that a hand can check."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from constructed import pose
from stand_ins import Compass
from zoo_objects import make_controller, make_reward_model, make_skill

import skill_zoo
from anyskill_brax.character.kinematics import forward_kinematics
from anyskill_brax.clip.reward import embed_goals
from anyskill_brax.evaluate import alignment
from anyskill_brax.evaluate.alignment import align, held_by_geometry, search_poses
from anyskill_brax.evaluate.films import STEPS, film_scores, films_of_skills, still
from anyskill_brax.evaluate.skills import Candidate
from anyskill_brax.high_level.eyes import Eyes
from anyskill_brax.reward_model.optimise import SearchSettings

TOOL = "study_reward"
SETTINGS = SearchSettings(population=24, elites=4, rounds=12, spread=0.3, stiffness=0.001)
SECONDS = STEPS / 6


def test_the_search_does_what_a_reward_asks_for_and_a_predicate_confirms_it(character):
    """A reward that wants the right hand above its shoulder gets it; the pose is on the floor and within its limits."""
    compass = Compass(character)
    goals = np.asarray(embed_goals(compass, ["up", "forward"]))
    qpos, cosine = search_poses(character, Eyes.create(compass, (), "vmap"), goals, SETTINGS, jax.random.key(0))
    assert (cosine > 0.95).all()
    assert (qpos[:, 7:] >= character.joint_low - 1e-5).all() and (qpos[:, 7:] <= character.joint_high + 1e-5).all()
    bodies = forward_kinematics(character, jnp.asarray(qpos), jnp.zeros((2, 34)))
    hand, shoulder = (bodies.pos[:, character.body(name)] for name in ("right_hand", "right_upper_arm"))
    assert hand[0, 2] > shoulder[0, 2] + 0.3 and abs(hand[1, 2] - shoulder[1, 2]) < 0.2
    assert held_by_geometry(character, "stand upright", still(np.asarray(character.default_qpos)))


def test_a_film_scores_by_the_third_of_its_steps_that_score_best(character):
    """A hand that hangs for two thirds of the film and is up in the last: the score is that of the hand that is up."""
    compass = Compass(character)
    goals = np.asarray(embed_goals(compass, ["up"]))
    up, _ = search_poses(character, Eyes.create(compass, (), "vmap"), goals, SETTINGS, jax.random.key(0))
    hanging = np.asarray(character.default_qpos)
    frames = STEPS * 5
    half = np.concatenate([still(hanging, frames * 2 / 3 / 30), still(up[0], frames / 3 / 30)])
    films = [still(hanging, frames / 30), still(up[0], frames / 30), half]
    low, high, mixed = film_scores(character, compass, (), films, goals)[:, 0]
    assert high > 0.95 > 0.0 > low and np.isclose(mixed, high, atol=1e-5)


def test_agreement_and_failures_of_a_reward_that_knows_of_nothing_but_a_hand(character, monkeypatch):
    """Two films with the hand up, two without, one of these looking up: the reward orders the first text and not the
    second. What it asks for, it gets by bending the trunk; geometry denies that, the judge, the same model, does not.
    """
    compass = Compass(character)
    raised, nodding = pose(character, right_shoulder_y=-150), pose(character, neck_y=-35)
    films = {
        "clips": {"raised": still(raised, SECONDS), "standing": still(pose(character), SECONDS)},
        "played": {"raised again": still(raised, SECONDS), "looking": still(nodding, SECONDS)},
    }
    monkeypatch.setattr(alignment, "asked_texts", lambda: ["right arm up", "look up"])
    found = align(character, compass, compass, (), films, SETTINGS, lambda line: None)
    arm, look = found["texts"]
    assert (arm["clips_that_hold"], arm["played_that_hold"], look["played_that_hold"]) == (1, 1, 1)
    assert arm["clips_reward_auc"] == arm["played_reward_auc"] == arm["played_judge_auc"] == 1.0
    assert look["played_reward_auc"] == 0.0 and np.isnan(look["clips_reward_auc"])
    assert arm["best_film_holds"] and arm["best_film"] == "raised" and not look["best_film_holds"]
    assert np.allclose([row["all_rank_correlation"] for row in (arm, look)], 1.0)
    assert all(row["optimised_reward_over_best_film"] > 0 for row in (arm, look)), "the arm was not quite upright"
    denied = [row["text"] for row in (arm, look) if not row["optimised_holds"]]
    assert found["gamed"] == found["gamed_and_judge_fooled"] == denied and "look up" in denied
    assert found["unordered"] == [row["text"] for row in (arm, look) if row["all_reward_auc"] < 0.6]
    assert "look up" in found["unordered"]
    summary = found["summary"]
    assert (summary["played_reward_auc"], summary["played_decide_texts"]) == (0.5, 2)
    assert (summary["clips_reward_auc"], summary["clips_decide_texts"]) == (1.0, 1)
    assert (summary["best_film_holds"], summary["texts_with_a_film"], summary["gamed"]) == (1, 2, len(denied))


@pytest.mark.slow
def test_films_of_skills_are_their_rollouts_and_those_of_untrained_policies(character):
    """Two instructions of one policy share the untrained ones; every episode is a film of its own."""
    controller = make_controller(1)
    skills = [make_skill(controller, text) for text in ("bow", "crouch")]
    candidates = [Candidate("many", s.instruction, s.policy, s.policy.widths, controller) for s in skills]
    films = films_of_skills(character, candidates, 2, jax.random.key(0))
    assert [*films] == [f"{name}, episode {k}" for name in ("many: bow", "untrained 1", "many: crouch") for k in (0, 1)]
    assert all(film.shape == (STEPS * 5, 35) and np.isfinite(film).all() for film in films.values())
    assert len({film.tobytes() for film in films.values()}) == 6


@pytest.mark.slow
def test_the_command_shows_thirty_poses_and_says_how_many_geometry_confirms(tool, tmp_path, capsys):
    zoo, out = tmp_path / "zoo", tmp_path / "out"
    for role in ("reward", "judge"):
        skill_zoo.save(make_reward_model(), f"the-{role}", zoo=zoo, config={"role": role})
    assert tool("--zoo", zoo, "--quick", "--rounds", 2, "--population", 8, "--out", out) == 0
    found = json.loads((out / "alignment.json").read_text())
    held = sum(row["held"] for row in found["kinematic"])
    assert [row["text"] for row in found["kinematic"]] == list(alignment.KINEMATIC)
    assert f"confirmed by geometry: {held} of 30" in capsys.readouterr().out
    assert (out / "sheet.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    "wrong", [("--rounds", 0), ("--population", 4), ("--episodes", -1), ("--clip", "no-such-folder")]
)
def test_bad_numbers_and_folders_are_one_message_and_leave_no_trace(tool, tmp_path, capsys, wrong):
    assert tool(*wrong, "--out", tmp_path / "out") == 2
    error = capsys.readouterr().err
    assert str(wrong[1]) in error and "Traceback" not in error and not (tmp_path / "out").exists()
