"""diff names every difference that matters."""

from zoo_objects import make_controller

import skill_zoo


def test_differences_are_named_by_their_path(zoo):
    config = {"learner": {"epochs": 2, "rate": 0.1}, "widths": [4]}
    skill_zoo.save(make_controller(1), "low-level", config=config, metrics={"survival": 0.5})
    config = {"learner": {"epochs": 3, "rate": 0.1}, "widths": [4, 4]}
    skill_zoo.save(make_controller(1), "low-level", config=config, metrics={"survival": 0.75, "more": 1})
    found = skill_zoo.diff("humanoid/low-level@v1", "humanoid/low-level@v2")
    assert found == {
        "config.learner.epochs": (2, 3),
        "config.widths": ([4], [4, 4]),
        "metrics.more": (None, 1),
        "metrics.survival": (0.5, 0.75),
    }
    assert skill_zoo.diff("humanoid/low-level-v1", "humanoid/low-level-v1") == {}
    skill_zoo.save(make_controller(2), "low-level", config=config, metrics={"survival": 0.75, "more": 1})
    assert set(skill_zoo.diff("humanoid/low-level-v2", "humanoid/low-level")) == {"files.weights.safetensors.sha256"}
