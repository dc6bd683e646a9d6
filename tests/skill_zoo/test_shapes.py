"""The shapes that the zoo expects are those that flax gives the networks."""

import numpy as np
import pytest
from zoo_objects import make_controller, make_multi_skill, make_skill

import skill_zoo
from anyskill_brax.skill import Skill
from skill_zoo import codecs
from skill_zoo.tensors import read_tensors, write_tensors


@pytest.fixture(scope="module")
def objects(controller):
    """kind -> (weights file, what decodes it). `make_*` take their arrays from the networks' own `init`."""
    multi = make_multi_skill(controller)
    bound = Skill(multi.for_instruction("walk"), controller, "walk", "walk")
    skill = make_skill(controller, "wave")
    made = (("low_level", controller), ("skill", skill), ("skill", bound), ("multi_skill", multi))
    return [(kind, codecs.encode(obj), controller) for kind, obj in made]


def test_what_flax_makes_is_accepted_and_every_other_shape_refused(objects):
    for kind, data, controller in objects:
        codecs.decode(data, kind, "a test", controller)
        tensors, metadata = read_tensors(data, "a test")
        for name, array in tensors.items():
            for wrong in (np.append(array, 0), None):
                others = {n: a for n, a in tensors.items() if n != name}
                changed = write_tensors(others if wrong is None else {**others, name: wrong}, metadata)
                with pytest.raises(skill_zoo.CorruptArtifact):
                    codecs.decode(changed, kind, "a test", controller)
        with pytest.raises(skill_zoo.CorruptArtifact, match="stowaway"):
            codecs.decode(
                write_tensors({**tensors, "stowaway": np.ones(1, np.float32)}, metadata), kind, "x", controller
            )


def test_a_controller_without_a_latent_embedding_is_accepted(controller):
    plain = make_controller(0)
    rows = plain.obs_dim + plain.latent_dim
    params = {name: value for name, value in plain.params["params"].items() if name != "style"}
    kernel = np.ones((rows, plain.widths[0]), np.float32)
    params["trunk"] = {"layer_0": {**params["trunk"]["layer_0"], "kernel": kernel}}
    made = plain.replace(params={"params": params}, style_widths=())
    again = codecs.decode(codecs.encode(made), "low_level", "a test")
    assert again.act(np.zeros(plain.obs_dim), np.zeros(plain.latent_dim)).shape == (28,)


@pytest.mark.parametrize("widths", ['["a"]', "[6.0]", "[true]", "[600000000000]", "[]", "[6, 6]", "[-6]", "6"])
def test_widths_of_another_kind_are_refused(controller, widths):
    tensors, metadata = read_tensors(codecs.encode(controller), "a test")
    config = metadata["config"].replace('"widths": [6]', f'"widths": {widths}')
    assert config != metadata["config"]
    with pytest.raises(skill_zoo.CorruptArtifact):
        codecs.decode(write_tensors(tensors, {**metadata, "config": config}), "low_level", "a test")
