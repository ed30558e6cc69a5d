"""OpenEXR files: linear float images with R, G and B channels."""

import contextlib
import io
import os
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import OpenEXR
import torch
from torch import Tensor

from ..errors import InputError, InputWarning
from ..files import atomic_path, check_regular

_MAX_PIXELS = 1 << 28
_LARGEST_HALF = 65504.0
_DAMAGED = "is truncated, corrupt or not an OpenEXR file"


def read_exr(path: Path) -> Tensor:
    """Read the R, G and B channels (half, float or integer) of an OpenEXR file as float32 [H, W, 3], top row first.

    The display window is the picture: what the file does not store of it is black, what it stores around it is cut
    off. Infinite texels, which are suns beyond the range of half floats, become the largest half; `InputWarning` says
    so.

    Raises:
        InputError: when the file is missing, corrupt, too large or lacks one of the channels.
    """
    check_regular(path)
    try:
        with _silenced(), OpenEXR.File(str(path), header_only=True) as file:
            header = file.header()  # gone when the file is closed
            stored, shown = (_window(header[name]) for name in ("dataWindow", "displayWindow"))
    except Exception as error:  # the binding raises whatever the C++ library threw, with messages about its insides
        raise InputError(f"{path} {_DAMAGED}") from error
    for width, height in (stored.size, shown.size):
        if not 0 < width * height <= _MAX_PIXELS or min(width, height) <= 0:
            raise InputError(f"{path} claims an impossible size of {width} x {height} pixels")
    try:
        with _silenced(), OpenEXR.File(str(path), separate_channels=True) as file:
            pixels = {name: channel.pixels for name, channel in file.channels().items()}
    except Exception as error:
        raise InputError(f"{path} {_DAMAGED}") from error
    missing = [name for name in "RGB" if name not in pixels]
    if missing:
        raise InputError(f"{path} has no channel {', '.join(missing)}; it holds {', '.join(sorted(pixels))}")
    if len({pixels[name].shape for name in "RGB"}) > 1:
        raise InputError(f"{path} stores its R, G and B channels at different resolutions")
    colours = np.stack([pixels[name] for name in "RGB"], -1).astype(np.float32)
    infinite = np.isposinf(colours)
    if infinite.any():
        count = int(infinite.any(-1).sum())
        message = f"{path} has {count} infinite texels: they count as {_LARGEST_HALF:.0f}"
        warnings.warn(message, InputWarning, stacklevel=2)
        colours[infinite] = _LARGEST_HALF
    return torch.from_numpy(_placed(colours, stored, shown))


@dataclass(frozen=True)
class _Window:
    """A rectangle of pixels: its first column and row, and its width and height."""

    left: int
    top: int
    size: tuple[int, int]


def _window(corners: Any) -> _Window:
    (left, top), (right, bottom) = ((int(value) for value in corner) for corner in corners)
    return _Window(left, top, (right - left + 1, bottom - top + 1))


def _placed(colours: np.ndarray, stored: _Window, shown: _Window) -> np.ndarray:
    """The shown window [H, W, 3] of what is stored."""
    if stored == shown:
        return colours
    picture = np.zeros((shown.size[1], shown.size[0], 3), np.float32)
    left, top = stored.left - shown.left, stored.top - shown.top
    height, width = colours.shape[:2]
    rows = slice(max(top, 0), max(min(top + height, shown.size[1]), 0))
    columns = slice(max(left, 0), max(min(left + width, shown.size[0]), 0))
    inside = picture[rows, columns]
    inside[:] = colours[rows.start - top :, columns.start - left :][: inside.shape[0], : inside.shape[1]]
    return picture


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
