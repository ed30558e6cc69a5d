"""A video file, read by ffmpeg: which of its streams, at which rate, and what its frames need to be plain pictures."""

import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import imageio_ffmpeg
import torch
from torch import Tensor

from ...errors import InputError
from .video_stream import Video

_HIGHEST_RATE = 960.0  # frames per second of the fastest phones; a container that claims more has no meaningful rate
_USUAL_RATE = 25.0
_HDR = {"arib-std-b67": "HLG", "smpte2084": "PQ"}
_WHITE = 203  # cd/m2 of SDR's white in HDR (BT.2408)
_TO_SDR = f"zscale=t=linear:npl={_WHITE},format=gbrpf32le,zscale=p=bt709,zscale=t=iec61966-2-1:m=gbr:r=full,format=gbrp"
_TO_BT709 = "zscale=t=linear,format=gbrpf32le,zscale=p=bt709,zscale=t=iec61966-2-1:m=gbr:r=full,format=gbrp"
_SQUARE = "scale=w='if(gt(sar,1),round(iw*sar),iw)':h='if(gt(sar,1),ih,round(ih/sar))',setsar=1"
_HD = 720  # lines from which on a video that does not name its matrix has BT.709's
_DOLBY_ONLY = 5  # the profile of Dolby Vision that nothing else can show


@dataclass(frozen=True)
class _Stream:
    """What ffmpeg's list of streams says of a video stream; `colours` are matrix, primaries and transfer by name."""

    index: int
    width: int
    height: int
    fps: float | None
    start: float
    colours: tuple[str, ...]
    interlaced: bool
    dolby_only: bool


@dataclass(frozen=True)
class VideoFile(Video):
    """A file's largest video stream, through the `filters` that make its frames upright square SDR pictures."""

    stream: int
    filters: str

    def frames(self, start: int = 0, end: int | None = None, stride: int = 1) -> Iterator[tuple[int, Tensor]]:
        """See `Video`."""
        width, height = self.size
        command = [*_input(self.path), "-map", f"0:{self.stream}", "-vf", f"{self.filters},scale={width}:{height}"]
        with subprocess.Popen(  # noqa: S603, ffmpeg of imageio-ffmpeg
            [*command, *_RAW, "-"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        ) as process:
            try:
                number = 0
                while end is None or number < end:
                    pixels = bytearray(width * height * 3)
                    if not process.stdout or process.stdout.readinto(pixels) < len(pixels):  # type: ignore[attr-defined]
                        return
                    if number >= start and (number - start) % stride == 0:
                        yield number, torch.frombuffer(pixels, dtype=torch.uint8).view(height, width, 3)
                    number += 1
            finally:
                process.kill()


def open_file(path: Path) -> VideoFile:
    """A video file, checked by decoding its first frame.

    Raises:
        InputError: when ffmpeg finds no video in it, cannot decode a frame, or cannot convert its colours.
    """
    said = _ffmpeg(_input(path, "info"))
    streams = _streams(said)
    if not streams and re.search(r"Stream #0:\d+.*: Audio:", said):
        raise InputError(f"{path} has no video, only sound")
    if not streams:
        raise _unreadable(path)
    stream = max(streams, key=lambda found: found.width * found.height)
    colours, notes = _colour_filters(path, stream)
    duration = _seconds(said, "Duration: ")
    seconds = None if duration is None else duration - stream.start
    fps = _exact(stream.fps or _counted_rate(path, stream, seconds))
    steps = [f"bwdif=mode=send_frame:deint=all,{_SQUARE}" if stream.interlaced else _SQUARE, *colours]
    filters = ",".join([f"setpts=PTS-STARTPTS,fps={fps}", *steps])
    shown = _ffmpeg(
        [*_input(path, "info"), "-map", f"0:{stream.index}", "-vf", filters, "-frames:v", "1", *_RAW, "-f", "null", "-"]
    )
    size = re.search(r"Output #0.*?Video: .*?, (\d+)x(\d+)", shown, re.DOTALL)
    if size is None or not re.search(r"frame= *[1-9]", shown):
        raise _unreadable(path)
    promised = round(seconds * float(fps)) or None if seconds else None
    return VideoFile(path, (int(size[1]), int(size[2])), float(fps), promised, tuple(notes), stream.index, filters)


_RAW = ("-pix_fmt", "rgb24", "-f", "rawvideo")


def _input(path: Path, level: str = "error") -> list[str]:
    """The beginning of a command that reads a file, whose name is never taken for an option, protocol or pattern."""
    start = [imageio_ffmpeg.get_ffmpeg_exe(), "-nostdin", "-hide_banner", "-v", level]
    return [*start, "-protocol_whitelist", "file", "-i", f"file:{path}"]


def _ffmpeg(command: list[str]) -> str:
    """What ffmpeg says."""
    done = subprocess.run(  # noqa: S603, ffmpeg of imageio-ffmpeg
        command, stdin=subprocess.DEVNULL, capture_output=True, check=False
    )
    return done.stderr.decode("utf-8", "replace")


def _unreadable(path: Path) -> InputError:
    return InputError(
        f"ffmpeg cannot read a frame of {path}; check that it is a whole video file (it may have been cut off)"
    )


def _streams(said: str) -> list[_Stream]:
    """The video streams of a list that ffmpeg wrote, cover pictures left out."""
    found = []
    for part in re.split(r"\n(?= *Stream #0:)", said)[1:]:
        line = part.splitlines()[0]
        numbers = re.match(r" *Stream #0:(\d+).*?: Video: .*?, (\d+)x(\d+)", line)
        if numbers is None or "(attached pic)" in line:
            continue
        rate = re.search(r"([\d.]+) fps", line)
        fps = float(rate[1]) if rate else 0.0
        start = re.search(r"start (-?[\d.]+)", line)
        colours = re.search(r"\((?:tv|pc)?(?:, )?([\w-]+)/([\w-]+)/([\w-]+)", line)
        single = re.search(r"\((?:tv|pc), (bt709|bt470bg|smpte170m)[,)]", line)
        dolby = re.search(r"DOVI configuration record:.*profile: (\d+)", part)
        found.append(
            _Stream(
                int(numbers[1]),
                int(numbers[2]),
                int(numbers[3]),
                fps if 0 < fps <= _HIGHEST_RATE else None,
                float(start[1]) if start else 0.0,
                colours.groups() if colours else (single[1],) * 3 if single else ("unknown",) * 3,
                "top first" in line or "bottom first" in line,
                dolby is not None and int(dolby[1]) == _DOLBY_ONLY,
            )
        )
    return found


def _colour_filters(path: Path, stream: _Stream) -> tuple[list[str], list[str]]:
    """Filters that make a stream's colours sRGB's, and what to tell of them.

    Raises:
        InputError: where this ffmpeg cannot.
    """
    matrix, primaries, transfer = stream.colours
    if stream.dolby_only:
        raise InputError(f"{path} is Dolby Vision without a common base layer; export it as SDR (BT.709)")
    hdr = _HDR.get(transfer)
    if hdr or primaries == "bt2020":
        kind = f"HDR ({hdr})" if hdr else "wide gamut (BT.2020)"
        if "zscale" not in _ffmpeg_filters():
            raise InputError(
                f"{path} is {kind}, which this ffmpeg cannot convert (no zscale); export it as SDR (BT.709)"
            )
        note = f"{path.name} is {kind}: converted to SDR BT.709; whiter than {_WHITE} cd/m2 is clipped" if hdr else ""
        return [_TO_SDR if hdr else _TO_BT709], [note or f"{path.name} is {kind}: converted to BT.709"]
    if matrix == "unknown" and min(stream.width, stream.height) >= _HD:
        return ["scale=in_color_matrix=bt709"], []
    return [], []


def _ffmpeg_filters() -> str:
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-hide_banner", "-filters"]
    done = subprocess.run(  # noqa: S603, ffmpeg of imageio-ffmpeg
        command, stdin=subprocess.DEVNULL, capture_output=True, check=False, encoding="utf-8", errors="replace"
    )
    return done.stdout


def _counted_rate(path: Path, stream: _Stream, seconds: float | None) -> float:
    """Frames per second of a stream that does not say, from the number of its packets and the time they take."""
    said = _ffmpeg([*_input(path, "info"), "-map", f"0:{stream.index}", "-c", "copy", "-f", "null", "-"])
    counts = re.findall(r"frame= *(\d+)", said)
    if not counts:
        raise _unreadable(path)
    seconds = seconds or (_seconds(said, "time=") or 0.0) - stream.start
    rate = float(counts[-1]) / seconds if seconds > 0 else 0.0
    return rate if 1 <= rate <= _HIGHEST_RATE else _USUAL_RATE


def _seconds(said: str, before: str) -> float | None:
    """The last time of day that ffmpeg wrote after some words; None where it wrote none."""
    times = re.findall(before + r"(\d+):(\d+):(\d+\.\d+)", said)
    if not times:
        return None
    hours, minutes, seconds = (float(part) for part in times[-1])
    return 3600 * hours + 60 * minutes + seconds


def _exact(fps: float) -> Fraction:
    """The rate that ffmpeg rounded to two places: NTSC's are multiples of 1000/1001."""
    ntsc = Fraction(round(fps * 1.001) * 1000, 1001)
    return ntsc if abs(float(ntsc) - fps) < 0.006 and abs(round(fps) - fps) > 0.006 else Fraction(f"{fps:.4f}")
