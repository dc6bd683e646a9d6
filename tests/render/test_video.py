"""Films are readable, whole, atomic, and refuse what they cannot film."""

import imageio.v2 as imageio
import numpy as np
import pytest

from anyskill_brax.render import video
from anyskill_brax.types import UserError


@pytest.fixture(scope="module")
def walk(character) -> np.ndarray:
    """Ten frames sliding 0.3 m along x: not a multiple of the batch."""
    qpos = np.tile(character.default_qpos, (10, 1))
    qpos[:, 0] = np.linspace(0.0, 0.3, 10)
    return qpos


def test_an_mp4_has_every_frame_and_its_rate(character, walk, tmp_path):
    path = video.film(character, walk, tmp_path / "new" / "walk.mp4", width=64, height=48, fps=30, supersample=1)
    with imageio.get_reader(path) as reader:
        meta, count = reader.get_meta_data(), sum(1 for _ in reader)
    assert (count, meta["size"], meta["fps"], meta["codec"]) == (10, (64, 48), 30.0, "h264")
    data = path.read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")  # faststart: a browser plays it while it loads
    assert [p.name for p in path.parent.iterdir()] == ["walk.mp4"]


def test_a_gif_keeps_at_most_twenty_frames_a_second(character, walk, tmp_path):
    path = video.film(character, walk, tmp_path / "walk.gif", width=48, height=48, fps=30, supersample=1, text="walk")
    with imageio.get_reader(path) as reader:
        assert len(reader) == 5


def test_a_film_that_fails_leaves_nothing(character, walk, tmp_path, monkeypatch):
    def broken(*_args, **_options):
        yield np.zeros((48, 48, 3), np.uint8)
        raise RuntimeError("the lamp broke")

    monkeypatch.setattr(video, "frames", broken)
    with pytest.raises(RuntimeError, match="lamp"):
        video.film(character, walk, tmp_path / "walk.mp4", width=48, height=48)
    assert list(tmp_path.iterdir()) == []


def test_a_caption_darkens_the_bar_and_nothing_else():
    grey = np.full((100, 200, 3), 128, np.uint8)
    marked = video.caption(grey, "wave the right hand " * 6)
    assert (marked[:80] == 128).all()
    assert marked[99].mean() < 70
    assert marked[85:].max() > 180  # the letters


@pytest.mark.parametrize(
    ("name", "qpos", "options", "message"),
    [
        ("walk.avi", np.zeros((3, 35)), {}, "ends in .mp4 or .gif"),
        ("walk.mp4", np.zeros((3, 34)), {}, r"qpos \[T >= 1, 35\]"),
        ("walk.mp4", np.full((3, 35), np.nan), {}, "finite"),
        ("walk.mp4", np.zeros((3, 35)), {"width": 33}, "even width"),
        ("walk.gif", np.zeros((3, 35)), {"text": ["one"]}, "one caption per frame"),
    ],
)
def test_bad_input_is_refused(character, tmp_path, name, qpos, options, message):
    with pytest.raises(UserError, match=message):
        video.film(character, qpos, tmp_path / name, **options)
    assert list(tmp_path.iterdir()) == []
