"""Which directions of a light map a cone may hold, tabulated over its axis and width for the CUDA kernel's culling."""

import math

import torch

# As in visibility.cu: groups of a part, cells per side of the octahedral map, and widths of cones, so many to a halving
# of sin^2.
_GROUPS, _CELLS, _WIDTHS, _WIDTHS_PER_HALVING = 32, 256, 28, 2
# Radians given to each cone so that rounding in the kernel's look-up never loses a direction.
_MARGIN = 1e-3
_CELLS_AT_ONCE = 8192  # bounds the memory of the temporaries to some 100 MB


def cone_table(texels: torch.Tensor, size: int) -> torch.Tensor:
    """Entries [parts, widths, cells, cells, 2] int32 for directions [n,3] in groups of `size` = 16, zero for none.

    A part is 32 groups. Entry [p, k, row, column] is about all cones with the axis in that cell and a half angle whose
    squared sine is at most `widest_squared_sine(k)`: a mask of the groups with a direction that may lie in one, and the
    masks of these directions for the lowest (low half) and the second lowest (high half) of those groups.
    """
    centres, radius = (array.to(texels) for array in _cells())
    directions = texels.reshape(-1, _GROUPS, size, 3)
    table = torch.empty(len(directions), _WIDTHS, len(centres), 2, dtype=torch.int32, device=texels.device)
    for part, of_part in enumerate(directions):
        for first in range(0, len(centres), _CELLS_AT_ONCE):
            chosen = slice(first, first + _CELLS_AT_ONCE)
            angle = torch.einsum("ci,gsi->cgs", centres[chosen], of_part).clamp(-1, 1).arccos()
            angle[:, ~of_part.any(dim=2)] = torch.inf
            for width in range(_WIDTHS):
                reach = radius[chosen] + math.asin(math.sqrt(widest_squared_sine(width))) + _MARGIN
                table[part, width, chosen] = _entries(angle <= reach[:, None, None])
    return table.reshape(len(directions), _WIDTHS, _CELLS, _CELLS, 2)


def _entries(held: torch.Tensor) -> torch.Tensor:
    """Entries [C, 2] of cells by which directions [C, groups, size] their cones may hold."""
    groups, size = held.shape[1:]
    inside = (held * 2 ** torch.arange(size, device=held.device)).sum(dim=2)
    met = inside > 0
    rank = met.cumsum(dim=1) * met
    first, second = ((inside * (rank == place)).sum(dim=1) for place in (1, 2))
    mask = (met * 2 ** torch.arange(groups, device=held.device)).sum(dim=1)
    return torch.stack([mask, first + (second << size)], dim=1).int()


def widest_squared_sine(width: int) -> float:
    """The squared sine of the half angle up to which cones count as of width number `width`.

    Between powers of two the numbers go in equal steps, as the mantissas of floats do.
    """
    halvings, steps = divmod(width, _WIDTHS_PER_HALVING)
    return 2.0**-halvings * (1 - 0.5 * steps / _WIDTHS_PER_HALVING)


def _cells() -> tuple[torch.Tensor, torch.Tensor]:
    """Centre directions [C,3] of the cells and the angles [C] to the farthest points of each, its corners."""
    steps = torch.arange(2 * _CELLS + 1, dtype=torch.float64) / _CELLS - 1
    v, u = torch.meshgrid(steps, steps, indexing="ij")
    grid = _unfolded(u, v)
    centres = grid[1::2, 1::2]
    corners = torch.stack([grid[i : i + 2 * _CELLS : 2, j : j + 2 * _CELLS : 2] for i in (0, 2) for j in (0, 2)])
    cosine = (corners * centres).sum(dim=-1).clamp(-1, 1)
    return centres.reshape(-1, 3), cosine.arccos().amax(dim=0).reshape(-1)


def _unfolded(u: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    """Unit directions [...,3] at coordinates u, v in [-1,1] of the octahedral map, which folds along |u| + |v| = 1."""
    z = 1 - u.abs() - v.abs()
    x = torch.where(z < 0, torch.copysign(1 - v.abs(), u), u)
    y = torch.where(z < 0, torch.copysign(1 - u.abs(), v), v)
    return torch.nn.functional.normalize(torch.stack([x, y, z], dim=-1), dim=-1)
