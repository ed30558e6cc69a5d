"""Windowed means and structural similarity of float32 pictures on the CPU."""

from collections.abc import Sequence

import numpy as np
import torch
from kernel_runtime import as_numpy, parallel_jit
from numba import prange

_CHUNK = 1 << 12  # numbers


def similarity(
    a: torch.Tensor, b: torch.Tensor, weights: tuple[float, ...], c1: float, c2: float
) -> tuple[torch.Tensor, ...]:
    """S and its slopes by the windowed means of a, ab and aa; see `similarity.similarity`."""
    products = torch.empty(5, *a.shape)
    _products(as_numpy(a).reshape(-1), as_numpy(b).reshape(-1), products.view(5, -1).numpy())
    means = window_mean(products, weights)
    out = torch.empty(4, *a.shape)
    _measure(means.view(5, -1).numpy(), np.float32(c1), np.float32(c2), out.view(4, -1).numpy())
    return out.unbind()


def similarity_backward(
    a: torch.Tensor, b: torch.Tensor, slopes: Sequence[torch.Tensor], gradient: torch.Tensor, weights: tuple[float, ...]
) -> torch.Tensor:
    """Gradient by a."""
    pulled = window_mean(torch.stack(tuple(slopes)) * gradient, weights)  # the window is its own adjoint
    out = torch.empty_like(a)
    flat = (as_numpy(image).reshape(-1) for image in (a, b))
    _pull(*flat, pulled.view(3, -1).numpy(), out.view(-1).numpy())
    return out


def window_mean(images: torch.Tensor, weights: tuple[float, ...]) -> torch.Tensor:
    """[N, H, W, C] float32; see `window.window_mean`."""
    source = as_numpy(images.contiguous())
    count, height, width, channels = source.shape
    across, out = np.empty_like(source), np.empty_like(source)
    rows = (array.reshape(count * height, width * channels) for array in (source, across, out))
    _window(*rows, height, channels, np.array(weights, np.float32))
    return torch.from_numpy(out)


@parallel_jit("(f4[:,::1], f4[:,::1], f4[:,::1], i8, i8, f4[::1])")
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


@parallel_jit("(f4[::1], f4[::1], f4[:,::1])")
def _products(a, b, out):
    """Fills `out` [5, N] with a, b, aa, bb and ab."""
    total = len(a)
    for chunk in prange((total + _CHUNK - 1) // _CHUNK):
        for i in range(chunk * _CHUNK, min((chunk + 1) * _CHUNK, total)):
            x, y = a[i], b[i]
            out[0, i], out[1, i], out[2, i], out[3, i], out[4, i] = x, y, x * x, y * y, x * y


@parallel_jit("(f4[:,::1], f4, f4, f4[:,::1])")
def _measure(means, c1, c2, out):
    """Fills `out` [4, N] with S and its slopes from the windowed means [5, N]."""
    one, two = np.float32(1), np.float32(2)
    total = means.shape[1]
    for chunk in prange((total + _CHUNK - 1) // _CHUNK):
        for i in range(chunk * _CHUNK, min((chunk + 1) * _CHUNK, total)):
            a, b = means[0, i], means[1, i]
            squares, product = a * a + b * b, a * b
            luminance, structure = two * product + c1, two * (means[4, i] - product) + c2
            luminance_norm, structure_norm = squares + c1, means[2, i] + means[3, i] - squares + c2
            norm = one / (luminance_norm * structure_norm)
            value = luminance * structure * norm
            by_product = two * (structure - luminance) * norm
            by_squares = value * (one / structure_norm - one / luminance_norm)
            out[0, i] = value
            out[1, i] = by_product * b + two * by_squares * a
            out[2, i] = two * luminance * norm
            out[3, i] = -value / structure_norm


@parallel_jit("(f4[::1], f4[::1], f4[:,::1], f4[::1])")
def _pull(a, b, pulled, out):
    """The gradient by a from what came back through the window [3, N]."""
    total = len(a)
    for chunk in prange((total + _CHUNK - 1) // _CHUNK):
        for i in range(chunk * _CHUNK, min((chunk + 1) * _CHUNK, total)):
            out[i] = pulled[0, i] + b[i] * pulled[1, i] + np.float32(2) * a[i] * pulled[2, i]
