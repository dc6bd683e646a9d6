import pytest
from stand_ins import NUM_FRAMES, Compass, random_controller

from anyskill_brax.character.humanoid import Character
from anyskill_brax.envs.humanoid_env import HumanoidEnv
from anyskill_brax.policies import LowLevelController


@pytest.fixture(scope="session")
def controller(character: Character) -> LowLevelController:
    return random_controller(character)


@pytest.fixture(scope="session")
def env(character: Character) -> HumanoidEnv:
    return HumanoidEnv(character, num_frames=NUM_FRAMES, fall_height=0.15)


@pytest.fixture(scope="session")
def compass(character: Character) -> Compass:
    return Compass(character)
