"""Symmetric systems of many frames, each coupled to the next two, solved in a time proportional to their number."""

import torch
from torch import Tensor


class Chain:
    """A positive definite matrix of N x N blocks [P, P]: full blocks on the diagonal, diagonal ones beside it.

    Two frames at a time make it block-tridiagonal, whose Cholesky factor is computed block by block.
    """

    def __init__(self, diagonal: Tensor, first: Tensor, second: Tensor):
        """
        Args:
            diagonal: [N, P, P] float64. first: [N - 1, P] what couples a frame to the next one, parameter by parameter.
            second: [N - 2, P] the same for the one after.
        """
        self._count, self._width, _ = diagonal.shape
        pairs = -(-self._count // 2)
        missing = 2 * pairs - self._count
        eye = torch.eye(self._width, dtype=diagonal.dtype).expand(missing, -1, -1)
        blocks = torch.cat([diagonal, eye]).view(pairs, 2, self._width, self._width)
        first, second = (_padded(values, 2 * pairs) for values in (first, second))
        within = torch.diag_embed(first[::2])
        self._own = torch.cat([torch.cat([blocks[:, 0], within], 2), torch.cat([within, blocks[:, 1]], 2)], 1)
        ahead, across = torch.diag_embed(second), torch.diag_embed(first[1::2])
        upper = torch.cat([ahead[::2], across], 2)
        lower = torch.cat([torch.zeros_like(across), ahead[1::2]], 2)
        self._below = torch.cat([upper, lower], 1)[:-1]  # rows of the following pair, columns of this one
        self._factors, self._coupling = self._factorise()

    def _factorise(self) -> tuple[list[Tensor], list[Tensor]]:
        factors, coupling = [torch.linalg.cholesky(self._own[0])], []
        for index, below in enumerate(self._below):
            reduced = torch.linalg.solve_triangular(factors[-1], below.T, upper=False)
            coupling.append(reduced)
            factors.append(torch.linalg.cholesky(self._own[index + 1] - reduced.T @ reduced))
        return factors, coupling

    def solve(self, right: Tensor) -> Tensor:
        """[N, P, R] solution of right-hand sides [N, P, R]."""
        columns = right.shape[-1]
        padded = torch.cat([right, right.new_zeros(2 * len(self._own) - self._count, self._width, columns)])
        pairs = padded.reshape(len(self._own), 2 * self._width, columns)
        forward: list[Tensor] = []
        for index, factor in enumerate(self._factors):
            rest = pairs[index] if index == 0 else pairs[index] - self._coupling[index - 1].T @ forward[-1]
            forward.append(torch.linalg.solve_triangular(factor, rest, upper=False))
        solved = [torch.linalg.solve_triangular(self._factors[-1].T, forward[-1], upper=True)]
        for index in range(len(forward) - 2, -1, -1):
            rest = forward[index] - self._coupling[index] @ solved[-1]
            solved.append(torch.linalg.solve_triangular(self._factors[index].T, rest, upper=True))
        return torch.stack(solved[::-1]).reshape(-1, self._width, columns)[: self._count]


def _padded(values: Tensor, count: int) -> Tensor:
    """[count, P] of values [K, P] with zeros below."""
    return torch.cat([values, values.new_zeros(count - len(values), values.shape[1])])
