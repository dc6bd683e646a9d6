"""The image model's training, stopped and resumed."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.experimental.compilation_cache import compilation_cache

import skill_zoo
from anyskill_brax.character.humanoid import Character
from anyskill_brax.character.kinematics import BodyState
from anyskill_brax.clip.builtin import BuiltinImage, save_builtin
from anyskill_brax.reward_model import distill, pictures, run
from anyskill_brax.reward_model.lessons import DistillSettings
from anyskill_brax.reward_model.pauses import Pauses, Stopped
from anyskill_brax.types import UserError
from anyskill_brax.workdir import Workdir
from configs.reward_model import get_config


@contextlib.contextmanager
def after(pauses: int) -> Iterator[Callable[[], bool]]:
    """Someone who wants to stop at the pause of that number."""
    left = iter([False] * pauses)
    yield lambda: next(left, True)


@pytest.fixture
def compiled_once(tmp_path) -> Iterator[None]:
    """What several trainings compile, they compile once."""
    wanted = {
        "jax_compilation_cache_dir": str(tmp_path / "compiled"),
        "jax_persistent_cache_min_compile_time_secs": 0.0,
        "jax_persistent_cache_min_entry_size_bytes": -1,
    }
    before = {name: getattr(jax.config, name) for name in wanted}
    for values in (wanted, before):
        for name, value in values.items():
            jax.config.update(name, value)
        compilation_cache.reset_cache()
        if values is wanted:
            yield


def toy_camera(character: Character, settings: DistillSettings):
    """Noise that knows the joints."""

    def shoot(qpos: jax.Array, key: jax.Array) -> jax.Array:
        noise = jax.random.normal(key, (len(qpos), settings.image_size, settings.image_size, 3))
        told = jnp.resize(qpos[:, 7:], (len(qpos), settings.image_size, settings.image_size, 3))
        return jnp.round(255.0 * jax.nn.sigmoid(noise + told)).astype(jnp.uint8)

    return jax.jit(shoot)


def toy_views(character: Character, settings: DistillSettings, model: BuiltinImage, key: jax.Array):
    """Where the bodies are, through the model's eyes."""

    def embed(bodies: BodyState) -> jax.Array:
        lead = bodies.pos.shape[:2]
        rgb = jnp.resize(bodies.pos, (lead[0] * lead[1], settings.image_size, settings.image_size, 3))
        return model.embed_images(jax.nn.sigmoid(rgb)).reshape(*lead, -1)

    return embed


@pytest.fixture
def train(tmp_path, monkeypatch, compiled_once) -> Callable[..., list[str]]:
    """Two searches of two rounds, two passes of two and three blocks: nine pieces. What was said."""
    config = get_config("quicktest").unlock()
    config.image.update(dict(num_poses=64, phrases=4, tries=4, block=32, batch=16, image_size=8))
    config.image.convs, config.image.widths = (4, 4), (16,)

    def any_poses(character: Character, num: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
        qpos = np.tile(character.default_qpos, (num, 1)).astype(np.float32)
        qpos[:, 7:] = np.random.default_rng(seed).uniform(character.joint_low, character.joint_high, (num, 28))
        return qpos, np.zeros((num, 34), np.float32)

    for room in (distill, pictures):
        monkeypatch.setattr(room, "make_camera", toy_camera)
    monkeypatch.setattr(distill, "embed_views", toy_views)
    monkeypatch.setattr(run, "NUM_TEST_POSES", 8)
    monkeypatch.setattr(run, "random_poses", any_poses)
    monkeypatch.setattr(run, "pose_degrees", lambda character, qpos, qvel: np.zeros((len(qpos), 1)))
    monkeypatch.setattr(run, "evaluate_model", lambda *_: {})

    def train(name: str, pauses: int = 100, **changes: object) -> list[str]:
        lines: list[str] = []
        if not (tmp_path / name).exists():
            save_builtin(skill_zoo.load("humanoid/builtin-pose", skill_zoo.PACKAGED), tmp_path / name / "pose")
        config.image.update(changes)
        ready = run.train_reward_model(config, tmp_path / name, None, ["image"], [], lines.append, after(pauses))
        assert ("image" in ready) == (pauses == 100)
        return lines

    return train


@pytest.mark.slow
def test_what_is_stopped_and_resumed_ends_in_the_same_bits(train, tmp_path):
    """Stopped within the second search, then within the second pass; nothing is left but the model."""
    said = train("straight")
    train("halting", pauses=5)
    assert (tmp_path / "halting" / run.RUN / "checkpoints" / "5").is_dir()
    assert train("halting", pauses=2)[0].startswith("image model: resumed after 5 pieces")
    resumed = train("halting")
    assert resumed[0].startswith("image model: resumed after 7 pieces")
    assert resumed[-2] == said[-2] and "pass 2/2  cosine" in said[-2]
    for file in ("weights.safetensors", "config.json"):
        straight, halting = ((tmp_path / name / "image" / file).read_bytes() for name in ("straight", "halting"))
        assert straight == halting
    for name in ("straight", "halting"):
        assert sorted(path.name for path in (tmp_path / name).iterdir()) == ["image", "pose"]


def test_a_run_of_other_settings_is_refused(train):
    train("run", pauses=0)
    with pytest.raises(
        UserError, match=r"image_run holds a run with another configuration \(learning_rate: was 0.0015"
    ):
        train("run", learning_rate=0.003)


@pytest.fixture
def clock(monkeypatch) -> list[float]:
    now = [0.0]
    monkeypatch.setattr("anyskill_brax.reward_model.pauses.time.monotonic", lambda: now[0])
    return now


def test_how_far_it_is_what_is_saved_and_when_it_stops(tmp_path: Path, clock):
    """Four pieces of 100 s; the first takes no pictures, the others a third each."""
    folder, lines, wants = Workdir(tmp_path / "run", {}), [], []
    pauses = Pauses(folder, 150.0, lambda: bool(wants), lines.append)
    for done, share in enumerate([0.0, 0.0, 1 / 3, 2 / 3]):
        pauses([done], done, f"piece {done}", share)
        clock[0] += 100.0
    assert lines == ["piece 1, ETA unknown yet", "piece 2, ETA 3:20", "piece 3, ETA 1:40"]
    assert folder.restore((0.0, [0]))[0] == 2
    wants.append(True)
    with pytest.raises(Stopped):
        pauses([4], 4, "done", 1.0)
    again = Pauses(folder, 150.0, lambda: False, lines.append)
    assert again.resume([0]) == [4] and again.earlier == 400.0
    folder.close()
