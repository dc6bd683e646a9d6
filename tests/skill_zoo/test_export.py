"""What is exported computes what the library computes; ONNX where onnx and onnxruntime are installed."""

import json

import jax
import numpy as np
import pytest
from zoo_objects import make_multi_skill, make_skill

import skill_zoo
from anyskill_brax.skill import Skill
from skill_zoo.export import export_function


@pytest.fixture
def skills(zoo, controller):
    """Two skills, a policy of its own and one bound to a multi-skill policy; actions as large as real ones."""
    last = jax.tree.map(lambda x: 0.05 * x, controller.params["params"]["mean"])
    controller = controller.replace(params={"params": {**controller.params["params"], "mean": last}})
    skill_zoo.save(controller, "low-level")
    bound = Skill(make_multi_skill(controller).for_instruction("walk"), controller, "walk", "walk")
    for skill in (make_skill(controller, "wave"), bound):
        skill_zoo.save(skill, skill.instruction, force=True)
    return ["humanoid/wave", "humanoid/walk"]


def library(skill_id: str):
    """`obs [1, 223] -> action [1, 28]` by the library's own classes, a compiled batch as in every rollout."""
    skill = skill_zoo.load(skill_id)

    def act(obs):
        latent, _ = skill.act(skill.init(jax.random.key(0)), obs)
        return skill.low_level.act(obs, latent)

    return jax.jit(jax.vmap(act))


def observations() -> np.ndarray:
    """Ordinary ones and extreme ones, as the contract allows: the normaliser clips at five deviations."""
    rng = np.random.default_rng(0)
    return np.concatenate([scale * rng.normal(size=(9, 1, 223)) for scale in (1, 10, 100, 1e6)]).astype(np.float32)


def test_stablehlo_gives_the_same_actions_to_the_last_bit(skills, tmp_path):
    for skill_id in skills:
        file, _ = export_function(skill_id, tmp_path, "stablehlo")
        function = jax.export.deserialize(bytearray(file.read_bytes()))
        act = library(skill_id)
        for obs in observations():
            np.testing.assert_array_equal(function.call(obs), act(obs))


def test_onnx_gives_the_same_actions(skills, tmp_path):
    pytest.importorskip("onnx", reason="onnx is not installed")
    runtime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    for skill_id in skills:
        file, _ = export_function(skill_id, tmp_path, "onnx")
        session = runtime.InferenceSession(file.read_bytes(), providers=["CPUExecutionProvider"])
        act = library(skill_id)
        worst = max(np.abs(session.run(["action"], {"obs": obs})[0] - act(obs)).max() for obs in observations())
        assert worst <= 1e-5


def test_the_contract_says_what_goes_in_and_what_comes_out(skills, tmp_path):
    _, sidecar = export_function("humanoid/wave", tmp_path / "new", "stablehlo")
    contract = json.loads(sidecar.read_text())
    assert sum(part["size"] for part in contract["input"]["layout"]) == 223 and all(
        part["unit"] for part in contract["input"]["layout"]
    )
    assert contract["control_rate_hz"] == pytest.approx(30, abs=0.01)
    output = contract["output"]
    assert {len(output[name]) for name in ("joints", "offset", "scale", "kp", "kd")} == {28}
    assert contract["sha256"] == skill_zoo.describe("humanoid/wave").sha256


def test_what_is_no_skill_is_not_exported(skills, tmp_path):
    with pytest.raises(skill_zoo.SkillZooError, match="is a low_level"):
        export_function("humanoid/low-level", tmp_path, "stablehlo")
