"""Edges, neighbours and the Laplacian of a triangle mesh."""

from typing import NamedTuple

import numpy as np
import scipy.sparse as sparse
import torch
from torch import Tensor

from ..gathering import Gathering

# Cotangents of needle triangles are unbounded; beyond these the Laplacian would be stiff and indefinite.
_COTANGENT_RANGE = (0.02, 20.0)


class Laplacian(NamedTuple):
    """The cotangent Laplacian of a mesh in its rest shape."""

    stiffness: sparse.csr_matrix
    """[V,V] sparse, symmetric, positive semi-definite: x^T stiffness x is the integral of |grad x|^2."""
    mass: np.ndarray
    """[V] area of each vertex, m^2; tiny but positive for vertices without faces."""


def cotangent_laplacian(vertices: Tensor, faces: Tensor) -> Laplacian:
    """Laplacian of vertices [V,3] and faces [F,3] (Pinkall and Polthier 1993), cotangents clamped to be positive."""
    points, corners = vertices.double().numpy(), faces.numpy()
    count = len(points)
    rows, columns, weights = [], [], []
    for i in range(3):
        a, b, opposite = corners[:, i], corners[:, (i + 1) % 3], corners[:, (i + 2) % 3]
        u, v = points[a] - points[opposite], points[b] - points[opposite]
        doubled_area = np.linalg.norm(np.cross(u, v), axis=1)
        cotangent = (u * v).sum(1) / np.maximum(doubled_area, 1e-14)
        rows.append(a)
        columns.append(b)
        weights.append(np.clip(cotangent, *_COTANGENT_RANGE) / 2)
    shape = (count, count)
    half = sparse.csr_matrix((np.concatenate(weights), (np.concatenate(rows), np.concatenate(columns))), shape)
    adjacency = half + half.T
    stiffness = (sparse.diags(np.asarray(adjacency.sum(1)).ravel()) - adjacency).tocsr()
    face_area = doubled_area / 2
    mass = np.bincount(corners.ravel(), np.repeat(face_area / 3, 3), count)
    return Laplacian(stiffness, np.maximum(mass, 1e-4 * mass.mean()))


def neighbouring_faces(faces: Tensor) -> Tensor:
    """[N,2] pairs of faces that share an edge; where more than two do, the first two."""
    sides = torch.cat([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]).sort(1).values
    owner = torch.arange(len(faces)).repeat(3)
    key = sides[:, 0] * (int(faces.max()) + 1) + sides[:, 1]
    key, order = key.sort(stable=True)
    first = torch.ones_like(key, dtype=torch.bool)
    first[1:] = key[1:] != key[:-1]
    pair = first[:-1] & ~first[1:]
    return torch.stack([owner[order[:-1][pair]], owner[order[1:][pair]]], dim=1)


def face_normals(vertices: Tensor, faces: Tensor) -> Tensor:
    """Unit normals [F,3]; zero for degenerate faces."""
    a, b, c = Gathering(faces.t().reshape(-1), len(vertices)).rows(vertices).chunk(3)
    return torch.nn.functional.normalize(torch.linalg.cross(b - a, c - a), dim=-1, eps=torch.finfo(vertices.dtype).tiny)


def components(faces: Tensor, chosen: Tensor) -> Tensor:
    """[V] number of the connected component of each chosen vertex along edges between chosen ones; -1 elsewhere."""
    corners = faces.numpy()
    count = len(chosen)
    a = corners.ravel()
    b = corners[:, [1, 2, 0]].ravel()
    inside = chosen.numpy()
    both = inside[a] & inside[b]
    graph = sparse.csr_matrix((np.ones(both.sum()), (a[both], b[both])), (count, count))
    _, labels = sparse.csgraph.connected_components(graph, directed=False)
    return torch.where(chosen, torch.from_numpy(labels.astype(np.int64)), -1)
