"""Rotations as axis-angle vectors, matrices and unit quaternions (w, x, y, z), batched and differentiable.

Axis-angle vectors are in radians: their direction is the axis, their length the angle.
"""

import math

import torch
from torch import Tensor

SMALL_ANGLE_SQUARED = 1e-2
"""Below it (0.1 rad) the series is used; its first dropped term is under 3e-14."""


def skew(vector: Tensor) -> Tensor:
    """The matrices [..., 3, 3] whose product with any w is `vector` [..., 3] x w."""
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
    cross = skew(axis_angle)
    identity = torch.eye(3, dtype=axis_angle.dtype, device=axis_angle.device)
    return identity + sine_factor * cross + cosine_factor * (cross @ cross)


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


def quaternion_to_matrix(quaternion: Tensor) -> Tensor:
    """Rotation matrix [..., 3, 3] of quaternions [..., 4] of any length but 0."""
    w, x, y, z = torch.nn.functional.normalize(quaternion, dim=-1).unbind(-1)
    rows = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ]
    return torch.stack([torch.stack(row, dim=-1) for row in rows], dim=-2)


def quaternion_rotate(quaternion: Tensor, vector: Tensor) -> Tensor:
    """Vectors [..., 3] turned by unit quaternions [..., 4]."""
    w, axis = quaternion.split([1, 3], dim=-1)
    return vector + 2 * torch.linalg.cross(axis, torch.linalg.cross(axis, vector) + w * vector)


def matrix_to_quaternion(matrix: Tensor) -> Tensor:
    """Quaternion [..., 4] with w >= 0 of rotation matrices [..., 3, 3].

    Each component's magnitude comes from the diagonal, its sign from the skew part: exact up to half turns, where
    the sign of a vanishing w is free.
    """
    m = matrix
    x2, y2, z2 = m[..., 0, 0], m[..., 1, 1], m[..., 2, 2]
    squares = torch.stack([1 + x2 + y2 + z2, 1 + x2 - y2 - z2, 1 - x2 + y2 - z2, 1 - x2 - y2 + z2], dim=-1)
    magnitude = 0.5 * squares.clamp_min(0).sqrt()
    skew = torch.stack([m[..., 2, 1] - m[..., 1, 2], m[..., 0, 2] - m[..., 2, 0], m[..., 1, 0] - m[..., 0, 1]], dim=-1)
    vector = torch.where(skew < 0, -magnitude[..., 1:], magnitude[..., 1:])
    return torch.cat([magnitude[..., :1], vector], dim=-1)


def polar_rotation(matrix: Tensor, steps: int = 4) -> Tensor:
    """The rotations nearest to matrices [..., 3, 3] of positive determinant, by Newton's iteration (M + M^-T) / 2.

    Much faster than the singular values of `nearest_rotation` for millions of matrices, and as good where no matrix is
    close to singular (Higham 1986, "Computing the polar decomposition").
    """
    for _ in range(steps):
        cofactor = torch.stack(
            [torch.linalg.cross(matrix[..., (i + 1) % 3, :], matrix[..., (i + 2) % 3, :]) for i in range(3)], dim=-2
        )
        determinant = (matrix[..., 0, :] * cofactor[..., 0, :]).sum(-1)[..., None, None]
        matrix = 0.5 * (matrix + cofactor / determinant)
    return matrix


def direction_of(azimuth: float, elevation: float) -> tuple[float, float, float]:
    """Unit vector, radians: azimuth 0 is straight ahead of the face (+z), positive towards its left (+x)."""
    return (
        math.cos(elevation) * math.sin(azimuth),
        math.sin(elevation),
        math.cos(elevation) * math.cos(azimuth),
    )
