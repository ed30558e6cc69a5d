"""Axis-angle vectors and matrices against scipy, and their derivatives against finite differences."""

import math

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from rgb_core.rotations import axis_angle_to_matrix, matrix_to_axis_angle

ANGLES = [0.0, 1e-12, 1e-7, 1e-4, 0.0999, 0.1001, 1.0, 2.5, math.pi - 1e-3, math.pi - 1e-6]


def axis_angles(angle: float) -> torch.Tensor:
    axes = torch.randn(50, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    return torch.nn.functional.normalize(axes, dim=-1) * angle


@pytest.mark.parametrize("angle", ANGLES)
def test_matrix_agrees_with_scipy(angle):
    vectors = axis_angles(angle)
    expected = torch.from_numpy(Rotation.from_rotvec(vectors.numpy()).as_matrix())
    # Both are double precision; the series is cut below 3e-14.
    torch.testing.assert_close(axis_angle_to_matrix(vectors), expected, atol=1e-13, rtol=0)


@pytest.mark.parametrize("angle", ANGLES)
def test_round_trip(angle):
    vectors = axis_angles(angle)
    # Half an ulp in the matrix moves the vector by about as much, since no branch divides by a small number.
    torch.testing.assert_close(matrix_to_axis_angle(axis_angle_to_matrix(vectors)), vectors, atol=1e-13, rtol=0)


def test_half_turns_come_back_as_half_turns():
    vectors = torch.cat([axis_angles(math.pi), torch.eye(3, dtype=torch.float64) * math.pi])
    back = matrix_to_axis_angle(axis_angle_to_matrix(vectors))
    # The axis of a half turn has two signs; both describe the same matrix.
    torch.testing.assert_close(back.norm(dim=-1), torch.full((53,), math.pi, dtype=torch.float64), atol=1e-7, rtol=0)
    torch.testing.assert_close(axis_angle_to_matrix(back), axis_angle_to_matrix(vectors), atol=1e-12, rtol=0)


def test_turns_beyond_pi_come_back_the_short_way():
    back = matrix_to_axis_angle(axis_angle_to_matrix(torch.tensor([0.0, 4.0, 0.0], dtype=torch.float64)))
    np.testing.assert_allclose(back, [0.0, 4.0 - 2 * math.pi, 0.0], atol=1e-12)


@pytest.mark.parametrize("angle", [0.0, 1e-9, 0.05, 0.0999, 0.5, 3.0])
def test_gradients(angle):
    vectors = axis_angles(angle)[:4].requires_grad_()
    assert torch.autograd.gradcheck(axis_angle_to_matrix, vectors)
    matrices = axis_angle_to_matrix(vectors.detach()).requires_grad_()
    assert torch.autograd.gradcheck(matrix_to_axis_angle, matrices)


def test_float32_is_orthonormal_near_zero():
    matrices = axis_angle_to_matrix(axis_angles(1e-4).float())
    # A few float32 roundings per element.
    torch.testing.assert_close(matrices @ matrices.mT, torch.eye(3).expand(50, 3, 3), atol=1e-6, rtol=0)
