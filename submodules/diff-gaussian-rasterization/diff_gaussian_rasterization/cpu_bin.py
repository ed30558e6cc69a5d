"""numba: the list of splats that every tile sees, front to back.

An instance is a (splat, tile) pair whose ellipse of visible alpha really touches the tile. Splats are sorted by depth
once, then a stable counting sort by tile keeps that order within every tile.
"""

import numba
from kernel_runtime import jit, parallel_jit

from .cpu_splat import tile_columns, tile_rows


@jit
def _count_by_tile(splats, order, rows, columns, counts):
    for p in order:
        first_row, last_row = tile_rows(splats[p], rows)
        for row in range(first_row, last_row):
            first, last = tile_columns(splats[p], row, columns)
            for column in range(first, last):
                counts[row * columns + column] += 1


@jit
def _scatter_by_tile(splats, order, offsets, rows, columns, position, instances, owners):
    for p in order:
        instance = offsets[p]
        first_row, last_row = tile_rows(splats[p], rows)
        for row in range(first_row, last_row):
            first, last = tile_columns(splats[p], row, columns)
            for column in range(first, last):
                slot = position[row * columns + column]
                position[row * columns + column] = slot + 1
                instances[slot] = instance
                owners[slot] = p
                instance += 1


@parallel_jit("(f4[:,::1], i8[::1], i8[::1], i8, i8, i8[::1], i8[:,::1], i8[::1], i4[::1], i4[::1])")
def sort_instances(splats, order, offsets, rows, columns, bounds, position, tile_starts, instances, owners):
    """Counting sort of the instances by tile, front to back within a tile.

    Args:
        order: splats with at least one instance, nearest first.
        offsets: [P+1], the instances of splat p are numbered offsets[p] to offsets[p + 1].
        bounds: cuts `order` into parts that are sorted side by side; the result does not depend on them.
        position: scratch, zeros [parts, tiles].
        tile_starts: out, [tiles+1], where each tile's list starts in `instances` and `owners`.
        instances, owners: out, instance numbers and their splats.
    """
    parts, tiles = bounds.shape[0] - 1, rows * columns
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
