"""Nearest neighbours within a radius on the CPU, by the cells of a grid around each point."""

import numba
import numpy as np
from kernel_runtime import jit, parallel_jit

_POINTS_PER_CHUNK = 256
# The searched box is larger than the ball by this share, so that rounding of a distance never depends on cells.
_BOX_MARGIN = 1 + 1e-6


@jit
def _keep_nearest(distance2, index, dists, idxs, found):
    """Insert into the ascending row of which `found` places are taken; return the number taken then."""
    count = len(dists)
    if found == count:
        if distance2 > dists[count - 1] or (distance2 == dists[count - 1] and index > idxs[count - 1]):
            return found
        found -= 1
    place = found
    while place > 0 and (dists[place - 1] > distance2 or (dists[place - 1] == distance2 and idxs[place - 1] > index)):
        dists[place], idxs[place] = dists[place - 1], idxs[place - 1]
        place -= 1
    dists[place], idxs[place] = distance2, index
    return found + 1


@jit
def _cell_range(x, radius, low, per_length, resolution):
    """First and last cell of one axis that [x - radius, x + radius] touches; empty if the last is below the first."""
    first = (x - radius - low) * per_length
    last = (x + radius - low) * per_length
    if last < 0 or first > resolution:
        return 0, -1
    return int(max(first, 0.0)), int(min(last, resolution - 1))


@jit
def _search_one(point, points2, numbers, offsets, parameters, limit2, dists, idxs):
    low, per_length, resolution = parameters[:3], parameters[3], parameters[4:]
    radius = np.sqrt(np.float64(limit2)) * _BOX_MARGIN
    y = np.float64(point[1]) if len(point) > 1 else 0.0
    z = np.float64(point[2]) if len(point) > 2 else 0.0
    first_x, last_x = _cell_range(np.float64(point[0]), radius, low[0], per_length, resolution[0])
    first_y, last_y = _cell_range(y, radius, low[1], per_length, resolution[1])
    first_z, last_z = _cell_range(z, radius, low[2], per_length, resolution[2])
    if last_z < first_z:
        return
    found = 0
    for cell_x in range(first_x, last_x + 1):
        for cell_y in range(first_y, last_y + 1):
            row = (cell_x * int(resolution[1]) + cell_y) * int(resolution[2])
            for i in range(offsets[row + first_z], offsets[row + last_z + 1]):
                distance2 = np.float32(0)
                for axis in range(len(point)):
                    difference = point[axis] - points2[i, axis]
                    distance2 += difference * difference
                if distance2 <= limit2:
                    found = _keep_nearest(distance2, numbers[i], dists, idxs, found)


@parallel_jit()
def search(points1, points2, numbers, offsets, parameters, limit2, dists, idxs):
    """Fill dists [P1,K] and idxs [P1,K] with the neighbours of points1 [P1,D]; places not found keep their value.

    `points2` [P2,D] lie in cell order, `numbers` [P2] are their original places; `offsets` and `parameters` describe
    the cells as `ops.GRID` does. Neighbours have squared distances of at most `limit2`.
    """
    chunks = (len(points1) + _POINTS_PER_CHUNK - 1) // _POINTS_PER_CHUNK
    for chunk in numba.prange(chunks):
        for p in range(chunk * _POINTS_PER_CHUNK, min((chunk + 1) * _POINTS_PER_CHUNK, len(points1))):
            _search_one(points1[p], points2, numbers, offsets, parameters, limit2, dists[p], idxs[p])
