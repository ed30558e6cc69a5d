"""The mesh as binary glTF 2.0 (.glb), with its expressions as morph targets."""

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from ..files import atomic_path
from .scene import ExportScene

# Numbers of the glTF 2.0 specification.
_MAGIC, _VERSION = 0x46546C67, 2
_JSON_CHUNK, _BINARY_CHUNK = 0x4E4F534A, 0x004E4942
_FLOAT, _UNSIGNED_INT = 5126, 5125
_ARRAY_BUFFER, _ELEMENT_ARRAY_BUFFER = 34962, 34963
_ALIGNMENT = 4  # bytes, of chunks and buffer views

_ROUGHNESS = 0.5  # of the viewer's material: skin is neither chalk nor plastic


def write_glb(scene: ExportScene, path: Path) -> None:
    """Write positions and normals, and where present texture coordinates, linear colours and expressions, atomically.

    glTF has one index per corner, so vertices on texture seams are repeated. Its axes (y up, z forward) and its unit
    are the head's own.

    Raises:
        InputError: when the file cannot be written.
    """
    mesh = scene.mesh
    vertices, uv, indices = _unify_corners(_array(mesh.faces), _optional(mesh.uv_faces))
    buffer = _Buffer()
    attributes = {
        "POSITION": buffer.add_vectors(_array(mesh.vertices)[vertices], bounds=True),
        "NORMAL": buffer.add_vectors(_array(mesh.normals)[vertices]),
    }
    if mesh.uv is not None and uv is not None:
        attributes["TEXCOORD_0"] = buffer.add_vectors(_array(mesh.uv)[uv] * (1, -1) + (0, 1))  # glTF's v points down
    if mesh.colors is not None:
        attributes["COLOR_0"] = buffer.add_vectors(_array(mesh.colors)[vertices].clip(0, 1))
    primitive: dict[str, Any] = {"attributes": attributes, "indices": buffer.add_indices(indices), "material": 0}
    shape: dict[str, Any] = {"name": scene.name, "primitives": [primitive]}
    if scene.expressions is not None:
        offsets = _array(scene.expressions.offsets)[:, vertices]
        primitive["targets"] = [{"POSITION": buffer.add_vectors(offset, bounds=True)} for offset in offsets]
        shape["weights"] = [0.0] * len(offsets)
        shape["extras"] = {"targetNames": list(scene.expressions.names)}
    material = {"pbrMetallicRoughness": {"metallicFactor": 0.0, "roughnessFactor": _ROUGHNESS}, "doubleSided": True}
    document = {
        "asset": {"version": "2.0", "generator": "rgb"},
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"mesh": 0, "name": scene.name}],
        "meshes": [shape],
        "materials": [material],
        "accessors": buffer.accessors,
        "bufferViews": buffer.views,
        "buffers": [{"byteLength": len(buffer.data)}],
    }
    text = json.dumps(document, separators=(",", ":")).encode()
    chunks = _chunk(_JSON_CHUNK, text, b" ") + _chunk(_BINARY_CHUNK, bytes(buffer.data), b"\0")
    header = struct.pack("<III", _MAGIC, _VERSION, 12 + len(chunks))
    with atomic_path(path) as temporary:
        temporary.write_bytes(header + chunks)


class _Buffer:
    """Bytes of the file's one buffer, with the accessor and view of every array in it."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.accessors: list[dict[str, Any]] = []
        self.views: list[dict[str, Any]] = []

    def add_vectors(self, values: np.ndarray, bounds: bool = False) -> int:
        """Append float32 [N, 2 or 3] vertex data; `bounds` states minimum and maximum, which positions must have."""
        values = values.astype("<f4")
        accessor = {"componentType": _FLOAT, "count": len(values), "type": f"VEC{values.shape[1]}"}
        if bounds:
            accessor |= {"min": values.min(0).tolist(), "max": values.max(0).tolist()}
        return self._add(values, accessor, _ARRAY_BUFFER)

    def add_indices(self, indices: np.ndarray) -> int:
        """Append uint32 triangle corners [F, 3]."""
        accessor = {"componentType": _UNSIGNED_INT, "count": indices.size, "type": "SCALAR"}
        return self._add(indices.astype("<u4"), accessor, _ELEMENT_ARRAY_BUFFER)

    def _add(self, values: np.ndarray, accessor: dict[str, Any], target: int) -> int:
        offset = len(self.data)
        self.data += values.tobytes()  # every element is of 4-byte components, so offsets stay aligned
        self.views.append({"buffer": 0, "byteOffset": offset, "byteLength": values.nbytes, "target": target})
        self.accessors.append({"bufferView": len(self.views) - 1, **accessor})
        return len(self.accessors) - 1


def _unify_corners(faces: np.ndarray, uv_faces: np.ndarray | None) -> tuple[np.ndarray, np.ndarray | None, np.ndarray]:
    """Vertex [N] and texture index [N] of every distinct corner, and triangles [F, 3] over the corners."""
    if uv_faces is None:
        return np.arange(faces.max() + 1), None, faces
    corners, inverse = np.unique(np.stack([faces, uv_faces], -1).reshape(-1, 2), axis=0, return_inverse=True)
    return corners[:, 0], corners[:, 1], inverse.reshape(-1, 3)


def _chunk(kind: int, payload: bytes, padding: bytes) -> bytes:
    payload += padding * (-len(payload) % _ALIGNMENT)
    return struct.pack("<II", len(payload), kind) + payload


def _array(tensor: Tensor) -> np.ndarray:
    return tensor.detach().cpu().numpy()


def _optional(tensor: Tensor | None) -> np.ndarray | None:
    return None if tensor is None else _array(tensor)
