"""OpenEXR files: linear float images with R, G and B channels."""

import contextlib
import io
import os
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import Imath
import numpy as np
import OpenEXR
from torch import Tensor

from ..errors import InputError, InputWarning
from ..files import atomic_path, check_regular
from .strips import Strips

_MAX_PIXELS = 1 << 28
_LARGEST_HALF = 65504.0
_STRIP = 256  # rows that are read at once: the largest block that the format compresses as one
_DAMAGED = "is truncated, corrupt or not an OpenEXR file"


def read_exr(path: Path) -> Tensor:
    """Read an OpenEXR picture as float32 [H, W, 3]; see `open_exr`."""
    return open_exr(path).whole()


def open_exr(path: Path) -> Strips:
    """The R, G and B channels (half, float or integer) of an OpenEXR file in strips of float32, row 0 at the top.

    The display window is the picture: what the file does not store of it is black, what it stores around it is cut
    off. Infinite texels, which are suns beyond the range of half floats, become the largest half; `InputWarning` says
    so once all were seen.

    Raises:
        InputError: when the file is missing, corrupt, too large or lacks one of the channels; the pixels' damage only
            while they are looked at.
    """
    check_regular(path)
    try:
        with _silenced():
            OpenEXR.set_global_thread_count(os.cpu_count() or 1)
            file = OpenEXR.InputFile(str(path))
            header = file.header()
    except Exception as error:  # the binding raises whatever the C++ library threw, with messages about its insides
        raise InputError(f"{path} {_DAMAGED}") from error
    stored, shown = (_window(header[name]) for name in ("dataWindow", "displayWindow"))
    for width, height in (stored.size, shown.size):
        if not 0 < width * height <= _MAX_PIXELS or min(width, height) <= 0:
            raise InputError(f"{path} claims an impossible size of {width} x {height} pixels")
    channels = header["channels"]
    missing = [name for name in "RGB" if name not in channels]
    if missing:
        raise InputError(f"{path} has no channel {', '.join(missing)}; it holds {', '.join(sorted(channels))}")
    if {(channels[name].xSampling, channels[name].ySampling) for name in "RGB"} != {(1, 1)}:
        raise InputError(f"{path} stores its R, G and B channels at different resolutions")

    def parts() -> Iterator[tuple[int, np.ndarray]]:
        infinite = 0
        with contextlib.closing(file):
            for first in range(0, shown.size[1], _STRIP):
                colours = np.zeros((min(_STRIP, shown.size[1] - first), shown.size[0], 3), np.float32)
                try:
                    with _silenced():
                        _fill(colours, file, stored, shown, first)
                except Exception as error:
                    raise InputError(f"{path} {_DAMAGED}") from error
                if not np.isfinite(colours.max()):
                    suns = np.isposinf(colours)
                    infinite += int(suns.any(-1).sum())
                    colours[suns] = _LARGEST_HALF
                yield first, colours
        if infinite:
            message = f"{path} has {infinite} infinite texels: they count as {_LARGEST_HALF:.0f}"
            warnings.warn(message, InputWarning, stacklevel=2)

    return Strips(shown.size[1], shown.size[0], parts())


@dataclass(frozen=True)
class _Window:
    """A rectangle of pixels: its first column and row, and its width and height."""

    left: int
    top: int
    size: tuple[int, int]


def _window(corners: Any) -> _Window:
    left, top, right, bottom = corners.min.x, corners.min.y, corners.max.x, corners.max.y
    return _Window(left, top, (right - left + 1, bottom - top + 1))


def _fill(colours: np.ndarray, file: Any, stored: _Window, shown: _Window, first: int) -> None:
    """Put what a file stores of the shown rows from number `first` on into black `colours` [rows, W, 3]."""
    left, top = shown.left, shown.top + first
    right, bottom = left + colours.shape[1], top + len(colours)  # exclusive, as all that follows
    upper, lower = max(top, stored.top), min(bottom, stored.top + stored.size[1])
    before, behind = max(left, stored.left), min(right, stored.left + stored.size[0])
    if upper >= lower or before >= behind:
        return
    pixels = file.channels(list("RGB"), Imath.PixelType(Imath.PixelType.FLOAT), upper, lower - 1)
    for index, values in enumerate(pixels):
        rows = np.frombuffer(values, np.float32).reshape(lower - upper, stored.size[0])
        part = rows[:, before - stored.left : behind - stored.left]
        colours[upper - top : lower - top, before - left : behind - left, index] = part


@contextlib.contextmanager
def _silenced() -> Iterator[None]:
    """Drop what the library says about damaged files: the binding on sys.stdout, its C++ core on the stderr stream."""
    stderr = os.dup(2)
    sink = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(sink, 2)
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)
        os.close(sink)


def write_exr(path: Path, image: Tensor, half: bool = False) -> None:
    """Write [H, W, 3] linear RGB, or [H, W, 4] with alpha that it is premultiplied by, atomically.

    Lossless ZIP compression, 32-bit floats or `half` floats.

    Raises:
        InputError: when the file cannot be written.
        ValueError: for another shape.
    """
    if image.ndim != 3 or image.shape[-1] not in (3, 4) or image.numel() == 0:
        raise ValueError(f"an .exr image is [H, W, 3 or 4], got {list(image.shape)}")
    pixels = np.ascontiguousarray(image.detach().cpu().numpy().astype(np.float16 if half else np.float32))
    header = {"compression": OpenEXR.ZIP_COMPRESSION, "type": OpenEXR.scanlineimage}
    with atomic_path(path) as temporary, OpenEXR.File(header, {"RGBA"[: pixels.shape[2]]: pixels}) as file:
        file.write(str(temporary))
