"""What is derived from a mesh's faces alone and kept between calls: edges for silhouettes, corners at every vertex."""

from functools import cached_property
from typing import NamedTuple

import torch

_KEPT = 8  # meshes whose tables are kept, the latest ones


class EdgeTable(NamedTuple):
    """Every undirected edge once, sorted by its vertices, on the device of the faces; none of faces without area."""

    vertices: torch.Tensor
    """[E,2] int32, the edge's vertices, the smaller index first."""
    opposite: torch.Tensor
    """[E,2] int32, third vertex of the first and second face on the edge; -1 where there is no second face. Further
    faces on a non-manifold edge are ignored."""


class Incidence(NamedTuple):
    """Where every vertex occurs in a table of vertex numbers: places[starts[v] : starts[v + 1]], in order."""

    starts: torch.Tensor
    """[V+1] int32."""
    places: torch.Tensor
    """[N] int32, into the flattened table."""


class Topology:
    """Tables of faces [F,3], made when first needed; on a CUDA device that waits for the device."""

    def __init__(self, faces: torch.Tensor):
        self.faces = faces.detach().to(torch.int32).contiguous()
        self._incidences: dict[tuple[str, int], Incidence] = {}
        _settle(self.faces)

    @cached_property
    def edges(self) -> EdgeTable:
        """The edges of all faces with three different corners."""
        corners = self.faces.long()
        corners = corners[(corners != corners.roll(1, dims=1)).all(1)]
        sides = torch.cat([corners[:, [0, 1]], corners[:, [1, 2]], corners[:, [2, 0]]]).sort(1).values
        opposite = torch.cat([corners[:, 2], corners[:, 0], corners[:, 1]])
        key, order = ((sides[:, 0] << 32) + sides[:, 1]).sort(stable=True)
        sides, opposite = sides[order], opposite[order]
        first = torch.ones_like(key, dtype=torch.bool)
        first[1:] = key[1:] != key[:-1]
        second = torch.where(first, -1, opposite).roll(-1)  # of the side that follows, if it is the same edge's
        table = EdgeTable(sides[first].int(), torch.stack([opposite, second], 1)[first].int())
        _settle(self.faces)
        return table

    def corners(self, vertex_count: int) -> Incidence:
        """The corners (3 face + corner) at every vertex."""
        return self._incidence("corners", self.faces, vertex_count)

    def ends(self, vertex_count: int) -> Incidence:
        """The ends of edges (2 edge + end) at every vertex."""
        return self._incidence("ends", self.edges.vertices, vertex_count)

    def _incidence(self, name: str, table: torch.Tensor, vertex_count: int) -> Incidence:
        if (name, vertex_count) not in self._incidences:
            vertices, places = table.flatten().sort(stable=True)
            numbers = torch.arange(vertex_count + 1, dtype=torch.int32, device=table.device)
            starts = torch.searchsorted(vertices, numbers, out_int32=True)
            self._incidences[name, vertex_count] = Incidence(starts, places.int())
            _settle(table)
        return self._incidences[name, vertex_count]


_latest: list[tuple[torch.Tensor, int, Topology]] = []


def topology(faces: torch.Tensor) -> Topology:
    """The tables of `faces`; those of the latest tensors are kept, as a mesh is drawn many times."""
    version = 0 if faces.is_inference() else faces._version
    for place, (known, known_version, tables) in enumerate(_latest):
        if known is faces and known_version == version:
            _latest.append(_latest.pop(place))
            return tables
    tables = Topology(faces)
    _latest.append((faces, version, tables))
    del _latest[:-_KEPT]
    return tables


def edge_table(faces: torch.Tensor) -> EdgeTable:
    """The edges of `faces` [F,3]."""
    return topology(faces).edges


def _settle(tensor: torch.Tensor) -> None:
    """Wait for a new table: later calls may come from other streams."""
    if tensor.is_cuda:
        torch.cuda.current_stream(tensor.device).synchronize()
