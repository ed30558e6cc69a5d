"""numba: what a splat is, and which tiles see it."""

import math

from kernel_runtime import jit

from .splatting import MIN_ALPHA

LOG_MIN_ALPHA = math.log(MIN_ALPHA)
TILE_WIDTH = 16  # pixels: one AVX-512 vector of float32
TILE_HEIGHT = 16
SLACK = 0.01  # px around the ellipse for the rounding of float32; the pixel test decides

# Columns of a splat. At pixel offset (dx, dy) = splat centre - pixel,
#   log alpha = LOG_OPACITY - (SLOPE_X dx + SLOPE_Y dy)^2 - CURVE dy^2,
# a sum of squares that rounding cannot turn positive. Pixels above MIN_ALPHA lie within HALF_HEIGHT rows; the one
# farthest right (left) lies WIDEST rows above (below) the centre.
X, Y, SLOPE_X, SLOPE_Y, CURVE, LOG_OPACITY, HALF_HEIGHT, WIDEST = range(8)
SPLAT_COLUMNS = 8
INVISIBLE = -1.0  # HALF_HEIGHT of a splat that no pixel sees


@jit
def tile_rows(splat, rows):
    """First and last-plus-one tile row that the splat touches."""
    top = (splat[Y] - splat[HALF_HEIGHT] - SLACK) / TILE_HEIGHT
    bottom = (splat[Y] + splat[HALF_HEIGHT] + SLACK) / TILE_HEIGHT
    if splat[HALF_HEIGHT] < 0:
        return 0, 0
    return int(min(max(top, 0.0), float(rows))), int(min(max(bottom + 1, 0.0), float(rows)))


@jit
def tile_columns(splat, row, columns):
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


@jit
def count_tiles(splat, rows, columns):
    """Number of tiles that see a splat."""
    first_row, last_row = tile_rows(splat, rows)
    total = 0
    for row in range(first_row, last_row):
        first, last = tile_columns(splat, row, columns)
        total += max(last - first, 0)
    return total
