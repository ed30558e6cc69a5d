"""The sparse blend against a dense one."""

import torch
from gaussian_blendshapes import weighted_segment_sum


def example() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(5)
    counts = torch.tensor([0, 3, 1, 0, 7, 2])
    offsets = torch.cat([torch.zeros(1, dtype=torch.int64), counts.cumsum(0)])
    values = torch.randn(13, 5, generator=generator)
    weights = torch.randn(13, generator=generator)
    weights[4] = 0.0
    return values, weights, offsets


def test_sum_and_gradient_equal_the_dense_product():
    values, weights, offsets = example()
    selector = torch.zeros(6, 13)
    for row in range(6):
        selector[row, offsets[row] : offsets[row + 1]] = weights[offsets[row] : offsets[row + 1]]
    values.requires_grad_()
    weights.requires_grad_()
    upstream = torch.randn(6, 5, generator=torch.Generator().manual_seed(6))
    mine = weighted_segment_sum(values, weights, offsets)
    by_values, by_weights = torch.autograd.grad((mine * upstream).sum(), (values, weights))
    torch.testing.assert_close(mine, selector @ values)
    torch.testing.assert_close(by_values, selector.T @ upstream)
    owner = torch.repeat_interleave(offsets.diff())
    torch.testing.assert_close(by_weights, (values * upstream[owner]).sum(1))
