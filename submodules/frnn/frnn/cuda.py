"""Nearest neighbours within a radius on a CUDA device; every instance of the kernel is compiled when first needed."""

import torch
from kernel_runtime.cuda import CudaModule, Kernel

_MODULE = CudaModule("frnn", "search.cu", fast_math=False)
_THREADS = 128  # per block
_SIZES_IN_REGISTERS = (2, 3)  # dimensions; others at run time
_KEPT = (4, 8, 16, 32)  # neighbours in registers


def search(
    points1: torch.Tensor,
    lengths1: torch.Tensor,
    points2: torch.Tensor,
    offsets: torch.Tensor,
    numbers: torch.Tensor,
    parameters: torch.Tensor,
    limits2: torch.Tensor,
    dists: torch.Tensor,
    idxs: torch.Tensor,
) -> None:
    """Fill dists and idxs [N,P1,K] with the neighbours of points1 [N,P1,D]; places not found keep their value.

    points2, offsets, numbers and parameters are an `ops.GRID`; limits2 [N] are the greatest squared distances.
    """
    clouds, count, dimensions = points1.shape
    wanted = dists.shape[2]
    _kernel(dimensions, wanted).launch(
        (-(-count // _THREADS), clouds), _THREADS,
        (points1, lengths1, count, points2, offsets, offsets.shape[1] - 1, numbers, points2.shape[1], parameters,
         limits2, dimensions, wanted, dists, idxs),
    )  # fmt: skip


def _kernel(dimensions: int, wanted: int) -> Kernel:
    kept = next((kept for kept in _KEPT if kept >= wanted), _KEPT[-1])
    return _MODULE.kernel("search", dimensions if dimensions in _SIZES_IN_REGISTERS else 0, kept)
