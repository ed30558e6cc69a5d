"""A clip as a stream of upright RGB frames with square pixels at one constant rate, one in memory at a time."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor


@dataclass(frozen=True)
class Video(ABC):
    """A video file or a folder of pictures."""

    path: Path
    """The file or the folder."""
    size: tuple[int, int]
    """(width, height) in pixels as the frames are shown: upright, with square pixels."""
    fps: float
    """Frames per second; a variable rate is resampled to it by repeating or dropping frames."""
    expected: int | None
    """How many frames the clip promises; None where the file does not say."""
    notes: tuple[str, ...]
    """Sentences about what was done to it that a user should know."""

    @abstractmethod
    def frames(self, start: int = 0, end: int | None = None, stride: int = 1) -> Iterator[tuple[int, Tensor]]:
        """Number and picture uint8 [H, W, 3] of every `stride`-th frame in start..end; ends early where the clip does.

        What cannot be decoded any more ends the stream like the end of the file.
        """
