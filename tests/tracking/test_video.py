"""Video files of every kind that phones make, and of the kinds that accidents make."""

from fractions import Fraction
from pathlib import Path

import pytest
import torch
from PIL import Image

from rgb_core.errors import InputError
from rgb_core.images.video import write_video
from rgb_core.tracking.detect import video_file
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


def test_pixels_become_square(ramp: Path, tmp_path: Path) -> None:
    """Anamorphic as HDV is, and the other way round: nothing is narrower, and no line is lost."""
    for ratio, stored, shown in (("4/3", (48, 48), (64, 48)), ("1/2", (64, 24), (64, 48))):
        squeezed = tmp_path / "squeezed.mp4"
        ffmpeg("-i", ramp, "-vf", f"scale={stored[0]}:{stored[1]},setsar={ratio}", "-crf", "5", squeezed)
        video = open_video(squeezed)
        assert video.size == shown
        _, frame = next(iter(video.frames()))
        red = (frame[..., 0].float() - frame[..., 1].float()) > 100
        assert float(red.float().mean()) == pytest.approx(0.25, abs=0.03)


def test_hdr_is_converted_and_said(ramp: Path, tmp_path: Path) -> None:
    """Greys coded as HLG by its formulas (BT.2100, SDR white at 203 cd/m2) come back."""
    shades = torch.tensor([60.0, 128.0, 200.0])
    scene = (0.203 * ((shades / 255 + 0.055) / 1.055) ** 2.4) ** (1 / 1.2)
    signal = torch.where(scene < 1 / 12, (3 * scene).sqrt(), 0.17883277 * (12 * scene - 0.28466892).log() + 0.55991073)
    luma = (64 + 876 * signal).round().short().repeat_interleave(32).expand(48, 96)
    frame = torch.cat([luma.flatten(), torch.full((2 * 24 * 48,), 512, dtype=torch.int16)])
    raw, hlg = tmp_path / "raw.yuv", tmp_path / "hlg.mov"
    raw.write_bytes(frame.numpy().tobytes() * 3)
    ffmpeg("-f", "rawvideo", "-pix_fmt", "yuv420p10le", "-s", "96x48", "-i", raw, "-c:v", "libx265",
           "-crf", "4", "-x265-params",
           "log-level=none:colorprim=bt2020:transfer=arib-std-b67:colormatrix=bt2020nc", hlg)  # fmt: skip
    video = open_video(hlg)
    assert any("HDR (HLG)" in note for note in video.notes)
    _, shown = next(iter(video.frames()))
    for place, shade in enumerate(shades.tolist()):
        assert float((shown[8:-8, 32 * place + 8 : 32 * place + 24].float() - shade).abs().max()) < 4
    assert not open_video(ramp).notes


def test_hdr_that_cannot_be_converted_is_refused_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hlg = tmp_path / "hlg.mov"
    ffmpeg("-f", "lavfi", "-i", "color=size=64x48:duration=0.2", "-pix_fmt", "yuv420p10le", "-c:v", "libx265",
           "-x265-params", "log-level=none:colorprim=bt2020:transfer=smpte2084:colormatrix=bt2020nc", hlg)  # fmt: skip
    monkeypatch.setattr(video_file, "_ffmpeg_filters", lambda: "scale")
    with pytest.raises(InputError, match=r"is HDR \(PQ\), which this ffmpeg cannot convert"):
        open_video(hlg)


def test_a_stream_that_starts_late_has_its_own_frames_only(ramp: Path, tmp_path: Path) -> None:
    late = tmp_path / "late.mp4"
    sound = ["-f", "lavfi", "-t", "3", "-i", "anullsrc"]
    ffmpeg("-itsoffset", "2", "-i", ramp, *sound, "-map", "0:v", "-map", "1:a", "-c:v", "copy", late)
    shown = levels(late)
    assert len(shown) == COUNT
    assert shown[3][1] == pytest.approx(40 + 8 * 3, abs=4)


def test_the_largest_stream_is_taken(ramp: Path, tmp_path: Path) -> None:
    """A preview comes first, a cover picture is largest of all."""
    both, cover = tmp_path / "both.mp4", tmp_path / "cover.jpg"
    ffmpeg("-i", ramp, "-frames:v", "1", "-vf", "scale=600:600", cover)
    small = ["-f", "lavfi", "-i", "color=size=32x32:rate=5:duration=0.8"]
    maps = ["-map", "0:v", "-map", "1:v", "-map", "2:v", "-c:v:0", "libx264", "-c:v:1", "copy", "-c:v:2", "copy"]
    ffmpeg(*small, "-i", ramp, "-i", cover, *maps, "-disposition:v:2", "attached_pic", both)
    video = open_video(both)
    assert (video.size, video.fps) == ((64, 48), 25)
    assert len(levels(both)) == COUNT


def test_slow_motion_keeps_all_frames(ramp: Path, tmp_path: Path) -> None:
    slow = tmp_path / "slow.mp4"
    ffmpeg("-r", "240", "-i", ramp, slow)
    assert open_video(slow).fps == 240
    assert len(levels(slow)) == COUNT


def test_a_rate_that_is_not_said_is_counted(ramp: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Browsers record files whose only rate is that of their clock."""
    streams = video_file._streams
    monkeypatch.setattr(video_file, "_streams", lambda said: streams(said.replace(" 25 fps, 25 tbr", " 1k tbr")))
    assert open_video(ramp).fps == pytest.approx(25, rel=0.06)


def test_rates_of_television_are_exact(ramp: Path, tmp_path: Path) -> None:
    for rate in ("24000/1001", "30000/1001"):
        television = tmp_path / "television.mp4"
        ffmpeg("-r", rate, "-i", ramp, television)
        assert open_video(television).fps == pytest.approx(float(Fraction(rate)), abs=1e-9)


@pytest.mark.parametrize("name", ["take-10:30:05.mp4", "-clip.mp4", "clip %03d [1] é.mp4", "concat:clip.mp4"])
def test_names_are_names(ramp: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    (tmp_path / name).write_bytes(ramp.read_bytes())
    monkeypatch.chdir(tmp_path)
    assert len(levels(Path(name))) == COUNT


def test_sizes_may_be_odd(ramp: Path, tmp_path: Path) -> None:
    odd = tmp_path / "odd.mov"
    ffmpeg("-i", ramp, "-vf", "scale=51:37", "-c:v", "mjpeg", "-q:v", "2", "-pix_fmt", "yuvj444p", odd)
    assert open_video(odd).size == (51, 37)
    assert levels(odd)[3][1] == pytest.approx(40 + 8 * 3, abs=4)


def test_sound_alone_is_said(tmp_path: Path) -> None:
    ffmpeg("-f", "lavfi", "-t", "1", "-i", "sine", tmp_path / "sound.m4a")
    with pytest.raises(InputError, match="has no video, only sound"):
        open_video(tmp_path / "sound.m4a")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three pictures that get brighter, the last one stored on its side as a camera does."""
    pictures = tmp_path / "frames"
    pictures.mkdir()
    for number, name in enumerate(("frame_8.png", "frame_9.png", "frame_10.jpg")):
        picture = Image.new("RGB", (64, 48), (40 + 40 * number,) * 3)
        picture.paste((250, 0, 0), (0, 0, 16, 48))
        exif = Image.Exif()
        if name.endswith("jpg"):
            exif[0x0112] = 6  # shown turned clockwise by a quarter
            picture = picture.transpose(Image.Transpose.ROTATE_90)
        picture.save(pictures / name, exif=exif, quality=95)
    (pictures / "notes.txt").write_text("no picture")
    return pictures


def test_a_folder_of_pictures_is_a_clip(folder: Path) -> None:
    video = open_video(folder, 30.0)
    assert (video.size, video.fps, video.expected, video.notes) == ((64, 48), 30.0, 3, ())
    shown = list(video.frames())
    assert [number for number, _ in shown] == [0, 1, 2]
    for number, frame in shown:
        assert float(frame[:, 32:].float().mean()) == pytest.approx(40 + 40 * number, abs=3)  # 10 comes after 9
        assert float((frame[:, :12, 0].float() - frame[:, :12, 1].float()).mean()) > 200  # red is left, upright
    assert [number for number, _ in video.frames(1, 3, 2)] == [1]
    assert any("25 frames a second" in note for note in open_video(folder).notes)


def test_what_is_no_clip_of_pictures_is_said(folder: Path, ramp: Path, tmp_path: Path) -> None:
    Image.new("RGB", (10, 10)).save(folder / "frame_11.png")
    with pytest.raises(InputError, match="frames of a clip have one size"):
        list(open_video(folder).frames())
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="holds no pictures"):
        open_video(tmp_path / "empty")
    with pytest.raises(InputError, match="--fps is for folders"):
        open_video(ramp, 30.0)
