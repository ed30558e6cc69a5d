"""Means over a square Gaussian window, as SSIM takes them."""

import torch
from kernel_runtime import ArgumentError, require_cpu

from . import cpu_similarity, reference

MAX_RADIUS = 15


def window_mean(images: torch.Tensor, weights: tuple[float, ...]) -> torch.Tensor:
    """Windowed means of [N, H, W, C], the same shape, with zeros beyond the border.

    The window is symmetric and separable. The map is its own adjoint: a gradient goes through it by another call. On a
    GPU the means are a part of `similarity`.

    Args:
        images: any float dtype, on the CPU.
        weights: of the one-dimensional window at distance 0, 1, ..., radius; radius at most 15.

    Raises:
        ArgumentError: for another number of dimensions, a wide window, or another device.
    """
    if images.ndim != 4:
        raise ArgumentError(f"images: expected shape [N, H, W, C], got {list(images.shape)}")
    if not 1 <= len(weights) <= MAX_RADIUS + 1:
        raise ArgumentError(f"weights: expected 1 to {MAX_RADIUS + 1}, got {len(weights)}")
    require_cpu("window_mean", images)
    return (cpu_similarity if images.dtype == torch.float32 else reference).window_mean(images, weights)
