"""The JSON record of a motion: what it drives, that our own comes back, and what is refused."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from rgb_core.avatar import Avatar
from rgb_core.driving import DriveOptions, load_motion
from rgb_core.driving.coefficients import read_coefficients
from rgb_core.errors import InputError
from rgb_core.heads import Motion, Pose, motion_record
from rgb_core.progress import Silent

RECORD: dict[str, Any] = {
    "format": "rgb-motion", "version": 1, "fps": 30,
    "expressions": ["jawOpen", "eyeBlink_L"], "frames": [[0.1, 0], [0.5, 1], [0.3, 0.5]],
    "head": [[0.1, 0, 0]] * 3,
}  # fmt: skip


def written(folder: Path, record: dict[str, Any]) -> Path:
    path = folder / "talk.json"
    path.write_text("\ufeff" + json.dumps(record), encoding="utf-8")
    return path


def test_arkit_names_in_any_spelling_drive_the_avatar(avatar: Avatar, tmp_path: Path):
    options = DriveOptions(tmp_path / "work", neutral=False, smooth=0.0)
    motion = load_motion(written(tmp_path, RECORD), avatar, options, Silent())
    assert (motion.name, motion.fps, motion.frames) == ("talk", 30.0, 3)
    moved = motion.poses.expression
    assert moved[:, avatar.head.expression_index("jawOpen")].tolist() == pytest.approx([0.1, 0.5, 0.3])
    blink = moved[:, avatar.head.expression_index("eyeBlinkLeft")].tolist()
    assert blink == pytest.approx([0.0, 0.9, 0.5])  # the avatar saw lids shut to 0.9
    assert int((moved != 0).any(0).sum()) == 2


def test_our_own_record_comes_back(avatar: Avatar, tmp_path: Path):
    """Joints and places included: finer than thousandths nothing is kept."""
    generator = torch.Generator().manual_seed(1)
    expressions, joints = len(avatar.head.expression_names), avatar.head.joint_count
    shapes = ((4, expressions), (4, joints, 3), (4, 3))
    poses = Pose(*(torch.rand(shape, generator=generator) - 0.5 for shape in shapes))
    path = written(tmp_path, motion_record(Motion("take", poses, 24.0), avatar.head))
    options = DriveOptions(tmp_path / "work", neutral=False, smooth=0.0, clamp=False)
    motion = load_motion(path, avatar, options, Silent())
    assert (motion.name, motion.fps) == ("take", 24.0)
    for read, true in zip(motion.poses.tensors, poses.tensors, strict=True):
        torch.testing.assert_close(read, true, rtol=0, atol=6e-4)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"format": "rgb-dataset"}, "belongs to a dataset: give its folder"),
        ({"format": "motion"}, "format is 'motion', expected 'rgb-motion'"),
        ({"version": 2}, "version 2 is unknown"),
        ({"fps": 0}, "fps must be a positive number"),
        ({"frmes": []}, r"frmes is no key of rgb-motion \(did you mean frames\?\)"),
        ({"expressions": ["jawOpn", "eyeBlinkLeft"]}, r"'jawOpn' is no expression \(did you mean jawOpen\?\)"),
        ({"expressions": ["jawOpen", "jawOpen"]}, "must be different names"),
        ({"frames": [[0.1, 0.2], [0.3]]}, "frames must be numbers of shape"),
        ({"frames": []}, "frames has 0 rows"),
        ({"frames": [[0.1, 4e4]] * 3}, "has the value 4e[+]04; up to 100 is possible"),
        ({"head": [[0, 0, 0]]}, r"head has shape \[1, 3\], expected \[3, 3\]"),
        ({"joints": {"jow": [[0, 0, 0]] * 3}}, r"jow is no joint of head model .*did you mean jaw\?"),
        ({"joints": {"neck": [[0, 0, 0]] * 3}}, "says how the head stands, as 'head' does"),
    ],
)
def test_what_is_wrong_is_named(avatar: Avatar, tmp_path: Path, change: dict[str, Any], says: str):
    with pytest.raises(InputError, match=says):
        read_coefficients(written(tmp_path, RECORD | change), avatar.head)
