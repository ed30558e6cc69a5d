"""Means over a square Gaussian window, as SSIM takes them."""

import torch
from kernel_runtime import ArgumentError, device_of

from . import cpu, cuda, reference


def window_mean(images: torch.Tensor, weights: tuple[float, ...]) -> torch.Tensor:
    """Windowed means of [N, H, W, C], the same shape, with zeros beyond the border.

    The window is symmetric and separable. The map is its own adjoint: a gradient goes through it by another call.

    Args:
        images: float32 (any float dtype on the CPU).
        weights: of the one-dimensional window at distance 0, 1, ..., radius; radius at most 15.

    Raises:
        ArgumentError: for another number of dimensions, a wide window, or another dtype on a GPU.
    """
    if images.ndim != 4:
        raise ArgumentError(f"images: expected shape [N, H, W, C], got {list(images.shape)}")
    if not 1 <= len(weights) <= cuda.MAX_RADIUS + 1:
        raise ArgumentError(f"weights: expected 1 to {cuda.MAX_RADIUS + 1}, got {len(weights)}")
    if device_of("window_mean", images) == "cuda":
        return cuda.window_mean(images, weights)
    return (cpu if images.dtype == torch.float32 else reference).window_mean(images, weights)
