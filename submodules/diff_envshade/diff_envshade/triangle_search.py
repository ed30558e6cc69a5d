"""The nearest triangle to a point among those around given vertices."""

import numpy as np
import torch
from kernel_runtime import ArgumentError, as_numpy, jit, parallel_jit
from numba import prange
from torch import Tensor

_ZERO, _ONE = np.float32(0), np.float32(1)


def nearest_triangles(
    ring_ends: Tensor,
    ring_sizes: Tensor,
    ring_faces: Tensor,
    faces: Tensor,
    vertices: Tensor,
    points: Tensor,
    candidates: Tensor,
) -> Tensor:
    """For each point [P, 3] the nearest face [P] int64 around its candidate vertices [P, K] int64 (negative: none).

    The faces around vertex v are ring_faces[ring_ends[v] - ring_sizes[v] : ring_ends[v]]; these and `faces` [F, 3] are
    int32. Of equally near faces the first found wins.

    Raises:
        ArgumentError: a point has no face to choose from.
    """
    nearest = torch.empty(len(points), dtype=torch.int64)
    tensors = (ring_ends, ring_sizes, ring_faces, faces, vertices, points, candidates)
    _search(*(as_numpy(tensor) for tensor in tensors), nearest.numpy())
    lonely = (nearest < 0).nonzero()
    if len(lonely):
        raise ArgumentError(f"idxs: point {int(lonely[0])} has no triangle around any of its candidate vertices")
    return nearest


@jit
def _dot(a, b):
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


@jit
def _to(a, b):
    return b[0] - a[0], b[1] - a[1], b[2] - a[2]


@jit
def _segment_distance(a, b, p):
    """Squared distance of p from the segment a b, which may be a point."""
    edge, offset = _to(a, b), _to(a, p)
    length, along = _dot(edge, edge), _dot(edge, offset)
    s = along / length if length > _ZERO else _ZERO
    s = min(max(s, _ZERO), _ONE)
    rest = (offset[0] - s * edge[0], offset[1] - s * edge[1], offset[2] - s * edge[2])
    return _dot(rest, rest)


@jit
def _triangle_distance(a, b, c, p):
    """Squared distance of p from the triangle a b c."""
    edge_s, edge_t, offset = _to(a, b), _to(a, c), _to(a, p)
    ss, st, tt = _dot(edge_s, edge_s), _dot(edge_s, edge_t), _dot(edge_t, edge_t)
    ps, pt = _dot(edge_s, offset), _dot(edge_t, offset)
    area = ss * tt - st * st
    s, t = tt * ps - st * pt, ss * pt - st * ps
    if area > _ZERO and s >= _ZERO and t >= _ZERO and s + t <= area:
        s, t = s / area, t / area
        rest = (
            offset[0] - s * edge_s[0] - t * edge_t[0],
            offset[1] - s * edge_s[1] - t * edge_t[1],
            offset[2] - s * edge_s[2] - t * edge_t[2],
        )
        return _dot(rest, rest)
    return min(_segment_distance(a, b, p), _segment_distance(a, c, p), _segment_distance(b, c, p))


@parallel_jit()
def _search(ring_ends, ring_sizes, ring_faces, faces, vertices, points, candidates, nearest):
    for p in prange(points.shape[0]):
        best, best_face = np.float32(np.inf), -1
        for candidate in range(candidates.shape[1]):
            vertex = candidates[p, candidate]
            if vertex < 0:
                continue
            for entry in range(ring_ends[vertex] - ring_sizes[vertex], ring_ends[vertex]):
                face = ring_faces[entry]
                corners = faces[face]
                distance = _triangle_distance(
                    vertices[corners[0]], vertices[corners[1]], vertices[corners[2]], points[p]
                )
                if distance < best:
                    best, best_face = distance, face
        nearest[p] = best_face
