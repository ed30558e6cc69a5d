"""Triangle meshes as PLY files: vertices and faces, ASCII or little-endian binary; other properties are skipped."""

import re
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..errors import InputError
from ..files import atomic_path, read_bytes

_SCALARS = {
    **{"char": "i1", "uchar": "u1", "short": "<i2", "ushort": "<u2", "int": "<i4", "uint": "<u4"},
    **{"int8": "i1", "uint8": "u1", "int16": "<i2", "uint16": "<u2", "int32": "<i4", "uint32": "<u4"},
    **{"float": "<f4", "double": "<f8", "float32": "<f4", "float64": "<f8"},
}
_FACE_LISTS = ("vertex_indices", "vertex_index")
_CORNERS = 3
_MOST_DIGITS = 18  # of a count


class _Malformed(Exception):
    """What is wrong with the file, for the message that names it."""


@dataclass
class _Element:
    name: str
    count: int
    fields: list[tuple] = field(default_factory=list)
    """numpy field descriptions; a list property becomes its count and three items."""


def read_ply(path: Path) -> tuple[Tensor, Tensor]:
    """Read vertices float32 [V, 3] and triangles int64 [F, 3].

    Raises:
        InputError: when the file is missing, malformed, truncated, or has faces that are no triangles of its vertices.
    """
    data = read_bytes(path)
    try:
        encoding, elements, position = _read_header(data)
        read = _read_ascii if encoding == "ascii" else _read_binary
        tables = read(data[position:], elements)
        vertices = _vertices(tables["vertex"])
        faces = _faces(tables["face"], len(vertices))
    except _Malformed as error:
        raise InputError(f"{path}: {error}") from None
    return torch.from_numpy(vertices), torch.from_numpy(faces)


def _read_header(data: bytes) -> tuple[str, list[_Element], int]:
    """(encoding, elements up to the faces, offset of the body)."""
    end = re.search(rb"end_header\r?\n", data)
    if not data.startswith(b"ply") or end is None:
        raise _Malformed("not a PLY file, or truncated in its header")
    encoding = ""
    elements: list[_Element] = []
    for line in data[: end.start()].decode("ascii", errors="replace").splitlines()[1:]:
        words = line.split()
        match words:
            case ["format", name, _]:
                encoding = name
            case ["element", name, count] if count.isdigit() and len(count) <= _MOST_DIGITS:
                elements.append(_Element(name, int(count)))
            case ["property", "list", length, kind, name] if elements and {length, kind} <= _SCALARS.keys():
                elements[-1].fields += [(f"{name} length", _SCALARS[length]), (name, _SCALARS[kind], (_CORNERS,))]
            case ["property", kind, name] if elements and kind in _SCALARS:
                elements[-1].fields.append((name, _SCALARS[kind]))
            case ["comment" | "obj_info", *_] | []:
                pass
            case _:
                raise _Malformed(f"header line '{line}' is not understood")
    if encoding not in ("ascii", "binary_little_endian"):
        raise _Malformed(f"encoding '{encoding}' is neither ascii nor binary_little_endian")
    names = [element.name for element in elements]
    if "vertex" not in names or "face" not in names:
        raise _Malformed("has no vertex or no face element")
    needed = elements[: max(names.index("vertex"), names.index("face")) + 1]
    for element in needed:
        keys = [entry[0] for entry in element.fields]
        if not keys or len(set(keys)) < len(keys):
            raise _Malformed(f"element {element.name} has no properties or repeats one")
    return encoding, needed, end.end()


def _read_binary(body: bytes, elements: list[_Element]) -> dict[str, np.ndarray]:
    tables = {}
    position = 0
    for element in elements:
        kind = np.dtype(element.fields)
        if position + element.count * kind.itemsize > len(body):
            raise _Malformed(f"truncated in element {element.name}, or its faces are not triangles")
        tables[element.name] = np.frombuffer(body, kind, element.count, position)
        position += element.count * kind.itemsize
    return tables


def _read_ascii(body: bytes, elements: list[_Element]) -> dict[str, np.ndarray]:
    lines = [line for line in body.decode("ascii", errors="replace").splitlines() if line.strip()]
    tables = {}
    position = 0
    for element in elements:
        kind = np.dtype(element.fields)
        columns = sum(entry[2][0] if len(entry) > 2 else 1 for entry in element.fields)
        rows = [line.split() for line in lines[position : position + element.count]]
        position += element.count
        if len(rows) < element.count:
            raise _Malformed(f"truncated in element {element.name}")
        try:
            values = np.array(rows, np.float64).reshape(element.count, columns)
        except ValueError:
            raise _Malformed(f"element {element.name} has a line without {columns} numbers") from None
        table = np.empty(element.count, kind)
        column = 0
        for entry in element.fields:
            width = entry[2][0] if len(entry) > 2 else 1
            block = values[:, column : column + width]
            with np.errstate(over="ignore", invalid="ignore"):  # checked where the numbers are used
                table[entry[0]] = block if width > 1 else block[:, 0]
            column += width
        tables[element.name] = table
    return tables


def _vertices(table: np.ndarray) -> np.ndarray:
    if any(axis not in (table.dtype.names or ()) or table[axis].ndim != 1 for axis in "xyz"):
        raise _Malformed("its vertices have no x, y, z as single numbers")
    vertices = np.stack([table[axis] for axis in "xyz"], -1).astype(np.float32)
    if not np.isfinite(vertices).all():
        raise _Malformed("has a vertex that is not finite")
    return vertices


def _faces(table: np.ndarray, vertex_count: int) -> np.ndarray:
    name = next((name for name in _FACE_LISTS if f"{name} length" in (table.dtype.names or ())), None)
    if name is None:
        raise _Malformed("its faces have no list vertex_indices")
    if (table[f"{name} length"] != _CORNERS).any():
        raise _Malformed("has faces that are not triangles; triangulate the mesh first")
    faces = table[name].astype(np.int64)
    if len(faces) and not 0 <= faces.min() <= faces.max() < vertex_count:
        raise _Malformed(f"has a face with vertex {faces.max()}, but only {vertex_count} vertices")
    return faces


def write_ply(path: Path, vertices: Tensor, faces: Tensor) -> None:
    """Write vertices [V, 3] and triangles [F, 3] atomically as binary little-endian PLY.

    Raises:
        InputError: when the file cannot be written.
    """
    points = vertices.detach().cpu().numpy().astype("<f4")
    triangles = np.empty(len(faces), [("length", "u1"), ("corners", "<i4", (_CORNERS,))])
    triangles["length"] = _CORNERS
    triangles["corners"] = faces.cpu().numpy()
    header = (
        f"ply\nformat binary_little_endian 1.0\nelement vertex {len(points)}\n"
        "property float x\nproperty float y\nproperty float z\n"
        f"element face {len(triangles)}\nproperty list uchar int vertex_indices\nend_header\n"
    )
    with atomic_path(path) as temporary:
        temporary.write_bytes(header.encode() + points.tobytes() + triangles.tobytes())
