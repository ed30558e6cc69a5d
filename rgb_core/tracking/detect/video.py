"""A video file as a stream of upright RGB frames at one constant rate, one in memory at a time."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import torch
from torch import Tensor

from ...errors import InputError

_HIGHEST_RATE = 240.0  # frames per second; a container that claims more has no meaningful rate
_USUAL_RATE = 25.0


@dataclass(frozen=True)
class Video:
    """A file that ffmpeg can read.

    Attributes:
        size: (width, height) in pixels as the frames are shown: the rotation that the file asks for is applied.
        fps: frames per second; a variable rate is resampled to it by repeating or dropping frames.
        expected: how many frames the duration promises; None where the file does not say.
    """

    path: Path
    size: tuple[int, int]
    fps: float
    expected: int | None

    def frames(self, start: int = 0, end: int | None = None, stride: int = 1) -> Iterator[tuple[int, Tensor]]:
        """Number and picture uint8 [H, W, 3] of every `stride`-th frame in start..end; ends early where the file does.

        What cannot be decoded any more ends the stream like the end of the file.
        """
        reader = imageio_ffmpeg.read_frames(str(self.path), pix_fmt="rgb24", output_params=self._output())
        with contextlib.closing(reader):
            next(reader)
            with contextlib.suppress(OSError):
                for number, data in enumerate(reader):
                    if end is not None and number >= end:
                        return
                    if number >= start and (number - start) % stride == 0:
                        pixels = np.frombuffer(data, np.uint8).reshape(self.size[1], self.size[0], 3)
                        yield number, torch.from_numpy(pixels.copy())

    def _output(self) -> list[str]:
        return ["-vf", f"fps={self.fps}"]


def open_video(path: Path) -> Video:
    """What a file says about itself, checked by decoding its first frame.

    Raises:
        InputError: when the file is missing, no video, or not even its first frame can be decoded.
    """
    path = Path(path)
    if not path.is_file():
        kind = "is a folder, not a video" if path.is_dir() else "does not exist"
        raise InputError(f"{path} {kind}; give a video file such as .mp4 or .mov")
    try:
        reader = imageio_ffmpeg.read_frames(str(path), pix_fmt="rgb24")
        with contextlib.closing(reader):
            meta = next(reader)
            first = next(reader)
    except (OSError, StopIteration, RuntimeError, KeyError, ValueError) as error:
        raise InputError(
            f"ffmpeg cannot read a frame of {path}; check that it is a whole video file (it may have been cut off)"
        ) from error
    width, height = meta["size"]
    if len(first) != 3 * width * height:
        raise InputError(f"{path} changes its frame size; export it again with one size")
    fps = float(meta["fps"])
    fps = fps if 0 < fps <= _HIGHEST_RATE else _USUAL_RATE
    duration = float(meta.get("duration") or 0)
    return Video(path, (width, height), fps, round(duration * fps) if duration > 0 else None)
