"""Trackers that fold the head's motion into the camera: the camera is put back to rest, the root joint moves instead.

The light then stands still in the world while the head turns, which is what separates light from albedo.
"""

import dataclasses
from collections.abc import Sequence

import torch
from torch import Tensor

from ...heads import HeadModel
from ...rotations import axis_angle_to_matrix, matrix_to_axis_angle
from .source import SourceFrame

_UPRIGHT = torch.diag(torch.tensor([1.0, -1.0, -1.0], dtype=torch.float64))  # looks along -z of the world, y up
_SAME = 1e-9  # metres and parts of a rotation matrix; cameras written from one number are equal


def camera_moves(frames: Sequence[SourceFrame]) -> bool:
    """Whether any two frames have different extrinsics."""
    first = frames[0].camera.world_to_camera
    return any(not torch.allclose(frame.camera.world_to_camera, first, 0, _SAME) for frame in frames)


def hold_camera(frames: Sequence[SourceFrame], head: HeadModel, shape: Tensor) -> list[SourceFrame]:
    """The same frames seen by one upright camera at rest; every projected vertex stays exactly where it was.

    A frame's camera sees R (Q (x - j) + j + T) + t, where Q is the root rotation, T the translation and j the root
    joint of the frame's expression. The camera at rest (U, c) sees the same with root rotation U^T R Q and
    translation U^T (R (j + T) + t - c) - j. c makes the mean translation zero: the world's origin is the head's.
    """
    rests = root_rests(frames, head, shape)
    motions = torch.stack([frame.camera.world_to_camera for frame in frames])
    shifts = torch.stack([frame.translation for frame in frames])
    rotations, offsets = motions[:, :, :3], motions[:, :, 3]
    seen = torch.einsum("nij,nj->ni", rotations, rests + shifts) + offsets
    center = seen.mean(0) - _UPRIGHT @ rests.mean(0)
    translations = (seen - center) @ _UPRIGHT - rests
    roots = _UPRIGHT.T @ rotations @ axis_angle_to_matrix(torch.stack([frame.joints[0] for frame in frames]))
    turned = matrix_to_axis_angle(roots)
    matrix = torch.cat([_UPRIGHT, center[:, None]], 1)
    return [
        dataclasses.replace(
            frame,
            camera=dataclasses.replace(frame.camera, world_to_camera=matrix),
            joints=torch.cat([turned[index, None], frame.joints[1:]]),
            translation=translations[index],
        )
        for index, frame in enumerate(frames)
    ]


def root_rests(frames: Sequence[SourceFrame], head: HeadModel, shape: Tensor) -> Tensor:
    """[N, 3] float64 rest position of the root joint in each frame; expressions move a regressed one."""
    if head.joint_regressor is None:
        return head.joint_positions[0].double().expand(len(frames), 3)
    regressor = head.joint_regressor[0].double()
    carrying = regressor.nonzero().squeeze(1)  # few vertices, so that no basis is copied whole
    weights = regressor[carrying]
    rest = weights @ head.vertices[carrying].double()
    if shape.numel():
        rest = rest + shape @ torch.einsum("v,svc->sc", weights, head.shape_basis[:, carrying].double())
    by_expression = torch.einsum("v,evc->ec", weights, head.expression_basis[:, carrying].double())
    return rest + torch.stack([frame.expression for frame in frames]) @ by_expression
