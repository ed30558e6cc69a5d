"""Adam and windowed means on the CPU."""

import math

import numpy as np
import torch
from kernel_runtime import as_numpy, parallel_jit
from numba import prange

_CHUNK = 1 << 14


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
    count = float(step)
    size = float(rate) / (1 - beta1**count)
    correction = 1 / math.sqrt(1 - beta2**count)
    arrays = (as_numpy(tensor).reshape(-1) for tensor in (gradient, first_moment, second_moment))
    target = parameter.detach().numpy().reshape(-1)
    _update(target, *arrays, size, correction, beta1, beta2, eps)


@parallel_jit
def _update(parameter, gradient, first_moment, second_moment, size, correction, beta1, beta2, eps):
    total = len(parameter)
    for chunk in prange((total + _CHUNK - 1) // _CHUNK):
        for i in range(chunk * _CHUNK, min((chunk + 1) * _CHUNK, total)):
            g = gradient[i]
            m = beta1 * first_moment[i] + (1 - beta1) * g
            v = beta2 * second_moment[i] + (1 - beta2) * g * g
            first_moment[i], second_moment[i] = m, v
            parameter[i] -= size * m / (math.sqrt(v) * correction + eps)


def window_mean(images: torch.Tensor, weights: tuple[float, ...]) -> torch.Tensor:
    """[N, H, W, C] float32; see `window.window_mean`."""
    source = as_numpy(images.contiguous())
    count, height, width, channels = source.shape
    across, out = np.empty_like(source), np.empty_like(source)
    rows = (array.reshape(count * height, width * channels) for array in (source, across, out))
    _window(*rows, height, channels, np.array(weights, np.float32))
    return torch.from_numpy(out)


@parallel_jit
def _window(source, across, out, height, channels, weights):
    """Sums along the rows [N H, W C] of `source` into `across`, and down its columns into `out`."""
    rows, length = source.shape
    for row in prange(rows):
        for i in range(length):
            across[row, i] = weights[0] * source[row, i]
        for distance in range(1, len(weights)):
            shift, weight = distance * channels, weights[distance]
            for i in range(shift, length):
                across[row, i] += weight * source[row, i - shift]
            for i in range(length - shift):
                across[row, i] += weight * source[row, i + shift]
    for row in prange(rows):
        first = row // height * height
        for i in range(length):
            out[row, i] = weights[0] * across[row, i]
        for distance in range(1, len(weights)):
            weight = weights[distance]
            for other in (row - distance, row + distance):
                if first <= other < first + height:
                    for i in range(length):
                        out[row, i] += weight * across[other, i]
