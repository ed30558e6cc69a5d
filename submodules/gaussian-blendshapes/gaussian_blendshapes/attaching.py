"""The surface points of Gaussians: what shades them, differentiable by where they are and how their normals lean."""

from typing import NamedTuple

import torch
from kernel_runtime import check_tensor, device_of
from torch.autograd.function import once_differentiable

from . import cuda, reference
from .tables import Anchors


class Attached(NamedTuple):
    """The surface point of every Gaussian."""

    normals: torch.Tensor  # [P, 3] unit
    views: torch.Tensor  # [P, 3] unit, towards the camera
    occlusion: torch.Tensor  # [P, 1]


class _Attach(torch.autograd.Function):
    @staticmethod
    def forward(ctx, anchors, vertex_normals, occlusion, rotations, world_to_camera, normal_offset, means):
        ctx.save_for_backward(*anchors, vertex_normals, rotations, world_to_camera, normal_offset, means)
        attached = cuda.attach(anchors, vertex_normals, occlusion, normal_offset, means, rotations, world_to_camera)
        ctx.mark_non_differentiable(attached[2])
        return attached

    @staticmethod
    @once_differentiable
    def backward(ctx, by_normals, by_views, _):
        corners, barycentric, *given = ctx.saved_tensors
        return (
            None,
            None,
            None,
            None,
            None,
            *cuda.attach_backward(Anchors(corners, barycentric), *given, by_normals, by_views),
        )


def attach(
    anchors: Anchors,
    vertex_normals: torch.Tensor,  # [V, 3]
    occlusion: torch.Tensor | None,  # [V]
    normal_offset: torch.Tensor,  # [P, 3]
    means: torch.Tensor,  # [P, 3]
    rotations: torch.Tensor,  # [P, 4]
    world_to_camera: torch.Tensor,  # [3, 4]
) -> Attached:
    """Normal of every Gaussian, occlusion of the mesh point that it is attached to, and its direction to the camera.

    The normal leans from that of the mesh by `normal_offset` in the axes that the quaternion (w, x, y, z) of
    `rotations` turns. Differentiable in `normal_offset` and `means`: normals are no reason for a Gaussian to turn.

    Raises:
        ArgumentError: for a wrong shape, dtype or device.
    """
    tensors = vertex_normals, occlusion, normal_offset, means, rotations, world_to_camera
    kind = device_of("attach", *tensors)
    points = len(means)
    normal_offset = check_tensor("normal_offset", normal_offset, (points, 3))
    means, rotations = check_tensor("means", means, (points, 3)), check_tensor("rotations", rotations, (points, 4))
    world_to_camera = check_tensor("world_to_camera", world_to_camera, (3, 4))
    rotations = rotations.detach()
    if kind == "cpu":
        return Attached(
            *reference.attach(anchors, vertex_normals, occlusion, normal_offset, means, rotations, world_to_camera)
        )
    return Attached(
        *_Attach.apply(anchors, vertex_normals, occlusion, rotations, world_to_camera, normal_offset, means)
    )
