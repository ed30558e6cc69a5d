"""Structural similarity (Wang et al. 2004) by pixel, with a closed-form gradient: a score and a training loss."""

import torch
from torch import Tensor
from training_kernels import Measure, similarity

WINDOW_RADIUS = 5  # pixels: an 11 x 11 window
WINDOW_SIGMA = 1.5  # pixels
C1 = 0.01**2  # of a dynamic range of 1
C2 = 0.03**2


def ssim_map(a: Tensor, b: Tensor) -> Tensor:
    """SSIM of every pixel and channel of two images, differentiable in both.

    Args:
        a: [H, W, C] in 0 to 1, any float dtype.
        b: the same shape and dtype.

    Returns:
        [H, W, C] in -1 to 1; 1 where the windows agree. Windows are Gaussian and see zeros beyond the border.

    Raises:
        ValueError: when the shapes differ or are not three-dimensional.
    """
    if a.ndim != 3 or a.shape != b.shape:
        raise ValueError(f"SSIM compares two images [H, W, C], got {list(a.shape)} and {list(b.shape)}")
    return similarity(a, b, _MEASURE)


def ssim(a: Tensor, b: Tensor) -> Tensor:
    """Mean of `ssim_map` over pixels and channels, a scalar."""
    return ssim_map(a, b).mean()


def _window_weights() -> tuple[float, ...]:
    """Weights at distance 0 to WINDOW_RADIUS of the normalised one-dimensional window."""
    distance = torch.arange(-WINDOW_RADIUS, WINDOW_RADIUS + 1, dtype=torch.float64)
    weights = torch.exp(-(distance**2) / (2 * WINDOW_SIGMA**2))
    return tuple((weights / weights.sum())[WINDOW_RADIUS:].tolist())


_MEASURE = Measure(_window_weights(), C1, C2)
