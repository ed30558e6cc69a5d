"""Frames to an .mp4 (H.264) while they are made, so that a long clip never lies in memory."""

import contextlib
import subprocess
import tempfile
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType

import imageio_ffmpeg
import numpy as np
from torch import Tensor

from ..errors import InputError
from ..files import atomic_path

DEFAULT_QUALITY = 8.0  # of 0 (smallest) to 10 (best); 8 shows no blocks on skin
_WORST_CRF = 51  # x264's scale of quality, upside down
# Players assume BT.601 or BT.709 by the size of an untagged video; the colours are converted to what the tags say.
_BT709 = ["-vf", "scale=out_color_matrix=bt709:out_range=tv,format=yuv420p", "-colorspace", "bt709"]
_BT709 += ["-color_primaries", "bt709", "-color_trc", "bt709", "-color_range", "tv"]


def write_video(path: str | Path, frames: Iterable[Tensor], fps: float, quality: float = DEFAULT_QUALITY) -> int:
    """Encode frames as they come, atomically; the file appears when the last frame is in.

    Args:
        path: an .mp4 file.
        frames: uint8 [H, W, 3] sRGB pictures of one size; an odd side is padded by repeating its last row or column,
            because 4:2:0 chroma needs even sides.
        fps: frames per second.
        quality: 0 to 10.

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
    encoded = _even(first)
    height, width, _ = encoded.shape
    with atomic_path(path) as temporary, _Encoder(path, temporary, (width, height), fps, quality) as encoder:
        encoder.add(encoded)
        for frame in iterator:
            if frame.shape != first.shape:
                raise ValueError(f"frame {count} is {list(frame.shape)}, the first one {list(first.shape)}")
            encoder.add(_even(frame))
            count += 1
        encoder.finish()
    return count


class _Encoder:
    """A running ffmpeg that takes raw pictures; a context manager that leaves no process behind."""

    def __init__(self, path: str | Path, temporary: Path, size: tuple[int, int], fps: float, quality: float):
        self._path = path
        self._log = tempfile.TemporaryFile()  # noqa: SIM115, as long as the process
        raw = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{size[0]}x{size[1]}", "-r", f"{fps:.6f}", "-i", "pipe:0"]
        coded = ["-c:v", "libx264", "-crf", str(int(_WORST_CRF * (1 - quality / 10))), "-movflags", "+faststart"]
        # An absolute path is neither an option nor a protocol, whatever the file is called.
        command = [_ffmpeg(), "-y", "-v", "error", *raw, *_BT709, *coded, str(temporary.absolute())]
        self._process = subprocess.Popen(  # noqa: S603, the ffmpeg of the installation
            command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=self._log
        )

    def __enter__(self) -> "_Encoder":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        with contextlib.suppress(BrokenPipeError):
            self._process.communicate()
        self._log.close()

    def add(self, pixels: np.ndarray) -> None:
        """Hand over one picture.

        Raises:
            InputError: when ffmpeg has ended, with its own last line.
        """
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(pixels.data)
        except OSError:
            self.finish()
            raise InputError(f"ffmpeg could not write {self._path}: it ended early") from None

    def finish(self) -> None:
        """Wait until the file is whole.

        Raises:
            InputError: when it is not, with ffmpeg's own last line.
        """
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):
            self._process.stdin.close()
        if status := self._process.wait():
            self._log.seek(0)
            lines = self._log.read().decode(errors="replace").strip().splitlines()
            reason = lines[-1] if lines else f"it ended with status {status}; check that the disk has space"
            raise InputError(f"ffmpeg could not write {self._path}: {reason}")


def _ffmpeg() -> str:
    try:
        return imageio_ffmpeg.get_ffmpeg_exe()
    except RuntimeError as error:
        raise InputError(f"there is no ffmpeg ({error}); pip install imageio-ffmpeg") from error


def _even(frame: Tensor) -> np.ndarray:
    """The picture as contiguous bytes with even sides."""
    pixels = frame.cpu().numpy()
    height, width, _ = pixels.shape
    return np.ascontiguousarray(np.pad(pixels, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge"))
