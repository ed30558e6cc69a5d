"""Launches of the training kernels."""

import math

import numpy as np
import torch
from kernel_runtime import ArgumentError
from kernel_runtime.cuda import CudaModule

MAX_RADIUS = 15
_TILE = 16  # pixels, as in window.cu
_THREADS = 256
_PER_THREAD = 4  # numbers, as in adam.cu

_WINDOW_MODULE = CudaModule("training_kernels", "window.cu")
_ADAM = CudaModule("training_kernels", "adam.cu").kernel("adam_step")


def window_mean(images: torch.Tensor, weights: tuple[float, ...]) -> torch.Tensor:
    """[N, H, W, C]; see `window.window_mean`."""
    if images.dtype != torch.float32:
        raise ArgumentError(f"images: expected {torch.float32} on a GPU, got {images.dtype}")
    images = images.contiguous()
    count, height, width, channels = images.shape
    out = torch.empty_like(images)
    window = torch.zeros(MAX_RADIUS + 1)
    window[: len(weights)] = torch.tensor(weights)
    kernel = _WINDOW_MODULE.kernel("window_mean", len(weights) - 1)
    grid = -(-width // _TILE), -(-height // _TILE), count * channels
    scalars = [np.float32(weight) for weight in window.tolist()]
    kernel.launch(grid, (_TILE, _TILE), (images, height, width, channels, *scalars, out))
    return out


def adam_step(
    parameter: torch.Tensor,
    gradient: torch.Tensor,
    first_moment: torch.Tensor,
    second_moment: torch.Tensor,
    rate: torch.Tensor,
    step: torch.Tensor,
    beta1: float,
    beta2: float,
    eps: float,
) -> None:
    """See `adam.adam_step`."""
    total = parameter.numel()
    blocks = -(-total // (_THREADS * _PER_THREAD))
    _ADAM.launch(blocks, _THREADS, (
        parameter.detach(), gradient, first_moment, second_moment, rate, step, beta1, beta2, math.log(beta1),
        math.log(beta2), eps, np.int64(total),
    ))  # fmt: skip
