"""Recordings of Live Link Face: their values, holes and rates, and what is no such recording."""

import math
from pathlib import Path

import pytest
import torch

from rgb_core.avatar import Avatar
from rgb_core.driving import DriveOptions, load_motion
from rgb_core.driving.livelink import read_livelink
from rgb_core.errors import InputError
from rgb_core.progress import Silent
from rgb_core.rotations import axis_angle_to_matrix

from .conftest import Told
from .performances import columns, performance, row, write_take

YAW = f"{performance(1)['HeadYaw']:.9f}"
AS_IT_IS = {"neutral": False, "smooth": 0.0, "clamp": False}


def test_values_names_and_rate_are_those_of_the_file(tmp_path: Path):
    take = read_livelink(write_take(tmp_path / "MySlate_5_iPhone.csv"), Silent())
    assert (take.name, take.fps, len(take.names)) == ("MySlate_5_iPhone", 60.0, 52)
    for frame in range(12):
        wanted = {name[0].lower() + name[1:]: value for name, value in performance(frame).items()}
        for index, name in enumerate(take.names):
            assert float(take.expression[frame, index]) == pytest.approx(wanted.get(name, 0.0), abs=1e-6)
        assert take.turn is not None
        assert take.turn[frame].tolist() == pytest.approx([wanted["headYaw"], 0, 0], abs=1e-6)


def test_the_avatar_does_what_the_phone_saw(avatar: Avatar, tmp_path: Path):
    """Yaw turns the face to its own left, pitch up, roll towards its own right shoulder; the blink stays whole."""
    turned = {"HeadYaw": 0.3, "HeadPitch": 0.2, "HeadRoll": 0.1, "EyeBlinkLeft": 1.0, "JawOpen": 0.4}
    path = tmp_path / "one.csv"
    path.write_text("\n".join([",".join(columns()), row("00:00:01:00.0", turned)]))
    motion = load_motion(path, avatar, DriveOptions(tmp_path / "work", **AS_IT_IS), Silent())
    head, pose = avatar.head, motion.poses.rows(0)
    assert float(pose.expression[head.expression_index("eyeBlinkLeft")]) == 1.0
    assert float(pose.expression[head.expression_index("jawOpen")]) == pytest.approx(0.4)
    neck = head.joint_names.index("neck")
    skull = axis_angle_to_matrix(pose.joints[0]) @ axis_angle_to_matrix(pose.joints[neck])
    left, up, out = skull.T
    assert float(out[0]) > 0.2  # x is the head's left
    assert float(out[1]) == pytest.approx(math.sin(0.2), abs=1e-5)
    assert float(left[1]) > 0.05  # its left ear is up
    assert float(up[1]) > 0.9


def test_rows_without_a_face_are_bridged_and_missing_ones_filled(tmp_path: Path):
    """The app counts 0 shapes, or leaves cells empty, while it sees no face."""
    jaws = {0: 0.0, 1: 0.1, 2: None, 3: 0.3, 6: 0.6, 7: 0.7}  # frames 4 and 5 were dropped
    lines = [",".join(columns())]
    for frame, jaw in jaws.items():
        code = f"10:00:00:{frame:02d}.000"
        lines.append(f"{code},0" + "," * 61 if jaw is None else row(code, {"JawOpen": jaw}))
    lines.append("10:00:00:08.000,61,0.1,0.2")  # the recording was cut off
    path = tmp_path / "holes.csv"
    path.write_text("\n".join(lines))
    told = Told()
    take = read_livelink(path, told)
    jaw = take.expression[:, take.names.index("jawOpen")]
    torch.testing.assert_close(jaw, torch.arange(8) / 10, atol=1e-6, rtol=0)
    assert told.messages == ["holes.csv: 2 of 7 rows have no face and are bridged"]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda text: text.replace("Timecode", "Time"), "no recording of Live Link Face"),
        (lambda text: text.splitlines()[0], "no rows"),
        (lambda text: "", "no CSV"),
        (lambda text: text.replace(YAW, "left"), "row 2: HeadYaw is 'left', no number"),
        (lambda text: text.replace(YAW, "17.2"), "row 2: HeadYaw is 17.2, radians are meant"),
        (lambda text: text.replace(YAW, "nan"), "row 2: HeadYaw is nan"),
        (lambda text: text.replace(",61,", ",0,"), "no row of it has a face"),
        (lambda text: text.replace("12:00:00:03.000", "noon"), "row 4: 'noon' is no timecode"),
    ],
)
def test_what_is_no_recording_is_one_sentence(tmp_path: Path, change, says: str):
    path = write_take(tmp_path / "take.csv")
    changed = change(path.read_bytes().decode("utf-8-sig"))
    path.write_text(changed)
    with pytest.raises(InputError, match=says):
        read_livelink(path, Silent())
