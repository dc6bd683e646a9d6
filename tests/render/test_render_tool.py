"""tools/render.py: from any source to a film or a sheet, and clear words where that cannot be."""

import numpy as np
import pytest
from PIL import Image as Picture
from zoo_objects import make_controller, make_skill

import skill_zoo
from skill_zoo.codecs import tensors_to_bytes

TOOL = "render"
SMALL = ("--size", 24, "--antialias", 1)


@pytest.fixture(scope="module")
def qpos(character) -> np.ndarray:
    """Half a second of sliding."""
    qpos = np.tile(character.default_qpos, (15, 1))
    qpos[:, 0] = np.linspace(0.0, 0.5, 15)
    return qpos


def test_a_clip_becomes_a_gif_of_the_part_that_was_asked_for(tool, qpos, tmp_path, capsys):
    np.savez(tmp_path / "slide.npz", qpos=qpos, fps=np.float32(10.0))
    out = tmp_path / "new" / "slide.gif"
    assert tool(tmp_path / "slide.npz", "--out", out, "--start", 0.5, "--end", 0.9, "--camera", "orbit", *SMALL) == 0
    assert "slide, 5 frames, 0.5 s" in capsys.readouterr().out
    with Picture.open(out) as film:
        assert film.n_frames == 5 and film.size == (24, 24)


def test_a_skills_rollout_becomes_a_sheet(tool, qpos, tmp_path, capsys):
    controller = make_controller(0)
    skill_zoo.save(controller, "low-level-0", zoo=tmp_path / "zoo")
    files = {"rollout.safetensors": tensors_to_bytes({"qpos": qpos.astype(np.float32)})}
    skill_zoo.save(make_skill(controller, "wave"), "wave", zoo=tmp_path / "zoo", files=files, force=True)
    out = tmp_path / "wave.png"
    options = ("--stills", 5, "--columns", 3, "--shadow", "hard", "--caption", "wave")
    assert tool("humanoid/wave", "--zoo", tmp_path / "zoo", "--out", out, *options, *SMALL) == 0
    assert Picture.open(out).size == (72, 48)
    (tmp_path / "loose.safetensors").write_bytes(files["rollout.safetensors"])
    assert tool(tmp_path / "loose.safetensors", "--out", out, "--stills", 1, "--ambient", 0.9, *SMALL) == 0
    assert Picture.open(out).size == (24, 24)
    assert tool("humanoid/low-level-0", "--zoo", tmp_path / "zoo", "--out", out) == 2
    assert "keeps no rollout.safetensors" in capsys.readouterr().err


@pytest.mark.slow
def test_a_built_in_motion_goes_by_its_name(tool, tmp_path, capsys):
    assert tool("wave_rigth", "--out", tmp_path / "a.png") == 2
    near = capsys.readouterr().err.split("near it are ")[1].split(",")[0].strip()
    assert tool(near, "--out", tmp_path / "a.png", "--stills", 2, "--camera", "fixed", *SMALL) == 0
    assert Picture.open(tmp_path / "a.png").size == (48, 24)


BVH = """HIERARCHY
ROOT Hips
{
  OFFSET 0 0 0
  CHANNELS 3 Xposition Yposition Zposition
  End Site { OFFSET 0 1 0 }
}
MOTION
"""


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("nothing.npz", "--out", "a.mp4"), "no motion at nothing.npz"),
        (("nothing.bvh", "--out", "a.mp4"), "no motion at nothing.bvh"),
        (("broken.bvh", "--out", "a.mp4"), "broken.bvh"),
        (("broken.npz", "--out", "a.mp4"), "not an .npz of plain arrays"),
        (("other.npz", "--out", "a.mp4"), r"holds speed; a motion to film needs qpos"),
        (("broken.safetensors", "--out", "a.mp4"), "broken.safetensors"),
        (("still.npz", "--out", "a.avi"), "ends in .mp4, .gif or .png"),
        (("still.npz", "--out", "a.gif", "--size", 8), "--size takes"),
        (("still.npz", "--out", "a.gif", "--camera", "drone"), "follow, orbit, fixed"),
        (("still.npz", "--out", "a.gif", "--speed", 0), "--speed"),
        (("still.npz", "--out", "a.gif", "--antialias", 9), "--antialias"),
        (("still.npz", "--out", "a.png", "--stills", 0), "--stills"),
        (("still.npz", "--out", "a.gif", "--start", 9), "lasts 0.5 s"),
        (("humanoid/no-such-skill", "--out", "a.gif"), "no-such-skill"),
    ],
)
def test_what_cannot_be_rendered_is_said_in_one_line(tool, qpos, tmp_path, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(tmp_path)
    np.savez("still.npz", qpos=qpos)
    np.savez("other.npz", speed=np.ones(3))
    (tmp_path / "broken.npz").write_bytes(b"PK no zip")
    (tmp_path / "broken.safetensors").write_bytes(b"\xff" * 20)
    (tmp_path / "broken.bvh").write_text(BVH)
    assert tool(*arguments) == 2
    shown = capsys.readouterr().err
    assert message in shown and shown.startswith("error: ") and "Traceback" not in shown
