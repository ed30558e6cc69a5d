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
        return LinearMap.apply(values, self._taken, self._added)

    def sums(self, values: Tensor) -> Tensor:
        """[count, ...] sums of `values` [N, ...] over the rows of equal index; differentiable.

        float32 on a GPU.
        """
        return LinearMap.apply(values, self._added, self._taken)

    def _taken(self, values: Tensor) -> Tensor:
        return values.index_select(0, self.index)

    def _added(self, values: Tensor) -> Tensor:
        if self._order is None or self._offsets is None:
            return values.new_zeros(self._count, *values.shape[1:]).index_add(0, self.index, values)
        ranked = values.flatten(1).index_select(0, self._order)
        total = weighted_segment_sum(ranked, torch.ones_like(ranked[:, 0]), self._offsets)
        return total.view(self._count, *values.shape[1:])


class LinearMap(torch.autograd.Function):
    """`apply(values, product, transposed)` is product(values), whose gradient goes through the transposed product."""

    @staticmethod
    def forward(ctx, values, product, transposed):
        ctx.transposed = transposed
        return product(values.detach())

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, gradient):
        return ctx.transposed(gradient.contiguous()), None, None
