"""Arrays in one compressed block of bytes that the page's script unpacks."""

import json
import struct
import zlib

import numpy as np

_CODES = {
    "int8": "i8",
    "uint8": "u8",
    "int16": "i16",
    "uint16": "u16",
    "int32": "i32",
    "uint32": "u32",
    "float32": "f32",
}
_GZIP = 31  # zlib's window argument for a gzip wrapper, which browsers inflate


def pack(arrays: dict[str, np.ndarray]) -> bytes:
    """The arrays as gzip: the length of a JSON table of contents, the table, and the arrays one after the other.

    Arrays are stored column by column and byte plane by byte plane: neighbours are alike there, so that they compress
    better than rows would.

    Raises:
        KeyError: for an array of another type than the page reads.
    """
    contents = [
        {"name": name, "type": _CODES[array.dtype.name], "rows": len(array), "columns": int(np.prod(array.shape[1:]))}
        for name, array in arrays.items()
    ]
    table = json.dumps(contents, separators=(",", ":")).encode()
    body = b"".join(_planes(array) for array in arrays.values())
    packer = zlib.compressobj(level=9, wbits=_GZIP)
    return packer.compress(struct.pack("<I", len(table)) + table + body) + packer.flush()


def _planes(array: np.ndarray) -> bytes:
    """The bytes of an array, columns first, all lowest bytes before all second ones."""
    columns = np.ascontiguousarray(array.reshape(len(array), -1).T.astype(array.dtype.newbyteorder("<")))
    return np.ascontiguousarray(columns.view(np.uint8).reshape(-1, array.itemsize).T).tobytes()


def quantise(values: np.ndarray, dtype: type[np.signedinteger]) -> tuple[np.ndarray, np.ndarray]:
    """Values [N, C] as integers and the factor [C] of each column: values = integers * factors within half a step."""
    most = np.iinfo(dtype).max
    factors = np.abs(values).max(axis=0, initial=0) / most
    return np.rint(values / np.where(factors > 0, factors, 1)).astype(dtype), factors.astype(np.float32)
