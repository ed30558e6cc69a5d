"""Joint rotations of a tracked head: from the 6D form of a tracker to axis-angle."""

import torch
from torch import Tensor
from torch.nn.functional import normalize


def axis_angle_from_6d(rotation: Tensor) -> Tensor:
    """Axis-angle [..., 3] of rotations [..., 6] given as the first two rows of a matrix, not yet orthonormal.

    Gram-Schmidt completes the matrix (Zhou et al. 2019). The logarithm goes through a quaternion, which is exact for
    all angles in [0, pi]; of the two axes of a half turn it picks one.
    """
    first = normalize(rotation[..., :3], dim=-1)
    second = rotation[..., 3:] - (first * rotation[..., 3:]).sum(-1, keepdim=True) * first
    second = normalize(second, dim=-1)
    matrix = torch.stack((first, second, torch.linalg.cross(first, second)), dim=-2)
    quaternion = _quaternion(matrix)
    real, imaginary = quaternion[..., :1], quaternion[..., 1:]
    sine = imaginary.norm(dim=-1, keepdim=True)
    small = sine < torch.finfo(rotation.dtype).eps
    # angle / sin(angle / 2) tends to 2 for small angles.
    scale = torch.where(small, 2.0, 2 * torch.atan2(sine, real) / torch.where(small, 1, sine))
    return scale * imaginary


def _quaternion(matrix: Tensor) -> Tensor:
    """Unit quaternion (w, x, y, z), w >= 0, of rotation matrices [..., 3, 3].

    The entries of 4 q q^T are sums of the matrix's entries; its row with the largest diagonal is q up to scale.
    """
    (m00, m01, m02), (m10, m11, m12), (m20, m21, m22) = (row.unbind(-1) for row in matrix.unbind(-2))
    outer = torch.stack(
        (
            torch.stack((1 + m00 + m11 + m22, m21 - m12, m02 - m20, m10 - m01), -1),
            torch.stack((m21 - m12, 1 + m00 - m11 - m22, m01 + m10, m02 + m20), -1),
            torch.stack((m02 - m20, m01 + m10, 1 - m00 + m11 - m22, m12 + m21), -1),
            torch.stack((m10 - m01, m02 + m20, m12 + m21, 1 - m00 - m11 + m22), -1),
        ),
        -2,
    )
    best = outer.diagonal(dim1=-2, dim2=-1).argmax(-1)
    row = outer.gather(-2, best[..., None, None].expand(*best.shape, 1, 4)).squeeze(-2)
    quaternion = normalize(row, dim=-1)
    return torch.where(quaternion[..., :1] < 0, -quaternion, quaternion)
