"""Poselib's `.npy` files are pickles: what is read of them without running anything, by hand."""

import io
import pickle
from pathlib import Path

import numpy as np
import pytest

from anyskill_brax.motion.importers import read_source
from anyskill_brax.types import UserError


class Evil:
    def __reduce__(self):
        return Path.touch, (Path("owned"),)


def save_pickle(path: Path, value: object) -> Path:
    np.save(path, np.array(value, dtype=object), allow_pickle=True)
    return path


def poselib_dict(character, local: np.ndarray, fps) -> dict:
    tree = {"node_names": list(character.body_names), "local_translation": {"arr": character.offsets}}
    rotation, root = {"arr": local}, {"arr": np.zeros((len(local), 3))}
    return {"rotation": rotation, "root_translation": root, "skeleton_tree": tree, "is_local": True, "fps": fps}


def test_poselib_pickles_run_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for value in (Evil(), {"rotation": Evil()}, {"fps": np.random.default_rng(0)}):
        with pytest.raises(UserError, match=r"evil\.npy: not a poselib .npy that can be read safely.*it asks for"):
            read_source(save_pickle(tmp_path / "evil.npy", value))
    assert not (tmp_path / "owned").exists()
    nested = {"rotation": {"arr": np.array([Evil(), None], dtype=object)}}
    with pytest.raises(UserError, match="evil"):
        read_source(save_pickle(tmp_path / "evil.npy", nested))
    assert not (tmp_path / "owned").exists()
    assert pickle.loads(pickle.dumps(Evil())) is None and (tmp_path / "owned").exists()  # it would have run


def nested(kind: str) -> bytes:
    """An object array of one value, of which each depth holds the last one twice, used where it could be walked."""
    value = b")q\x00" + 60 * b"h\x00\x86q\x00"
    return {
        "a key": b"}" + value + b"Ns",
        "a call": value + b")R",
        "a name": value + value + b"\x93",
        "a type": b"cnumpy\ndtype\n" + value + b"\x85R",
        "the frames": b"}X\x08\x00\x00\x00rotation}X\x03\x00\x00\x00arr" + value + b"ss",
    }[kind]


@pytest.mark.parametrize("kind", ["a key", "a call", "a name", "a type", "the frames"])
def test_poselib_values_that_unfold_for_ever_are_refused_at_once(tmp_path, kind):
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "|O", "fortran_order": False, "shape": ()})
    array = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85C\x01b\x87R"
    state = b"(K\x01)cnumpy\ndtype\nX\x01\x00\x00\x00O\x85R\x89]" + nested(kind) + b"atb."
    (tmp_path / "nest.npy").write_bytes(header.getvalue() + b"\x80\x03" + array + state)
    with pytest.raises(UserError, match=r"nest\.npy"):
        read_source(tmp_path / "nest.npy")


def test_poselib_files_of_the_versions_that_numpy_writes_are_read(tmp_path, character):
    local = np.tile([0, 0, 0, 1.0], (3, 15, 1))
    local[1, 0] = 0, 0, 1, 0
    data = poselib_dict(character, local, 30)
    for version in (2, 3, 4):
        header = io.BytesIO()
        np.lib.format.write_array_header_1_0(header, {"descr": "|O", "fortran_order": False, "shape": ()})
        body = pickle.dumps(np.array(data, dtype=object), protocol=version)
        (tmp_path / "a.npy").write_bytes(header.getvalue() + body)
        if version == 2:  # bytes are spelt as a call then; numpy writes 3 and 4
            with pytest.raises(UserError, match="it asks for _codecs"):
                read_source(tmp_path / "a.npy")
        else:
            assert len(read_source(tmp_path / "a.npy").root_pos) == 3


def test_poselib_order_of_quaternions_duplicates_and_kinds_of_fps(tmp_path, character):
    local = np.zeros((6, 15, 4), np.float32)
    local[..., 3] = 1.0
    angle = 0.1 * np.arange(6)
    local[:, 0, 2], local[:, 0, 3] = np.sin(angle / 2), np.cos(angle / 2)  # xyzw: a yaw
    for fps in (60.0, np.array(60, np.int32), 60):
        once = read_source(save_pickle(tmp_path / "once.npy", poselib_dict(character, local, fps)))
        twice = read_source(save_pickle(tmp_path / "twice.npy", poselib_dict(character, local.repeat(2, axis=0), fps)))
        assert (once.fps, twice.fps) == (60, 30)
        np.testing.assert_array_equal(once.local_rot, twice.local_rot)
    np.testing.assert_allclose(
        once.local_rot[:, 0], np.stack([np.cos(angle / 2), 0 * angle, 0 * angle, np.sin(angle / 2)], -1), atol=1e-6
    )


def test_poselib_of_another_skeleton_is_refused(tmp_path, character):
    data = poselib_dict(character, np.ones((3, 15, 4)), 30)
    data["skeleton_tree"]["node_names"][1] = "spine"
    with pytest.raises(UserError, match=r"humanoid's own skeleton.*found pelvis, spine"):
        read_source(save_pickle(tmp_path / "other.npy", data))
