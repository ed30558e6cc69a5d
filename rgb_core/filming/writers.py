"""How pictures are kept: numbered files and videos, each written beside the drawing of the next pictures.

A new format is one line in WRITERS, and where it is neither a file per picture nor a coding of ffmpeg, a class.
"""

import contextlib
import os
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

import numpy as np
import torch

from ..images import write_exr
from ..images.frame_png import write_frame_png
from ..images.video import PRORES, VP9, Codec, h264, open_video
from .staging import Picture

THREADS = min(16, os.cpu_count() or 1)
"""That compress pictures."""
_WAITING_BYTES = 1 << 30  # of pictures that wait for a writer


class Coding(Enum):
    """What the numbers of a file are."""

    BYTES = 255
    """sRGB, 8 bits."""
    WORDS = 65535
    """sRGB, 16 bits."""
    LINEAR = 0
    """The values themselves."""

    def values(self, picture: Picture) -> np.ndarray:
        """A picture in this coding, on the host, [H, W, 3 or 4]."""
        if self is Coding.LINEAR:
            return picture.pixels.cpu().numpy()
        if self is Coding.BYTES:
            return picture.encoded(255).to(torch.uint8).cpu().numpy()
        return picture.encoded(65535).cpu().numpy().astype(np.uint16)


@dataclass(frozen=True)
class Format:
    """A way to keep a film."""

    suffix: str
    coding: Coding
    alpha: bool
    """Whether it holds transparent pictures."""
    write: Callable[[Path, np.ndarray], None] | None = None
    """Of one picture of a sequence; None for a video."""
    codec: Codec | None = None
    """Of a video."""

    @property
    def is_video(self) -> bool:
        """Whether all pictures are in one file."""
        return self.codec is not None


def _write_exr(path: Path, values: np.ndarray) -> None:
    write_exr(path, torch.from_numpy(values))


WRITERS: dict[str, Format] = {
    "png": Format(".png", Coding.BYTES, alpha=True, write=write_frame_png),
    "png16": Format(".png", Coding.WORDS, alpha=True, write=write_frame_png),
    "exr": Format(".exr", Coding.LINEAR, alpha=True, write=_write_exr),
    "mp4": Format(".mp4", Coding.BYTES, alpha=False, codec=h264()),
    "prores": Format(".mov", Coding.WORDS, alpha=True, codec=PRORES),
    "webm": Format(".webm", Coding.BYTES, alpha=True, codec=VP9),
}
"""The formats by name. mp4, prores and webm are tagged as BT.709."""


class Keeper:
    """Takes the pictures of one layer in order and has them written by threads; see `keep`."""

    def __init__(self, write: Callable[[int, np.ndarray], None], threads: ThreadPoolExecutor):
        self._write = write
        self._threads = threads
        self._pending: deque[Future[None]] = deque()

    def add(self, index: int, values: np.ndarray) -> None:
        """Keep a picture [H, W, 3 or 4] in the format's coding; waits only where the threads lag far behind.

        Raises:
            InputError: when an earlier picture could not be written.
        """
        self._pending.append(self._threads.submit(self._write, index, values))
        most = max(2, min(2 * THREADS, _WAITING_BYTES // values.nbytes))
        while len(self._pending) > most:
            self._pending.popleft().result()

    def wait(self) -> None:
        """Until all are written.

        Raises:
            InputError: when one could not be written.
        """
        while self._pending:
            self._pending.popleft().result()


@contextlib.contextmanager
def keep(form: Format, path: Path, fps: float, threads: ThreadPoolExecutor) -> Iterator[Keeper]:
    """A keeper of pictures in the folder `path`, or in the video `path`, which is whole when the block ends.

    Args:
        threads: that compress pictures of sequences.

    Raises:
        InputError: when a file cannot be written.
    """
    if form.codec is None:
        assert form.write is not None
        write = form.write
        keeper = Keeper(lambda index, values: write(numbered(path, form, index), values), threads)
        yield keeper
        keeper.wait()
        return
    # ffmpeg takes pictures in order: one thread feeds it, so that it delays the drawing only when it lags.
    with open_video(path, form.codec, fps) as encoder, ThreadPoolExecutor(1) as feeder:
        keeper = Keeper(lambda index, values: encoder.add(values), feeder)
        yield keeper
        keeper.wait()


def numbered(folder: Path, form: Format, index: int) -> Path:
    """The file of a picture of a sequence."""
    return folder / f"{index:05d}{form.suffix}"
