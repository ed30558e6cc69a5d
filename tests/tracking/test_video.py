"""Video files of every kind that phones make, and of the kinds that accidents make."""

from pathlib import Path

import pytest
import torch

from rgb_core.errors import InputError
from rgb_core.exporting import write_video
from rgb_core.tracking.detect.video import open_video

from .clips import ffmpeg

COUNT = 20


@pytest.fixture(scope="module")
def ramp(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """20 frames of 64 x 48 that get brighter, with a red left quarter."""
    frames = []
    for number in range(COUNT):
        frame = torch.full((48, 64, 3), 40 + 8 * number, dtype=torch.uint8)
        frame[:, :16] = torch.tensor([250, 0, 0], dtype=torch.uint8)
        frames.append(frame)
    path = tmp_path_factory.mktemp("video") / "ramp.mp4"
    write_video(path, frames, 25.0, 9.0)
    return path


def levels(path: Path, **span: int) -> list[tuple[int, float]]:
    """Number and brightness of every frame."""
    return [(number, float(frame[:, 32:].float().mean())) for number, frame in open_video(path).frames(**span)]


def test_frames_come_in_order_with_their_colours(ramp: Path) -> None:
    video = open_video(ramp)
    assert video.size == (64, 48)
    assert video.fps == 25
    assert video.expected == COUNT
    for number, level in levels(ramp):
        assert level == pytest.approx(40 + 8 * number, abs=3)  # compression
    assert len(levels(ramp)) == COUNT


def test_start_end_and_stride_select_frames(ramp: Path) -> None:
    chosen = levels(ramp, start=4, end=15, stride=5)
    assert [number for number, _ in chosen] == [4, 9, 14]
    assert chosen[1][1] == pytest.approx(40 + 8 * 9, abs=3)


def test_rotation_metadata_is_applied(ramp: Path, tmp_path: Path) -> None:
    """A phone held upright stores lying frames and says so."""
    turned = tmp_path / "turned.mp4"
    ffmpeg("-display_rotation", "90", "-i", ramp, "-c", "copy", turned)
    video = open_video(turned)
    assert video.size == (48, 64)
    _, frame = next(iter(video.frames()))
    red = (frame[..., 0].float() - frame[..., 1].float()) > 100
    assert float(red[-12:].float().mean()) > 0.9  # turned anticlockwise, the left side lies below
    assert float(red[:-20].float().mean()) < 0.05


def test_a_variable_rate_becomes_constant_by_time(ramp: Path, tmp_path: Path) -> None:
    """The second half at half the rate: frames are repeated or dropped so that motion keeps its speed."""
    varied = tmp_path / "varied.mp4"
    ffmpeg("-i", ramp, "-vf", "setpts='if(lt(N,10),N,10+2*(N-10))/25/TB'", "-fps_mode", "vfr", varied)
    video = open_video(varied)
    shown = levels(varied)
    assert len(shown) > COUNT
    for number, level in shown:
        tick = 25 * number / video.fps
        source = tick if tick < 10 else 10 + (tick - 10) / 2
        assert (level - 40) / 8 == pytest.approx(min(source, COUNT - 1), abs=1.2)  # the nearest frame, or compression


def test_a_file_that_was_cut_off_gives_what_it_has(tmp_path: Path) -> None:
    noise = torch.randint(0, 256, (COUNT, 48, 64, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    whole = tmp_path / "whole.mp4"
    write_video(whole, list(noise), 25.0, 9.0)
    data = whole.read_bytes()
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(data[: int(0.6 * len(data))])
    assert 1 <= len(levels(broken)) < COUNT
    assert open_video(broken).expected == COUNT


@pytest.mark.parametrize(
    ("content", "words"), [(None, "does not exist"), (b"", "cannot read"), (b"text" * 99, "cannot read")]
)
def test_what_is_no_video_is_said(tmp_path: Path, content: bytes | None, words: str) -> None:
    path = tmp_path / "clip.mp4"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=words):
        open_video(path)


def test_a_folder_is_no_video(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is a folder"):
        open_video(tmp_path)
