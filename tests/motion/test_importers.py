"""Every trap of the source formats, on hand-made files."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from anyskill_brax.motion.importers import read_source
from anyskill_brax.motion.importers.manifest import ManifestClip, read_clip
from anyskill_brax.types import UserError

# A stick figure, y up, facing z: joint -> (parent, offset).
FIGURE = {
    "Hips": (None, (0, 0, 0)),
    "Spine": ("Hips", (0, 2, 0)),
    "Head": ("Spine", (0, 3, 0)),
    "LeftArm": ("Spine", (2, 2, 0)),
    "LeftForeArm": ("LeftArm", (3, 0, 0)),
    "LeftHand": ("LeftForeArm", (2, 0, 0)),
    "RightArm": ("Spine", (-2, 2, 0)),
    "RightForeArm": ("RightArm", (-3, 0, 0)),
    "RightHand": ("RightForeArm", (-2, 0, 0)),
    "LeftUpLeg": ("Hips", (1, 0, 0)),
    "LeftLeg": ("LeftUpLeg", (0, -4, 0)),
    "LeftFoot": ("LeftLeg", (0, -4, 0)),
    "RightUpLeg": ("Hips", (-1, 0, 0)),
    "RightLeg": ("RightUpLeg", (0, -4, 0)),
    "RightFoot": ("RightLeg", (0, -4, 0)),
}


def bvh_text(frames: list[dict[str, tuple]], axes: np.ndarray | None = None, newline: str = "\n") -> str:
    """A BVH of `FIGURE`. Frames map joints to rotation vectors [deg], "position" to the root's; seen in `axes`."""
    axes = np.eye(3) if axes is None else axes

    def block(name: str, depth: int) -> list[str]:
        parent, offset = FIGURE[name]
        position = "" if parent else "Xposition Yposition Zposition "
        lines = [
            f"{'JOINT' if parent else 'ROOT'} {name}",
            "{",
            "OFFSET " + " ".join(map(str, axes @ np.array(offset))),
        ]
        lines.append(f"CHANNELS {3 if parent else 6} {position}Zrotation Yrotation Xrotation")
        children = [child for child, (up, _) in FIGURE.items() if up == name]
        for child in children:
            lines += block(child, depth + 1)
        return lines + ([] if children else ["End Site", "{", "OFFSET 0 0 1", "}"]) + ["}"]

    def depth_first(name: str) -> list[str]:
        return [name] + [n for child, (up, _) in FIGURE.items() if up == name for n in depth_first(child)]

    lines = ["HIERARCHY", *block("Hips", 0), "MOTION", f"Frames: {len(frames)}", "Frame Time: 0.05"]
    for frame in frames:
        values = list(axes @ np.array(frame.get("position", (0, 8, 0)), float))
        for name in depth_first("Hips"):
            turn = Rotation.from_rotvec(axes @ np.array(frame.get(name, (0, 0, 0)), float), degrees=True)
            values += list(turn.as_euler("ZYX", degrees=True))
        lines.append(" ".join(f"{value:.9f}" for value in values))
    return newline.join(lines) + newline


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_bytes(text.encode())
    return path


RAISE = {"LeftArm": (0, 0, 90), "position": (1, 8, 2)}


def test_bvh_left_arm_raised_by_hand(tmp_path):
    motion = read_source(write(tmp_path, "a.bvh", bvh_text([{}, RAISE])))
    pos, _ = motion.forward_kinematics()
    assert motion.fps == pytest.approx(20)
    # y up, facing z, x left -> z up, facing x, y left: (x, y, z) -> (z, x, y).
    np.testing.assert_allclose(pos[1, 0], [2, 1, 8], atol=1e-6)
    np.testing.assert_allclose(pos[0, motion.joint_of("left_hand")], [0, 7, 12], atol=1e-6)
    np.testing.assert_allclose(pos[1, motion.joint_of("left_hand")], [2, 3, 17], atol=1e-6)


@pytest.mark.filterwarnings("ignore:Gimbal lock")
def test_bvh_axes_are_told_from_the_rest_pose(tmp_path):
    plain = read_source(write(tmp_path, "a.bvh", bvh_text([{}, RAISE])))
    z_up_facing_minus_y = np.array([[1, 0, 0], [0, 0, -1], [0, 1, 0]])
    other = read_source(write(tmp_path, "b.bvh", bvh_text([{}, RAISE], z_up_facing_minus_y)))
    np.testing.assert_allclose(other.root_pos, plain.root_pos, atol=1e-6)
    np.testing.assert_allclose(other.forward_kinematics()[0], plain.forward_kinematics()[0], atol=1e-6)


def test_bvh_line_ends_do_not_matter(tmp_path):
    unix = read_source(write(tmp_path, "a.bvh", bvh_text([{}, RAISE])))
    windows = read_source(write(tmp_path, "b.bvh", bvh_text([{}, RAISE], newline="\r\n")))
    np.testing.assert_array_equal(unix.local_rot, windows.local_rot)


def test_bvh_added_t_pose_is_dropped_and_a_fast_start_is_not(tmp_path):
    moving = [{"LeftArm": (0, 0, angle)} for angle in (80, 81, 82, 83)]
    assert read_source(write(tmp_path, "a.bvh", bvh_text([{}, *moving]))).num_frames == 4
    fast = [{"LeftArm": (0, 0, angle)} for angle in (0, 30, 60, 80)]
    assert read_source(write(tmp_path, "b.bvh", bvh_text(fast))).num_frames == 4


def test_bvh_cut_in_half_names_file_and_line(tmp_path):
    text = bvh_text([{}, RAISE, RAISE, RAISE])
    lines = text.splitlines()
    with pytest.raises(
        UserError, match=rf"half\.bvh: the file ends after line {len(lines) - 2}, expected frame 3 of 4"
    ):
        read_source(write(tmp_path, "half.bvh", "\n".join(lines[:-2])))
    with pytest.raises(UserError, match=r"half\.bvh, line \d+: expected frame 4 of 4 \(48 numbers"):
        read_source(write(tmp_path, "half.bvh", text[:-200]))
    with pytest.raises(UserError, match=r"half\.bvh.* line \d+.* expected"):
        read_source(write(tmp_path, "half.bvh", text[: len(text) // 8]))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("HIERARCHY", "HIRARCHY", "line 1: expected HIERARCHY"),
        ("OFFSET 3.0 0.0 0.0", "OFFSET 3.0 x 0.0", "expected OFFSET x y z"),
        ("CHANNELS 3 Z", "CHANNELS 4 Z", "expected CHANNELS n"),
        ("Zrotation Yrotation", "Yrotation Yrotation", "no axis twice"),
        ("Frame Time: 0.05", "Frame Time: 0", "frame time above 0"),
        ("OFFSET 0.0 -4.0 0.0", "OFFSET 0.0 4.0 0.0", "standing figure"),
    ],
)
def test_bvh_bad_input_is_explained(tmp_path, old, new, message):
    text = bvh_text([{}, RAISE])
    assert old in text
    with pytest.raises(UserError, match=message):
        read_source(write(tmp_path, "bad.bvh", text.replace(old, new)))


def test_a_joint_that_is_missing_is_named(tmp_path):
    motion = read_source(write(tmp_path, "a.bvh", bvh_text([{}, RAISE]).replace("LeftForeArm", "Bone7")))
    with pytest.raises(UserError, match=r"no joint for 'left_lower_arm'.*LeftForeArm.*the file has Hips.*Bone7"):
        motion.joint_of("left_lower_arm")


ASF = """:version 1.10
:root
  order TX TY TZ RX RY RZ
  axis XYZ
  position 0 0 0
  orientation 0 0 0
:bonedata
"""


def asf_text() -> str:
    bones = {  # name: (parent, direction, length, axis, dof)
        "lhipjoint": ("root", "1 0 0", 1, "0 0 0", ""),
        "lfemur": ("lhipjoint", "0 -1 0", 4, "0 0 20", "rx ry rz"),
        "ltibia": ("lfemur", "0 -1 0", 3, "0 0 0", "rx"),
        "lfoot": ("ltibia", "0 0 1", 1, "0 0 0", ""),
        "rhipjoint": ("root", "-1 0 0", 1, "0 0 0", ""),
        "rfemur": ("rhipjoint", "0 -1 0", 4, "0 0 0", ""),
        "rtibia": ("rfemur", "0 -1 0", 3, "0 0 0", ""),
        "rfoot": ("rtibia", "0 0 1", 1, "0 0 0", ""),
        "thorax": ("root", "0 1 0", 3, "0 0 0", ""),
        "head": ("thorax", "0 1 0", 1, "0 0 0", ""),
    }
    text = ASF
    for number, (name, (_, direction, length, axis, dof)) in enumerate(bones.items(), 1):
        text += f"  begin\n     id {number}\n     name {name}\n     direction {direction}\n     length {length}\n"
        text += f"     axis {axis}  XYZ\n" + (f"    dof {dof}\n" if dof else "") + "  end\n"
    tree = "".join(f"    {parent} {name}\n" for name, (parent, *_) in bones.items())
    return text + ":hierarchy\n  begin\n" + tree + "  end\n"


AMC = """#!comment
:FULLY-SPECIFIED
:DEGREES
1
root 0 7 0 0 0 0
lfemur 0 0 0
ltibia 0
2
root 1 7 2 0 90 0
lfemur {} 0 0
ltibia 90
"""


def test_amc_children_start_at_the_bones_end_and_axes_turn_the_angles(tmp_path):
    write(tmp_path, "07.asf", asf_text())
    motion = read_source(write(tmp_path, "07_01.amc", AMC.format(0)))
    pos, _ = motion.forward_kinematics()
    # Knee: past the hip joint's end and the femur. y up, z forward, x left -> x forward, y left, z up.
    np.testing.assert_allclose(pos[0, motion.joint_of("left_shin")], [0, 1, 3], atol=1e-9)
    # Second frame: the root turned 90 degrees about the vertical (left faces back), the tibia by 90 about its x.
    np.testing.assert_allclose(pos[1, motion.joint_of("left_shin")], [2 - 1, 1, 3], atol=1e-9)
    np.testing.assert_allclose(pos[1, motion.joint_of("left_foot")], [1, 1 - 3, 3], atol=1e-9)
    # rx of a bone whose axis is turned by 20 degrees about z: C Rx C^-1 turns about (cos 20, sin 20, 0).
    turned = read_source(write(tmp_path, "07_01.amc", AMC.format(30)))
    femur = Rotation.from_quat(turned.local_rot[1, turned.joint_of("left_thigh")], scalar_first=True)
    c, s = np.cos(np.radians(20)), np.sin(np.radians(20))
    np.testing.assert_allclose(femur.as_rotvec(degrees=True), [0, 30 * c, 30 * s], atol=1e-9)


def test_amc_line_ends_and_rate(tmp_path):
    write(tmp_path, "07.asf", asf_text().replace("\n", "\r\n"))
    path = write(tmp_path, "07_01.amc", AMC.format(30).replace("\n", "\r\n"))
    windows = read_source(path)
    write(tmp_path, "07.asf", asf_text())
    unix = read_source(write(tmp_path, "07_01.amc", AMC.format(30)))
    np.testing.assert_array_equal(windows.local_rot, unix.local_rot)
    assert unix.fps == 120  # the file does not say; CMU's usual rate
    assert read_source(path, fps=60).fps == 60


def test_amc_bad_input_is_explained(tmp_path):
    path = write(tmp_path, "07_01.amc", AMC.format(0))
    with pytest.raises(UserError, match=r"needs its skeleton 07\.asf beside it.*--asf"):
        read_source(path)
    write(tmp_path, "07.asf", asf_text())
    with pytest.raises(UserError, match=r"line 10: expected 3 numbers, lfemur's rx ry rz; found '12 a'"):
        read_source(write(tmp_path, "07_01.amc", AMC.replace("lfemur {} 0 0", "lfemur 12 a")))
    with pytest.raises(
        UserError, match=r"frame 2 must have one line per bone; wrong for ltibia; is the file cut short"
    ):
        read_source(write(tmp_path, "07_01.amc", AMC.format(0)[: -len("ltibia 90\n")]))
    for wrong in ("dof rw", "dof r", "dof rx rx"):
        write(tmp_path, "07.asf", asf_text().replace("dof rx\n", f"{wrong}\n"))
        with pytest.raises(UserError, match=r"07\.asf, line \d+: expected some of l, rx"):
            read_source(tmp_path / "07_01.amc")
    with pytest.raises(UserError, match=r"07\.asf: expected :root .*cut short"):
        write(tmp_path, "07.asf", ASF)
        read_source(path)


def deepmimic_frame(duration: float = 0.1, **values) -> list[float]:
    """A standing frame; `values` are column=number or column=[numbers] such as c4=[w, x, y, z]."""
    frame = np.zeros(44)
    frame[0] = duration
    frame[[4, 8, 12, 16, 21, 25, 30, 35, 39]] = 1.0
    for column, value in values.items():
        start = int(column[1:])
        frame[start : start + np.size(value)] = value
    return frame.tolist()


def write_deepmimic(folder: Path, frames: list) -> Path:
    return write(folder, "clip.txt", json.dumps({"Loop": "wrap", "Frames": frames}))


def test_deepmimic_axes_and_signs_by_hand(tmp_path, character):
    half = np.sqrt(0.5)
    # Root at x 1, y (up) 2, z (right) 3, turned 90 degrees left about the vertical; the quaternion is twice too long.
    frame = deepmimic_frame(c1=[1, 2, 3], c4=[2 * half, 0, 2 * half, 0], c20=-1.0, c29=0.5)
    motion = read_source(write_deepmimic(tmp_path, [frame, frame]))
    np.testing.assert_allclose(motion.root_pos[0], [1, -3, 2])
    np.testing.assert_allclose(motion.local_rot[0, 0], [half, 0, 0, half], atol=1e-12)
    for body, angle in (("right_shin", 1.0), ("right_lower_arm", -0.5)):  # both stored with the opposite sign
        turn = Rotation.from_quat(motion.local_rot[0, character.body(body)], scalar_first=True)
        np.testing.assert_allclose(turn.as_rotvec(), [0, angle, 0], atol=1e-12)


def test_deepmimic_frames_of_unequal_duration(tmp_path):
    times = np.array([0.0, 0.1, 0.3, 0.4, 0.5])
    steps = [*np.diff(times), 0.0]  # the last frame lasts no time
    frames = [deepmimic_frame(step, c1=[2 * t, 1, 0]) for step, t in zip(steps, times, strict=True)]
    motion = read_source(write_deepmimic(tmp_path, frames))
    assert motion.fps == pytest.approx(10) and motion.num_frames == 6
    np.testing.assert_allclose(motion.root_pos[:, 0], 0.2 * np.arange(6), atol=1e-9)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"Frames": [[0.1, 2', r"clip\.txt, line 1: expected DeepMimic JSON.*cut short"),
        ('{"Motion": []}', "object with 'Frames'"),
        ('{"Frames": [[0.1, 2], [0.1, 2]]}', "frame 0: expected 44 numbers .*found 2"),
        (json.dumps({"Frames": [[0.0] * 44] * 2}), "duration above 0"),
        (json.dumps({"Frames": [[0.1, 1e7] + [0.0] * 42] * 2}), "numbers below 1e[+]06"),
        (json.dumps({"Frames": [[0.1, 10**400] + [0.0] * 42] * 2}), "must be 44 numbers"),
        ('{"Frames": 5}', "to be a list, found int"),
        ('{"Frames": [' + "9" * 5000 + "]}", "DeepMimic JSON"),
        ('{"Frames": ' + "[" * 100_000, "DeepMimic JSON"),
    ],
)
def test_deepmimic_bad_input_is_explained(tmp_path, text, message):
    with pytest.raises(UserError, match=message):
        read_source(write(tmp_path, "clip.txt", text))


def test_unknown_files_are_explained(tmp_path):
    with pytest.raises(UserError, match=r"walk\.fbx: unknown kind of motion file; known are .*\.bvh \(bvh\)"):
        read_source(tmp_path / "walk.fbx")
    with pytest.raises(UserError, match=r"walk\.bvh: no such file"):
        read_source(tmp_path / "walk.bvh")
    with pytest.raises(UserError, match=r"no frames in \[3.0, None\] s; the motion lasts 0.05 s"):
        read_source(write(tmp_path, "a.bvh", bvh_text([{}, RAISE]))).window(3.0)


def test_manifest_rate_wins_over_a_bvh_that_says_120_of_every_trial(tmp_path):
    clip = ManifestClip("a", "1_1", 60.0, 0.0, None, "", "train", 1.0, (), "")
    text = bvh_text([{}, RAISE])
    says_120 = write(tmp_path, "a.bvh", text.replace("Frame Time: 0.05", "Frame Time: .0083333"))
    assert read_clip(clip, says_120).fps == 60
    assert read_clip(clip, write(tmp_path, "b.bvh", text)).fps == pytest.approx(20)


def test_tool_prints_one_message_and_exits_with_2(tmp_path):
    path = write(tmp_path, "half.bvh", bvh_text([{}, RAISE])[:-200])
    tool = Path(__file__).parents[2] / "tools" / "import_motions.py"
    command = [sys.executable, str(tool), str(path), "--out", str(tmp_path / "out")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2 and not (tmp_path / "out").exists()
    assert done.stderr.startswith(f"error: {path}, line ") and "expected frame 2 of 2" in done.stderr
    assert "Traceback" not in done.stderr
