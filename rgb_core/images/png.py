"""8-bit PNG files as tensors; what is wrong with a file is said before its pixels are decoded."""

import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ..errors import InputError
from ..files import atomic_path, open_regular
from .color import to_bytes
from .strips import Strips, strip_bounds

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_HEADER_BYTES = 26  # signature, IHDR length and tag, width, height, bit depth, colour type
_CHANNELS = {0: 1, 2: 3, 4: 2, 6: 4}  # colour type -> channels; 3 is a palette
_MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}
_NAMES = {1: "grey", 2: "grey with alpha", 3: "RGB", 4: "RGBA"}
_MAX_PIXELS = 1 << 28


@dataclass(frozen=True)
class PngHeader:
    """What the first bytes of a PNG say; `channels` 1, 2, 3 or 4, always 8 bits each."""

    width: int
    height: int
    channels: int


def read_png_header(path: str | Path) -> PngHeader:
    """Size and channels of an 8-bit PNG without decoding it.

    Raises:
        InputError: when the file is missing, no PNG, or not 8-bit grey, RGB or RGBA.
    """
    with open_regular(path) as file:
        head = file.read(_HEADER_BYTES)
    if head[:8] != _SIGNATURE:
        raise InputError(f"{path} is not a PNG file")
    if len(head) < _HEADER_BYTES or head[12:16] != b"IHDR":
        raise InputError(f"{path} is a truncated or corrupt PNG")
    width, height, depth, colour_type = struct.unpack(">IIBB", head[16:26])
    if depth != 8 or colour_type not in _CHANNELS:
        kind = "a palette" if colour_type == 3 else f"a {depth}-bit"
        raise InputError(f"{path} is {kind} PNG; save it as 8-bit grey, RGB or RGBA")
    if not 0 < width * height <= _MAX_PIXELS:
        raise InputError(f"{path} claims an impossible size of {width} x {height} pixels")
    return PngHeader(width, height, _CHANNELS[colour_type])


def check_png(path: str | Path, channels: int | None = None, size: tuple[int, int] | None = None) -> PngHeader:
    """The header of `path` if it has `channels` and `size` (width, height), where given.

    Raises:
        InputError: naming what the file has and what was expected.
    """
    header = read_png_header(path)
    if size is not None and (header.width, header.height) != size:
        raise InputError(f"{path} is {header.width} x {header.height} pixels, expected {size[0]} x {size[1]}")
    if channels is not None and header.channels != channels:
        raise InputError(f"{path} is {_NAMES[header.channels]}, expected {_NAMES[channels]}")
    return header


def read_png(
    path: str | Path,
    channels: int | None = None,
    size: tuple[int, int] | None = None,
    dtype: torch.dtype = torch.float32,
) -> Tensor:
    """Read an 8-bit PNG as [H, W, C]: values as stored, in 0 to 1 for float dtypes or as bytes for `torch.uint8`.

    Args:
        path: the file.
        channels: 1, 3 or 4 where the file must have exactly that many.
        size: (width, height) that the file must have.
        dtype: of the result.

    Raises:
        InputError: when the file is missing, truncated, or not of the expected size and mode.
    """
    tensor = open_png(path, channels, size).whole()
    return tensor if dtype == torch.uint8 else tensor.to(dtype) / 255


def open_png(path: str | Path, channels: int | None = None, size: tuple[int, int] | None = None) -> Strips:
    """The bytes of an 8-bit PNG in strips [rows, W, C]; arguments and errors as for `read_png`."""
    header = check_png(path, channels, size)
    mode = _MODES[header.channels]
    try:
        with Image.open(path, formats=["PNG"]) as image:
            image.load()
            return strips_of(image if image.mode == mode else image.convert(mode))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise InputError(f"{path} is a truncated or corrupt PNG: {error}") from error


def strips_of(image: Image.Image) -> Strips:
    """The bytes of a decoded picture in strips; copies of a whole one take as much memory again."""
    width, height = image.size
    parts = (
        (first, np.array(image.crop((0, first, width, end))).reshape(end - first, width, -1))
        for first, end in strip_bounds(height, width)
    )
    return Strips(height, width, parts)


def write_png(path: str | Path, image: Tensor) -> None:
    """Write [H, W] or [H, W, 1, 3 or 4] atomically: uint8 as it is, float values of 0 to 1 clamped and rounded.

    Raises:
        InputError: when the file cannot be written.
        ValueError: for another shape or NaN values.
    """
    if image.ndim == 2:
        image = image[..., None]
    if image.ndim != 3 or image.shape[-1] not in (1, 3, 4) or image.numel() == 0:
        raise ValueError(f"a PNG holds [H, W, 1, 3 or 4], got {list(image.shape)}")
    pixels = (image if image.dtype == torch.uint8 else to_bytes(image)).detach().cpu().numpy()
    with atomic_path(path) as temporary:
        Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels).save(temporary, format="PNG")
