"""The segment sum on the CPU; poses of single frames run through `reference`, which costs little beside the rest."""

import torch
from kernel_runtime import as_numpy, parallel_jit
from numba import prange


def segment_sum(values: torch.Tensor, weights: torch.Tensor, offsets: torch.Tensor) -> torch.Tensor:
    """[P, C]; see `segment_sum.weighted_segment_sum`."""
    out = torch.empty(len(offsets) - 1, values.shape[1])
    _forward(as_numpy(values), as_numpy(weights), as_numpy(offsets), out.numpy())
    return out


def segment_sum_backward(gradient: torch.Tensor, weights: torch.Tensor, offsets: torch.Tensor) -> torch.Tensor:
    """Gradient [N, C] by the values."""
    out = torch.empty(len(weights), gradient.shape[1])
    _backward(as_numpy(gradient), as_numpy(weights), as_numpy(offsets), out.numpy())
    return out


@parallel_jit("(f4[:,::1], f4[::1], i8[::1], f4[:,::1])")
def _forward(values, weights, offsets, out):
    for row in prange(len(offsets) - 1):
        out[row] = 0.0
        for entry in range(offsets[row], offsets[row + 1]):
            weight = weights[entry]
            if weight != 0.0:
                for channel in range(values.shape[1]):
                    out[row, channel] += weight * values[entry, channel]


@parallel_jit()
def _backward(gradient, weights, offsets, out):
    for row in prange(len(offsets) - 1):
        for entry in range(offsets[row], offsets[row + 1]):
            for channel in range(gradient.shape[1]):
                out[entry, channel] = weights[entry] * gradient[row, channel]
