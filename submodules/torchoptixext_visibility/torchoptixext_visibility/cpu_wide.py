"""The tree with nodes of four children, for rays that ask only whether anything is in their way.

Four boxes are met by the same instructions as one, and half the levels are passed over.
"""

import numpy as np
from kernel_runtime import jit, parallel_jit
from numba import prange

from .cpu_rays import RAYS_PER_CHUNK, SLAB_MARGIN, inverse, meet_triangle

_WIDTH = 4
_NONE = -1


class WideNodes:
    """M nodes of up to four children.

    Args:
        links, bounds, depth: of the tree with two, see `cpu_bvh`; it has at least one node.
    """

    def __init__(self, links: np.ndarray, bounds: np.ndarray, depth: int):
        members, self.links = _collapse(links, depth)
        self.boxes = _boxes(bounds, members)
        self.depth = depth


@jit
def _collapse(links, depth):
    """The node of two behind every child [M, 4], or -1, and its link [M, 4, 2] as those of `cpu_bvh`."""
    most = max(len(links) // 2, 1)
    members, wide = np.full((most, _WIDTH), _NONE, np.int32), np.zeros((most, _WIDTH, 2), np.int32)
    pending = np.empty((3 * depth + _WIDTH, 2), np.int32)  # a node of two and the wide one it becomes
    pending[0, 0], pending[0, 1] = 0, 0
    waiting, count = 1, 1
    while waiting > 0:
        waiting -= 1
        top, node = pending[waiting, 0], pending[waiting, 1]
        children = 0
        if links[top, 1] > 0:  # a root that is a leaf
            members[node, 0] = top
            children = 1
        else:
            for child in (np.int32(top + 1), links[top, 0]):
                if links[child, 1] > 0:
                    members[node, children] = child
                    children += 1
                else:
                    members[node, children], members[node, children + 1] = child + 1, links[child, 0]
                    children += 2
        for k in range(children):
            child = members[node, k]
            if links[child, 1] > 0:
                wide[node, k] = links[child]
            else:
                wide[node, k, 0] = count
                pending[waiting, 0], pending[waiting, 1] = child, count
                waiting += 1
                count += 1
    return members[:count].copy(), wide[:count].copy()


@jit
def _boxes(bounds, members):
    """Centres and half extents [M, 6, 4] of the children; those of none are met by no ray."""
    boxes = np.zeros((len(members), 6, _WIDTH), np.float32)
    for node in range(len(members)):
        for k in range(_WIDTH):
            if members[node, k] == _NONE:
                boxes[node, 3:, k] = -np.inf
            else:
                boxes[node, :, k] = bounds[members[node, k]]
    return boxes


@jit
def _meets_any(boxes, links, triangles, o, d, t_min, t_max, stack, overlap):
    ox, oy, oz, dx, dy, dz = o[0], o[1], o[2], d[0], d[1], d[2]
    ix, iy, iz = inverse(dx), inverse(dy), inverse(dz)
    jx, jy, jz = abs(ix), abs(iy), abs(iz)
    stack[0] = 0
    size = 1
    while size > 0:
        size -= 1
        node = stack[size]
        box = boxes[node]
        for k in range(_WIDTH):
            x, y, z = (box[0, k] - ox) * ix, (box[1, k] - oy) * iy, (box[2, k] - oz) * iz
            hx, hy, hz = box[3, k] * jx, box[4, k] * jy, box[5, k] * jz
            near = max(max(x - hx, y - hy), max(z - hz, t_min))
            far = min(min(x + hx, y + hy), z + hz) * SLAB_MARGIN
            overlap[k] = min(far, t_max) - near
        for k in range(_WIDTH):
            if overlap[k] >= 0:
                first, count = links[node, k, 0], links[node, k, 1]
                if count == 0:
                    stack[size] = first
                    size += 1
                for i in range(first, first + count):
                    t, _, _ = meet_triangle(triangles[i], ox, oy, oz, dx, dy, dz)
                    if t > t_min and t < t_max:
                        return True
    return False


@parallel_jit("(f4[:,:,::1], i4[:,:,::1], i8, f4[:,:,::1], f4[:,::1], f4[:,::1], f4, f4, b1[::1])")
def any_hits(boxes, links, depth, triangles, origins, directions, t_min, t_max, hit):
    """Whether rays [N,3] with directions of any length meet a triangle; fill hit [N]."""
    chunks = (len(origins) + RAYS_PER_CHUNK - 1) // RAYS_PER_CHUNK
    for chunk in prange(chunks):
        stack, overlap = np.empty(3 * depth + _WIDTH, np.int32), np.empty(_WIDTH, np.float32)
        for n in range(chunk * RAYS_PER_CHUNK, min((chunk + 1) * RAYS_PER_CHUNK, len(origins))):
            hit[n] = _meets_any(boxes, links, triangles, origins[n], directions[n], t_min, t_max, stack, overlap)
