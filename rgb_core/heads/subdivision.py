"""Midpoint subdivision of head models: finer triangles on the same surface, with every deformation carried along."""

import dataclasses

import torch
from torch import Tensor

from .model import HeadModel


def subdivide(head: HeadModel, times: int = 1) -> HeadModel:
    """Split every triangle into four `times` times.

    Old vertices keep their indices, so landmarks and the joint regressor stay valid. A new vertex takes the mean of its
    edge's ends in every linear quantity and the lower of their two region codes.
    """
    for _ in range(times):
        head = _subdivide_once(head)
    return head


def _subdivide_once(head: HeadModel) -> HeadModel:
    edges, faces = _split_faces(head.faces, head.vertex_count)

    def refine(values: Tensor, axis: int) -> Tensor:
        middle = (values.index_select(axis, edges[:, 0]) + values.index_select(axis, edges[:, 1])) / 2
        return torch.cat([values, middle], dim=axis)

    regressor, uv, uv_faces = head.joint_regressor, head.uv, head.uv_faces
    if regressor is not None:
        regressor = torch.cat([regressor, regressor.new_zeros(regressor.shape[0], len(edges))], dim=1)
    if uv is not None and uv_faces is not None:
        uv_edges, uv_faces = _split_faces(uv_faces, len(uv))
        uv = torch.cat([uv, uv[uv_edges].mean(1)])
    return dataclasses.replace(
        head,
        vertices=refine(head.vertices, 0),
        faces=faces,
        shape_basis=refine(head.shape_basis, 1),
        expression_basis=refine(head.expression_basis, 1),
        pose_basis=refine(head.pose_basis, 1),
        skin_weights=refine(head.skin_weights, 0),
        region=torch.cat([head.region, head.region[edges].min(1).values]),
        joint_regressor=regressor,
        uv=uv,
        uv_faces=uv_faces,
    )


def _split_faces(faces: Tensor, vertex_count: int) -> tuple[Tensor, Tensor]:
    """Undirected edges [N, 2], whose midpoints are vertices V, V + 1, ..., and the four times as many faces."""
    a, b, c = faces.unbind(1)
    sides = torch.stack([torch.stack([a, b], 1), torch.stack([b, c], 1), torch.stack([c, a], 1)], 1)
    edges, inverse = sides.sort(-1).values.reshape(-1, 2).unique(dim=0, return_inverse=True)
    ab, bc, ca = (inverse.view(-1, 3) + vertex_count).unbind(1)
    corners = [a, ab, ca, ab, b, bc, ca, bc, c, ab, bc, ca]
    return edges, torch.stack(corners, 1).reshape(-1, 3)
