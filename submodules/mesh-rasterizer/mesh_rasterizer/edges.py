"""The edges of a triangle mesh with the vertices opposite to them, from which silhouettes are found."""

from typing import NamedTuple

import numpy as np
import torch


class EdgeTable(NamedTuple):
    """Every undirected edge once, sorted by its vertices.

    Attributes:
        vertices: [E,2] int32, the edge's vertices, the smaller index first.
        opposite: [E,2] int32, third vertex of the first and second face on the edge; -1 where there is no second
            face. Further faces on a non-manifold edge are ignored.
    """

    vertices: np.ndarray
    opposite: np.ndarray


_latest: tuple[torch.Tensor, int, EdgeTable] | None = None


def edge_table(faces: torch.Tensor) -> EdgeTable:
    """The edges of `faces` [F,3]; the table of the latest tensor is kept, as a mesh is drawn many times."""
    global _latest
    if _latest is not None and _latest[0] is faces and _latest[1] == faces._version:
        return _latest[2]
    corners = faces.detach().cpu().numpy().astype(np.int64)
    sides = np.concatenate([corners[:, [0, 1]], corners[:, [1, 2]], corners[:, [2, 0]]])
    sides.sort(axis=1)
    opposite = np.concatenate([corners[:, 2], corners[:, 0], corners[:, 1]])
    key = sides[:, 0] * (corners.max(initial=0) + 1) + sides[:, 1]
    order = np.argsort(key, kind="stable")
    _, first, count = np.unique(key[order], return_index=True, return_counts=True)
    second = np.minimum(first + 1, max(len(order) - 1, 0))
    table = EdgeTable(
        vertices=np.ascontiguousarray(sides[order[first]].astype(np.int32)),
        opposite=np.stack([opposite[order[first]], np.where(count > 1, opposite[order[second]], -1)], axis=1).astype(
            np.int32
        ),
    )
    _latest = (faces, faces._version, table)
    return table
