"""The solver of coupled frames against a dense one."""

import pytest
import torch

from rgb_core.tracking.solve.chain import Chain


@pytest.mark.parametrize("count", [1, 2, 3, 4, 7])
def test_chain_solves_the_dense_system(count: int) -> None:
    """Any number of frames, odd ones included."""
    generator = torch.Generator().manual_seed(count)
    width = 3
    root = torch.randn(count, width, width, generator=generator, dtype=torch.float64)
    diagonal = root @ root.mT + 8 * torch.eye(width, dtype=torch.float64)
    first = torch.randn(max(count - 1, 0), width, generator=generator, dtype=torch.float64)
    second = torch.randn(max(count - 2, 0), width, generator=generator, dtype=torch.float64)
    dense = torch.block_diag(*diagonal)
    for distance, coupling in ((1, first), (2, second)):
        for frame, values in enumerate(coupling):
            rows, columns = (
                slice((frame + distance) * width, (frame + distance + 1) * width),
                slice(frame * width, (frame + 1) * width),
            )
            dense[rows, columns] = torch.diag(values)
            dense[columns, rows] = torch.diag(values)
    right = torch.randn(count, width, 2, generator=generator, dtype=torch.float64)
    expected = torch.linalg.solve(dense, right.reshape(-1, 2)).view(count, width, 2)
    torch.testing.assert_close(Chain(diagonal, first, second).solve(right), expected)
