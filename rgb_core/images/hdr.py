"""Radiance .hdr files (RGBE): linear images in four bytes a pixel, as the Radiance file format manual defines them."""

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from torch import Tensor

from ..errors import InputError
from ..files import atomic_path, read_bytes
from .strips import Strips, strip_bounds

_RESOLUTION = re.compile(rb"([+-])([XY]) (\d+) ([+-])([XY]) (\d+)")
_MAX_HEADER_BYTES = 1 << 16
_MAX_PIXELS = 1 << 27
_RLE_WIDTHS = range(8, 1 << 15)  # scanline lengths that the run-length scheme by component can express
_MANTISSA_BIAS = 128 + 8  # value = mantissa * 2^(exponent - 136)
_SHORTEST_RUN = 4
_LONGEST_RUN = 127
_LONGEST_DUMP = 128


_SCALES = np.ldexp(np.float32(1), np.arange(256) - _MANTISSA_BIAS)
_SCALES[0] = 0
_Axis = tuple[bytes, bytes, int]  # sign, X or Y, count


class _Corrupt(Exception):
    """What is wrong with the bytes, for the message that names the file."""


def read_hdr(path: Path) -> Tensor:
    """Read a Radiance picture as float32 [H, W, 3]; see `open_hdr`."""
    return open_hdr(path).whole()


def open_hdr(path: Path) -> Strips:
    """A Radiance picture in strips of float32, linear RGB, row 0 at the top.

    Both run-length schemes, flat files, all eight axis orders and the EXPOSURE and COLORCORR records are understood.

    Raises:
        InputError: when the file is missing, truncated, corrupt or stores XYZ instead of RGB; the pixels' damage only
            while they are looked at.
    """
    data = read_bytes(path)
    try:
        exposure, major, minor, position = _read_header(data)
    except _Corrupt as error:
        raise InputError(f"{path}: {error}") from None
    (sign, axis, scanlines), (minor_sign, _, length) = major, minor
    # The usual order is "-Y rows +X columns": rows run down, columns to the right.
    backwards, mirrored = (sign == b"+", minor_sign == b"-") if axis == b"Y" else (sign == b"-", minor_sign == b"+")

    def parts() -> Iterator[tuple[int, np.ndarray]]:
        offset = position
        for first, end in strip_bounds(scanlines, length):
            rgbe = np.empty((4, end - first, length), np.uint8).transpose(1, 2, 0)  # quick by component
            try:
                for line in rgbe:
                    offset = _read_scanline(data, offset, line)
            except _Corrupt as error:
                raise InputError(f"{path}: {error}") from None
            pixels = _decode(rgbe[:, ::-1] if mirrored else rgbe)
            if (exposure != 1).any():
                pixels = (pixels / exposure).astype(np.float32)
            yield (scanlines - end, pixels[::-1]) if backwards else (first, pixels)

    upright = Strips(scanlines, length, parts())
    if axis == b"Y":
        return upright
    # Columns one after the other, which hardly any program writes: the picture is there with the last of them.
    columns = upright.whole().numpy()
    return Strips(length, scanlines, iter([(0, np.ascontiguousarray(columns.transpose(1, 0, 2)))]))


def _read_header(data: bytes) -> tuple[np.ndarray, _Axis, _Axis, int]:
    """(exposure [3], (sign, axis, count) of the scanlines, the same along a scanline, offset of the pixels)."""
    if not data.startswith((b"#?RADIANCE", b"#?RGBE")):
        raise _Corrupt("not a Radiance .hdr file")
    end = data.find(b"\n\n", 0, _MAX_HEADER_BYTES)
    resolution_end = data.find(b"\n", end + 2, end + 2 + 64)
    if end < 0 or resolution_end < 0:
        raise _Corrupt("truncated in the header")
    exposure = np.ones(3)
    for line in data[:end].split(b"\n"):
        key, _, value = line.partition(b"=")
        if key == b"FORMAT" and value.strip() != b"32-bit_rle_rgbe":
            raise _Corrupt(f"pixel format {value.decode(errors='replace').strip()} is not 32-bit_rle_rgbe")
        if key in (b"EXPOSURE", b"COLORCORR"):
            exposure *= _positive_numbers(value, 1 if key == b"EXPOSURE" else 3)
    match = _RESOLUTION.fullmatch(data[end + 2 : resolution_end].strip())
    if match is None or match[2] == match[5]:
        raise _Corrupt("the resolution line is not of the form '-Y rows +X columns'")
    scanlines, length = int(match[3]), int(match[6])
    if not 0 < scanlines * length <= _MAX_PIXELS:
        raise _Corrupt(f"claims an impossible size of {length} x {scanlines} pixels")
    return exposure, (match[1], match[2], scanlines), (match[4], match[5], length), resolution_end + 1


def _positive_numbers(text: bytes, count: int) -> np.ndarray:
    try:
        values = np.array([float(word) for word in text.split()])
    except ValueError:
        values = np.zeros(0)
    if len(values) != count or not (np.isfinite(values).all() and (values > 0).all()):
        raise _Corrupt(f"'{text.decode(errors='replace').strip()}' in the header is not {count} positive number(s)")
    return values


def _read_scanline(data: bytes, position: int, rgbe: np.ndarray) -> int:
    """Fill one scanline uint8 [length, 4] and return the offset of the next."""
    length = len(rgbe)
    head = data[position : position + 4]
    if length in _RLE_WIDTHS and head[:2] == b"\x02\x02" and len(head) == 4 and head[2] < 128:
        if head[2] << 8 | head[3] != length:
            raise _Corrupt("corrupt: a scanline has another length than the header says")
        position += 4
        for component in range(4):
            position = _read_component(data, position, rgbe[:, component])
        return position
    return _read_pixels(data, position, rgbe)


def _read_component(data: bytes, position: int, values: np.ndarray) -> int:
    """Runs and dumps of one component of one scanline."""
    line = bytearray()
    length, done = len(values), 0
    try:
        while done < length:
            code = data[position]
            if code > _LONGEST_DUMP:
                code -= _LONGEST_DUMP
                line += data[position + 1 : position + 2] * code
                position += 2
            elif code:
                line += data[position + 1 : position + 1 + code]
                position += 1 + code
            else:
                raise _Corrupt("corrupt: an empty run in a scanline")
            done += code
    except IndexError:
        raise _Corrupt("truncated") from None
    if position > len(data):
        raise _Corrupt("truncated")
    if done > length:
        raise _Corrupt("corrupt: a run reaches beyond its scanline")
    values[:] = np.frombuffer(line, np.uint8)
    return position


def _read_pixels(data: bytes, position: int, rgbe: np.ndarray) -> int:
    """Plain pixels, in which (1, 1, 1, n) repeats the last one; each further repeat in a row counts 256 times more."""
    length = len(rgbe)
    available = min(length, (len(data) - position) // 4)
    words = np.frombuffer(data, np.uint8, 4 * available, position).reshape(-1, 4)
    repeats = (words[:, :3] == 1).all(1)
    index = np.arange(available)
    last_pixel = np.maximum.accumulate(np.where(repeats, -1, index))
    shift = 8 * np.minimum(index - last_pixel - 1, 3)
    counts = np.where(repeats, words[:, 3].astype(np.int64) << np.maximum(shift, 0), 1)
    filled = np.cumsum(counts)
    used = int(np.searchsorted(filled, length)) + 1
    if used > available:
        raise _Corrupt("truncated")
    if filled[used - 1] != length or last_pixel[0] < 0:
        raise _Corrupt("corrupt: a run reaches beyond its scanline")
    rgbe[:] = np.repeat(words[last_pixel[:used]], counts[:used], axis=0)
    return position + 4 * used


def _decode(rgbe: np.ndarray) -> np.ndarray:
    """[H, W, 4] bytes -> float32 [H, W, 3]; exponent 0 is black."""
    scale = _SCALES[rgbe[..., 3]]
    return np.stack([rgbe[..., component] * scale for component in range(3)], -1)


def _encode(rgb: np.ndarray) -> np.ndarray:
    """float32 [H, W, 3] -> bytes [H, W, 4], mantissas rounded to nearest."""
    _, exponent = np.frexp(rgb.max(-1))
    # A mantissa that rounds up to 256 needs the next exponent.
    exponent += np.rint(np.ldexp(rgb.max(-1), 8 - exponent)) > 255
    mantissa = np.rint(np.ldexp(rgb, (8 - exponent)[..., None]))
    biased = exponent + 128
    mantissa[biased < 1] = 0
    mantissa[biased > 255] = 255
    return np.concatenate([mantissa, np.where(biased < 1, 0, biased.clip(max=255))[..., None]], -1).astype(np.uint8)


def write_hdr(path: Path, image: Tensor) -> None:
    """Write [H, W, 3] linear RGB atomically, run-length encoded; the error is at most half a mantissa step.

    Raises:
        InputError: when the file cannot be written.
        ValueError: for another shape, or negative or non-finite values.
    """
    rgb = image.detach().cpu().numpy().astype(np.float32)
    if rgb.ndim != 3 or rgb.shape[-1] != 3 or rgb.size == 0:
        raise ValueError(f"an .hdr file holds [H, W, 3], got {list(rgb.shape)}")
    if not (np.isfinite(rgb).all() and (rgb >= 0).all()):
        raise ValueError("an .hdr file holds finite values that are not negative")
    height, width, _ = rgb.shape
    rgbe = _encode(rgb)
    chunks = [f"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y {height} +X {width}\n".encode()]
    if width in _RLE_WIDTHS:
        for line in rgbe:
            chunks.append(bytes([2, 2, width >> 8, width & 255]))
            chunks += [_run_lengths(line[:, component]) for component in range(4)]
    else:
        chunks.append(rgbe.tobytes())
    with atomic_path(path) as temporary:
        temporary.write_bytes(b"".join(chunks))


def _run_lengths(values: np.ndarray) -> bytes:
    """One component of one scanline as runs (128 + n, value) and dumps (n, values)."""
    data = values.tobytes()
    starts = np.flatnonzero(np.diff(values, prepend=values[0] ^ 1))
    lengths = np.diff(starts, append=len(values))
    long = lengths >= _SHORTEST_RUN
    encoded = bytearray()
    done = 0
    for start, length in [*zip(starts[long].tolist(), lengths[long].tolist(), strict=True), (len(data), 0)]:
        for begin in range(done, start, _LONGEST_DUMP):
            dump = data[begin : min(begin + _LONGEST_DUMP, start)]
            encoded += bytes([len(dump)]) + dump
        done = start + length
        for begin in range(start, done, _LONGEST_RUN):
            encoded += bytes([_LONGEST_DUMP + min(_LONGEST_RUN, done - begin), data[start]])
    return bytes(encoded)
