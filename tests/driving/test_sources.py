"""Every kind of source drives an avatar: the jaw opens when the driver's does, at the driver's rate."""

import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from rgb_core.avatar import Avatar
from rgb_core.data import DatasetWriter, load_dataset
from rgb_core.driving import SOURCES, DriveOptions, load_motion, shots_of
from rgb_core.errors import InputError
from rgb_core.heads import Pose, builtin_head
from rgb_core.progress import Silent
from rgb_core.scene import Camera
from rgb_core.tracking import track
from tests.tracking.clips import PerfectDetector, film, spread_correspondence, talking

from .conftest import Told
from .performances import performance, write_take

FRAMES = 12


def jaws() -> torch.Tensor:
    return torch.tensor([performance(frame)["JawOpen"] for frame in range(FRAMES)])


def dataset_without_pictures(folder: Path) -> Path:
    head = builtin_head()
    looking = torch.tensor([[1.0, 0, 0, 0], [0, -1, 0, 0], [0, 0, -1, 1.0]])
    camera = Camera((100.0, 100.0, 16.0, 16.0), looking, 32, 32)
    writer = DatasetWriter(folder, "clip", (32, 32), 60.0, head, "world", [])
    for index, jaw in enumerate(jaws().tolist()):
        expression = torch.zeros(len(head.expression_names))
        expression[head.expression_index("jawOpen")] = jaw
        pose = Pose(expression, torch.zeros(head.joint_count, 3), torch.zeros(3))
        writer.add_frame(f"{index:05d}", "train", camera, pose, torch.zeros(32, 32, 4, dtype=torch.uint8))
    writer.finish()
    shutil.rmtree(folder / "images")
    with pytest.raises(InputError, match="does not exist"):
        load_dataset(folder)
    return folder


def take(folder: Path) -> Path:
    return write_take(folder / "take.csv")


def record(folder: Path) -> Path:
    values = {"format": "rgb-motion", "version": 1, "fps": 60, "expressions": ["jawOpen"]}
    path = folder / "take.json"
    path.write_text(json.dumps(values | {"frames": [[jaw] for jaw in jaws().tolist()]}))
    return path


def keyframes(folder: Path) -> Path:
    keys = "".join(f"  {index / 60:.6f}: {{jaw: {jaw:.4f}}}\n" for index, jaw in enumerate(jaws().tolist()))
    path = folder / "take.yaml"
    path.write_text("format: rgb-keyframes\nversion: 1\nfps: 60\nkeys:\n" + keys)
    return path


def correlation(one: torch.Tensor, other: torch.Tensor) -> float:
    return float(torch.corrcoef(torch.stack([one, other]))[0, 1])


@pytest.mark.parametrize("write", [dataset_without_pictures, take, record, keyframes])
def test_the_jaw_follows_the_file(avatar: Avatar, tmp_path: Path, write: Callable[[Path], Path]):
    motion = load_motion(write(tmp_path / "source" if write is dataset_without_pictures else tmp_path), avatar,
                         DriveOptions(tmp_path / "work"), Silent())  # fmt: skip
    jaw = motion.poses.expression[:, avatar.head.expression_index("jawOpen")]
    assert (motion.fps, motion.frames) == (60.0, FRAMES)
    assert correlation(jaw, jaws()) > 0.98
    assert float(jaw.max() - jaw.min()) > 0.8 * float(jaws().max() - jaws().min())
    shots = shots_of(avatar, motion)
    assert len(shots) == FRAMES
    assert not (tmp_path / "work").exists()


def test_the_jaw_follows_a_video_which_is_tracked_once(avatar: Avatar, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A drawn clip and a detector that knows its landmarks; two frames without a face are filled in."""
    monkeypatch.setitem(
        track.__globals__, "find_correspondence", lambda head, detector: spread_correspondence(builtin_head())
    )
    truth, unseen = talking(FRAMES), (4, 5, 6, 7)
    video = film(tmp_path / "clip.mp4", truth, unseen)
    first, second = PerfectDetector(truth, unseen), PerfectDetector(truth, unseen)
    for detector in (first, second):
        motion = load_motion(video, avatar, DriveOptions(tmp_path / "out.tracking", detector=detector), Silent())
    assert first.seen
    assert not second.seen
    assert (motion.fps, motion.frames) == (25.0, FRAMES)
    index = avatar.head.expression_index("jawOpen")
    assert correlation(motion.poses.expression[:, index], truth.pose.expression[:, index]) > 0.7
    other = load_motion(tmp_path / "out.tracking", avatar, DriveOptions(tmp_path / "work"), Silent())
    assert other.frames == FRAMES - len(unseen)  # a dataset has the frames it has


def test_seconds_choose_frames(avatar: Avatar, tmp_path: Path):
    """The same frames as of the whole: what the rest is told apart by is all of it."""
    path = take(tmp_path)
    whole = load_motion(path, avatar, DriveOptions(tmp_path / "work"), Silent())
    part = load_motion(path, avatar, DriveOptions(tmp_path / "work", start=0.05, end=0.1), Silent())
    assert torch.equal(part.poses.expression, whole.poses.expression[3:6])
    for start, end in ((3.0, None), (0.1, 0.1)):
        with pytest.raises(InputError, match=r"no frame of take, which lasts 0\.20 s"):
            load_motion(path, avatar, DriveOptions(tmp_path / "work", start=start, end=end), Silent())


def test_numbers_on_request_as_they_are(avatar: Avatar, tmp_path: Path):
    """With everything switched off, and told nothing."""
    told = Told()
    options = DriveOptions(tmp_path / "work", neutral=False, smooth=0.0, clamp=False)
    motion = load_motion(take(tmp_path), avatar, options, told)
    jaw = motion.poses.expression[:, avatar.head.expression_index("jawOpen")]
    torch.testing.assert_close(jaw, jaws(), atol=1e-6, rtol=0)
    assert told.messages == []


def test_what_is_missing_is_one_sentence_with_all_kinds(avatar: Avatar, tmp_path: Path):
    with pytest.raises(InputError, match="does not exist; an avatar is driven by one of") as caught:
        load_motion(tmp_path / "none.csv", avatar, DriveOptions(tmp_path / "work"), Silent())
    assert all(source.what in str(caught.value) for source in SOURCES)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="is empty; give the folder of a dataset"):
        load_motion(tmp_path / "empty", avatar, DriveOptions(tmp_path / "work"), Silent())


def test_the_head_turns_as_in_every_source(avatar: Avatar, tmp_path: Path):
    """The same yaw in radians, in a JSON, and in degrees."""
    (tmp_path / "turn.json").write_text(
        json.dumps({"format": "rgb-motion", "version": 1, "fps": 25, "expressions": ["jawOpen"], "frames": [[0.0]],
                    "head": [[0.3, 0.2, -0.1]]})
    )  # fmt: skip
    angles = ", ".join(
        f"{name}: {math.degrees(value):.6f}" for name, value in (("yaw", 0.3), ("pitch", 0.2), ("roll", -0.1))
    )
    (tmp_path / "turn.yaml").write_text(
        f"format: rgb-keyframes\nversion: 1\nkeys:\n  0: {{jaw: 0, head: {{{angles}}}}}\n"
    )
    one, other = (
        load_motion(tmp_path / name, avatar, DriveOptions(tmp_path / "work"), Silent()).poses.joints
        for name in ("turn.json", "turn.yaml")
    )
    torch.testing.assert_close(one, other, atol=1e-5, rtol=0)
    assert float(one[0, 0].norm()) > 0.3
