"""Structural similarity (Wang et al. 2004) by pixel, with a closed-form gradient: a score and a training loss."""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from training_kernels import window_mean

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
    return _SsimMap.apply(a, b)


def ssim(a: Tensor, b: Tensor) -> Tensor:
    """Mean of `ssim_map` over pixels and channels, a scalar."""
    return ssim_map(a, b).mean()


class _SsimMap(torch.autograd.Function):
    """S = (2 m_a m_b + C1)(2 s_ab + C2) / ((m_a^2 + m_b^2 + C1)(s_aa + s_bb + C2)) of windowed moments m and s."""

    @staticmethod
    def forward(ctx: Any, a: Tensor, b: Tensor) -> Tensor:
        mean_a, mean_b, aa, bb, ab = window_mean(torch.stack([a, b, a * a, b * b, a * b]), _WEIGHTS)
        squares = mean_a * mean_a + mean_b * mean_b
        products = mean_a * mean_b
        luminance = 2 * products + C1
        structure = 2 * (ab - products) + C2
        luminance_norm = squares + C1
        structure_norm = aa + bb - squares + C2
        norm = luminance_norm * structure_norm
        similarity = luminance * structure / norm
        # Derivatives of S by the windowed moments E[ab] and E[aa] (= E[bb]); those by the means follow in backward.
        by_ab = 2 * luminance / norm
        by_aa = -similarity / structure_norm
        by_product = 2 * (structure - luminance) / norm
        by_squares = similarity * (1 / structure_norm - 1 / luminance_norm)
        ctx.save_for_backward(a, b, mean_a, mean_b, by_ab, by_aa, by_product, by_squares)
        return similarity

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None]:
        a, b, mean_a, mean_b, by_ab, by_aa, by_product, by_squares = ctx.saved_tensors

        def pull(image: Tensor, other: Tensor, mean: Tensor, other_mean: Tensor) -> Tensor:
            by_mean = by_product * other_mean + 2 * by_squares * mean
            # The window is symmetric, so that the blur is its own adjoint.
            first, cross, second = window_mean(torch.stack([by_mean, by_ab, by_aa]) * gradient, _WEIGHTS)
            return first + other * cross + 2 * image * second

        return (
            pull(a, b, mean_a, mean_b) if ctx.needs_input_grad[0] else None,
            pull(b, a, mean_b, mean_a) if ctx.needs_input_grad[1] else None,
        )


def _window_weights() -> tuple[float, ...]:
    """Weights at distance 0 to WINDOW_RADIUS of the normalised one-dimensional window."""
    distance = torch.arange(-WINDOW_RADIUS, WINDOW_RADIUS + 1, dtype=torch.float64)
    weights = torch.exp(-(distance**2) / (2 * WINDOW_SIGMA**2))
    return tuple((weights / weights.sum())[WINDOW_RADIUS:].tolist())


_WEIGHTS = _window_weights()
