"""numba: the list of splats that every tile sees, front to back.

An instance is a (splat, tile) pair whose ellipse of visible alpha really touches the tile. Splats are sorted by depth
once, then a stable counting sort by tile keeps that order within every tile.
"""

import math

import numba
import numpy as np
from kernel_runtime import jit, parallel_jit

from .cpu_project import CURVE, HALF_HEIGHT, LOG_MIN_ALPHA, LOG_OPACITY, SLOPE_X, SLOPE_Y, WIDEST, X, Y

TILE_WIDTH = 16  # pixels: one AVX-512 vector of float32
TILE_HEIGHT = 16
SLACK = 0.01  # px around the ellipse for the rounding of float32; the pixel test decides


@jit
def _tile_rows(splat, rows):
    """First and last-plus-one tile row that the splat touches."""
    top = (splat[Y] - splat[HALF_HEIGHT] - SLACK) / TILE_HEIGHT
    bottom = (splat[Y] + splat[HALF_HEIGHT] + SLACK) / TILE_HEIGHT
    if splat[HALF_HEIGHT] < 0:
        return 0, 0
    return int(min(max(top, 0.0), float(rows))), int(min(max(bottom + 1, 0.0), float(rows)))


@jit
def _tile_columns(splat, row, columns):
    """First and last-plus-one tile column of tile row `row` that the splat's ellipse touches."""
    upper = row * TILE_HEIGHT - splat[Y] - SLACK
    lower = upper + TILE_HEIGHT - 1 + 2 * SLACK
    visible = splat[LOG_OPACITY] - LOG_MIN_ALPHA
    right_y = min(max(float(splat[WIDEST]), upper), lower)
    left_y = min(max(-float(splat[WIDEST]), upper), lower)
    right = -splat[SLOPE_Y] * right_y + math.sqrt(max(visible - splat[CURVE] * right_y * right_y, 0.0))
    left = -splat[SLOPE_Y] * left_y - math.sqrt(max(visible - splat[CURVE] * left_y * left_y, 0.0))
    first = (splat[X] + left / splat[SLOPE_X] - SLACK) / TILE_WIDTH
    last = (splat[X] + right / splat[SLOPE_X] + SLACK) / TILE_WIDTH
    return int(min(max(first, 0.0), float(columns))), int(min(max(last + 1, 0.0), float(columns)))


@parallel_jit
def count_instances(splats, rows, columns, counts):
    """Write the number of tiles each splat touches into `counts` [P] int64."""
    for p in numba.prange(splats.shape[0]):
        first_row, last_row = _tile_rows(splats[p], rows)
        total = 0
        for row in range(first_row, last_row):
            first, last = _tile_columns(splats[p], row, columns)
            total += max(last - first, 0)
        counts[p] = total


@jit
def _count_by_tile(splats, order, rows, columns, counts):
    for p in order:
        first_row, last_row = _tile_rows(splats[p], rows)
        for row in range(first_row, last_row):
            first, last = _tile_columns(splats[p], row, columns)
            for column in range(first, last):
                counts[row * columns + column] += 1


@jit
def _scatter_by_tile(splats, order, offsets, rows, columns, position, instances, owners):
    for p in order:
        instance = offsets[p]
        first_row, last_row = _tile_rows(splats[p], rows)
        for row in range(first_row, last_row):
            first, last = _tile_columns(splats[p], row, columns)
            for column in range(first, last):
                slot = position[row * columns + column]
                position[row * columns + column] = slot + 1
                instances[slot] = instance
                owners[slot] = p
                instance += 1


@parallel_jit
def sort_instances(splats, order, offsets, rows, columns, bounds, tile_starts, instances, owners):
    """Counting sort of the instances by tile, front to back within a tile.

    Args:
        order: splats with at least one instance, nearest first.
        offsets: [P+1], the instances of splat p are numbered offsets[p] to offsets[p + 1].
        bounds: cuts `order` into parts that are sorted side by side; the result does not depend on them.
        tile_starts: out, [tiles+1], where each tile's list starts in `instances` and `owners`.
        instances, owners: out, instance numbers and their splats.
    """
    parts, tiles = bounds.shape[0] - 1, rows * columns
    position = np.zeros((parts, tiles), np.int64)
    for part in numba.prange(parts):
        _count_by_tile(splats, order[bounds[part] : bounds[part + 1]], rows, columns, position[part])
    total = 0
    for tile in range(tiles):
        tile_starts[tile] = total
        for part in range(parts):
            count = position[part, tile]
            position[part, tile] = total
            total += count
    tile_starts[tiles] = total
    for part in numba.prange(parts):
        own = order[bounds[part] : bounds[part + 1]]
        _scatter_by_tile(splats, own, offsets, rows, columns, position[part], instances, owners)
