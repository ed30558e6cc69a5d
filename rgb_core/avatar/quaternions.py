"""Unit quaternions (w, x, y, z), batched."""

import torch


def to_matrix(quaternion: torch.Tensor) -> torch.Tensor:
    """Rotation matrix [..., 3, 3] of quaternions [..., 4] of any length but 0."""
    w, x, y, z = torch.nn.functional.normalize(quaternion, dim=-1).unbind(-1)
    rows = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ]
    return torch.stack([torch.stack(row, dim=-1) for row in rows], dim=-2)


def rotate(quaternion: torch.Tensor, vector: torch.Tensor) -> torch.Tensor:
    """Vectors [..., 3] turned by unit quaternions [..., 4]."""
    w, axis = quaternion.split([1, 3], dim=-1)
    return vector + 2 * torch.linalg.cross(axis, torch.linalg.cross(axis, vector) + w * vector)


def from_matrix(matrix: torch.Tensor) -> torch.Tensor:
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


def nearest_rotation(matrix: torch.Tensor, steps: int = 4) -> torch.Tensor:
    """The polar rotation of [..., 3, 3] matrices with positive determinant, by Newton's iteration (R + R^-T) / 2."""
    for _ in range(steps):
        cofactor = torch.stack(
            [torch.linalg.cross(matrix[..., (i + 1) % 3, :], matrix[..., (i + 2) % 3, :]) for i in range(3)], dim=-2
        )
        determinant = (matrix[..., 0, :] * cofactor[..., 0, :]).sum(-1)[..., None, None]
        matrix = 0.5 * (matrix + cofactor / determinant)
    return matrix
