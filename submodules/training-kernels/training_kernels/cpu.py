"""Adam and the evenness of albedo on the CPU."""

import math

import numpy as np
import torch
from kernel_runtime import as_numpy, jit, parallel_jit
from numba import prange

from .tables import Neighbours, SummedRows

_CHUNK, _ROWS = 1 << 14, 1 << 10


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
    size, correction = _without_bias(rate, step, beta1, beta2)
    arrays = (as_numpy(tensor).reshape(-1) for tensor in (gradient, first_moment, second_moment))
    target = parameter.detach().numpy().reshape(-1)
    _update(target, *arrays, size, correction, beta1, beta2, eps)


def _without_bias(rate: torch.Tensor, step: torch.Tensor, beta1: float, beta2: float) -> tuple[float, float]:
    """What the first moment and the root of the second are multiplied by, after `step` steps."""
    count = float(step)
    return float(rate) / (1 - beta1**count), 1 / math.sqrt(1 - beta2**count)


@parallel_jit("(f4[::1], f4[::1], f4[::1], f4[::1], f8, f8, f8, f8, f8)")
def _update(parameter, gradient, first_moment, second_moment, size, correction, beta1, beta2, eps):
    total = len(parameter)
    for chunk in prange((total + _CHUNK - 1) // _CHUNK):
        for i in range(chunk * _CHUNK, min((chunk + 1) * _CHUNK, total)):
            g = gradient[i]
            m = beta1 * first_moment[i] + (1 - beta1) * g
            v = beta2 * second_moment[i] + (1 - beta2) * g * g
            first_moment[i], second_moment[i] = m, v
            parameter[i] -= size * m / (math.sqrt(v) * correction + eps)


def adam_step_rows(
    parameter: torch.Tensor,
    gradient: SummedRows,
    first_moment: torch.Tensor,
    second_moment: torch.Tensor,
    rate: torch.Tensor,
    step: torch.Tensor,
    beta1: float,
    beta2: float,
    eps: float,
) -> torch.Tensor:
    """[] the sum of squares; see `adam_rows.adam_step_rows`."""
    size, correction = _without_bias(rate, step, beta1, beta2)
    given = (as_numpy(tensor) for tensor in gradient[:3])
    moments = as_numpy(first_moment), as_numpy(second_moment)
    squares = np.zeros(-(-len(parameter) // _ROWS), np.float32)
    _update_rows(
        parameter.numpy(), *given, *moments, np.float32(gradient.decay), size, correction, beta1, beta2, eps, squares
    )
    return torch.from_numpy(squares).sum()


@parallel_jit("(f4[:,::1], f4[:,::1], i4[::1], f4[::1], f4[:,::1], f4[:,::1], f4, f8, f8, f8, f8, f8, f4[::1])")
def _update_rows(
    parameter, by_sums, owner, weights, first_moment, second_moment, decay, size, correction, beta1, beta2, eps, squares
):
    rows, width = parameter.shape
    for chunk in prange(len(squares)):
        total = np.float32(0)
        for row in range(chunk * _ROWS, min((chunk + 1) * _ROWS, rows)):
            by_sum, weight = by_sums[owner[row]], weights[row]
            for i in range(width):
                p = parameter[row, i]
                g = weight * by_sum[i] + decay * p
                m = beta1 * first_moment[row, i] + (1 - beta1) * g
                v = beta2 * second_moment[row, i] + (1 - beta2) * g * g
                first_moment[row, i], second_moment[row, i] = m, v
                parameter[row, i] = p - size * m / (math.sqrt(v) * correction + eps)
                total += p * p
        squares[chunk] = total


def unevenness(albedo: torch.Tensor, pairs: Neighbours, black: float, robust: float) -> torch.Tensor:
    """[]; see `priors.unevenness`."""
    logarithm = torch.log(albedo + black).numpy()
    sums = np.zeros(-(-len(logarithm) // _ROWS), np.float32)
    _unevenness(logarithm, as_numpy(pairs.second), as_numpy(pairs.first_offsets), np.float32(robust), sums)
    return torch.from_numpy(sums).sum() / len(pairs.first)


def unevenness_backward(
    albedo: torch.Tensor, pairs: Neighbours, black: float, robust: float, gradient: torch.Tensor
) -> torch.Tensor:
    """Gradient by the albedo."""
    lifted = albedo + black
    pulls = torch.empty_like(albedo)
    _pulls(torch.log(lifted).numpy(), *map(as_numpy, pairs), np.float32(robust), pulls.numpy())
    return pulls * (gradient / len(pairs.first)) / lifted


@jit
def _length(one, other, robust):
    total = robust * robust
    for channel in range(3):
        total += (one[channel] - other[channel]) ** 2
    return math.sqrt(total)


@parallel_jit("(f4[:,::1], i8[::1], i8[::1], f4, f4[::1])")
def _unevenness(logarithm, second, offsets, robust, sums):
    points = len(logarithm)
    for chunk in prange(len(sums)):
        total = np.float32(0)
        for p in range(chunk * _ROWS, min((chunk + 1) * _ROWS, points)):
            for pair in range(offsets[p], offsets[p + 1]):
                total += _length(logarithm[p], logarithm[second[pair]], robust) - robust
        sums[chunk] = total


@parallel_jit("(f4[:,::1], i8[::1], i8[::1], i8[::1], i8[::1], i8[::1], f4, f4[:,::1])")
def _pulls(logarithm, first, second, offsets, by_second, second_offsets, robust, pulls):
    """Every point is drawn alike to those it has chosen and to those that have chosen it."""
    for p in prange(len(logarithm)):
        pulls[p] = 0.0
        for pair in range(offsets[p], offsets[p + 1]):
            _pull(pulls[p], logarithm[p], logarithm[second[pair]], robust)
        for place in range(second_offsets[p], second_offsets[p + 1]):
            _pull(pulls[p], logarithm[p], logarithm[first[by_second[place]]], robust)


@jit
def _pull(sums, own, other, robust):
    inverse = 1 / _length(own, other, robust)
    for channel in range(3):
        sums[channel] += inverse * (own[channel] - other[channel])
