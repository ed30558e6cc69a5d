"""PNG files of many pictures: 8 or 16 bits, written in a fifth of the usual time while other threads go on."""

import struct
import zlib
from pathlib import Path

import numpy as np

from ..files import atomic_path

_COLOUR_TYPE = {1: 0, 3: 2, 4: 6}
_LEVEL = 2  # of zlib's 9: a quarter of the time of the usual 6 for a fifth more bytes
_FILTER_UP = 2  # bytes as differences to the row above: as small for heads as choosing a filter for every row


def write_frame_png(path: Path, pixels: np.ndarray) -> None:
    """Write uint8 or uint16 [H, W, 1, 3 or 4] atomically.

    Raises:
        InputError: when the file cannot be written.
        ValueError: for another shape or type.
    """
    if pixels.dtype not in (np.uint8, np.uint16) or pixels.ndim != 3 or pixels.size == 0:
        raise ValueError(f"a PNG holds uint8 or uint16 [H, W, C], got {pixels.dtype} {list(pixels.shape)}")
    height, width, channels = pixels.shape
    if channels not in _COLOUR_TYPE:
        raise ValueError(f"a PNG holds 1, 3 or 4 channels, got {channels}")
    depth = 8 * pixels.dtype.itemsize
    rows = np.ascontiguousarray(pixels.astype(f">u{pixels.dtype.itemsize}")).view(np.uint8).reshape(height, -1)
    filtered = np.full((height, 1 + rows.shape[1]), _FILTER_UP, np.uint8)
    filtered[0, 1:] = rows[0]
    np.subtract(rows[1:], rows[:-1], out=filtered[1:, 1:])
    header = struct.pack(">IIBBBBB", width, height, depth, _COLOUR_TYPE[channels], 0, 0, 0)
    parts = (b"IHDR", header), (b"IDAT", zlib.compress(filtered.data, _LEVEL)), (b"IEND", b"")
    with atomic_path(path) as temporary:
        temporary.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(tag, data) for tag, data in parts))


def _chunk(tag: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + tag + data + struct.pack(">I", zlib.crc32(tag + data))
