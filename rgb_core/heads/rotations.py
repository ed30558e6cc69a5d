"""Rotations as axis-angle vectors and matrices, differentiable at every angle that has a derivative."""

from collections.abc import Sequence

import torch
from torch import Tensor

NECK = "neck"
"""Name of the joint between torso and skull."""
SMALL_ANGLE_SQUARED = 1e-2
"""Below it (0.1 rad) the series is used; its first dropped term is under 3e-14."""


def _skew(vector: Tensor) -> Tensor:
    x, y, z = vector.unbind(-1)
    zero = torch.zeros_like(x)
    return torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], dim=-1).unflatten(-1, (3, 3))


def axis_angle_to_matrix(axis_angle: Tensor) -> Tensor:
    """Rotation matrices [..., 3, 3] of axis-angle vectors [..., 3] in radians (Rodrigues' formula)."""
    squared = axis_angle.square().sum(-1)[..., None, None]
    small = squared < SMALL_ANGLE_SQUARED
    safe = torch.where(small, torch.ones_like(squared), squared)
    angle = safe.sqrt()
    sine_series = 1 - squared / 6 * (1 - squared / 20 * (1 - squared / 42))
    cosine_series = (1 - squared / 12 * (1 - squared / 30 * (1 - squared / 56))) / 2
    sine_factor = torch.where(small, sine_series, angle.sin() / angle)
    cosine_factor = torch.where(small, cosine_series, 2 * (angle / 2).sin().square() / safe)
    skew = _skew(axis_angle)
    identity = torch.eye(3, dtype=axis_angle.dtype, device=axis_angle.device)
    return identity + sine_factor * skew + cosine_factor * (skew @ skew)


def matrix_to_axis_angle(matrix: Tensor) -> Tensor:
    """Axis-angle vectors [..., 3], length in [0, pi], of rotation matrices [..., 3, 3].

    Goes through the unit quaternion q: 4 q q^T is linear in the matrix, and its row with the largest diagonal
    element gives q without cancellation, also at half a turn.
    """
    (m00, m01, m02), (m10, m11, m12), (m20, m21, m22) = (row.unbind(-1) for row in matrix.unbind(-2))
    w_x, w_y, w_z = m21 - m12, m02 - m20, m10 - m01
    x_y, x_z, y_z = m10 + m01, m02 + m20, m12 + m21
    outer = torch.stack(
        [
            torch.stack([1 + m00 + m11 + m22, w_x, w_y, w_z], -1),
            torch.stack([w_x, 1 + m00 - m11 - m22, x_y, x_z], -1),
            torch.stack([w_y, x_y, 1 - m00 + m11 - m22, y_z], -1),
            torch.stack([w_z, x_z, y_z, 1 - m00 - m11 + m22], -1),
        ],
        dim=-2,
    )
    row = outer.diagonal(dim1=-2, dim2=-1).argmax(-1)[..., None, None].expand(*outer.shape[:-2], 1, 4)
    quaternion = torch.nn.functional.normalize(outer.gather(-2, row).squeeze(-2), dim=-1)
    quaternion = torch.where(quaternion[..., :1] < 0, -quaternion, quaternion)
    cosine, vector = quaternion[..., :1], quaternion[..., 1:]
    squared = vector.square().sum(-1, keepdim=True)
    small = squared < SMALL_ANGLE_SQUARED**2
    sine = torch.where(small, torch.ones_like(squared), squared).sqrt()
    tangent_squared = squared / cosine.square().clamp(min=SMALL_ANGLE_SQUARED)
    series = 2 / cosine.clamp(min=SMALL_ANGLE_SQUARED) * (1 - tangent_squared / 3 + tangent_squared.square() / 5)
    return vector * torch.where(small, series, 2 * torch.atan2(sine, cosine) / sine)


def nearest_rotation(matrix: Tensor) -> Tensor:
    """The proper rotations [..., 3, 3] nearest to any matrices [..., 3, 3] in the Frobenius norm."""
    left, _, right = torch.linalg.svd(matrix)
    sign = torch.ones_like(matrix[..., 0])
    sign[..., 2] = torch.linalg.det(left @ right).sign()
    return left @ torch.diag_embed(sign) @ right


def skull_rotation(joints: Tensor, joint_names: Sequence[str]) -> Tensor:
    """Rotation [..., 3, 3] of the skull by joint angles [..., J, 3]: the root's, and the neck's where there is one."""
    root = axis_angle_to_matrix(joints[..., 0, :])
    if NECK not in joint_names:
        return root
    return root @ axis_angle_to_matrix(joints[..., joint_names.index(NECK), :])
