"""Three nearest neighbours of every point of a cloud on a CUDA device, by boxes over points in Morton order."""

import torch
from kernel_runtime.cuda import CudaModule

_MODULE = CudaModule("simple_knn", "neighbours.cu", fast_math=False)
_CODES, _LEAVES = _MODULE.kernel("morton_codes"), _MODULE.kernel("fill_leaves")
_MERGE, _MEANS = _MODULE.kernel("merge_boxes"), _MODULE.kernel("mean_distances2")
_THREADS = 128  # per block
_LEAF = 8  # points, as in neighbours.cu


def mean_nearest_distance2(points: torch.Tensor) -> torch.Tensor:
    """Mean squared distance [P] from each of points [P,3], contiguous, P > 1, to its three nearest others."""
    count = len(points)
    low, high = points.aminmax(dim=0)
    codes = torch.empty(count, dtype=torch.int64, device=points.device)
    _CODES.launch(_blocks(count), _THREADS, (points, low, high, count, codes))
    leaves = 1 << (-(-count // _LEAF) - 1).bit_length()
    sorted_points = torch.empty(count, 4, device=points.device)
    boxes = torch.empty(2 * leaves, 2, 4, device=points.device)
    _LEAVES.launch(_blocks(leaves), _THREADS, (points, codes.argsort(stable=True), count, leaves, sorted_points, boxes))
    size = leaves // 2
    while size > 0:
        _MERGE.launch(_blocks(size), _THREADS, (size, boxes))
        size //= 2
    mean = torch.empty(count, device=points.device)
    _MEANS.launch(_blocks(count), _THREADS, (sorted_points, boxes, count, leaves, mean))
    return mean


def _blocks(threads: int) -> int:
    return -(-threads // _THREADS)
