"""numba: gradients of the blending, tile by tile from the last contributor of every pixel to the first.

Every instance gets its own row of sums over its pixels, so that tiles never write to the same place; adding the rows
of a splat in order makes the result independent of the threads.
"""

import numba
import numpy as np
from kernel_runtime import jit, parallel_jit

from .cpu_blend import (
    CAP,
    FIRST_BLOCK,
    LANES,
    LATER_BLOCK,
    LOG_MIN,
    ONE,
    ZERO,
    exp,
    f32,
    row_misses,
    row_range,
)
from .cpu_project import SUM_COLUMNS
from .cpu_splat import CURVE, LOG_OPACITY, SLOPE_X, SLOPE_Y, TILE_HEIGHT, TILE_WIDTH, X, Y

# Offsets from the start of a row's state.
_T = 0  # transmittance behind the current splat
_LAST = LANES
_WEIGHT = 2 * LANES  # of the current splat
_DOT = 3 * LANES  # gradient . feature of the current splat over the later blocks of channels
_BEHIND = 4 * LANES  # sum over the splats behind of weight * (gradient . feature), features alone
_BEHIND_ALPHA = 5 * LANES  # the same for the alpha channel
_GRADIENT = 6 * LANES  # of alpha and of every image channel

# Offsets in the sums over the rows of a tile, by lane, for one splat.
_S, _S_U, _S_Y, _S_UU, _S_UY, _S_YY, _S_C_U, _S_C_Y, _S_FEATURE = range(0, (SUM_COLUMNS + 1) * LANES, LANES)


@jit
def _unblend_row(row, sums, edge, slope, top, dy, feature, position):
    """Undo one splat in one tile row and add up its gradients, those of the first block of features included."""
    f0, f1, f2, f3 = feature[0], feature[1], feature[2], feature[3]
    for x in range(LANES):
        across = edge - slope * f32(x)
        log_alpha = top - across * across
        uncapped = exp(max(log_alpha, LOG_MIN))
        alpha = min(CAP, uncapped)
        alpha = alpha if log_alpha >= LOG_MIN else ZERO
        alpha = alpha if position <= row[_LAST + x] else ZERO
        through = ONE / (ONE - alpha)
        transmittance = row[_T + x] * through
        weight = alpha * transmittance
        g0, g1, g2, g3 = (
            row[_GRADIENT + x],
            row[_GRADIENT + LANES + x],
            row[_GRADIENT + 2 * LANES + x],
            row[_GRADIENT + 3 * LANES + x],
        )
        dot = row[_DOT + x] + f1 * g1 + f2 * g2 + f3 * g3
        dot_alpha = f0 * g0
        behind = row[_BEHIND + x]
        behind_alpha = row[_BEHIND_ALPHA + x]
        by_log = alpha if uncapped < CAP else ZERO
        c = by_log * (transmittance * dot - through * behind)
        q = c + by_log * (transmittance * dot_alpha - through * behind_alpha)
        row[_T + x] = transmittance
        row[_WEIGHT + x] = weight
        row[_DOT + x] = ZERO
        row[_BEHIND + x] = behind + weight * dot
        row[_BEHIND_ALPHA + x] = behind_alpha + weight * dot_alpha
        sums[_S + x] += q
        sums[_S_U + x] += q * across
        sums[_S_Y + x] += q * dy
        sums[_S_UU + x] += q * across * across
        sums[_S_UY + x] += q * across * dy
        sums[_S_YY + x] += q * dy * dy
        sums[_S_C_U + x] += c * across
        sums[_S_C_Y + x] += c * dy
        sums[_S_FEATURE + x] += weight * g0
        sums[_S_FEATURE + LANES + x] += weight * g1
        sums[_S_FEATURE + 2 * LANES + x] += weight * g2
        sums[_S_FEATURE + 3 * LANES + x] += weight * g3


@jit
def _later_dot(row, gradient, feature):
    """Add a later block of channels to gradient . feature."""
    f0, f1, f2, f3, f4, f5, f6, f7 = (
        feature[0], feature[1], feature[2], feature[3], feature[4], feature[5], feature[6], feature[7],
    )  # fmt: skip
    for x in range(LANES):
        row[_DOT + x] += (
            f0 * gradient[x]
            + f1 * gradient[LANES + x]
            + f2 * gradient[2 * LANES + x]
            + f3 * gradient[3 * LANES + x]
            + f4 * gradient[4 * LANES + x]
            + f5 * gradient[5 * LANES + x]
            + f6 * gradient[6 * LANES + x]
            + f7 * gradient[7 * LANES + x]
        )


@jit
def _later_features(row, gradient, sums):
    """Add the feature gradients of a later block of channels."""
    for x in range(LANES):
        weight = row[_WEIGHT + x]
        sums[x] += weight * gradient[x]
        sums[LANES + x] += weight * gradient[LANES + x]
        sums[2 * LANES + x] += weight * gradient[2 * LANES + x]
        sums[3 * LANES + x] += weight * gradient[3 * LANES + x]
        sums[4 * LANES + x] += weight * gradient[4 * LANES + x]
        sums[5 * LANES + x] += weight * gradient[5 * LANES + x]
        sums[6 * LANES + x] += weight * gradient[6 * LANES + x]
        sums[7 * LANES + x] += weight * gradient[7 * LANES + x]


@jit
def _reduce_lanes(sums, out):
    """Add the lanes of one splat's sums; that of the alpha channel has no place in `out`."""
    for column in range(out.shape[0]):
        lanes = sums[(column if column < SUM_COLUMNS else column + 1) * LANES :]
        total = ZERO
        for x in range(LANES):
            total += lanes[x]
        out[column] = total


@jit
def _load_tile(state, row_last, y0, x0, grad_image, grad_alpha, final_transmittance, last_contributor):
    """Fill a tile's state, padding lanes and channels with what never contributes."""
    height, width = grad_alpha.shape
    for r in range(TILE_HEIGHT):
        row_last[r] = 0
        for i in range(state.shape[1]):
            state[r, i] = ZERO
    for r in range(min(TILE_HEIGHT, height - y0)):
        for x in range(min(LANES, width - x0)):
            last = last_contributor[y0 + r, x0 + x]
            row_last[r] = max(row_last[r], last)
            state[r, _LAST + x] = f32(last)
            state[r, _T + x] = final_transmittance[y0 + r, x0 + x]
            state[r, _GRADIENT + x] = grad_alpha[y0 + r, x0 + x]
            for c in range(grad_image.shape[2]):
                state[r, _GRADIENT + (1 + c) * LANES + x] = grad_image[y0 + r, x0 + x, c]


@jit
def _unblend_tile(y0, x0, instances, owners, splats, features, state, row_last, lanes, sums):
    """Undo the list of one tile from the last contributor on and write the sums of every instance."""
    longest = 0
    for r in range(TILE_HEIGHT):
        longest = max(longest, row_last[r])
    for k in range(longest - 1, -1, -1):
        splat = splats[owners[k]]
        feature = features[owners[k]]
        first, last = row_range(splat, y0)
        dx0 = splat[X] - f32(x0)
        slope = splat[SLOPE_X]
        for i in range(lanes.shape[0]):
            lanes[i] = ZERO
        for r in range(first, last + 1):
            dy = splat[Y] - f32(y0 + r)
            edge = slope * dx0 + splat[SLOPE_Y] * dy
            top = splat[LOG_OPACITY] - splat[CURVE] * dy * dy
            if k >= row_last[r] or row_misses(edge, slope, top - LOG_MIN):
                continue
            row = state[r]
            for c in range(FIRST_BLOCK, feature.shape[0], LATER_BLOCK):
                _later_dot(row, row[_GRADIENT + c * LANES :], feature[c:])
            _unblend_row(row, lanes, edge, slope, top, dy, feature, f32(k + 1))
            for c in range(FIRST_BLOCK, feature.shape[0], LATER_BLOCK):
                _later_features(row, row[_GRADIENT + c * LANES :], lanes[_S_FEATURE + c * LANES :])
        _reduce_lanes(lanes, sums[instances[k]])


@parallel_jit(
    "(i8[::1], i8[::1], i4[::1], i4[::1], f4[:,::1], f4[:,::1], f4[:,::1], i4[:,::1], f4[:,:,::1], f4[:,::1], "
    "f4[:,::1])"
)
def blend_backward(
    tile_bounds, tile_starts, instances, owners, splats, features,
    final_transmittance, last_contributor, grad_image, grad_alpha, sums,
):  # fmt: skip
    """Write the sums of every contributing instance into its row of `sums` [instances, SUM_COLUMNS + C]."""
    columns = (grad_alpha.shape[1] + TILE_WIDTH - 1) // TILE_WIDTH
    channels = features.shape[1]
    for part in numba.prange(tile_bounds.shape[0] - 1):
        state = np.empty((TILE_HEIGHT, _GRADIENT + channels * LANES), np.float32)
        lanes = np.empty(_S_FEATURE + channels * LANES, np.float32)
        row_last = np.empty(TILE_HEIGHT, np.int64)
        for tile in range(tile_bounds[part], tile_bounds[part + 1]):
            own = slice(tile_starts[tile], tile_starts[tile + 1])
            if own.start == own.stop:
                continue
            y0, x0 = tile // columns * TILE_HEIGHT, tile % columns * TILE_WIDTH
            _load_tile(state, row_last, y0, x0, grad_image, grad_alpha, final_transmittance, last_contributor)
            _unblend_tile(y0, x0, instances[own], owners[own], splats, features, state, row_last, lanes, sums)
