"""Bounding volume hierarchy over triangles on the CPU: binned surface-area build, and refit for moved vertices.

Nodes lie in depth-first order: the left child of node i is i + 1, and every child comes after its parent.
`bounds [N,6]` holds box centre and half extent; `links [N,2]` holds (right child, 0) for an inner node and
(first triangle, triangle count) for a leaf. Triangles are kept in leaf order, with their corners copied together, so
that a leaf reads one run of memory.
"""

import numpy as np
from kernel_runtime import jit
from kernel_runtime.jit import compile_apart

LEAF_SIZE = 4  # triangles; measured best of 1, 2, 4 and 8 for the visibility walk
_BINS = 16
# Deeper ranges are halved as they stand, so that trees of up to 2^26 faces have at most 64 levels, which the stacks of
# the CUDA kernels hold.
_SPLIT_DEPTH = 40
# Half extents grow by this share so that rounding in their own computation never loses a corner.
_BOX_MARGIN = np.float32(1 + 1e-6)


@jit
def _triangle_boxes(vertices, faces):
    """Boxes [F,6] (low, high) of the triangles."""
    boxes = np.empty((len(faces), 6), np.float32)
    for f in range(len(faces)):
        for axis in range(3):
            a, b, c = vertices[faces[f, 0], axis], vertices[faces[f, 1], axis], vertices[faces[f, 2], axis]
            boxes[f, axis] = min(a, b, c)
            boxes[f, axis + 3] = max(a, b, c)
    return boxes


@jit
def _grow(box, other):
    for axis in range(3):
        box[axis] = min(box[axis], other[axis])
        box[axis + 3] = max(box[axis + 3], other[axis + 3])


@jit
def _clear(boxes):
    boxes[..., :3] = np.inf
    boxes[..., 3:] = -np.inf


@jit
def _area(box):
    x, y, z = box[3] - box[0], box[4] - box[1], box[5] - box[2]
    return x * y + y * z + z * x


@jit
def _bin_of(box, axis, low, scale):
    return min(int((box[axis] + box[axis + 3] - low) * scale), _BINS - 1)


@jit
def _best_split(boxes, members, bins, counts, right_cost):
    """Cheapest of the 3 x (_BINS - 1) candidate planes: (axis or -1, last bin of the left side, low, scale).

    Bins divide the range of the doubled box centres (low + high), which saves halving them. `bins`, `counts` and
    `right_cost` are scratch.
    """
    box = np.empty(6, np.float32)
    best_cost, best_axis, best_bin, best_low, best_scale = np.float32(np.inf), -1, 0, np.float32(0), np.float32(0)
    for axis in range(3):
        low, high = np.float32(np.inf), np.float32(-np.inf)
        for f in members:
            centre = boxes[f, axis] + boxes[f, axis + 3]
            low, high = min(low, centre), max(high, centre)
        if not high > low:
            continue
        scale = np.float32(_BINS) / (high - low)
        if not np.isfinite(scale):
            continue
        _clear(bins)
        counts[:] = 0
        for f in members:
            b = _bin_of(boxes[f], axis, low, scale)
            counts[b] += 1
            _grow(bins[b], boxes[f])
        _clear(box)
        total = 0
        for b in range(_BINS - 1, 0, -1):
            _grow(box, bins[b])
            total += counts[b]
            right_cost[b] = _area(box) * total if total else np.inf
        _clear(box)
        total = 0
        for b in range(_BINS - 1):
            _grow(box, bins[b])
            total += counts[b]
            if total and right_cost[b + 1] < np.inf:
                cost = _area(box) * total + right_cost[b + 1]
                if cost < best_cost:
                    best_cost, best_axis, best_bin, best_low, best_scale = cost, axis, b, low, scale
    return best_axis, best_bin, best_low, best_scale


@jit
def build(vertices, faces):
    """Topology of a tree over faces [F,3] int32: (links [N,2] int32, order [F] int32, depth).

    `order` lists the faces in leaf order. Ranges that no plane separates (coincident centres) are halved as they
    stand. No faces give no nodes.
    """
    count = len(faces)
    boxes = _triangle_boxes(vertices, faces)
    order = np.arange(count).astype(np.int32)
    moved = np.empty(count, np.int32)
    links = np.empty((max(2 * count - 1, 0), 2), np.int32)
    bins, counts = np.empty((_BINS, 6), np.float32), np.empty(_BINS, np.int64)
    right_cost = np.empty(_BINS, np.float32)
    nodes, deepest = 0, 0
    pending = [(0, count, -1, 1)]  # start, end, parent of which this is the right child or -1, depth
    while len(pending) > 0 and count > 0:
        start, end, parent, depth = pending.pop()
        deepest = max(deepest, depth)
        node = nodes
        nodes += 1
        if parent >= 0:
            links[parent, 0] = node
        if end - start <= LEAF_SIZE:
            links[node, 0], links[node, 1] = start, end - start
            continue
        axis, last_bin, low, scale = -1, 0, np.float32(0), np.float32(0)
        if depth < _SPLIT_DEPTH:
            axis, last_bin, low, scale = _best_split(boxes, order[start:end], bins, counts, right_cost)
        middle = (start + end) // 2
        if axis >= 0:
            left, right = start, end
            for i in range(start, end):
                f = order[i]
                if _bin_of(boxes[f], axis, low, scale) <= last_bin:
                    moved[left] = f
                    left += 1
                else:
                    right -= 1
                    moved[right] = f
            order[start:end] = moved[start:end]
            middle = left
        links[node, 1] = 0
        pending.append((middle, end, node, depth + 1))
        pending.append((start, middle, -1, depth + 1))
    return links[:nodes].copy(), order, deepest


def compile_build() -> None:
    """Have `build` compiled by another process, where no run before has; returns at once."""
    compile_apart(build, np.zeros((1, 3), np.float32), np.zeros((1, 3), np.int32))


@jit
def refit(vertices, faces, links, order, triangles, bounds):
    """Fill triangles [F,3,3] (corners in leaf order) and bounds [N,6] from vertices [V,3]."""
    for i in range(len(order)):
        for corner in range(3):
            v = faces[order[i], corner]
            for axis in range(3):
                triangles[i, corner, axis] = vertices[v, axis]
    boxes = np.empty((len(links), 6), np.float32)
    _clear(boxes)
    for node in range(len(links) - 1, -1, -1):
        first, size = links[node, 0], links[node, 1]
        if size > 0:
            for i in range(first, first + size):
                for corner in range(3):
                    for axis in range(3):
                        x = triangles[i, corner, axis]
                        boxes[node, axis] = min(boxes[node, axis], x)
                        boxes[node, axis + 3] = max(boxes[node, axis + 3], x)
        else:
            _grow(boxes[node], boxes[node + 1])
            _grow(boxes[node], boxes[first])
        for axis in range(3):
            low, high = boxes[node, axis], boxes[node, axis + 3]
            centre = np.float32(0.5) * (low + high)
            bounds[node, axis] = centre
            bounds[node, axis + 3] = max(high - centre, centre - low) * _BOX_MARGIN
