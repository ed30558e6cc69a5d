"""Fixed-radius nearest neighbours: a cell grid over the second cloud, or all pairs; gradients of the distances."""

from math import isqrt
from typing import NamedTuple

import torch
from kernel_runtime import ArgumentError, as_numpy, check_tensor, device_of
from torch.autograd.function import once_differentiable

from . import cpu, cuda

_MAX_DIMENSIONS = 1024
_MANY_NEIGHBOURS_DIMENSIONS = 32  # above this many dimensions K is limited
_MAX_NEIGHBOURS = 32
_BRUTE_FORCE_MAX = 8, 64  # dimensions, neighbours
_MOST_CELLS_2D, _MOST_CELLS_3D = 512, 64  # along the longest axis


class GRID(NamedTuple):
    """A cell grid over points2; pass it back while points2 and its lengths are unchanged, for any radius."""

    sorted_points2: torch.Tensor  # [N,P2,D] points in cell order, without gradient
    pc2_grid_off: torch.Tensor  # [N,G+1] int32 first sorted point of each cell, and the end of those in use
    sorted_points2_idxs: torch.Tensor  # [N,P2] int32 where each came from
    grid_params: torch.Tensor  # [N,7] float64: low corner (3), cells per length unit, cells along each axis (3)


def frnn_grid_points(
    points1: torch.Tensor,
    points2: torch.Tensor,
    lengths1: torch.Tensor | None = None,
    lengths2: torch.Tensor | None = None,
    K: int = -1,
    r: float | torch.Tensor = -1,
    grid: GRID | None = None,
    return_nn: bool = False,
    return_sorted: bool = True,
    radius_cell_ratio: float = 2.0,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor | None, GRID]:
    """The K nearest points2 within distance r (inclusive) of every one of points1.

    On CUDA tensors nothing waits for the device, and so the values of points, lengths and radii are not checked there.

    Args:
        points1, points2: [N,P1,D] and [N,P2,D] float32, D >= 2; the grid spans the first three coordinates.
        lengths1, lengths2: int64 [N], points in use of each cloud; all if None.
        K: neighbours kept; at most 32 if D > 32.
        r: radius, a number or a tensor [1] or [N].
        grid: of an earlier call with the same points2 and lengths2.
        return_sorted: accepted for upstream's callers; the result is always sorted.
        radius_cell_ratio: r over the edge of a cell; speed only.

    Returns:
        dists [N,P1,K] squared, ascending, padded with -1, differentiable (once) to both clouds;
        idxs [N,P1,K] int64 into points2, padded with -1, equal distances by number;
        nn [N,P1,K,D] the neighbours, padded with 0, or None; the grid.

    Raises:
        ArgumentError: a wrong shape, dtype, radius, ratio, K or D.
    """
    lengths1, lengths2 = _check_clouds("frnn_grid_points", points1, points2, lengths1, lengths2)
    dimensions = points1.shape[2]
    if not 2 <= dimensions <= _MAX_DIMENSIONS:
        raise ArgumentError(f"points1: expected 2 to {_MAX_DIMENSIONS} dimensions, got {dimensions}")
    if K < 1 or (dimensions > _MANY_NEIGHBOURS_DIMENSIONS and K > _MAX_NEIGHBOURS):
        raise ArgumentError(
            f"K: expected at least 1, and at most {_MAX_NEIGHBOURS} above {_MANY_NEIGHBOURS_DIMENSIONS} dimensions, "
            f"got {K} in {dimensions} dimensions"
        )
    if not radius_cell_ratio > 0:
        raise ArgumentError(f"radius_cell_ratio: expected above 0, got {radius_cell_ratio}")
    radii = _radii(r, points1)
    if grid is None:
        grid = _build_grid(points2.detach(), lengths2, radii / radius_cell_ratio)
    elif grid.sorted_points2.shape != points2.shape:
        raise ArgumentError(
            f"grid: made for points2 of shape {list(grid.sorted_points2.shape)}, got {list(points2.shape)}"
        )
    dists, idxs = _Neighbours.apply(points1, points2, lengths1, radii.square(), K, grid)
    return dists, idxs, frnn_gather(points2, idxs, lengths2) if return_nn else None, grid


def frnn_gather(x: torch.Tensor, idxs: torch.Tensor, lengths: torch.Tensor | None = None) -> torch.Tensor:
    """Rows of x [N,M,U] at idxs [N,L,K] int64: [N,L,K,U], zero where an index is negative.

    `lengths` is accepted for upstream's callers and has no effect.
    """
    if x.ndim != 3 or idxs.ndim != 3 or len(x) != len(idxs):
        raise ArgumentError(f"frnn_gather: expected x [N,M,U] and idxs [N,L,K], got {[*x.shape]} and {[*idxs.shape]}")
    if x.shape[1] == 0:
        return x.new_zeros(*idxs.shape, x.shape[2])
    batch = torch.arange(len(x), device=x.device)[:, None, None]
    return x[batch, idxs.clamp(min=0)] * (idxs >= 0)[..., None]


def frnn_bf_points(
    points1: torch.Tensor,
    points2: torch.Tensor,
    lengths1: torch.Tensor | None = None,
    lengths2: torch.Tensor | None = None,
    K: int = -1,
    r: float | torch.Tensor = -1,
    return_nn: bool = False,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor | None]:
    """As `frnn_grid_points` by comparing all pairs, but the radius is exclusive and the order is (idxs, dists, nn).

    Limits are 1 <= D <= 8 and 1 <= K <= 64. Distances carry gradients as there.
    """
    lengths1, lengths2 = _check_clouds("frnn_bf_points", points1, points2, lengths1, lengths2)
    most_dimensions, most_neighbours = _BRUTE_FORCE_MAX
    if not 1 <= points1.shape[2] <= most_dimensions or not 1 <= K <= most_neighbours:
        raise ArgumentError(
            f"frnn_bf_points: expected D in 1..{most_dimensions} and K in 1..{most_neighbours}, "
            f"got D = {points1.shape[2]}, K = {K}"
        )
    radii = _radii(r, points1)
    grid = _build_grid(points2.detach(), lengths2, torch.full_like(radii, torch.inf))  # one cell: all pairs
    dists, idxs = _Neighbours.apply(points1, points2, lengths1, _below(radii.square()), K, grid)
    return idxs, dists, frnn_gather(points2, idxs, lengths2) if return_nn else None


class _Neighbours(torch.autograd.Function):
    """The neighbour search with the gradient of its squared distances."""

    @staticmethod
    def forward(ctx, points1, points2, lengths1, limits2, count, grid):
        dists = points1.new_full((*points1.shape[:2], count), -1.0)
        idxs = torch.full_like(dists, -1, dtype=torch.int64)
        if points1.device.type == "cuda":
            cuda.search(points1.contiguous(), lengths1, *grid, limits2, dists, idxs)
        else:
            for n in range(len(points1)):
                cpu.search(
                    as_numpy(points1[n, : lengths1[n]]), as_numpy(grid.sorted_points2[n]),
                    as_numpy(grid.sorted_points2_idxs[n]), as_numpy(grid.pc2_grid_off[n]),
                    as_numpy(grid.grid_params[n]), limits2[n].numpy()[()], dists[n].numpy(), idxs[n].numpy(),
                )  # fmt: skip
        ctx.save_for_backward(points1, points2, idxs)
        ctx.mark_non_differentiable(idxs)
        return dists, idxs

    @staticmethod
    @once_differentiable
    def backward(ctx, grad_dists, _):
        points1, points2, idxs = ctx.saved_tensors
        away = points1[:, :, None] - frnn_gather(points2, idxs)
        pull = 2 * away * torch.where(idxs >= 0, grad_dists, 0)[..., None]
        grad2 = torch.zeros_like(points2)
        for n in range(len(points2) if points2.shape[1] else 0):
            grad2[n].index_add_(0, idxs[n].clamp(min=0).flatten(), -pull[n].flatten(0, 1))  # padding adds 0
        return pull.sum(2), grad2, None, None, None, None


def _build_grid(points2: torch.Tensor, lengths2: torch.Tensor, cells: torch.Tensor) -> GRID:
    """Sort every cloud by cells of at least the edges `cells` [N], larger where the cloud would need too many.

    Nothing here waits for a CUDA device: `pc2_grid_off` has room for the most cells there can be.
    """
    clouds, count, dimensions = points2.shape
    spanned = points2.new_zeros(clouds, count + 1, 3, dtype=torch.float64)  # the last row is never used
    spanned[:, :count, :dimensions] = points2[..., :3]
    used = torch.arange(count + 1, device=points2.device) < lengths2[:, None]
    low = spanned.masked_fill(~used[..., None], torch.inf).amin(1)
    high = spanned.masked_fill(~used[..., None], -torch.inf).amax(1)
    extent, low = (high - low).clamp(min=0), low.nan_to_num(posinf=0)
    # Cells much finer than the spacing of points on a surface gain nothing.
    longest = min(_MOST_CELLS_2D if dimensions == 2 else _MOST_CELLS_3D, 2 * isqrt(count) + 1)
    edge = torch.maximum(cells.double(), extent.amax(1) / longest)
    per_length = torch.where(edge > 0, 1 / edge, 0)[:, None]
    resolution = (extent * per_length).floor() + 1
    x, y, z = ((spanned - low[:, None]) * per_length[:, None]).floor().minimum(resolution[:, None] - 1).unbind(2)
    unused = (longest + 1) ** min(dimensions, 3)
    cell = ((x * resolution[:, 1:2] + y) * resolution[:, 2:] + z).masked_fill(~used, unused).long()
    order = cell.argsort(dim=1, stable=True)[:, :count]
    counts = torch.zeros(clouds, unused + 1, dtype=torch.int64, device=points2.device)
    offsets = counts.scatter_add_(1, cell, torch.ones_like(cell)).cumsum(1).roll(1, 1)
    offsets[:, 0] = 0
    return GRID(
        frnn_gather(points2, order[:, :, None])[:, :, 0],
        offsets.int(),
        order.int(),
        torch.cat([low, per_length, resolution], 1),
    )


def _below(values: torch.Tensor) -> torch.Tensor:
    """The next smaller float32 of each value."""
    return torch.nextafter(values, torch.full_like(values, -torch.inf))


def _radii(r: float | torch.Tensor, points1: torch.Tensor) -> torch.Tensor:
    """r as float32 [N] on the device of the clouds; the values of a tensor are checked on the CPU only."""
    clouds = len(points1)
    if isinstance(r, torch.Tensor):
        positive = r.device.type == "cuda" or bool((r > 0).all())
        if r.numel() not in (1, clouds) or not positive:
            raise ArgumentError(f"r: expected a tensor above 0, of 1 or {clouds} numbers, got {r}")
        return r.to(points1).flatten().expand(clouds).contiguous()
    if not r > 0:
        raise ArgumentError(f"r: expected a number above 0, got {r}")
    return points1.new_full((clouds,), r)


def _check_clouds(
    operation: str,
    points1: torch.Tensor,
    points2: torch.Tensor,
    lengths1: torch.Tensor | None,
    lengths2: torch.Tensor | None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """The lengths of both clouds, after checking all four arguments; values are checked on the CPU only."""
    on_cpu = device_of(operation, points1, points2, lengths1, lengths2) == "cpu"
    check_tensor("points1", points1, (None, None, None))
    check_tensor("points2", points2, (len(points1), None, points1.shape[2]))
    if len(points1) == 0:
        raise ArgumentError("points1: expected at least one cloud")
    lengths = []
    for number, points, given in ((1, points1, lengths1), (2, points2, lengths2)):
        if on_cpu and not torch.isfinite(points).all():
            raise ArgumentError(f"points{number}: holds values that are not finite")
        if given is None:
            lengths.append(torch.full((len(points),), points.shape[1], device=points.device))
            continue
        length = check_tensor(f"lengths{number}", given, (len(points),), torch.int64)
        if on_cpu and bool(((length < 0) | (length > points.shape[1])).any()):
            raise ArgumentError(f"lengths{number}: expected 0..{points.shape[1]}, got {length.tolist()}")
        lengths.append(length)
    return lengths[0], lengths[1]
