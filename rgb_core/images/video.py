"""Pictures to a video while they are made, so that a long film never lies in memory: H.264, ProRes 4444 or VP9."""

import contextlib
import subprocess
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import imageio_ffmpeg
import numpy as np
from torch import Tensor

from ..errors import InputError
from ..files import atomic_path


@dataclass(frozen=True)
class Codec:
    """A coding of videos and what it can hold."""

    options: tuple[str, ...]
    """Of ffmpeg."""
    pixels: str
    """ffmpeg's name of the stored pixels of an opaque video."""
    pixels_with_alpha: str | None
    """Those of a transparent one; None where the coding holds no alpha."""
    step: int
    """Pixels that the sides are multiples of."""


DEFAULT_QUALITY = 8.0  # of 0 (smallest) to 10 (best); 8 shows no blocks on skin
_WORST_CRF = 51  # x264's scale of quality, upside down


def h264(quality: float = DEFAULT_QUALITY) -> Codec:
    """H.264 for .mp4, which plays everywhere; `quality` from 0 to 10."""
    crf = str(int(_WORST_CRF * (1 - quality / 10)))
    return Codec(("-c:v", "libx264", "-crf", crf, "-movflags", "+faststart"), "yuv420p", None, 2)


PRORES = Codec(("-c:v", "prores_ks", "-profile:v", "4444", "-vendor", "apl0"), "yuv444p10le", "yuva444p10le", 1)
"""ProRes 4444 for .mov, which editors take: 10 bits a channel and 16 of alpha."""
# Alternate reference frames and alpha exclude each other in libvpx.
_VP9 = "-c:v libvpx-vp9 -crf 18 -b:v 0 -row-mt 1 -deadline good -cpu-used 4 -auto-alt-ref 0"
VP9 = Codec(tuple(_VP9.split()), "yuv420p", "yuva420p", 2)
"""VP9 for .webm, which browsers show with its alpha."""

_RAW = {("uint8", 3): "rgb24", ("uint8", 4): "rgba", ("uint16", 3): "rgb48le", ("uint16", 4): "rgba64le"}
_TAGS = "-colorspace bt709 -color_primaries bt709 -color_trc bt709 -color_range tv"


def write_video(path: str | Path, frames: Iterable[Tensor], fps: float, quality: float = DEFAULT_QUALITY) -> int:
    """Encode uint8 sRGB pictures [H, W, 3] of one size as H.264 as they come; see `open_video`.

    Returns:
        The number of frames written.

    Raises:
        InputError: when there is no frame, or the file cannot be encoded or written.
        ValueError: when a frame has another shape than the first.
    """
    iterator = iter(frames)
    first = next(iterator, None)
    if first is None:
        raise InputError(f"there are no frames to write to {path}")
    count = 1
    with open_video(path, h264(quality), fps) as encoder:
        encoder.add(first.cpu().numpy())
        for frame in iterator:
            encoder.add(frame.cpu().numpy())
            count += 1
    return count


@contextlib.contextmanager
def open_video(path: str | Path, codec: Codec, fps: float) -> Iterator["Encoder"]:
    """An encoder to add pictures to; the file appears, whole, when the block ends without an error.

    Raises:
        InputError: when the file cannot be encoded or written.
    """
    with atomic_path(path) as temporary:
        encoder = Encoder(path, temporary, codec, fps)
        try:
            yield encoder
            encoder.finish()
        finally:
            encoder.close()


class Encoder:
    """An ffmpeg that starts with the first picture and takes raw ones; see `open_video`."""

    def __init__(self, path: str | Path, temporary: Path, codec: Codec, fps: float):
        self._path, self._temporary, self._codec, self._fps = path, temporary, codec, fps
        self._log = tempfile.TemporaryFile()  # noqa: SIM115, as long as the process
        self._process: subprocess.Popen[bytes] | None = None
        self._shape: tuple[int, ...] = ()
        self._count = 0

    def add(self, picture: np.ndarray) -> None:
        """Hand over one picture.

        Args:
            picture: uint8 or uint16 [H, W, 3 or 4], sRGB and straight alpha; sides that the codec cannot store are
                padded by repeating the last row or column.

        Raises:
            InputError: when ffmpeg has ended, with its own last line.
            ValueError: when it has another shape than the first.
        """
        if self._process is None:
            self._start(picture)
        if picture.shape != self._shape:
            raise ValueError(f"frame {self._count} is {list(picture.shape)}, the first one {list(self._shape)}")
        process = self._process
        assert process is not None
        assert process.stdin is not None
        try:
            process.stdin.write(_padded(picture, self._codec.step).data)
        except OSError:
            self.finish()
            raise InputError(f"ffmpeg could not write {self._path}: it ended early") from None
        self._count += 1

    def finish(self) -> None:
        """Wait until the file is whole.

        Raises:
            InputError: when it is not, with ffmpeg's own last line.
        """
        if self._process is None:
            raise InputError(f"there are no frames to write to {self._path}")
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):
            self._process.stdin.close()
        if status := self._process.wait():
            self._log.seek(0)
            lines = self._log.read().decode(errors="replace").strip().splitlines()
            reason = lines[-1] if lines else f"it ended with status {status}; check that the disk has space"
            raise InputError(f"ffmpeg could not write {self._path}: {reason}")

    def close(self) -> None:
        """Leave no process behind."""
        if self._process is not None:
            self._process.kill()
            with contextlib.suppress(BrokenPipeError):
                self._process.communicate()
        self._log.close()

    def _start(self, picture: np.ndarray) -> None:
        self._shape = picture.shape
        rows, columns, channels = _padded(picture, self._codec.step).shape
        given = _RAW[picture.dtype.name, channels]
        stored = self._codec.pixels if channels == 3 else self._codec.pixels_with_alpha
        if stored is None:
            raise ValueError(f"{self._path} holds no alpha")
        raw = ["-f", "rawvideo", "-pix_fmt", given, "-s", f"{columns}x{rows}", "-r", f"{self._fps:.6f}", "-i", "pipe:0"]
        # Players assume BT.601 or BT.709 by the size of an untagged video: the colours are what the tags say.
        converted = ["-vf", f"scale=out_color_matrix=bt709:out_range=tv,format={stored}", *_TAGS.split()]
        # An absolute path is neither an option nor a protocol, whatever the file is called.
        target = str(self._temporary.absolute())
        command = [_ffmpeg(), "-y", "-v", "error", *raw, *converted, *self._codec.options, target]
        self._process = subprocess.Popen(  # noqa: S603, the ffmpeg of the installation
            command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=self._log
        )


def _ffmpeg() -> str:
    try:
        return imageio_ffmpeg.get_ffmpeg_exe()
    except RuntimeError as error:
        raise InputError(f"there is no ffmpeg ({error}); pip install imageio-ffmpeg") from error


def _padded(picture: np.ndarray, step: int) -> np.ndarray:
    """The picture as contiguous values with sides that are multiples of `step`."""
    height, width, _ = picture.shape
    return np.ascontiguousarray(np.pad(picture, ((0, -height % step), (0, -width % step), (0, 0)), mode="edge"))
