"""Write a tiny zoo of every kind in today's format, once a format; PYTHONPATH=tests:tests/skill_zoo finds its parts.

python tests/skill_zoo/formats/write.py tests/skill_zoo/formats/v3
"""

import datetime
import shutil
import sys
from pathlib import Path

from zoo_objects import make_controller, make_multi_skill, make_reward_model, make_skill

import skill_zoo


def write(folder: Path) -> None:
    moment = datetime.datetime(2026, 11, 21, 0, 40, tzinfo=datetime.UTC)
    shared = {"zoo": folder, "created": moment}
    controller = make_controller(0)
    metrics, config = {"survival": 0.5}, {"seed": 0}
    low_level = skill_zoo.save(
        controller, "low-level", motions={"walk": "CC0"}, metrics=metrics, config=config, **shared
    )
    skill = make_skill(controller, "wave your right hand")
    skill_zoo.save(skill, "wave", files={"card.md": b"# wave\n"}, metrics={"mean": 0.25}, force=True, **shared)
    skill_zoo.save(make_multi_skill(controller), "many", low_level=low_level, **shared)
    skill_zoo.save(make_reward_model(), "pose-reward", config={"role": "reward"}, **shared)
    skill_zoo.export_archive("humanoid/wave", folder.with_suffix(".tar"), zoo=folder)
    shutil.rmtree(folder / ".tmp")


if __name__ == "__main__":
    write(Path(sys.argv[1]))
