"""Keyframes: what the face does at them and between them, and what is refused."""

import math
from pathlib import Path

import pytest
import torch

from rgb_core.avatar import Avatar
from rgb_core.driving import DriveOptions, load_motion
from rgb_core.driving.keyframes import read_keyframes
from rgb_core.driving.recording import Recording
from rgb_core.errors import InputError
from rgb_core.progress import Silent

BEGIN = "format: rgb-keyframes\nversion: 1\nfps: 50\nkeys:\n"


def read(avatar: Avatar, folder: Path, keys: str, begin: str = BEGIN) -> Recording:
    path = folder / "play.yaml"
    path.write_text(begin + keys, encoding="utf-8")
    return read_keyframes(path, avatar.head)


def test_numbers_pass_through_their_keys_without_overshooting(avatar: Avatar, tmp_path: Path):
    """A track has a cubic of its own; 0 where the first key does not name it, and held after its last."""
    play = read(avatar, tmp_path, "  0: {jaw: 0.2}\n  0.4: {jaw: 0.6}\n  0.8: {jaw: 0.6, head: {yaw: 30}}\n  1: {}\n")
    jaw = play.expression[:, play.names.index("jawOpen")]
    assert (play.fps, len(jaw)) == (50.0, 51)
    assert jaw[[0, 20, 40, 50]].tolist() == pytest.approx([0.2, 0.6, 0.6, 0.6])
    assert 0.2 <= float(jaw.min()) <= float(jaw.max()) <= 0.6 + 1e-6
    steps = jaw.diff()
    assert float(steps.diff().abs().max()) < 0.2 * float(steps.abs().max())  # no corners
    assert play.turn is not None
    assert play.turn[[0, 40, 50], 0].tolist() == pytest.approx([0, math.radians(30), math.radians(30)])


def test_a_name_without_a_side_moves_both(avatar: Avatar, tmp_path: Path):
    play = read(avatar, tmp_path, "  0: {expression: {mouthSmile: 0.5, mouthLeft: 0.3}}\n")
    assert play.names == ("mouthSmileLeft", "mouthSmileRight", "mouthLeft")
    assert play.expression.tolist() == [pytest.approx([0.5, 0.5, 0.3])]


def test_numbers_that_somebody_wrote_are_neither_smoothed_nor_taken_for_a_habit(avatar: Avatar, tmp_path: Path):
    """A smile throughout stays; a jaw beyond what the avatar saw is held there."""
    path = tmp_path / "play.yml"
    path.write_text(BEGIN + "  0: {expression: {mouthSmile: 0.3}, jaw: 0}\n  0.02: {jaw: 1}\n  0.04: {jaw: 0}\n")
    motion = load_motion(path, avatar, DriveOptions(tmp_path / "work"), Silent())
    head = avatar.head
    assert motion.poses.expression[:, head.expression_index("mouthSmileLeft")].tolist() == pytest.approx([0.3] * 3)
    assert motion.poses.expression[:, head.expression_index("jawOpen")].tolist() == pytest.approx([0, 0.9, 0])


def test_eyes_look_where_they_are_told(avatar: Avatar, tmp_path: Path):
    """To the head's own left, the left eye looks out and the right one in."""
    path = tmp_path / "play.yaml"
    path.write_text(BEGIN + "  0: {eyes: {yaw: 15, pitch: -10}}\n")
    moved = load_motion(path, avatar, DriveOptions(tmp_path / "work"), Silent()).poses.expression[0]
    active = {avatar.head.expression_names[index] for index in torch.nonzero(moved)[:, 0].tolist()}
    assert active == {"eyeLookOutLeft", "eyeLookInRight", "eyeLookDownLeft", "eyeLookDownRight"}


@pytest.mark.parametrize(
    ("keys", "says"),
    [
        ("  0: {jaw: 0.1, haed: {yaw: 3}}\n", r"second 0: nothing is called 'haed' \(did you mean head\?\)"),
        ("  0: {head: {yow: 3}}\n", r"second 0, head: nothing is called 'yow' \(did you mean yaw\?\)"),
        ("  0.5: {expression: {jawOpn: 3}}\n", r"second 0.5: 'jawOpn' is no expression \(did you mean jawOpen\?\)"),
        ("  0: {jaw: wide}\n", "second 0, jawOpen: 'wide' is no number"),
        ("  0: {jaw: .nan}\n", "jawOpen: nan is no number"),
        ("  0: {jaw: 1, expression: {jawOpen: 1}}\n", "jaw and jawOpen are the same"),
        ("  0: {eyes: {yaw: 1}, expression: {eyeLookUpLeft: 1}}\n", "both say where the eyes look"),
        ("  0: wide\n", "a key is a mapping"),
        ("  soon: {jaw: 1}\n", "keys: 'soon' is no number"),
        ("  -1: {jaw: 1}\n", "keys: -1 is no number from 0"),
        ("  1e9: {jaw: 1}\n", "keys: .* is no number from 0"),
        ("", "keys must map seconds"),
    ],
)
def test_what_is_wrong_is_named(avatar: Avatar, tmp_path: Path, keys: str, says: str):
    with pytest.raises(InputError, match=says):
        read(avatar, tmp_path, keys)


def test_another_file_is_no_keyframe_file(avatar: Avatar, tmp_path: Path):
    for begin, says in (
        ("keys:\n", "must begin with `format"),
        (BEGIN.replace("1\n", "7\n", 1), "version 7 is unknown"),
    ):
        with pytest.raises(InputError, match=says):
            read(avatar, tmp_path, "  0: {jaw: 1}\n", begin)
