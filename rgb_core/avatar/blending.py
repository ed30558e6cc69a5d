"""The sparse linear blend: every Gaussian sums the few expressions that move the mesh under it."""

import torch
from kernel_runtime import as_numpy, parallel_jit
from numba import prange


class _SegmentSum(torch.autograd.Function):
    @staticmethod
    def forward(ctx, values, weights, offsets):
        ctx.save_for_backward(weights, offsets)
        out = torch.empty(len(offsets) - 1, values.shape[1])
        _forward(as_numpy(values), as_numpy(weights), as_numpy(offsets), out.numpy())
        return out

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, gradient):
        weights, offsets = ctx.saved_tensors
        out = torch.empty(len(weights), gradient.shape[1])
        _backward(as_numpy(gradient), as_numpy(weights), as_numpy(offsets), out.numpy())
        return out, None, None


def weighted_segment_sum(
    values: torch.Tensor,  # [N, C]
    weights: torch.Tensor,  # [N]
    offsets: torch.Tensor,  # [P + 1] int64
) -> torch.Tensor:
    """Row p of the result [P, C] is the sum of `weights[j] * values[j]` over offsets[p] <= j < offsets[p + 1].

    Differentiable in `values`.
    """
    return _SegmentSum.apply(values, weights, offsets)


@parallel_jit
def _forward(values, weights, offsets, out):
    for row in prange(len(offsets) - 1):
        out[row] = 0.0
        for entry in range(offsets[row], offsets[row + 1]):
            weight = weights[entry]
            if weight != 0.0:
                for channel in range(values.shape[1]):
                    out[row, channel] += weight * values[entry, channel]


@parallel_jit
def _backward(gradient, weights, offsets, out):
    for row in prange(len(offsets) - 1):
        for entry in range(offsets[row], offsets[row + 1]):
            for channel in range(gradient.shape[1]):
                out[entry, channel] = weights[entry] * gradient[row, channel]
