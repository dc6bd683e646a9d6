"""The gate: what it refuses and why, and that `unverified` stays visible."""

import jax.numpy as jnp
import numpy as np
import pytest
from zoo_objects import make_reward_model, make_skill, tree

import skill_zoo
from anyskill_brax.evaluate import Episodes, Grade
from skill_zoo.admission import Admission, weigh
from skill_zoo.publish import contradicted, with_geometry


def graded(margin: float) -> Grade:
    numbers = {"mean": 0.5, "standard_error": 0.01, "untrained_mean": 0.1, "untrained_standard_error": 0.01}
    return Grade(**numbers, margin=margin, fell=0.0, retrieved=1.0, passed=True, reason="")


def episodes(fallen: np.ndarray) -> Episodes:
    return Episodes(qpos=jnp.zeros(0), bodies=None, latents=jnp.zeros(0), fallen=jnp.asarray(fallen))


def test_falls_and_a_blind_judge_are_reasons():
    judge, up = make_reward_model(), np.zeros((60, 16), bool)
    good = weigh(graded(5.0), episodes(up), judge)
    assert good.reasons == () and good.measured["seconds_up"] == 10.0 and good.measured["judge_sha256"] == judge.sha256
    fallen = up.copy()
    fallen[30:, :2] = True  # two of 16 fall after five seconds
    found = weigh(graded(1.9), episodes(fallen), judge)
    assert found.reasons[0] == "it fell in 2 of 16 episodes of 10 s" and "+1.9 standard errors" in found.reasons[1]
    assert found.measured["seconds_up"] == pytest.approx((14 * 10 + 2 * 5) / 16)
    assert weigh(graded(float("nan")), episodes(up), judge).reasons


def test_a_refused_skill_is_not_published_and_a_forced_one_says_so(zoo, controller):
    skill_zoo.save(controller, "low-level")
    before, skill = tree(zoo), make_skill(controller, "wave")
    against = Admission(("it fell in 9 of 16 episodes of 10 s",), {"fell": 9 / 16})
    with pytest.raises(skill_zoo.NotAdmitted, match="it fell in 9 of 16"):
        skill_zoo.save(skill, "wave", admission=against)
    with pytest.raises(skill_zoo.SkillNotFound, match="judge"):
        skill_zoo.save(skill, "wave")  # nobody can be asked
    assert tree(zoo) == before
    skill_zoo.save(skill, "wave", admission=against, force=True)
    admission = skill_zoo.describe("humanoid/wave").admission
    assert admission == {"status": "unverified", "reasons": list(against.reasons), "measured": {"fell": 9 / 16}}
    skill_zoo.save(skill, "wave", admission=Admission((), {"fell": 0.0}))
    assert skill_zoo.describe("humanoid/wave").admission["status"] == "admitted"
    assert skill_zoo.describe("humanoid/low-level").admission["status"] == "exempt"
    assert [e.summary.unverified for e in skill_zoo.list_skills(kind="skill", all_versions=True)] == [True, False]


@pytest.mark.slow
def test_save_asks_the_gate_and_an_untrained_skill_is_refused(zoo, controller):
    skill_zoo.save(controller, "low-level")
    skill_zoo.save(make_reward_model(), "judge", config={"role": "judge"})
    with pytest.raises(skill_zoo.NotAdmitted, match=r"it fell in \d+ of 16 episodes of 10 s"):
        skill_zoo.save(make_skill(controller, "wave"), "wave")
    assert skill_zoo.list_skills(kind="skill") == []


def test_geometry_stands_against_a_skill_that_the_judge_passes():
    clean = Admission(())
    assert not contradicted({}) and contradicted({"predicate_success": 0.49})
    assert with_geometry(clean, {}) is clean, "an instruction that the table does not know"
    assert with_geometry(clean, {"predicate_success": 0.5, "predicate_held": "bow: 8/16"}) is clean
    against = with_geometry(clean, {"predicate_success": 0.0, "predicate_held": "bow: 0/16"})
    assert against.to_json(force=True, what="bow")["status"] == "unverified" and "bow: 0/16" in against.reasons[0]
