"""Smooth normals of triangle meshes."""

import torch
from torch import Tensor

from ..gathering import Gathering


def vertex_normals(vertices: Tensor, faces: Tensor) -> Tensor:
    """Unit normals [..., V, 3] of vertices [..., V, 3] and faces [F, 3]: area-weighted means over adjacent faces.

    A vertex without a face, or whose faces are all degenerate, gets the zero vector.
    """
    by_vertex = vertices.movedim(-2, 0).contiguous()  # whole batches are gathered and added per vertex: one pass each
    corners = Gathering(faces.t().reshape(-1), len(by_vertex))
    a, b, c = corners.rows(by_vertex).chunk(3)
    doubled_area = torch.linalg.cross(b - a, c - a)
    sums = corners.sums(torch.cat([doubled_area] * 3))
    normals = torch.nn.functional.normalize(sums, dim=-1, eps=torch.finfo(vertices.dtype).tiny)
    return normals.movedim(0, -2).contiguous()
