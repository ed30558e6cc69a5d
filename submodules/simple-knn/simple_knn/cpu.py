"""Three nearest neighbours of every point of a cloud on the CPU, by a k-d tree of medians.

A tree instead of a grid, because one far outlier would put all the other points into one cell. The tree is implicit:
a node is a range of `order`, split in the middle, down to ranges of at most _LEAF points.
"""

import numba
import numpy as np
from kernel_runtime import jit, parallel_jit

_LEAF = 8  # points
_POINTS_PER_CHUNK = 1024
_MAX_DEPTH = 64  # ranges halve, so this is beyond any memory


@jit
def _select(points, axis, order, start, end, middle):
    """Permute order[start:end] so that no coordinate before `middle` exceeds it and none after is below (Hoare)."""
    end -= 1
    while start < end:
        pivot = points[order[(start + end) // 2], axis]
        i, j = start, end
        while i <= j:
            while points[order[i], axis] < pivot:
                i += 1
            while points[order[j], axis] > pivot:
                j -= 1
            if i <= j:
                order[i], order[j] = order[j], order[i]
                i += 1
                j -= 1
        if middle <= j:
            end = j
        elif middle >= i:
            start = i
        else:
            return


@jit
def _build(points):
    """(order [P], split axis [P], split coordinate [P]); splits stand at the middle position of their node's range."""
    order = np.arange(len(points)).astype(np.int32)
    axes, splits = np.zeros(len(points), np.int8), np.zeros(len(points), np.float32)
    pending = [(0, len(points))]
    while len(pending) > 0:
        start, end = pending.pop()
        if end - start <= _LEAF:
            continue
        widest, axis = np.float32(-1), 0
        for candidate in range(3):
            low, high = np.float32(np.inf), np.float32(-np.inf)
            for i in range(start, end):
                x = points[order[i], candidate]
                low, high = min(low, x), max(high, x)
            if high - low > widest:
                widest, axis = high - low, candidate
        middle = (start + end) // 2
        _select(points, axis, order, start, end, middle)
        axes[middle], splits[middle] = axis, points[order[middle], axis]
        pending.append((start, middle))
        pending.append((middle, end))
    return order, axes, splits


@jit
def _three_nearest(points, axes, splits, query, starts, ends, distances2):
    """The three smallest squared distances from point number `query` to the others, ascending; inf = none there."""
    x, y, z = points[query, 0], points[query, 1], points[query, 2]
    first = second = third = np.float32(np.inf)
    starts[0], ends[0], distances2[0] = 0, len(points), 0
    size = 1
    while size > 0:
        size -= 1
        if distances2[size] >= third:
            continue
        start, end = starts[size], ends[size]
        while end - start > _LEAF:
            middle = (start + end) // 2
            axis = axes[middle]
            gap = points[query, axis] - splits[middle]
            # The side away from the point waits, with its plane's distance as a bound.
            starts[size], ends[size] = (start, middle) if gap >= 0 else (middle, end)
            distances2[size] = gap * gap
            size += 1
            start, end = (middle, end) if gap >= 0 else (start, middle)
        for i in range(start, end):
            if i != query:
                d = (points[i, 0] - x) ** 2 + (points[i, 1] - y) ** 2 + (points[i, 2] - z) ** 2
                if d < third:
                    third = max(d, second)
                    second, first = max(min(d, second), first), min(d, first)
    return first, second, third


@parallel_jit("(f4[:,::1], i1[::1], f4[::1], i4[::1], f4[::1])")
def _mean_distances2(points, axes, splits, order, mean):
    chunks = (len(points) + _POINTS_PER_CHUNK - 1) // _POINTS_PER_CHUNK
    neighbours = min(3, len(points) - 1)
    for chunk in numba.prange(chunks):
        starts, ends = np.empty(_MAX_DEPTH, np.int64), np.empty(_MAX_DEPTH, np.int64)
        distances2 = np.empty(_MAX_DEPTH, np.float32)
        for i in range(chunk * _POINTS_PER_CHUNK, min((chunk + 1) * _POINTS_PER_CHUNK, len(points))):
            first, second, third = _three_nearest(points, axes, splits, i, starts, ends, distances2)
            total = first
            total += second if neighbours > 1 else np.float32(0)
            total += third if neighbours > 2 else np.float32(0)
            mean[order[i]] = total / np.float32(neighbours)


def mean_nearest_distance2(points: np.ndarray, mean: np.ndarray) -> None:
    """Fill mean [P] with the mean squared distance from each of points [P,3], P > 1, to its three nearest others."""
    order, axes, splits = _build(points)
    _mean_distances2(points[order], axes, splits, order, mean)
