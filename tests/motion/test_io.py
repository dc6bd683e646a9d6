"""Motion files: round trips, MuJoCo's velocity convention, and errors that say what is wrong."""

import json

import mujoco
import numpy as np
import pytest

from anyskill_brax.motion import io


def wiggle(character, frames=12, seed=0):
    """A smooth random clip: quarter turn while the hinges swing."""
    rng = np.random.default_rng(seed)
    t = np.linspace(0, 1, frames)[:, None]
    yaw = 0.5 * np.pi * t[:, 0]
    root = np.stack([t[:, 0], 0 * yaw, 0.9 + 0 * yaw, np.cos(yaw / 2), 0 * yaw, 0 * yaw, np.sin(yaw / 2)], axis=1)
    middle = 0.5 * (character.joint_low + character.joint_high)
    swing = 0.2 * (character.joint_high - character.joint_low) * rng.uniform(-1, 1, 28)
    return np.concatenate([root, middle + swing * np.sin(2 * t)], axis=1)


@pytest.fixture
def motion(character):
    labels = dict(category="test", captions=("swing", "swing about"), weight=2.5, split="held_out", licence="none")
    return io.motion_from_qpos(character, "wiggle", 30, wiggle(character), source="a formula", **labels)


def test_velocities_are_mujocos(character):
    qpos = wiggle(character)
    qvel, step = io.finite_difference(qpos, 30.0), np.zeros((len(qpos) - 1, 34))
    for i in range(len(qpos) - 1):
        mujoco.mj_differentiatePos(character.model, step[i], 1 / 30, qpos[i], qpos[i + 1])
    np.testing.assert_allclose(qvel[0], step[0], atol=1e-9)
    np.testing.assert_allclose(qvel[1:-1], 0.5 * (step[1:] + step[:-1]), atol=1e-9)
    np.testing.assert_allclose(qvel[-1], step[-1], atol=1e-9)


def test_standing_plants_both_feet_and_raised_neither(character):
    qpos = np.tile(character.default_qpos, (3, 1))
    qpos[:, 2] -= io.motion_bodies(character, qpos, np.zeros((3, 34)))[0].pos[0, character.feet[0], 2] - 0.05
    assert io.motion_from_qpos(character, "stand", 30, qpos).contact.all()
    qpos[:, 2] += 0.1
    assert not io.motion_from_qpos(character, "float", 30, qpos).contact.any()


def test_quaternions_are_made_continuous(character):
    qpos = wiggle(character)
    flipped = qpos.copy()
    flipped[::2, 3:7] *= -3.0
    expected = io.motion_from_qpos(character, "a", 30, qpos)
    np.testing.assert_allclose(io.motion_from_qpos(character, "b", 30, flipped).qpos, expected.qpos, atol=1e-6)


def test_file_round_trip(motion, tmp_path):
    io.save_motion(tmp_path / "wiggle.npz", motion)
    loaded = io.load_motion(tmp_path / "wiggle.npz")
    for key, value in vars(motion).items():
        np.testing.assert_array_equal(getattr(loaded, key), value)


def test_folder_round_trip_with_and_without_index(motion, tmp_path):
    index = io.save_motion_folder(tmp_path, [motion], {"wiggle": {"slide": 0.1}})
    assert json.loads(index.read_text())["clips"][0]["quality"] == {"slide": 0.1}
    by_index = io.load_motion_folder(tmp_path, split="held_out")
    index.unlink()
    for loaded in (by_index, io.load_motion_folder(tmp_path)):
        assert [(m.name, m.captions, m.weight, m.split) for m in loaded] == [
            ("wiggle", motion.captions, 2.5, "held_out")
        ]


def test_resampling_keeps_the_movement(character, motion):
    fast = io.resample_motion(character, motion, 60.0)
    assert fast.num_frames == 2 * motion.num_frames - 1 and fast.captions == motion.captions
    np.testing.assert_allclose(fast.qpos[::2], motion.qpos, atol=1e-5)


def spoil(key, change):
    def apply(fields):
        fields[key] = change(fields[key].copy())

    return apply


def put(row, column, value):
    def change(array):
        array[row, column] = value
        return array

    return change


SPOILED = {
    "missing key": (lambda f: f.pop("qvel"), "missing qvel"),
    "wrong width": (spoil("qpos", lambda a: a[:, :-1]), r"qpos must be float \[F >= 2, 35\].*found \(12, 34\)"),
    "frames differ": (spoil("qvel", lambda a: a[1:]), r"qvel must be .*found \(11, 34\)"),
    "nan": (spoil("qpos", put(3, 9, np.nan)), "qpos has NaN or infinity, first at frame 3, column 9"),
    "not unit": (spoil("qpos", put(4, slice(3, 7), 1.0)), "unit quaternions wxyz; frame 4 has norm 2.0"),
    "degrees": (spoil("qpos", put(5, 16, 90.0)), "right_elbow = 90.000 rad at frame 5, outside"),
    "fps": (spoil("fps", lambda _: np.float32(0)), r"fps must be one number in \[5, 480\], found 0"),
    "fps text": (spoil("fps", lambda _: np.array("30")), "fps must be a number"),
    "contact": (spoil("contact", put(0, 0, 7)), "contact must be 0 or 1, found 7"),
    "version": (spoil("format", lambda _: np.array("amp28-motion/9")), "format 'amp28-motion/9'; this version reads"),
}


@pytest.mark.parametrize("kind", SPOILED)
def test_bad_files_say_what_is_wrong(kind, motion, tmp_path):
    path = tmp_path / "bad.npz"
    io.save_motion(path, motion)
    with np.load(path) as archive:
        fields = dict(archive)
    change, message = SPOILED[kind]
    change(fields)
    np.savez(path, **fields)
    with pytest.raises(io.MotionFormatError, match=message) as error:
        io.load_motion(path)
    assert str(path) in str(error.value)


def test_pickles_and_other_files_are_refused(tmp_path):
    np.savez(tmp_path / "pickle.npz", qpos=np.array([{}], dtype=object))
    (tmp_path / "text.npz").write_text("not a zip")
    for name in ("pickle.npz", "text.npz"):
        with pytest.raises(io.MotionFormatError, match="of plain arrays"):
            io.load_motion(tmp_path / name)


def test_bad_folders(motion, tmp_path):
    with pytest.raises(io.MotionFormatError, match="no such folder"):
        io.load_motion_folder(tmp_path / "absent")
    with pytest.raises(io.MotionFormatError, match="no motions"):
        io.load_motion_folder(tmp_path)
    index = io.save_motion_folder(tmp_path, [motion])
    with pytest.raises(io.MotionFormatError, match="no motion of split 'train'; there is held_out"):
        io.load_motion_folder(tmp_path, split="train")
    index.write_text('{"clips": [{"file": "../elsewhere.npz"}]}')
    with pytest.raises(io.MotionFormatError, match="must lie inside the folder"):
        io.load_motion_folder(tmp_path)


def test_the_pack_loads_whole(motion_pack):
    motions = io.load_motion_folder(motion_pack, split="train")
    records = json.loads((motion_pack / "index.json").read_text())["clips"]
    assert len(motions) == len([r for r in records if r["split"] == "train"])
    assert all(m.captions and m.category and m.licence and m.source and m.fps == 30 for m in motions)


def test_the_packs_contacts_and_velocities_are_ours(character, motion_pack):
    walk = io.load_motion(motion_pack / "clips" / "cmu_02_01_walk.npz")
    again = io.motion_from_qpos(character, "again", 30, walk.qpos)
    assert (again.contact == walk.contact).mean() > 0.88
    # The pack was differenced at 60 fps before it was halved, hence the tolerance.
    assert np.abs(again.qvel - walk.qvel)[1:-1].max() < 0.15 * np.abs(walk.qvel).max()
