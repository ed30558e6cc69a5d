"""A clip as a stream of upright RGB frames with square pixels at one constant rate, one in memory at a time."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from ...errors import InputError


@dataclass(frozen=True)
class Video(ABC):
    """A video file or a folder of pictures.

    Attributes:
        size: (width, height) in pixels as the frames are shown: upright, with square pixels.
        fps: frames per second; a variable rate is resampled to it by repeating or dropping frames.
        expected: how many frames the clip promises; None where the file does not say.
        notes: sentences about what was done to it that a user should know.
    """

    path: Path
    size: tuple[int, int]
    fps: float
    expected: int | None
    notes: tuple[str, ...]

    @abstractmethod
    def frames(self, start: int = 0, end: int | None = None, stride: int = 1) -> Iterator[tuple[int, Tensor]]:
        """Number and picture uint8 [H, W, 3] of every `stride`-th frame in start..end; ends early where the clip does.

        What cannot be decoded any more ends the stream like the end of the file.
        """


def open_video(path: Path, fps: float | None = None) -> Video:
    """What a clip says about itself, checked by decoding its first frame.

    Args:
        fps: frames per second of a folder of pictures, which does not say; None means 25.

    Raises:
        InputError: when it is missing, no video, in a coding that cannot be converted, or not even its first frame can
            be decoded.
    """
    from .picture_folder import open_folder
    from .video_file import open_file

    path = Path(path)
    if path.is_dir():
        return open_folder(path, fps)
    if not path.is_file():
        raise InputError(f"{path} does not exist; give a video file such as .mp4 or .mov, or a folder of pictures")
    if fps is not None:
        raise InputError(f"--fps is for folders of pictures; {path} says itself how fast it is")
    return open_file(path)
