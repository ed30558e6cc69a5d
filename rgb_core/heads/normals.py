"""Smooth normals of triangle meshes."""

import torch
from torch import Tensor


def vertex_normals(vertices: Tensor, faces: Tensor) -> Tensor:
    """Unit normals [..., V, 3] of vertices [..., V, 3] and faces [F, 3]: area-weighted means over adjacent faces.

    A vertex without a face, or whose faces are all degenerate, gets the zero vector.
    """
    a, b, c = (vertices.index_select(-2, faces[:, corner]) for corner in range(3))
    doubled_area = torch.linalg.cross(b - a, c - a)
    corners = faces.t().reshape(-1)[:, None].expand(*doubled_area.shape[:-2], -1, 3)
    sums = torch.zeros_like(vertices).scatter_add(-2, corners, torch.cat([doubled_area] * 3, dim=-2))
    return torch.nn.functional.normalize(sums, dim=-1, eps=torch.finfo(vertices.dtype).tiny)
