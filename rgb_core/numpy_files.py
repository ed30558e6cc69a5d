"""numpy's .npz and .npy files, read by what their headers may say rather than by numpy, which believes them."""

import ast
import lzma
import math
import re
import struct
import zipfile
import zlib
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .errors import InputError
from .files import open_regular

MAGIC = b"\x93NUMPY"
LARGEST_ARCHIVE = 1 << 30
"""Bytes of the arrays of one archive together; a head model with 400 shapes of 5,000 vertices has 50 MB."""
UNREADABLE = (
    OSError,
    ValueError,
    EOFError,
    KeyError,
    NotImplementedError,
    MemoryError,
    RuntimeError,
    struct.error,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
)
"""What zipfile raises on files that are damaged, encrypted or no archive."""
_LONGEST_HEADER = 1 << 12
_NUMBERS = re.compile(r"[<>|=]?(b1|[iu][1248]|f[248]|U\d{1,7})")
_MOST_DIMENSIONS = 8
_SHORTEST_PREFIX = 10  # magic, version and a length of two bytes


@dataclass(frozen=True)
class ArrayHeader:
    """What stands before the numbers of an array."""

    dtype: np.dtype
    column_major: bool
    shape: tuple[int, ...]
    start: int
    """Bytes before the numbers."""

    @property
    def size(self) -> int:
        """Bytes of the numbers."""
        return math.prod(self.shape) * self.dtype.itemsize


def read_npz(path: Path, keys: Collection[str]) -> dict[str, np.ndarray]:
    """Those of the arrays called `keys` that an archive holds; the others are not looked at.

    Raises:
        InputError: names the file and the key that cannot be read.
    """
    with open_regular(path, LARGEST_ARCHIVE) as file:
        start = file.read(len(MAGIC))
        if start == MAGIC:
            raise InputError(f"{path} holds a single array, not a .npz archive; give a head.npz")
        try:
            archive = zipfile.ZipFile(file)
            members = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
        except UNREADABLE as error:
            raise InputError(f"{path} is not a readable .npz archive ({error}); copy or build it again") from error
        chosen = {key: members[key] for key in members if key in keys}
        if sum(info.file_size for info in chosen.values()) > LARGEST_ARCHIVE:
            raise InputError(
                f"{path} is not a readable .npz archive (it unpacks to more than {LARGEST_ARCHIVE:,} bytes)"
            )
        arrays = {}
        for key, info in chosen.items():
            try:
                arrays[key] = array_of(archive.read(info))
            except UNREADABLE as error:
                raise InputError(f"{path}: key '{key}' cannot be read ({error}); copy or build it again") from error
        return arrays


def array_of(data: bytes) -> np.ndarray:
    """The array of numbers or text in the bytes of a .npy file.

    Raises:
        ValueError: what is wrong with it.
    """
    header = array_header(data)
    if header.dtype.hasobject:
        raise ValueError("it holds Python objects")
    if len(data) - header.start != header.size:
        raise ValueError(f"its header says {list(header.shape)} of {header.dtype}, but its contents have another size")
    numbers = np.frombuffer(data, header.dtype, offset=header.start) if header.size else np.zeros(0, header.dtype)
    return numbers.reshape(header.shape, order="F" if header.column_major else "C").copy()


def array_header(data: bytes) -> ArrayHeader:
    """The header of a .npy file, as numpy's documentation of the format defines it.

    Raises:
        ValueError: what is wrong with it.
    """
    if not data.startswith(MAGIC) or len(data) < _SHORTEST_PREFIX:
        raise ValueError("it does not start as a numpy array")
    layout = "<H" if data[len(MAGIC)] == 1 else "<I"
    begin = len(MAGIC) + 2 + struct.calcsize(layout)
    if len(data) < begin:
        raise ValueError("its header is cut short")
    (length,) = struct.unpack_from(layout, data, len(MAGIC) + 2)
    if length > _LONGEST_HEADER or begin + length > len(data):
        raise ValueError("its header is cut short, or too long")
    try:
        values = ast.literal_eval(data[begin : begin + length].decode("latin1").strip())
        return _checked(values, begin + length)
    except (SyntaxError, TypeError, AttributeError, KeyError, RecursionError, MemoryError):
        raise ValueError("its header is damaged") from None


def _checked(values: Any, start: int) -> ArrayHeader:
    kind, column_major, shape = values["descr"], values["fortran_order"], values["shape"]
    if kind == "|O":
        dtype = np.dtype(object)
    elif isinstance(kind, str) and _NUMBERS.fullmatch(kind):
        dtype = np.dtype(kind)
    else:
        raise ValueError("it holds something other than numbers and text")
    if not isinstance(column_major, bool) or not isinstance(shape, tuple) or len(shape) > _MOST_DIMENSIONS:
        raise ValueError("its header is damaged")
    if not all(type(length) is int and 0 <= length <= LARGEST_ARCHIVE for length in shape):
        raise ValueError("it has an impossible shape")
    return ArrayHeader(dtype, column_major, shape, start)
