"""The sparse linear blend of training: every Gaussian sums the few expressions that move the mesh under it."""

import torch
from kernel_runtime import check_tensor, device_of
from torch.autograd.function import once_differentiable

from . import cpu, cuda


class _SegmentSum(torch.autograd.Function):
    @staticmethod
    def forward(ctx, values, weights, offsets):
        ctx.save_for_backward(weights, offsets, *([values] if ctx.needs_input_grad[1] else []))
        backend = cpu if values.device.type == "cpu" else cuda
        return backend.segment_sum(values, weights, offsets)

    @staticmethod
    @once_differentiable
    def backward(ctx, gradient):
        backend = cpu if gradient.device.type == "cpu" else cuda
        weights, offsets, *values = ctx.saved_tensors
        by_values = by_weights = None
        if ctx.needs_input_grad[0]:
            by_values = backend.segment_sum_backward(gradient.contiguous(), weights, offsets)
        if values:
            row = torch.repeat_interleave(offsets.diff(), output_size=len(weights))
            by_weights = (values[0] * gradient[row]).sum(1)
        return by_values, by_weights, None


def weighted_segment_sum(
    values: torch.Tensor,  # [N, C]
    weights: torch.Tensor,  # [N]
    offsets: torch.Tensor,  # [P + 1] int64
) -> torch.Tensor:
    """Row p of the result [P, C] is the sum of `weights[j] * values[j]` over offsets[p] <= j < offsets[p + 1].

    Differentiable in `values` and `weights`. A row whose weight is 0 is not read. Values and weights are float32;
    `offsets` must not decrease and must end at N, which nothing checks.

    Raises:
        ArgumentError: for a wrong shape, dtype or device.
    """
    device_of("weighted_segment_sum", values, weights, offsets)
    values = check_tensor("values", values, (None, None))
    weights = check_tensor("weights", weights, (len(values),))
    offsets = check_tensor("offsets", offsets, (None,), torch.int64)
    return _SegmentSum.apply(values, weights, offsets)
