"""The sparse linear blend of training: every Gaussian sums the few expressions that move the mesh under it."""

import torch
from kernel_runtime import check_tensor, device_of
from torch.autograd.function import once_differentiable

from . import cpu, cuda


class _SegmentSum(torch.autograd.Function):
    @staticmethod
    def forward(ctx, values, weights, offsets):
        ctx.save_for_backward(weights, offsets)
        backend = cpu if values.device.type == "cpu" else cuda
        return backend.segment_sum(values, weights, offsets)

    @staticmethod
    @once_differentiable
    def backward(ctx, gradient):
        backend = cpu if gradient.device.type == "cpu" else cuda
        return backend.segment_sum_backward(gradient.contiguous(), *ctx.saved_tensors), None, None


def weighted_segment_sum(
    values: torch.Tensor,  # [N, C]
    weights: torch.Tensor,  # [N]
    offsets: torch.Tensor,  # [P + 1] int64
) -> torch.Tensor:
    """Row p of the result [P, C] is the sum of `weights[j] * values[j]` over offsets[p] <= j < offsets[p + 1].

    Differentiable in `values`. A row whose weight is 0 is not read. Values and weights are float32; `offsets` must not
    decrease and must end at N, which nothing checks.

    Raises:
        ArgumentError: for a wrong shape, dtype or device.
    """
    device_of("weighted_segment_sum", values, weights, offsets)
    values = check_tensor("values", values, (None, None))
    weights = check_tensor("weights", weights, (len(values),))
    offsets = check_tensor("offsets", offsets, (None,), torch.int64)
    return _SegmentSum.apply(values, weights, offsets)
