"""SSIM against a float64 convolution by scipy, its gradient by finite differences, and its known values."""

import numpy as np
import pytest
import torch
from scipy.signal import convolve2d

from rgb_core.images.ssim import ssim, ssim_map


def _reference(a, b):
    """The textbook formula for one channel, windows from an 11 x 11 kernel, zeros outside."""
    axis = np.arange(11) - 5.0
    kernel = np.exp(-(axis[:, None] ** 2 + axis[None] ** 2) / (2 * 1.5**2))
    kernel /= kernel.sum()

    def window(image):
        return convolve2d(image, kernel, mode="same", boundary="fill")

    mean_a, mean_b = window(a), window(b)
    variance_a, variance_b = window(a * a) - mean_a**2, window(b * b) - mean_b**2
    covariance = window(a * b) - mean_a * mean_b
    top = (2 * mean_a * mean_b + 1e-4) * (2 * covariance + 9e-4)
    return top / ((mean_a**2 + mean_b**2 + 1e-4) * (variance_a + variance_b + 9e-4))


def _images(height, width, dtype=torch.float64, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return (torch.rand(height, width, 3, generator=generator, dtype=dtype) for _ in range(2))


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 2e-4)])
def test_agrees_with_a_convolution_in_float64(dtype, tolerance):
    # float32: variances are differences of numbers near 1, so 1e-7 of them is 1e-4 of C2.
    a, b = _images(23, 31)
    found = ssim_map(a.to(dtype), b.to(dtype))
    for channel in range(3):
        expected = _reference(a[..., channel].numpy(), b[..., channel].numpy())
        np.testing.assert_allclose(found[..., channel].double().numpy(), expected, atol=tolerance)


def test_pictures_smaller_than_the_window():
    a, b = _images(3, 4)
    expected = _reference(a[..., 0].numpy(), b[..., 0].numpy())
    np.testing.assert_allclose(ssim_map(a, b)[..., 0].numpy(), expected, atol=1e-12)


def test_gradient_in_both_pictures():
    a, b = (image.requires_grad_() for image in _images(9, 13))
    assert torch.autograd.gradcheck(ssim_map, (a, b))


def test_identical_pictures_score_one():
    a, _ = _images(20, 20)
    torch.testing.assert_close(ssim(a, a), torch.ones((), dtype=torch.float64))


def test_constant_pictures_compare_by_luminance_alone():
    # Away from the border both variances are zero, so the structure term is 1.
    a, b = torch.full((21, 21, 1), 0.25, dtype=torch.float64), torch.full((21, 21, 1), 0.75, dtype=torch.float64)
    expected = (2 * 0.25 * 0.75 + 1e-4) / (0.25**2 + 0.75**2 + 1e-4)
    assert ssim_map(a, b)[10, 10, 0].item() == pytest.approx(expected, rel=1e-9)


def test_other_shapes_are_refused():
    with pytest.raises(ValueError, match="two images"):
        ssim_map(torch.zeros(4, 4, 3), torch.zeros(4, 5, 3))
