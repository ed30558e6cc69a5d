"""Wavefront OBJ meshes, as far as head models need them: vertices, texture coordinates, polygons and materials."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...errors import InputError
from .pickles import read_limited


@dataclass(frozen=True, eq=False)
class ObjMesh:
    """V vertices, T texture coordinates and F polygons of three or four corners."""

    vertices: NDArray[np.float64]
    """[V, 3] in the file's units."""
    uv: NDArray[np.float64]
    """[T, 2]."""
    polygons: NDArray[np.int64]
    """[F, 4]; the last corner of a triangle repeats its third."""
    uv_polygons: NDArray[np.int64] | None
    """[F, 4] into `uv`; None where a corner has none."""
    material: NDArray[np.int64]
    """[F] number of the `usemtl` that a polygon stands under."""


def read_obj_vertices(path: Path) -> NDArray[np.float64]:
    """[V, 3] vertices of an OBJ file; the rest of it is not looked at.

    Raises:
        InputError: when the file is missing or a vertex is no three finite numbers.
    """
    return _vectors(path, [line[2:] for line in read_limited(path).splitlines() if line.startswith(b"v ")], 3)


def read_obj(path: Path) -> ObjMesh:
    """An OBJ file of triangles and quads.

    Raises:
        InputError: when the file is missing, malformed, or has a polygon of more corners or of absent vertices.
    """
    positions: list[bytes] = []
    texels: list[bytes] = []
    corners: list[list[bytes]] = []
    materials: list[int] = []
    names: dict[bytes, int] = {}
    current = 0
    for line in read_limited(path).splitlines():
        if line.startswith(b"v "):
            positions.append(line[2:])
        elif line.startswith(b"vt "):
            texels.append(line[3:])
        elif line.startswith(b"f "):
            corners.append(line[2:].split())
            materials.append(current)
        elif line.startswith(b"usemtl"):
            current = names.setdefault(line, len(names))
    vertices, uv = _vectors(path, positions, 3), _vectors(path, texels, 2)
    if any(len(polygon) not in (3, 4) for polygon in corners):
        raise InputError(f"{path} has a polygon that is neither a triangle nor a quad")
    quads = [polygon if len(polygon) == 4 else [*polygon, polygon[2]] for polygon in corners]
    flat = [corner.split(b"/") for polygon in quads for corner in polygon]
    textured = bool(len(uv)) and all(len(corner) > 1 and corner[1] for corner in flat)
    return ObjMesh(
        vertices=vertices,
        uv=uv,
        polygons=_indices(path, [corner[0] for corner in flat], len(vertices)),
        uv_polygons=_indices(path, [corner[1] for corner in flat], len(uv)) if textured else None,
        material=np.array(materials, dtype=np.int64),
    )


def _vectors(path: Path, lines: list[bytes], width: int) -> NDArray[np.float64]:
    try:
        values = np.array([line.split()[:width] for line in lines], dtype=np.float64).reshape(-1, width)
    except ValueError:
        raise InputError(f"{path} has a vertex that is not {width} numbers; get the file again") from None
    if not np.isfinite(values).all():
        raise InputError(f"{path} has a vertex that is not finite; get the file again")
    return values


def _indices(path: Path, texts: list[bytes], count: int) -> NDArray[np.int64]:
    """[F, 4] from OBJ's numbers, which start at 1, or count back from the end where negative."""
    try:
        numbers = np.array([int(text) for text in texts], dtype=np.int64).reshape(-1, 4)
    except (ValueError, OverflowError):
        raise InputError(f"{path} has a polygon corner that is no number; get the file again") from None
    indices = np.where(numbers < 0, numbers + count, numbers - 1)
    if indices.size and (indices.min() < 0 or indices.max() >= count):
        raise InputError(f"{path} has a polygon of vertices that are not there; get the file again")
    return indices
