"""Rows of a table taken by an index, and the sums that undo it, which add in one order on every device."""

import torch
from gaussian_blendshapes import weighted_segment_sum
from torch import Tensor


class Gathering:
    """An index [N] into a table of `count` rows.

    torch's own sums over an index, and the gradient of its `index_select`, add by atomics on a GPU: their last bit
    differs from run to run. These do not.
    """

    def __init__(self, index: Tensor, count: int):
        self.index = index
        self._count = count
        self._order, self._offsets = None, None
        if index.device.type != "cpu":
            ranked, self._order = index.sort(stable=True)
            self._offsets = torch.searchsorted(ranked, torch.arange(count + 1, device=index.device))

    def rows(self, values: Tensor) -> Tensor:
        """[N, ...] the indexed rows of `values` [count, ...]; differentiable."""
        return _Rows.apply(values, self)

    def sums(self, values: Tensor) -> Tensor:
        """[count, ...] sums of `values` [N, ...] over the rows of equal index; differentiable.

        float32 on a GPU.
        """
        return _Sums.apply(values, self)

    def taken(self, values: Tensor) -> Tensor:
        """`rows` without a gradient."""
        return values.index_select(0, self.index)

    def added(self, values: Tensor) -> Tensor:
        """`sums` without a gradient."""
        if self._order is None or self._offsets is None:
            return values.new_zeros(self._count, *values.shape[1:]).index_add(0, self.index, values)
        ranked = values.flatten(1).index_select(0, self._order)
        total = weighted_segment_sum(ranked, torch.ones_like(ranked[:, 0]), self._offsets)
        return total.view(self._count, *values.shape[1:])


class _Rows(torch.autograd.Function):
    @staticmethod
    def forward(ctx, values, gathering):
        ctx.gathering = gathering
        return gathering.taken(values)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, gradient):
        return ctx.gathering.added(gradient), None


class _Sums(torch.autograd.Function):
    @staticmethod
    def forward(ctx, values, gathering):
        ctx.gathering = gathering
        return gathering.added(values)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, gradient):
        return ctx.gathering.taken(gradient), None
