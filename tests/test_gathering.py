"""Taking rows by an index and adding them up again are each other's gradient, and repeat to the bit."""

import pytest
import torch

from rgb_core.gathering import Gathering

COUNT, TAKEN = 50, 400


def example(device: str = "cpu", dtype: torch.dtype = torch.float32) -> tuple[Gathering, torch.Tensor, torch.Tensor]:
    """An index that leaves out some rows and takes others often, a table, and values to add up."""
    generator = torch.Generator().manual_seed(5)
    index = (COUNT * torch.rand(TAKEN, generator=generator) ** 2).long()
    table, values = (torch.randn(count, 2, 3, generator=generator) for count in (COUNT, TAKEN))
    return Gathering(index.to(device), COUNT), table.to(device, dtype), values.to(device, dtype)


def test_rows_and_sums_are_transposes():
    """<values, rows(table)> = <sums(values), table>, and every row of an index is taken as it is."""
    gathering, table, values = example(dtype=torch.float64)
    assert torch.equal(gathering.rows(table), table[gathering.index])
    assert float((values * gathering.rows(table)).sum()) == pytest.approx(
        float((gathering.sums(values) * table).sum()), rel=1e-12
    )


def test_gradients():
    gathering, table, values = example(dtype=torch.float64)
    assert torch.autograd.gradcheck(gathering.rows, table.requires_grad_())
    assert torch.autograd.gradcheck(gathering.sums, values.requires_grad_())


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU")
def test_a_gpu_adds_what_the_cpu_adds_and_always_the_same():
    gathering, table, values = example("cuda")
    reference, wide_table, wide = example(dtype=torch.float64)
    sums = gathering.sums(values)
    assert torch.allclose(sums.cpu().double(), reference.sums(wide), atol=1e-5)
    assert all(torch.equal(sums, gathering.sums(values)) for _ in range(20))
    table.requires_grad_()
    (first,) = torch.autograd.grad((gathering.rows(table) * values).sum(), table)
    (wide_first,) = torch.autograd.grad((reference.rows(wide_table.requires_grad_()) * wide).sum(), wide_table)
    assert torch.allclose(first.cpu().double(), wide_first, atol=1e-5)
