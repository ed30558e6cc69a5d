"""Smooth normals of triangle meshes."""

import torch
from torch import Tensor


def vertex_normals(vertices: Tensor, faces: Tensor) -> Tensor:
    """Unit normals [..., V, 3] of vertices [..., V, 3] and faces [F, 3]: area-weighted means over adjacent faces.

    A vertex without a face, or whose faces are all degenerate, gets the zero vector.
    """
    by_vertex = vertices.movedim(-2, 0).contiguous()  # whole batches are gathered and added per vertex: one pass each
    corners = faces.t().reshape(-1)
    a, b, c = by_vertex.index_select(0, corners).chunk(3)
    doubled_area = torch.linalg.cross(b - a, c - a)
    sums = torch.zeros_like(by_vertex).index_add(0, corners, torch.cat([doubled_area] * 3))
    normals = torch.nn.functional.normalize(sums, dim=-1, eps=torch.finfo(vertices.dtype).tiny)
    return normals.movedim(0, -2).contiguous()
