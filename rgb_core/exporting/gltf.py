"""Binary glTF 2.0 (.glb) containers: one buffer with the accessors, views and pictures in it."""

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np

from ..files import atomic_path

# Numbers of the glTF 2.0 specification.
_MAGIC, _VERSION = 0x46546C67, 2
_JSON_CHUNK, _BINARY_CHUNK = 0x4E4F534A, 0x004E4942
_COMPONENTS = {"float32": 5126, "uint32": 5125, "uint8": 5121}
ARRAY_BUFFER, ELEMENT_ARRAY_BUFFER = 34962, 34963
_SHAPES = {1: "SCALAR", 2: "VEC2", 3: "VEC3", 4: "VEC4", 16: "MAT4"}
_ALIGNMENT = 4  # bytes, of chunks and buffer views


class Buffer:
    """Bytes of the file's one buffer, with the accessor and view of every array in it."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.accessors: list[dict[str, Any]] = []
        self.views: list[dict[str, Any]] = []

    def add(self, values: np.ndarray, target: int | None = ARRAY_BUFFER, bounds: bool = False) -> int:
        """The accessor of an array [N] or [N, columns] of float32, uint32 or uint8.

        Args:
            target: what a GPU uses it for; None for animations and matrices.
            bounds: state minimum and maximum, which positions and times must have.
        """
        rows = values.reshape(len(values), -1)
        accessor = {
            "bufferView": self._view(np.ascontiguousarray(rows.astype(rows.dtype.newbyteorder("<"))).tobytes(), target),
            "componentType": _COMPONENTS[values.dtype.name],
            "count": len(rows),
            "type": _SHAPES[rows.shape[1]],
        }
        if bounds:
            accessor |= {"min": rows.min(0).tolist(), "max": rows.max(0).tolist()}
        self.accessors.append(accessor)
        return len(self.accessors) - 1

    def add_vectors(self, values: np.ndarray, bounds: bool = False) -> int:
        """The accessor of float32 vertex data [N, columns]."""
        return self.add(values.astype(np.float32), bounds=bounds)

    def add_indices(self, faces: np.ndarray) -> int:
        """The accessor of the corners of triangles [F, 3]."""
        return self.add(faces.reshape(-1).astype(np.uint32), ELEMENT_ARRAY_BUFFER)

    def add_picture(self, png: bytes) -> int:
        """The view of an encoded picture."""
        return self._view(png, None)

    def _view(self, content: bytes, target: int | None) -> int:
        self.data += b"\0" * (-len(self.data) % _ALIGNMENT)
        view = {"buffer": 0, "byteOffset": len(self.data), "byteLength": len(content)}
        self.views.append(view if target is None else {**view, "target": target})
        self.data += content
        return len(self.views) - 1


def write_container(path: Path, document: dict[str, Any], buffer: Buffer) -> None:
    """Write a document whose accessors are those of `buffer`, atomically.

    Raises:
        InputError: when the file cannot be written.
    """
    document = {
        "asset": {"version": "2.0", "generator": "rgb"},
        **document,
        "accessors": buffer.accessors,
        "bufferViews": buffer.views,
        "buffers": [{"byteLength": len(buffer.data)}],
    }
    text = json.dumps(document, separators=(",", ":")).encode()
    chunks = _chunk(_JSON_CHUNK, text, b" ") + _chunk(_BINARY_CHUNK, bytes(buffer.data), b"\0")
    header = struct.pack("<III", _MAGIC, _VERSION, 12 + len(chunks))
    with atomic_path(path) as temporary:
        temporary.write_bytes(header + chunks)


def _chunk(kind: int, payload: bytes, padding: bytes) -> bytes:
    payload += padding * (-len(payload) % _ALIGNMENT)
    return struct.pack("<II", len(payload), kind) + payload
