"""Windowed means in plain torch, any float dtype: sums of shifted views."""

import torch
from torch import Tensor


def window_mean(images: Tensor, weights: tuple[float, ...]) -> Tensor:
    """[N, H, W, C]; see `window.window_mean`."""
    radius = len(weights) - 1
    padded = torch.nn.functional.pad(images, (0, 0, radius, radius, radius, radius))
    return _along(1, _along(2, padded, weights), weights)


def _along(axis: int, padded: Tensor, weights: tuple[float, ...]) -> Tensor:
    """Weighted sums along `axis`, which loses its padding."""
    radius = len(weights) - 1
    size = padded.shape[axis] - 2 * radius
    result = padded.narrow(axis, radius, size) * weights[0]
    for distance, weight in enumerate(weights[1:], start=1):
        result.add_(padded.narrow(axis, radius - distance, size), alpha=weight)
        result.add_(padded.narrow(axis, radius + distance, size), alpha=weight)
    return result
